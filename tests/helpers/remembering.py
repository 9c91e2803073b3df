"""The real embedding model, which embeds each text once."""

from typing import Any

import numpy as np

from skills_dspy.model.embedding.embedder import SentenceEmbedder
from skills_dspy.similarity.nearest import Vectors


class RememberingEmbedder(SentenceEmbedder):
    """Keeps the vector of each text."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Vectors] = {}

    def embed(self, texts: Any) -> Vectors:
        """Return one unit vector per text."""
        for text in texts:
            if text not in self._known:
                (self._known[text],) = super().embed([text])
        return np.stack([self._known[text] for text in texts])
