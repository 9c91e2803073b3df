"""Exact search: what is near, decided the same way wherever a vector happens to lie."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.similarity.nearest import (
    Groups,
    Index,
    Key,
    Vector,
    join_near,
    joined,
    margin,
    nearest_row,
    squared_distance,
)
from skills_dspy.similarity.sight import ComparedText, compared_text

DIMENSION = 8


def unit(values: Sequence[float]) -> Vector:
    """The float32 unit vector in a direction."""
    wide = np.array(values, dtype=np.float64)
    return np.asarray(wide / np.sqrt((wide * wide).sum()), dtype=np.float32)


def crowd(seed: int, count: int, dimension: int) -> list[Vector]:
    """Unit vectors, half of them close to another one, so that thresholds cut through the crowd."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((count, dimension))
    base[1::2] = base[::2][: len(base[1::2])] + 0.1 * rng.standard_normal(base[1::2].shape)
    return [unit(row.tolist()) for row in base]


keys = st.tuples(st.integers(-1, 3), st.integers(0, 3))
few = st.integers(-2, 2)
# Small whole numbers give many equal and opposite directions, so that ties and zero distances happen.
vectors = st.lists(few, min_size=DIMENSION, max_size=DIMENSION).filter(any).map(unit)
held = st.dictionaries(keys, vectors, max_size=12)
thresholds = st.sampled_from([0.0, 0.05, 0.5, 1.0, 2.0, 4.0, 5.0])
LAST = (1000, 0)
befores = st.just(LAST) | keys


def brute(held: dict[Key, Vector], vector: Vector, before: Key) -> list[tuple[Key, float]]:
    """All that may be compared with, nearest first, by definition."""
    allowed = [(key, squared_distance(v, vector)) for key, v in held.items() if key < before]
    return sorted(allowed, key=lambda pair: (pair[1], pair[0]))


def filled(held: dict[Key, Vector]) -> Index:
    """An index that holds these."""
    index = Index()
    for key, vector in held.items():
        index.add(key, vector, None)
    return index


@given(held, vectors, thresholds, befores)
def test_within_is_what_comparing_with_each_one_gives(
    held: dict[Key, Vector], vector: Vector, threshold: float, before: Key
) -> None:
    """All nearer than the threshold and earlier than `before`, nearest first, then by key; the threshold is outside."""
    expected = [(key, distance) for key, distance in brute(held, vector, before) if distance < threshold]
    assert filled(held).within(vector, threshold, before, None) == expected


@given(held, vectors, befores)
def test_nearest_is_what_comparing_with_each_one_gives(held: dict[Key, Vector], vector: Vector, before: Key) -> None:
    """The nearest of the earlier ones, among ties the smallest key, None when there are none."""
    assert filled(held).nearest(vector, before, None) == next(iter(brute(held, vector, before)), None)


@given(held, st.data(), vectors, thresholds)
def test_removed_ones_are_gone_and_the_rest_stays(
    held: dict[Key, Vector], data: st.DataObject, vector: Vector, threshold: float
) -> None:
    """After any removals and additions the index answers as if it had only ever held what is left."""
    index = filled(held)
    left = dict(held)
    for key in data.draw(st.lists(st.sampled_from(sorted(held)), unique=True)) if held else []:
        index.remove(key)
        del left[key]
    for key, newcomer in data.draw(st.dictionaries(keys.filter(lambda key: key not in left), vectors)).items():
        index.add(key, newcomer, None)
        left[key] = newcomer
    assert index.within(vector, threshold, LAST, None) == filled(left).within(vector, threshold, LAST, None)
    assert index.nearest(vector, LAST, None) == filled(left).nearest(vector, LAST, None)


