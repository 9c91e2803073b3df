"""One candidate from draw to row, and the draws of one task in their order."""
