"""What a text may not be, found without a language model: a copy, an echo, residue, near to an evaluation question."""
