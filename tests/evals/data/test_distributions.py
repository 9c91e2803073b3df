"""How rows are spread: what a funnel says of each stage, labels with soft ratings beside them, lengths."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.data.distributions import Lengths, lengths_of, rate, value_of, yield_by_stage
from evals.data.rows import RATINGS, Row, row_of
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
    assert stages[0].as_json() == {"stage": "dedup", "came": 10, "rejected": {"judged bad": 2}, "went_on": 8, "share": 0.8}


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
    assert {stage.as_json()["share"] for stage in yield_by_stage(Funnel())} == {None}


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
    assert pair.as_json() == {
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


# ---- lengths ---------------------------------------------------------------------------------------------------------


def test_lengths_are_the_ends_and_the_quartiles() -> None:
    """As numpy's quantiles are."""
    assert lengths_of([4, 1, 2, 3, 10]) == Lengths(5, 1, 2.0, 3.0, 4.0, 10)
    assert lengths_of([]) is None


@given(st.lists(st.integers(0, 1000), min_size=1))
def test_lengths_are_in_order(counts: list[int]) -> None:
    """Least, quarter, median, three quarters, most."""
    found = lengths_of(counts)
    assert found is not None
    assert found.least <= found.low <= found.median <= found.high <= found.most
    assert found.median == pytest.approx(float(np.median(counts)))
    assert list(found.as_json()) == ["texts", "min", "q1", "median", "q3", "max"]
