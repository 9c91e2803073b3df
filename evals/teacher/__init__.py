"""The simulated teacher: an Ollama server for tests, recordings and the benchmark; `python -m evals.teacher` starts it."""
