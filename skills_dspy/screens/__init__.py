"""What a text may not be, found without a language model: near to an evaluation question."""
