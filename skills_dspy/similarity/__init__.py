"""Whether this text is near that one, by vectors or by words: pure functions."""
