"""How varied vectors are: nearest neighbours, the Vendi score, and that blocks and shapes change nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evals.data import diversity
from evals.data.diversity import entropy_number, mean_nearest_distance, nearest_distances, nearest_of, vendi_score

SIZES = st.tuples(st.integers(2, 40), st.integers(2, 12), st.integers(0, 10_000))


def units(rows: int, dimension: int, seed: int) -> NDArray[np.float32]:
    """Random unit vectors."""
    drawn = np.random.default_rng(seed).normal(size=(rows, dimension))
    unit: NDArray[np.float32] = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return unit


def axes(*places: int, dimension: int = 8) -> NDArray[np.float32]:
    """Unit vectors along the axes with these numbers."""
    return np.eye(dimension, dtype=np.float32)[list(places)]


@given(SIZES)
@settings(deadline=None)
def test_nearest_distances_are_those_of_all_pairs(size: tuple[int, int, int]) -> None:
    """The same as looking at every pair, however the products are cut into blocks."""
    vectors = units(*size)
    exact = vectors.astype(np.float64)
    squared = ((exact[:, None] - exact[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diversity, "_ROWS", 5)
        patch.setattr(diversity, "_COLUMNS", 7)
        found = nearest_distances(vectors)
    assert found == pytest.approx(squared.min(axis=1), abs=1e-5)


def test_mean_nearest_distance() -> None:
    """Two the same and one at a right angle: 0, 0 and 2."""
    assert mean_nearest_distance(axes(0, 0, 1)) == pytest.approx(2 / 3)
    assert mean_nearest_distance(axes(0)) is None
    assert mean_nearest_distance(np.zeros((0, 8), dtype=np.float32)) is None


@given(SIZES, st.integers(1, 20))
@settings(deadline=None)
def test_nearest_of_is_the_largest_cosine(size: tuple[int, int, int], others: int) -> None:
    """For each row the other set's row with the largest cosine, whatever the blocks."""
    vectors, seeds = units(*size), units(others, size[1], size[2] + 1)
    cosines = vectors.astype(np.float64) @ seeds.astype(np.float64).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diversity, "_ROWS", 6)
        patch.setattr(diversity, "_COLUMNS", 3)
        place, cosine = nearest_of(vectors, seeds)
    assert cosine == pytest.approx(cosines.max(axis=1), abs=1e-5)
    assert cosines[np.arange(len(place)), place] == pytest.approx(cosines.max(axis=1), abs=1e-5)


def test_nearest_of_equals_and_of_nothing() -> None:
    """The first of equally near ones; nothing is near to nothing."""
    place, cosine = nearest_of(axes(1), axes(0, 1, 1))
    assert (place.tolist(), cosine.tolist()) == ([1], [1.0])
    with pytest.raises(ValueError, match="nothing to be near"):
        nearest_of(axes(1), axes())


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ((0, 0, 0), 1.0),
        ((0, 1, 2), 3.0),
        ((0, 0, 1, 1), 2.0),
        ((0, 0, 0, 1), math.exp(0.75 * math.log(4 / 3) + 0.25 * math.log(4))),
    ],
)
def test_vendi_score_counts_kinds(places: tuple[int, ...], expected: float) -> None:
    """Equal rows count once, rows at right angles each; unequal shares count by their entropy."""
    assert vendi_score(axes(*places)) == pytest.approx(expected)


@given(SIZES)
@settings(deadline=None)
def test_vendi_score_is_the_definition(size: tuple[int, int, int]) -> None:
    """The eigenvalues of K/n, whichever of the two matrices is smaller, and within its bounds."""
    vectors = units(*size)
    kernel = vectors.astype(np.float64) @ vectors.astype(np.float64).T / len(vectors)
    values = np.clip(np.linalg.eigvalsh(kernel), 1e-15, None)
    expected = math.exp(-(values * np.log(values)).sum())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diversity, "_COLUMNS", 7)
        found = vendi_score(vectors)
    assert found == pytest.approx(expected, rel=1e-4)
    assert found is not None
    assert 1.0 <= found <= min(vectors.shape) + 1e-6


@given(SIZES)
@settings(deadline=None)
def test_vendi_score_of_all_rows_twice_is_the_same(size: tuple[int, int, int]) -> None:
    """Copies add nothing, and the order does not matter."""
    vectors = units(*size)
    assert vendi_score(np.vstack([vectors, vectors[::-1]])) == pytest.approx(vendi_score(vectors), rel=1e-5)


def test_nothing_has_no_vendi_score() -> None:
    """No rows, no score; weights of nothing but one kind make one."""
    assert vendi_score(np.zeros((0, 8), dtype=np.float32)) is None
    assert entropy_number(np.array([0.0, 3.0, -1e-17])) == 1.0
