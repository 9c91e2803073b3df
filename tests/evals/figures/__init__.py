"""Tests of evals/figures."""
