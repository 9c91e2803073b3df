"""Recordings: the shipped demo and the cassettes of the tests; `make record`."""
