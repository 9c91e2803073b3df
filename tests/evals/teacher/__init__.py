"""Tests of evals/teacher."""
