"""Tests of evals/judges."""
