"""The functions for Python."""
