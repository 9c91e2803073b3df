"""The funnel: every settled candidate is counted once, and the counts balance."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.base.records import Reason
from skills_dspy.pipeline.funnel import STAGES, Funnel

REASONS: tuple[Reason, ...] = ("unreadable", "truncated", "duplicate", "contaminated", "judged bad", "filtered")
ENDS = st.lists(st.none() | st.tuples(st.sampled_from(STAGES), st.sampled_from(REASONS)), max_size=60)


def filled(ends: list[tuple[str, Reason] | None]) -> Funnel:
    """A funnel after candidates that ended so; None is accepted."""
    funnel = Funnel()
    for end in ends:
        funnel.accept() if end is None else funnel.reject(*end)
    return funnel


@given(ENDS)
def test_counts_balance(ends: list[tuple[str, Reason] | None]) -> None:
    """Accepted and rejected make up all, at every stage: what reached it was rejected there or went on."""
    funnel = filled(ends)
    assert funnel.candidates == len(ends)
    assert funnel.accepted == ends.count(None)
    assert funnel.candidates == funnel.accepted + sum(funnel.rejected.values())
    reached = [funnel.reached(stage) for stage in STAGES]
    assert reached[0] == funnel.candidates
    for place, stage in enumerate(STAGES):
        after = reached[place + 1] if place + 1 < len(STAGES) else funnel.accepted
        assert reached[place] - funnel.rejections(stage) == after
        assert funnel.rejections(stage) == sum(1 for end in ends if end is not None and end[0] == stage)


@given(ENDS)
def test_rows_are_in_the_order_of_the_stages(ends: list[tuple[str, Reason] | None]) -> None:
    """One row for each stage and reason that occurred, whatever the order in which they did."""
    rows = filled(ends).rows()
    assert [(STAGES.index(stage), reason) for stage, reason, _ in rows] == sorted(
        {(STAGES.index(end[0]), end[1]) for end in ends if end is not None}
    )
    assert all(count == ends.count((stage, reason)) > 0 for stage, reason, count in rows)
    assert filled(ends[::-1]).as_json() == filled(ends).as_json()


def test_as_json() -> None:
    """What run.json and the command line show."""
    funnel = filled([None, ("judge_pair", "judged bad"), ("dedup", "duplicate"), None, ("judge_pair", "unreadable"), None])
    assert json.loads(json.dumps(funnel.as_json())) == {
        "candidates": 6,
        "accepted": 3,
        "rejected": [
            {"stage": "dedup", "reason": "duplicate", "count": 1},
            {"stage": "judge_pair", "reason": "judged bad", "count": 1},
            {"stage": "judge_pair", "reason": "unreadable", "count": 1},
        ],
    }


@pytest.mark.parametrize("stage", ["", "tag_difficulty", "accepted"])
def test_an_unknown_stage_is_a_bug(stage: str) -> None:
    """It would be counted and never shown."""
    funnel = Funnel()
    with pytest.raises(ValueError, match="is no stage"):
        funnel.reject(stage, "filtered")
    assert funnel == Funnel()
