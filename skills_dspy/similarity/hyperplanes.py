"""Which unit vectors may be near each other: random hyperplanes, in bands.

Of two vectors with the angle a, a random hyperplane has both on one side with the chance 1 - a/pi (Goemans and Williamson 1995;
Charikar 2002). A band is BITS of them; two vectors with all bits of any of PLANE_BANDS equal are candidates. Of pairs at LIMIT
`missed` says how many never are: 6 in 10,000, and fewer of nearer ones. What is found is compared exactly by the caller.

The hyperplanes are the same in every export, and the sides do not depend on the machine: all is computed in whole numbers that
float64 holds exactly, in whatever order they are added.
"""

import math
from hashlib import shake_128
from typing import Final

import numpy as np
from numpy.typing import NDArray

from skills_dspy.similarity.minhash import Keys

LIMIT: Final = 0.05
"""Rows are near in meaning below this squared L2 distance of their vectors: what dedup takes for a duplicate by default."""

BITS: Final = 24
PLANE_BANDS: Final = 40
_FINE = 2.0**20  # steps of a coordinate from 0 to 1
_PLACES = np.uint64(1) << np.arange(BITS, dtype=np.uint64)


def missed(distance: float) -> float:
    """The chance that two unit vectors at this squared distance, 0 to 4, become no candidates."""
    angle = math.acos(1 - distance / 2)
    return float((1 - (1 - angle / math.pi) ** BITS) ** PLANE_BANDS)


class Hyperplanes:
    """BITS x PLANE_BANDS hyperplanes through the origin of a space of so many dimensions."""

    def __init__(self, dimension: int) -> None:
        # A sum of twelve even numbers is near enough to normally distributed (Irwin-Hall) for directions that are even.
        count = BITS * PLANE_BANDS
        raw = shake_128(f"skills_dspy hyperplanes {dimension}".encode()).digest(24 * dimension * count)
        drawn = np.frombuffer(raw, "<u2").reshape(dimension, count, 12)
        self._normals = 2.0 * drawn.sum(axis=2, dtype=np.int64) - 12 * 65535

    def keys(self, vectors: NDArray[np.float32]) -> Keys:
        """One key a band for each of some vectors, shape (n, dimension), that tells on which sides it lies.

        Returns:
            Shape (n, PLANE_BANDS), each key below 2^BITS.
        """
        sides = np.rint(vectors.astype(np.float64) * _FINE) @ self._normals >= 0
        return np.asarray(sides.reshape(len(vectors), PLANE_BANDS, BITS) @ _PLACES, dtype=np.uint64)
