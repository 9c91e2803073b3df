"""Ways to make a seed bad, so that a judge has something to reject."""
