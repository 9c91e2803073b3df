"""From texts to vectors: the embedding model, its weights, the vectors that are remembered."""
