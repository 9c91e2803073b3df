"""How rows are spread over stages, labels and lengths, and how varied vectors are: neighbours and the Vendi score."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evals.data import measures
from evals.data.measures import (
    WordCounts,
    evenness,
    mean,
    mean_nearest_distance,
    median,
    nearest_of,
    rate,
    value_of,
    vendi_score,
    word_counts,
    yield_by_stage,
)
from evals.data.rows import RATINGS, Row, row_of
from evals.tables import as_json
from skills_dspy.base.records import Reason
from skills_dspy.pipeline.funnel import STAGES, Funnel
from tests.helpers.scored import DIFFICULTIES, a_line

REASONS: tuple[Reason, ...] = ("judged bad", "unreadable")


def a_funnel(accepted: int, **rejected: int) -> Funnel:
    """Rejections by stage, all judged bad."""
    counts = Counter[tuple[str, Reason]]({(stage, "judged bad"): count for stage, count in rejected.items()})
    return Funnel(accepted + counts.total(), accepted, counts)


# ---- yield -----------------------------------------------------------------------------------------------------------


def test_each_stage_says_what_came_and_what_went_on() -> None:
    """In the order of the flow, with the reasons; what the last one lets go on is what was accepted."""
    stages = yield_by_stage(a_funnel(5, dedup=2, judge_pair=3))
    assert [stage.stage for stage in stages] == [
        "dedup",
        "judge_question",
        "instruction_quality",
        "write_answer",
        "judge_pair",
        "sample_quality",
    ]
    assert [(stage.came, stage.went_on) for stage in stages] == [(10, 8), (8, 8), (8, 8), (8, 8), (8, 5), (5, 5)]
    assert as_json(stages[0]) == {"stage": "dedup", "came": 10, "rejected": {"judged bad": 2}, "went_on": 8, "share": 0.8}


def test_stages_that_nearly_never_reject_are_shown_when_they_have() -> None:
    """A context that could not be read, a tag that filters nothing."""
    stages = [stage.stage for stage in yield_by_stage(a_funnel(1, write_context=1, category=1))]
    assert "write_context" in stages
    assert "category" in stages
    assert "difficulty" not in stages


@given(st.integers(0, 9), st.dictionaries(st.tuples(st.sampled_from(STAGES), st.sampled_from(REASONS)), st.integers(1, 9)))
def test_nothing_is_lost_between_stages(accepted: int, rejected: dict[tuple[str, Reason], int]) -> None:
    """What goes on at one stage comes to the next, all rejections are there, and the last lets go on what was accepted."""
    stages = yield_by_stage(Funnel(accepted + sum(rejected.values()), accepted, Counter(rejected)))
    assert stages[0].came == accepted + sum(rejected.values())
    assert [stage.came for stage in stages[1:]] == [stage.went_on for stage in stages[:-1]]
    assert stages[-1].went_on == accepted
    assert sum(sum(stage.rejected.values()) for stage in stages) == sum(rejected.values())


def test_of_no_candidate_no_share_went_on() -> None:
    """There is nothing to divide by."""
    assert {stage.share for stage in yield_by_stage(Funnel())} == {None}


# ---- ratings ---------------------------------------------------------------------------------------------------------


def rows_rated(*labels: int | str, name: str = "pair_verdict") -> list[Row]:
    """Rows with one rating each."""
    return [Row("a", "b", ratings={name: label}) for label in labels]


def test_labels_are_counted_on_the_whole_scale() -> None:
    """Worst first, those that never came with 0; the mean is theirs."""
    found = rate(rows_rated(3, 3, 2, 3))
    assert list(found) == ["pair_verdict"]
    assert dict(found["pair_verdict"].counts) == {1: 0, 2: 1, 3: 3}
    assert (found["pair_verdict"].mean, found["pair_verdict"].soft_rows) == (2.75, 0)


def test_a_word_counts_as_its_place() -> None:
    """From 1; the category has no order and so no mean."""
    assert rate(rows_rated("good", "excellent", name="instruction_quality"))["instruction_quality"].mean == 4.5
    assert value_of("difficulty", "very easy") == 1
    assert value_of("sample_quality", 4) == 4
    found = rate(rows_rated("math", "math", "others", name="category"))["category"]
    assert found.mean is None
    assert {label: count for label, count in found.counts.items() if count} == {"math": 2, "others": 1}


def test_rows_without_a_rating_do_not_count() -> None:
    """And a rating that no row has is not there."""
    assert rate([*rows_rated(1), Row("a", "b")])["pair_verdict"].mean == 1
    assert rate([Row("a", "b")]) == {}
    assert rate([]) == {}


def test_soft_ratings_are_averaged_over_the_rows_that_have_one() -> None:
    """The expected values, and the probability of each label; nothing where there is none."""
    line = a_line("What is a jay?")
    other = {**line, "pair_verdict": {**line["pair_verdict"], "rating": 2, "soft": None}}
    third = {
        **line,
        "pair_verdict": {
            "rating": 3,
            "soft": {"probabilities": {"1": 0.0, "2": 0.75, "3": 0.25}, "expected": 2.25, "mass": 1.0},
        },
    }
    found = rate([row_of(content, Path("rows.jsonl"), 1) for content in (line, other, third)])
    pair = found["pair_verdict"]
    assert (pair.soft_rows, pair.mean_expected) == (2, 2.5)
    assert dict(pair.mean_probabilities) == {1: 0.0, 2: 0.5, 3: 0.5}
    assert list(found["difficulty"].mean_probabilities) == list(DIFFICULTIES)
    verdict = found["question_verdict"]
    assert (verdict.soft_rows, verdict.mean_expected, dict(verdict.mean_probabilities)) == (0, None, {})
    assert as_json(pair) == {
        "counts": {"1": 0, "2": 1, "3": 2},
        "mean": 2.6667,
        "soft_rows": 2,
        "mean_expected": 2.5,
        "mean_probabilities": {"1": 0.0, "2": 0.5, "3": 0.5},
    }


@given(st.data())
def test_every_rated_row_is_counted_once(data: st.DataObject) -> None:
    """Whatever the rating; the mean lies on the scale."""
    name = data.draw(st.sampled_from(list(RATINGS)))
    labels = data.draw(st.lists(st.sampled_from(RATINGS[name]), min_size=1))
    found = rate(rows_rated(*labels, name=name))[name]
    assert sum(found.counts.values()) == len(labels)
    if found.mean is not None:
        values = [value_of(name, label) for label in RATINGS[name]]
        assert values[0] <= found.mean <= values[-1]


# ---- lengths and other counts ----------------------------------------------------------------------------------------


def test_word_counts_are_the_ends_and_the_quartiles() -> None:
    """As numpy's quantiles are."""
    assert word_counts([["a"] * count for count in (4, 1, 2, 3, 10)]) == WordCounts(5, 1, 2.0, 3.0, 4.0, 10)
    assert word_counts([]) is None


