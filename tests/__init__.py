"""Tests of skills_dspy and its signatures."""
