"""Exact nearest-neighbour search over unit vectors: which earlier texts is this one near to.

Two texts are compared by the squared L2 distance of their unit vectors, 0 (same) to 4 (opposite). Whether a pair is a
duplicate must not depend on which row a vector sits in, and a matrix product differs in its last bits from row to row.
So the product only picks who may be near enough; `squared_distance` decides.
"""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Vector = NDArray[np.float32]
"""A unit vector: one dimension, length 1 up to float32."""

Vectors = NDArray[np.float32]
"""Unit vectors, one per row."""

Key = tuple[int, int, int]
"""The place of a text in the order in which texts settle: (-1, k, 0) for seed k, (draw, index, 0) for a candidate."""

Scalar = TypeVar("Scalar", bound=np.generic)

MARGIN = 1e-4
"""How far the matrix product may be off: for unit vectors the float32 error stays below it up to 800 dimensions."""

_PAIRS = 1 << 24
"""Pairs that are compared at one time when all are compared with all, which bounds the memory of that."""
FIRST_ROWS = 16
"""Few, because each of perhaps hundreds of tasks has up to four indexes, most of them small."""


def squared_distance(a: Vector, b: Vector) -> float:
    """Return the squared L2 distance of two unit vectors, 0.0 to 4.0, rounded to 6 decimals.

    The products of two float32 are exact in float64 and `fsum` rounds their sum once, so the result depends on the
    values alone, never on memory layout, order or the machine's linear algebra.
    """
    products = a.astype(np.float64) * b.astype(np.float64)
    return min(4.0, max(0.0, round(2.0 - 2.0 * math.fsum(products.tolist()), 6)))


def joined(question: Vector, context: Vector) -> Vector:
    """Return one unit vector for a question about a context, twice as long as each of the two.

    Distances of joined vectors are the mean of the contexts' and the questions' distances, so the same threshold
    serves both kinds of text, and the same question on another passage is far away.
    """
    both = np.concatenate([context.astype(np.float64), question.astype(np.float64)])
    return (both / math.sqrt(2.0)).astype(np.float32)


class Index:
    """A growing set of unit vectors under keys, searched exactly.

    The first vector fixes the dimension. Rows of removed vectors are used again, so memory follows the largest number
    held at one time.
    """

    def __init__(self) -> None:
        self._rows: Vector = np.zeros((0, 0), dtype=np.float32)
        self._keys: NDArray[np.int64] = np.zeros((0, 3), dtype=np.int64)
        self._live: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._row_of: dict[Key, int] = {}
        self._free: list[int] = []
        self._used = 0  # rows from here on have never held a vector

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, key: Key) -> bool:
        return key in self._row_of

    @property
    def capacity(self) -> int:
        """The number of rows in memory."""
        return len(self._rows)

    def add(self, key: Key, vector: Vector) -> None:
        """Hold `vector` under `key`.

        Raises:
            ValueError: the key is taken, or the vector is not a float32 unit vector of the index's dimension.
        """
        if key in self._row_of:
            raise ValueError(f"the index already holds a vector under {key}")
        self._check(vector)
        if not self._free and self._used == self.capacity:
            self._grow(len(vector))
        if self._free:
            row = self._free.pop()
        else:
            row = self._used
            self._used += 1
        self._rows[row] = vector
        self._keys[row] = key
        self._live[row] = True
        self._row_of[key] = row

    def remove(self, key: Key) -> None:
        """Forget the vector under `key`; KeyError when there is none."""
        row = self._row_of.pop(key)
        self._live[row] = False
        self._free.append(row)

    def within(self, vector: Vector, threshold: float, before: Key | None = None) -> list[tuple[Key, float]]:
        """Return all held vectors nearer than `threshold`, as (key, squared distance), nearest first, then by key.

        Args:
            vector: what to compare with.
            threshold: the squared distance that is already too far.
            before: only keys smaller than this one; None for all.
        """
        self._check(vector)
        rows, rough = self._rough(vector, before)
        return [found for found in self._exact(vector, rows[rough < threshold + MARGIN]) if found[1] < threshold]

    def nearest(self, vector: Vector, before: Key | None = None) -> tuple[Key, float] | None:
        """Return the nearest held vector with a key smaller than `before`, as (key, squared distance).

        Among equally near ones the smallest key wins; None when there is nothing to compare with.
        """
        self._check(vector)
        rows, rough = self._rough(vector, before)
        if not len(rows):
            return None
        return self._exact(vector, rows[rough <= rough.min() + 2 * MARGIN])[0]

    def _rough(self, vector: Vector, before: Key | None) -> tuple[NDArray[np.int64], Vector]:
        """Return the rows that may be compared with, and their distances to within MARGIN."""
        rows = np.flatnonzero(self._live[: self._used] & self._earlier(before))
        if not len(rows):
            return rows, np.zeros(0, dtype=np.float32)
        return rows, (2.0 - 2.0 * (self._rows[: self._used] @ vector))[rows]

    def _earlier(self, before: Key | None) -> NDArray[np.bool_]:
        if before is None:
            return np.ones(self._used, dtype=np.bool_)
        keys = self._keys[: self._used]
        earlier: NDArray[np.bool_] = keys[:, 2] < before[2]
        for column in (1, 0):
            earlier = (keys[:, column] < before[column]) | ((keys[:, column] == before[column]) & earlier)
        return earlier

    def _exact(self, vector: Vector, rows: NDArray[np.int64]) -> list[tuple[Key, float]]:
        found = [(self._key(row), squared_distance(self._rows[row], vector)) for row in rows.tolist()]
        return sorted(found, key=lambda pair: (pair[1], pair[0]))

    def _key(self, row: int) -> Key:
        first, second, third = self._keys[row].tolist()
        return first, second, third

    def _grow(self, dimension: int) -> None:
        rows = max(FIRST_ROWS, 2 * self.capacity)
        self._rows = _lengthened(self._rows.reshape(self._used, dimension), rows)
        self._keys = _lengthened(self._keys, rows)
        self._live = _lengthened(self._live, rows)

    def _check(self, vector: Vector) -> None:
        if vector.ndim != 1 or vector.dtype != np.float32:
            raise ValueError(f"expected one float32 vector, got {vector.dtype} of shape {vector.shape}")
        if self.capacity and len(vector) != self._rows.shape[1]:
            raise ValueError(f"the index holds vectors of dimension {self._rows.shape[1]}, not {len(vector)}")
        length = float(vector @ vector)
        if not abs(length - 1.0) < MARGIN:  # written so that NaN fails too
            raise ValueError(f"expected a unit vector, got one of squared length {length:.6f}")


