"""Exact nearest-neighbour search over unit vectors: which earlier texts is this one near to.

Two texts are compared by the squared L2 distance of their unit vectors, 0 (same) to 4 (opposite). Whether a pair is a
duplicate must not depend on which row a vector sits in, and a matrix product differs in its last bits from row to row.
So the product only picks who may be near enough; `squared_distance` decides, and where texts stand beside the vectors,
`sight.distance` corrects it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from skills_dspy.similarity.sight import AGREE, LOOKED_AT, ComparedText, both_unread, distance

Vector = NDArray[np.float32]
"""A unit vector: one dimension, length 1 up to float32."""
Vectors = NDArray[np.float32]
"""Unit vectors, one per row."""

Key = tuple[int, int]
"""The place of a text in the order in which texts settle: (-1, k) for seed k, (draw, index) for a candidate."""

MARGIN = 1e-4
"""How far the squared length of a unit vector may be off, and the least margin of a distance by a matrix product."""


def margin(dimension: int) -> float:
    """How far a squared distance of two unit vectors may be off that a float32 matrix product gives.

    Whatever order it sums in, a float32 product of n numbers is off by at most n u / (1 - n u) of the product of the two
    lengths, u = 2**-24 (Higham, Accuracy and Stability, 3.5); a distance has it twice, and two roundings of its own. MARGIN
    is enough up to 800 dimensions; embedding models have up to 4096, joined vectors twice as many.
    """
    return max(MARGIN, 1.01 * (dimension + 4) * 2.0**-23)


_PAIRS = 1 << 24
"""Pairs that are compared at one time when all are compared with all, which bounds the memory of that."""
_FIRST_ROWS = 4
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


def distance_of(vector: Vector, text: ComparedText | None, other: Vector, other_text: ComparedText | None) -> float:
    """The squared distance of two texts, 0.0 to 4.0: that of their vectors, corrected where these do not tell."""
    return distance(0.0 if both_unread(text, other_text) else squared_distance(vector, other), text, other_text)


def _nearer(found: tuple[Key, float]) -> tuple[float, Key]:
    return found[1], found[0]


class Index:
    """A growing set of unit vectors of one dimension under keys, searched exactly.

    Rows of removed vectors are used again, so memory follows the largest number held at one time.
    """

    def __init__(self) -> None:
        self._rows: Vectors = np.zeros((0, 0), dtype=np.float32)
        self._keys: NDArray[np.int64] = np.zeros((0, 2), dtype=np.int64)
        self._live: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._row_of: dict[Key, int] = {}
        self._free: list[int] = []
        self._texts: dict[int, ComparedText] = {}
        self._unread: set[int] = set()

    def add(self, key: Key, vector: Vector, text: ComparedText | None) -> None:
        """Hold `vector` under `key`, with the text that it is of, if that is to be looked at.

        Raises:
            ValueError: the key is taken, or the vector is not a float32 unit vector of the index's dimension.
        """
        if key in self._row_of:
            raise ValueError(f"the index already holds a vector under {key}")
        self._check(vector)
        if not self._free:
            self._grow(len(vector))
        row = self._free.pop()
        self._rows[row], self._keys[row], self._live[row] = vector, key, True
        self._row_of[key] = row
        if text is not None:
            self._texts[row] = text
            if text.unread:
                self._unread.add(row)

    def remove(self, key: Key) -> None:
        """Forget the vector under `key`; KeyError when there is none."""
        row = self._row_of.pop(key)
        self._live[row] = False
        self._free.append(row)
        self._texts.pop(row, None)
        self._unread.discard(row)

    def within(self, vector: Vector, threshold: float, before: Key, text: ComparedText | None) -> list[tuple[Key, float]]:
        """All held vectors nearer than a squared distance with a key smaller than `before`: (key, squared distance).

        The nearest comes first, then they are in the order of their keys.
        """
        rows, rough = self._rough(vector, before)
        near = (rough < threshold + margin(len(vector))) | self._both_unread(rows, text)
        return [found for found in self._exact(vector, rows[near], text) if found[1] < threshold]

    def nearest(self, vector: Vector, before: Key, text: ComparedText | None) -> tuple[Key, float] | None:
        """The nearest held vector with a key smaller than `before`, of equally near ones the smallest key; None for none."""
        rows, rough = self._rough(vector, before)
        off, both = margin(len(vector)), self._both_unread(rows, text)
        found = self._exact(vector, rows[both], text)
        rows, rough = rows[~both], rough[~both]
        # Texts make a distance larger, never smaller: what is rougher than the best so far cannot be the nearest.
        while len(rows) and not (found and rough.min() - off > found[0][1]):
            near = rough <= rough.min() + 2 * off
            found = sorted([*found[:1], *self._exact(vector, rows[near], text)], key=_nearer)
            rows, rough = rows[~near], rough[~near]
        return found[0] if found else None

    def _both_unread(self, rows: NDArray[np.int64], text: ComparedText | None) -> NDArray[np.bool_]:
        """Which rows are compared with a text by their characters alone, wherever the vectors are."""
        if text is None or not text.unread or not self._unread:
            return np.zeros(len(rows), np.bool_)
        return np.isin(rows, np.fromiter(self._unread, np.int64, len(self._unread)))

    def _rough(self, vector: Vector, before: Key) -> tuple[NDArray[np.int64], Vector]:
        """The rows that may be compared with, and their distances to within the margin."""
        self._check(vector)
        draw, index = self._keys.T
        rows = np.flatnonzero(self._live & ((draw < before[0]) | ((draw == before[0]) & (index < before[1]))))
        if not len(rows):
            return rows, np.zeros(0, dtype=np.float32)
        return rows, (2.0 - 2.0 * (self._rows[: rows[-1] + 1] @ vector))[rows]

    def _exact(self, vector: Vector, rows: NDArray[np.int64], text: ComparedText | None) -> list[tuple[Key, float]]:
        keys: list[Key] = list(map(tuple, self._keys[rows].tolist()))
        distances = [distance_of(vector, text, self._rows[row], self._texts.get(row)) for row in rows.tolist()]
        return sorted(zip(keys, distances, strict=True), key=_nearer)

    def _grow(self, dimension: int) -> None:
        """Twice as many rows."""
        old = len(self._rows)
        more = max(_FIRST_ROWS, old)
        self._rows = np.concatenate([self._rows.reshape(old, dimension), np.zeros((more, dimension), np.float32)])
        self._keys = np.concatenate([self._keys, np.zeros((more, 2), np.int64)])
        self._live = np.concatenate([self._live, np.zeros(more, np.bool_)])
        self._free = list(range(old + more - 1, old - 1, -1))

    def _check(self, vector: Vector) -> None:
        if vector.ndim != 1 or vector.dtype != np.float32:
            raise ValueError(f"expected one float32 vector, got {vector.dtype} of shape {vector.shape}")
        if len(self._rows) and len(vector) != self._rows.shape[1]:
            raise ValueError(f"the index holds vectors of dimension {self._rows.shape[1]}, not {len(vector)}")
        length = float(vector @ vector)
        if not abs(length - 1.0) < margin(len(vector)):  # written so that NaN fails too
            raise ValueError(f"expected a unit vector, got one of squared length {length:.6f}")


def nearest_row(
    rows: Vectors, vector: Vector, limit: float, text: ComparedText | None, texts: Sequence[ComparedText | None]
) -> tuple[int, float] | None:
    """The row nearest to a vector and its squared distance, the first of equals; None if none is nearer than `limit`.

    Beside each vector stands the text that it is of, if that is to be looked at.
    """
    if not len(rows):
        return None
    rough, off = 2.0 - 2.0 * (rows @ vector), margin(len(vector))
    some = rough <= (limit + off if text else min(rough.min() + 2 * off, limit + off))
    if text is not None and text.unread:
        some |= np.array([both_unread(text, other) for other in texts])
    found = [(distance_of(vector, text, rows[row], texts[row]), row) for row in np.flatnonzero(some).tolist()]
    distance, row = min(found, default=(limit, -1))
    return (row, distance) if distance < limit else None


class Groups:
    """Which of some things, by number from 0, belong together, directly or through others: those with the same of `labels`."""

    def __init__(self, count: int) -> None:
        self.labels: NDArray[np.int64] = np.arange(count)

    def join(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> None:
        """Put each of `one` into a group with its counterpart in `other`."""
        # Only here: a run joins nothing, and to load scipy is a sixth of its start.
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        pairs = self.labels[one], self.labels[other]
        if (pairs[0] != pairs[1]).any():
            graph = coo_array((np.ones(len(one), np.bool_), pairs), shape=(len(self.labels), len(self.labels)))
            self.labels = connected_components(graph, directed=False)[1][self.labels].astype(np.int64)


def join_near(
    groups: Groups,
    members: NDArray[np.int64],
    vectors: Vector,
    limit: float,
    texts: Sequence[ComparedText | None],
) -> None:
    """Put those members into one group whose vectors (unit, one per row) are nearer than a squared distance, all with all.

    Of the texts beside them, those that are told apart are not near, nor are two that are not read: such are near by their
    words or not at all.
    """
    count, off = max(1, _PAIRS // max(1, len(vectors))), margin(vectors.shape[1])
    unread = np.array([text is not None and text.unread for text in texts])
    for first in range(0, len(vectors), count):
        block = vectors[first : first + count]
        products = block @ vectors[: first + len(block)].T
        one, other = np.nonzero(products > 1.0 - (limit + off) / 2.0)
        one += first
        apart = groups.labels[members[one]] != groups.labels[members[other]]
        open_ones = (other < one) & apart & ~(unread[one] & unread[other])
        one, other = one[open_ones], other[open_ones]
        enough = _enough_near(groups.labels[members], vectors, limit, texts, one, other)
        groups.join(members[one[enough]], members[other[enough]])


def _enough_near(
    labels: NDArray[np.int64],
    vectors: Vectors,
    limit: float,
    texts: Sequence[ComparedText | None],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Enough of these pairs that are near to join all that are; the pairs of each row stand together."""
    links: dict[int, int] = {}
    enough = np.zeros(len(one), np.bool_)
    starts = np.flatnonzero(np.diff(one, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(one)], strict=False):
        a, places = int(one[start]), other[start:end]
        row = vectors[a].astype(np.float64)
        roughly = np.maximum(0.0, 2.0 - 2.0 * (vectors[places].astype(np.float64) @ row))
        for pair, (b, rough) in enumerate(zip(places.tolist(), roughly.tolist(), strict=True), start):
            first, second = _head(links, int(labels[a])), _head(links, int(labels[b]))
            if first != second:
                # Rounded to 6 decimals, and off in the 13th: only beside what decides that may matter.
                close = min(abs(rough - bound) for bound in (limit, AGREE, LOOKED_AT)) < 2e-6
                between = squared_distance(vectors[a], vectors[b]) if close else rough
                if between < limit and distance(between, texts[a], texts[b]) < limit:
                    enough[pair] = True
                    links[second] = first
    return enough


def _head(links: dict[int, int], label: int) -> int:
    """The label that stands for a group; links on the way become shorter."""
    while (above := links.get(label)) is not None:
        if (over := links.get(above)) is not None:
            links[label] = over
        label = above
    return label
