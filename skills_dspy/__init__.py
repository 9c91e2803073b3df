"""Turn a few seed examples of a skill into validated training data with a local teacher model."""

__version__ = "0.1.0"
