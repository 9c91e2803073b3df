"""What the commands of evals share: one journal of replies, the models, a bridge for threads, derived descriptions."""
