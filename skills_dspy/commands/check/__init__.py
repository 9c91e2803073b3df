"""`check`, `prompts`, `tasks`: what a night would need, what is sent, what is wrong with tasks."""
