"""How rows are spread over stages, labels and lengths, and how varied vectors are: neighbours and the Vendi score."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evals.data import measures
from evals.data.measures import (
    WordCounts,
    evenness,
    mean_nearest_distance,
    nearest_of,
    rate,
    value_of,
    vendi_score,
    word_counts,
    yield_by_stage,
)
from evals.data.rows import Row
from evals.figures.tables import as_json
from skills_dspy.base.records import Reason
from skills_dspy.pipeline.funnel import Funnel
from tests.helpers.making import there
from tests.helpers.scored import DIFFICULTIES, a_line, rows_of


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
    assert {stage.share for stage in yield_by_stage(Funnel())} == {None}


def test_stages_that_nearly_never_reject_are_shown_when_they_have() -> None:
    """A context that could not be read, a tag that filters nothing."""
    stages = {stage.stage for stage in yield_by_stage(a_funnel(1, write_context=1, category=1))}
    assert {"write_context", "category", "difficulty"} & stages == {"write_context", "category"}


# ---- ratings ---------------------------------------------------------------------------------------------------------


def rows_rated(*labels: int | str, name: str = "pair_verdict") -> list[Row]:
    """Rows with one rating each."""
    return [Row("a", "b", ratings={name: label}) for label in labels]


def test_labels_are_counted_on_the_whole_scale() -> None:
    """Worst first, those that never came with 0; the mean is theirs. Rows without a rating do not count."""
    found = rate([*rows_rated(3, 3, 2, 3), Row("a", "b")])
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
    found = rate(rows_of(line, other, third))
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


# ---- lengths and other counts ----------------------------------------------------------------------------------------


def test_word_counts_are_the_ends_and_the_quartiles() -> None:
    """As numpy's quantiles are."""
    assert word_counts([["a"] * count for count in (4, 1, 2, 3, 10)]) == WordCounts(5, 1, 2.0, 3.0, 4.0, 10)
    assert word_counts([]) is None


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([], None), ([3], None), ([0, 0], None), ([4, 0, 0], 0), ([2, 2, 2], 1), ([2, 1, 0], 0.5794), ([0, 1, 2], 0.5794)],
)
def test_evenness_is_0_for_one_and_1_for_all_alike(counts: list[int], expected: float | None) -> None:
    """And does not depend on the order."""
    assert evenness(counts) == (None if expected is None else pytest.approx(expected, abs=1e-4))


# ---- vectors ---------------------------------------------------------------------------------------------------------

SIZES = st.tuples(st.integers(2, 40), st.integers(2, 12), st.integers(0, 10_000))


def units(rows: int, dimension: int, seed: int) -> NDArray[np.float32]:
    """Random unit vectors."""
    drawn = np.random.default_rng(seed).normal(size=(rows, dimension))
    unit: NDArray[np.float32] = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return unit


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
    assert mean_nearest_distance(vectors[:1]) is None


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


@given(SIZES)
@settings(deadline=None)
def test_vendi_score_is_the_definition(size: tuple[int, int, int]) -> None:
    """The eigenvalues of K/n, whichever of the two matrices is smaller, and within its bounds."""
    vectors = units(*size)
    kernel = vectors.astype(np.float64) @ vectors.astype(np.float64).T / len(vectors)
    values = np.clip(np.linalg.eigvalsh(kernel), 1e-15, None)
    expected = math.exp(-(values * np.log(values)).sum())
    found = there(vendi_score(vectors))
    assert found == pytest.approx(expected, rel=1e-4)
    assert 1.0 <= found <= min(vectors.shape) + 1e-6
    assert vendi_score(vectors[:0]) is None
