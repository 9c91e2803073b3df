"""The parts of the simulated teacher: an Ollama server with no language model behind it (see evals.teacher)."""
