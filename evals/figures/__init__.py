"""What the evaluations have in common: statistics with intervals, and reports as tables in three forms."""
