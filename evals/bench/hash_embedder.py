"""An embedder without a model, for benchmarks and tests: it knows nothing of meaning (beside layer 5).

Equal texts have distance 0; any two others, however alike, are near orthogonal (squared distance about 2).
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from skills_dspy.similarity.sight import Sight

DIMENSION = 384


class HashEmbedder:
    """Unit vectors drawn by the SHA-256 of the text: the same on every machine and in every version of numpy."""

    name = "hash"
    weights = "none: SHA-256 of the text, drawn by Philox"

    def sight(self) -> Sight:
        """It tells all texts apart."""
        return "all"

    def load(self) -> None:
        """Do nothing: there is nothing to load."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector of dimension 384 per text.

        Raises:
            ValueError: a text is blank.
        """
        rows = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[:] = _vector(text)
        return rows


def _vector(text: str) -> NDArray[np.float32]:
    if not text.strip():
        raise ValueError("a blank text has no embedding")
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    # Raw bits, not a distribution: numpy promises the stream of a bit generator, not what is made of it.
    raw = np.random.Philox(key=key).random_raw(DIMENSION)
    even = raw.astype(np.float64) / 2.0**63 - 1.0
    return np.asarray(even / math.sqrt(math.fsum((even * even).tolist())), dtype=np.float32)