@given(st.lists(st.integers(-99, 99), min_size=1))
def test_mean_and_median(values: list[int]) -> None:
    """Within the values; none for none."""
    import statistics

    assert mean(values) == pytest.approx(statistics.fmean(values))
    assert median(values) == pytest.approx(statistics.median(values))
    assert (mean([]), median([])) == (None, None)


@given(st.lists(st.integers(0, 50), max_size=9))
def test_evenness_is_0_for_one_and_1_for_all_alike(counts: list[int]) -> None:
    """And does not depend on the order."""
    found = evenness(counts)
    if len(counts) < 2 or not sum(counts):
        assert found is None
        return
    assert found is not None
    assert 0 <= found <= 1
    assert evenness(sorted(counts)) == pytest.approx(found)
    assert (found == 0) == (sum(count > 0 for count in counts) == 1)
    assert (found > 1 - 1e-9) == (len(set(counts)) == 1)


# ---- vectors ---------------------------------------------------------------------------------------------------------

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
def test_distances_are_those_of_all_pairs(size: tuple[int, int, int]) -> None:
    """The same as looking at every pair, however the products are cut into blocks."""
    vectors = units(*size)
    exact = vectors.astype(np.float64)
    squared = ((exact[:, None] - exact[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "_PRODUCTS", 5 * size[0])
        found = mean_nearest_distance(vectors)
    assert found == pytest.approx(squared.min(axis=1).mean(), abs=1e-5)


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
        patch.setattr(measures, "_PRODUCTS", 6 * others)
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
    found = vendi_score(vectors)
    assert found == pytest.approx(expected, rel=1e-4)
    assert found is not None
    assert 1.0 <= found <= min(vectors.shape) + 1e-6


def test_nothing_has_no_vendi_score() -> None:
    """No rows, no score."""
    assert vendi_score(np.zeros((0, 8), dtype=np.float32)) is None