def test_distances_are_the_same_bits_in_any_order_of_adding() -> None:
    """Real dimensions, many rows, all over the matrix: the answers are equal, not just close."""
    found = crowd(seed=1, count=301, dimension=384)
    placed = [((number, 0), vector) for number, vector in enumerate(found)]
    rng = np.random.default_rng(2)
    plain = filled(dict(placed))
    for _ in range(3):
        shuffled = filled(dict([placed[number] for number in rng.permutation(len(placed)).tolist()]))
        for vector in found[::10]:
            assert shuffled.within(vector, 1.9, LAST, None) == plain.within(vector, 1.9, LAST, None)
            assert shuffled.nearest(vector, (150, 0), None) == plain.nearest(vector, (150, 0), None)
    assert any(len(plain.within(vector, 1.9, LAST, None)) > 1 for vector in found[::10])


def test_what_rounds_to_the_same_distance_is_equally_near() -> None:
    """Among vectors that differ in the last bits alone, the smallest key is the nearest."""
    rng = np.random.default_rng(7)
    middle = rng.standard_normal(384)
    copies = [unit((middle + 1e-5 * rng.standard_normal(384)).tolist()) for _ in range(40)]
    index = filled({(number, 0): vector for number, vector in enumerate(copies)})
    assert all(index.nearest(vector, LAST, None) == ((0, 0), 0.0) for vector in copies)


@pytest.mark.parametrize(("dimension", "least"), [(384, 1e-6), (768, 1e-6), (1024, 1e-5), (4096, 1e-4), (8192, 4e-4)])
def test_the_margin_covers_what_float32_loses(dimension: int, least: float) -> None:
    """Small products that are each lost when they are added to a large one: with many of them more than a fixed margin."""
    small = 2.0**-12.51  # its square is just below half of the last bit of a sum that is nearly 1
    vector = np.full(dimension, small, dtype=np.float32)
    vector[0] = math.sqrt(1.0 - (dimension - 1) * small * small)
    in_order = float(np.add.accumulate(vector * vector, dtype=np.float32)[-1])  # float32 allows any order
    off = abs((2.0 - 2.0 * in_order) - squared_distance(vector, vector))
    assert least < off < margin(dimension)
    index = Index()
    index.add((0, 0), vector, None)
    assert index.within(vector, 1e-6, LAST, None) == [((0, 0), 0.0)]


def test_the_margin_is_what_it_was_for_small_models() -> None:
    """So that nothing changes for them; it grows with the dimension from there."""
    assert margin(384) == margin(768) == margin(800) == 1e-4
    assert margin(801) < margin(1024) < margin(8192) < 1.1e-3


def test_a_distance_does_not_depend_on_memory_layout() -> None:
    """The same numbers, read backwards through a stride or from an odd address, have the same distance."""
    a, b = crowd(seed=3, count=2, dimension=384)
    padded = np.zeros(385 + 384, dtype=np.float32)
    padded[1:385] = a
    backwards = b[::-1].copy()[::-1]
    assert squared_distance(padded[1:385], backwards) == squared_distance(a, b) == squared_distance(b, a)
    assert squared_distance(a[::-1], b[::-1]) == squared_distance(a, b)


@pytest.mark.parametrize(("other", "distance"), [([1, 0], 0.0), ([0, 1], 2.0), ([-1, 0], 4.0), ([1, 1], 0.585786)])
def test_distances_run_from_same_to_opposite(other: list[float], distance: float) -> None:
    """0 is the same direction, 2 a right angle, 4 the opposite, with six decimals."""
    assert squared_distance(unit([1, 0]), unit(other)) == distance


@given(vectors)
def test_a_vector_is_at_exactly_zero_from_itself(vector: Vector) -> None:
    """Float32 does not make unit vectors exactly unit; the rounding takes that away, and no minus zero remains."""
    assert math.copysign(1.0, squared_distance(vector, vector)) == 1.0
    assert squared_distance(vector, vector) == 0.0


@given(vectors, vectors, vectors, vectors)
def test_joined_vectors_are_units_at_the_mean_of_both_distances(q: Vector, c: Vector, r: Vector, d: Vector) -> None:
    """The distance of two grounded texts is the mean of their questions' and their contexts' distances."""
    one, other = joined(q, c), joined(r, d)
    assert one.dtype == np.float32
    assert float(one @ one) == pytest.approx(1.0, abs=1e-6)
    mean = (squared_distance(q, r) + squared_distance(c, d)) / 2
    assert squared_distance(one, other) == pytest.approx(mean, abs=3e-6)


