"""A run whose tasks the workers of a cluster do, each as the plain run does it."""
