"""Tests of evals/session."""
