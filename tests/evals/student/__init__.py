"""Tests of evals/student."""
