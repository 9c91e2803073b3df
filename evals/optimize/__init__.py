"""`optimize`: what is optimized together, on which examples, by which of DSPy's optimizers, and what came of it."""
