"""`eval data`: the score of a dataset, and two compared."""
