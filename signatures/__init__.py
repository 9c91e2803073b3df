"""The prompts of skills_dspy, one dspy.Signature each; importing this package alone imports no dspy."""
