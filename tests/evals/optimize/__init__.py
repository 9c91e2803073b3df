"""Tests of evals/optimize."""
