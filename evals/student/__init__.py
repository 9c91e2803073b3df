"""`eval student`: what a model learns from rows, measured on seeds that no row was made from."""
