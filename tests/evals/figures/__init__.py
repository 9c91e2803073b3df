"""Tests of evals/data."""