def test_a_key_holds_one_vector() -> None:
    """A second vector under a key, or the removal of none, is a mistake of the caller."""
    index = filled({(0, 0): unit([1, 0])})
    with pytest.raises(ValueError, match=r"already holds a vector under \(0, 0\)"):
        index.add((0, 0), unit([0, 1]), None)
    index.remove((0, 0))
    with pytest.raises(KeyError):
        index.remove((0, 0))
    assert index.nearest(unit([1, 0]), LAST, None) is None


@pytest.mark.parametrize(
    ("vector", "complaint"),
    [
        (unit([1, 0, 0]), "dimension 2, not 3"),
        (np.array([1.0, 1.0], dtype=np.float32), "squared length 2.0"),
        (np.array([np.nan, 0.0], dtype=np.float32), "squared length nan"),
        (np.array([1.0, 0.0]), "got float64"),
        (np.array([[1.0, 0.0]], dtype=np.float32), r"shape \(1, 2\)"),
    ],
)
def test_what_is_no_unit_vector_of_the_dimension_is_refused(vector: Vector, complaint: str) -> None:
    """By every method, and nothing changes: such a vector would get a distance that means nothing."""
    index = filled({(0, 0): unit([1, 0])})
    with pytest.raises(ValueError, match=complaint):
        index.add((1, 0), vector, None)
    with pytest.raises(ValueError, match=complaint):
        index.within(vector, 0.05, LAST, None)
    with pytest.raises(ValueError, match=complaint):
        index.nearest(vector, LAST, None)
    assert index.within(unit([1, 0]), 5.0, LAST, None) == [((0, 0), 0.0)]


@given(st.lists(vectors, max_size=12), vectors, thresholds)
def test_the_nearest_row_is_found_exactly(rows: list[Vector], vector: Vector, limit: float) -> None:
    """Comparing with every row gives the same, and the first of equals."""
    found = nearest_row(np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32), vector, limit, None, [None] * len(rows))
    expected = min(((squared_distance(row, vector), place) for place, row in enumerate(rows)), default=None)
    assert found == (None if expected is None or expected[0] >= limit else expected[::-1])


@given(st.lists(vectors, max_size=12), st.sampled_from([0.0, 0.05, 0.5, 1.0]), st.integers(1, 40))
def test_groups_are_those_that_are_near_directly_or_through_others(rows: list[Vector], limit: float, pairs: int) -> None:
    """In however small blocks, with texts and without; the limit itself is too far."""
    wanted: list[set[int]] = [{place} for place in range(len(rows))]
    for (a, one), (b, other) in itertools.combinations(enumerate(rows), 2):
        if squared_distance(one, other) < limit:
            both = wanted[a] | wanted[b]
            for place in both:
                wanted[place] = both
    for text in (None, compared_text("some", "the same")):
        groups = Groups(len(rows))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("skills_dspy.similarity.nearest._PAIRS", pairs)
            join_near(
                groups, np.arange(len(rows)), np.array(rows, dtype=np.float32).reshape(-1, DIMENSION), limit, [text] * len(rows)
            )
        assert [set(np.flatnonzero(groups.labels == label)) for label in groups.labels] == wanted


@pytest.mark.parametrize("text", [None, compared_text("some", "the same")])
@pytest.mark.parametrize(("short", "joined"), [(4e-7, False), (8e-7, True)])
def test_what_rounds_to_the_limit_is_too_far(text: ComparedText | None, short: float, joined: bool) -> None:
    """With texts as without: distances are compared as they are written, with 6 decimals."""
    cosine = 1.0 - (0.05 - short) / 2.0
    pair = np.stack([unit([1.0, 0.0]), unit([cosine, math.sqrt(1.0 - cosine * cosine)])])
    groups = Groups(2)
    join_near(groups, np.arange(2), pair, 0.05, [text] * 2)
    assert (groups.labels[0] == groups.labels[1]) == joined == (squared_distance(*pair) < 0.05)
