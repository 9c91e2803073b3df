"""The task files that ship with skills_dspy, laid out like the taxonomy."""