def nearest_row(rows: Vectors, vector: Vector, limit: float) -> tuple[int, float] | None:
    """The row nearest to a vector and its squared distance, the first of equals; None if none is nearer than `limit`."""
    if not len(rows):
        return None
    rough = 2.0 - 2.0 * (rows @ vector)
    near = np.flatnonzero(rough <= min(rough.min() + 2 * MARGIN, limit + MARGIN))
    found = [(squared_distance(rows[row], vector), row) for row in near.tolist()]
    distance, row = min(found, default=(limit, -1))
    return (row, distance) if distance < limit else None


class Groups:
    """Which of some things, by number from 0, belong together, directly or through others.

    Attributes:
        labels: for each a number that all of its group have, and no others.
    """

    def __init__(self, count: int) -> None:
        self.labels: NDArray[np.int64] = np.arange(count)

    def join(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> None:
        """Put each of `one` into a group with its counterpart in `other`."""
        pairs = self.labels[one], self.labels[other]
        if (pairs[0] != pairs[1]).any():
            graph = coo_array((np.ones(len(one), np.bool_), pairs), shape=(len(self.labels), len(self.labels)))
            self.labels = connected_components(graph, directed=False)[1][self.labels].astype(np.int64)


def join_near(groups: Groups, members: NDArray[np.int64], vectors: Vector, limit: float) -> None:
    """Put those into one group whose vectors are nearer than a squared distance; every vector is compared with every other.

    Args:
        groups: what is joined.
        members: whose number in the groups each vector has.
        vectors: unit vectors, one per row.
        limit: the squared distance that is already too far.
    """
    count = max(1, _PAIRS // max(1, len(vectors)))
    for first in range(0, len(vectors), count):
        block = vectors[first : first + count]
        products = block @ vectors[: first + len(block)].T
        one, other = np.nonzero(products > 1.0 - (limit + MARGIN) / 2.0)
        rough = 2.0 - 2.0 * products[one, other]
        one += first
        open_ones = (other < one) & (groups.labels[members[one]] != groups.labels[members[other]])
        one, other, rough = one[open_ones], other[open_ones], rough[open_ones]
        near = rough < limit - MARGIN
        groups.join(members[one[near]], members[other[near]])
        for a, b in zip(one[~near].tolist(), other[~near].tolist(), strict=True):
            if squared_distance(vectors[a], vectors[b]) < limit:
                groups.join(members[[a]], members[[b]])


def _lengthened(old: NDArray[Scalar], rows: int) -> NDArray[Scalar]:
    new = np.zeros((rows, *old.shape[1:]), dtype=old.dtype)
    new[: len(old)] = old
    return new
