"""The parts of the recorder: who answers, the shipped demo, the tests' cassettes (see evals.record)."""
