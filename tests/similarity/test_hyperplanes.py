"""Random hyperplanes find vectors at the limit as often as is said, and the same on every machine."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from skills_dspy.similarity.hyperplanes import BITS, LIMIT, PLANE_BANDS, Hyperplanes, missed
from skills_dspy.similarity.nearest import joined, squared_distance

Pairs = tuple[NDArray[np.float32], NDArray[np.float32]]
PLANES = {size: Hyperplanes(size) for size in (16, 384)}


def pairs_at(distance: float, one: NDArray[np.float64], way: NDArray[np.float64]) -> Pairs:
    """Unit vectors, and for each another at this squared distance, in the direction of `way`."""
    one = one / np.linalg.norm(one, axis=1, keepdims=True)
    way = way - (way * one).sum(axis=1, keepdims=True) * one
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    cosine = 1 - distance / 2
    return one.astype(np.float32), (cosine * one + math.sqrt(1 - cosine**2) * way).astype(np.float32)


def found(pairs: Pairs) -> NDArray[np.bool_]:
    """Which pairs have a key in common."""
    planes = PLANES[pairs[0].shape[1]]
    return np.asarray((planes.keys(pairs[0]) == planes.keys(pairs[1])).any(axis=1))


def test_less_than_one_in_a_thousand_is_missed_by_what_is_said() -> None:
    """At the limit; and nearer pairs are missed less often, equal ones never."""
    assert 0.0005 < missed(LIMIT) < 0.001
    assert missed(0.04) < missed(LIMIT) / 5
    assert missed(0.0) == 0.0


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.0, 3.0), st.sampled_from(sorted(PLANES)))
def test_pairs_at_the_limit_become_candidates(seed: int, together: float, size: int) -> None:
    """As often as is said, whether they point everywhere or, as sentences' vectors do, mostly one way."""
    rng = np.random.default_rng(seed)
    one = rng.standard_normal((2000, size)) + together * rng.standard_normal(size)
    pairs = pairs_at(LIMIT, one, rng.standard_normal((2000, size)))
    assert squared_distance(pairs[0][0], pairs[1][0]) == pytest.approx(LIMIT, abs=1e-5)
    assert (~found(pairs)).sum() <= 12  # 1.2 are to be expected; more than 12 in one of a thousand million rounds


def test_pairs_along_the_axes_become_candidates() -> None:
    """Vectors with nearly all coordinates 0 are found no less often, for the hyperplanes lie every way alike."""
    size = 384
    axes = np.eye(size)
    first, second = np.divmod(np.arange(0, size * size, 37), size)
    apart = first != second
    pairs = pairs_at(LIMIT, axes[first[apart]] + axes[second[apart]], axes[first[apart]] - axes[second[apart]])
    assert (~found(pairs)).mean() < 0.005


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_far_is_seldom_a_candidate(seed: int) -> None:
    """Else everything would be compared with everything."""
    rng = np.random.default_rng(seed)
    pairs = pairs_at(1.0, rng.standard_normal((500, 16)), rng.standard_normal((500, 16)))
    assert found(pairs).mean() < 0.03


def test_keys_depend_on_the_vector_alone() -> None:
    """Not on the others beside it; and they are these in every version."""
    vectors = np.eye(16, dtype=np.float32)
    keys = PLANES[16].keys(vectors)
    assert keys.shape == (16, PLANE_BANDS)
    assert (keys < 2**BITS).all()
    for place in range(16):
        assert (PLANES[16].keys(vectors[place : place + 1]) == keys[place]).all()
    assert keys[0, :3].tolist() == [13314656, 385639, 8833645]


def test_joined_vectors_are_found_too() -> None:
    """A question with its context is one vector of twice the size."""
    rng = np.random.default_rng(3)
    one, other = pairs_at(LIMIT * 0.99, rng.standard_normal((400, 8)), rng.standard_normal((400, 8)))
    both = [np.stack([joined(a, b) for a, b in zip(half, half[::-1], strict=True)]) for half in (one, other)]
    assert found((both[0], both[1])).all()
