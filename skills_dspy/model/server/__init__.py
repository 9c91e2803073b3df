"""The servers that a model answers from: what is the same for all of them, and each kind in its own module."""
