"""How varied a set of unit vectors is, and how near it lies to another set: blocked products in flat memory. Pure.

Distances are squared L2 distances of unit vectors, 0 (same) to 4 (opposite), as everywhere in the program: the bound of
dedup can be held against them. They are those of float32 products, right to about 1e-6.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""One unit vector per row."""

_ROWS, _COLUMNS = 1024, 8192
"""The largest block of products that is held at a time: 32 MB of float32."""


def nearest_distances(vectors: Vectors) -> NDArray[np.float64]:
    """For each row its squared distance to the nearest other row; empty for fewer than two rows."""
    if len(vectors) < 2:
        return np.zeros(0, dtype=np.float64)
    best = np.full(len(vectors), -np.inf, dtype=np.float32)
    for rows, columns, products in _blocks(vectors, vectors):
        for row in range(max(rows.start, columns.start), min(rows.stop, columns.stop)):
            products[row - rows.start, row - columns.start] = -np.inf  # a row is no neighbour of its own
        np.maximum(best[rows], products.max(axis=1), out=best[rows])
    return np.asarray(np.clip(2.0 - 2.0 * best.astype(np.float64), 0.0, 4.0))


def mean_nearest_distance(vectors: Vectors) -> float | None:
    """The mean squared distance, 0 to 4, of each row to the nearest other row; None for fewer than two rows.

    It gets lower the more rows there are, so it compares only sets of one size.
    """
    distances = nearest_distances(vectors)
    return float(distances.mean()) if len(distances) else None


def nearest_of(vectors: Vectors, others: Vectors) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each row of `vectors` the nearest row of `others`, and its cosine, -1 to 1; the first of equally near ones.

    Raises:
        ValueError: there are no others.
    """
    if not len(others):
        raise ValueError("there is nothing to be near to")
    place = np.zeros(len(vectors), dtype=np.int64)
    best = np.full(len(vectors), -np.inf, dtype=np.float32)
    for rows, columns, products in _blocks(vectors, others):
        found = products.argmax(axis=1)
        cosine = products[np.arange(len(found)), found]
        better = cosine > best[rows]
        best[rows] = np.where(better, cosine, best[rows])
        place[rows] = np.where(better, found + columns.start, place[rows])
    return place, np.asarray(np.clip(best.astype(np.float64), -1.0, 1.0))


def vendi_score(vectors: Vectors) -> float | None:
    """The Vendi score: the effective number of different rows, 1 (all the same) to min(n, d); None without a row.

    The exponential of the Shannon entropy of the eigenvalues of K/n, where K holds the cosines of all pairs of n rows
    (Friedman and Dieng 2023). K = X X^T has the eigenvalues of X^T X but for zeros, so the smaller of the two is taken:
    100,000 rows of dimension 384 need a matrix of 384 x 384. It grows with n, so it compares only sets of one size.
    """
    if not len(vectors):
        return None
    side = min(vectors.shape)
    matrix = np.zeros((side, side), dtype=np.float64)
    if side == len(vectors):
        exact = vectors.astype(np.float64)
        matrix += exact @ exact.T
    else:
        for start in range(0, len(vectors), _COLUMNS):
            exact = vectors[start : start + _COLUMNS].astype(np.float64)
            matrix += exact.T @ exact
    return entropy_number(np.linalg.eigvalsh(matrix))


def entropy_number(weights: NDArray[np.float64]) -> float:
    """The exponential of the Shannon entropy of weights that are made to add up to 1; those not above 0 are left out."""
    shares = weights[weights > 0]
    shares = shares / shares.sum()
    return math.exp(max(0.0, -float((shares * np.log(shares)).sum())))


def _blocks(left: Vectors, right: Vectors) -> Iterator[tuple[slice, slice, Vectors]]:
    """All products of rows of the two, block by block, each with its rows of the left and of the right."""
    for top in range(0, len(left), _ROWS):
        rows = slice(top, min(top + _ROWS, len(left)))
        for edge in range(0, len(right), _COLUMNS):
            columns = slice(edge, min(edge + _COLUMNS, len(right)))
            yield rows, columns, left[rows] @ right[columns].T
