"""The lines of `optimize`: columns that stay apart, losses called losses, the time of what is left."""

import re

import dspy
import pytest

from evals.optimize.budget import UnitCost, settings_for
from evals.optimize.lines import comparison_lines, plan_time_line
from evals.optimize.measure import BeforeAfter, Habits, Measured
from evals.optimize.plan import Plan, Planned
from evals.optimize.run import refusal
from evals.optimize.splits import Splits
from evals.optimize.targets import TARGETS
from skills_dspy.commands.check.speed import Speed

UNIT = TARGETS["judges"][0]


def scored(*scores: float) -> Measured:
    """A measurement of a judge with these scores."""
    return Measured(scores, 0, Habits(0, 0, 0), signed=True)


def test_columns_stay_apart_though_all_is_negative() -> None:
    """A judge without one readable reply."""
    row = comparison_lines([(UNIT, BeforeAfter(scored(-1.0, -1.0), scored(-1.0, -1.0)), ())], "nobody")[1]
    assert len(re.findall(r" -1\.000 \(", row)) == 2
    assert ")-" not in row
    assert ")+" not in row


@pytest.mark.parametrize(
    ("before", "after", "doubts"),
    [
        ((1, 1, -1, -1), (1, -1, -1, -1), ["  no gain on held-out examples"]),
        ((1, 1, 1, 1), (-1, -1, -1, -1), ["  it is worse on held-out examples"]),
        ((1, 1, -1, -1), (1, 1, 1, -1), ["  the interval of the gain holds 0: it may be chance"]),
        ((-1, -1, -1, -1), (1, 1, 1, 1), []),
    ],
)
def test_a_loss_is_not_called_a_gain_by_chance(before: list[float], after: list[float], doubts: list[str]) -> None:
    """Whatever the interval holds."""
    lines = comparison_lines([(UNIT, BeforeAfter(scored(*before), scored(*after)), ())], "nobody")
    assert lines[2:-2] == doubts


def test_the_calls_of_report_cards_take_nothing_off_the_time_of_the_rest() -> None:
    """100 calls that write 3,600 tokens at one a second are an hour, though 100 cases were asked before."""
    none: Splits[dspy.Example] = Splits((), (), ())
    planned = Planned(UNIT, none, settings_for(UNIT, "light"), UnitCost(50, 50, 0), output_tokens=3600)
    plan = Plan((planned,), {"judge_pair_freeform": 100}, 4096, {})
    assert "at most about 60 min" in plan_time_line(plan, Speed(None, 1.0), done=100)
    assert "at most about 30 min" in plan_time_line(plan, Speed(None, 1.0), done=150)


def test_a_kappa_below_the_floor_is_seen_to_be_below() -> None:
    """0.2963 is below 0.3 and no 0.30."""
    assert "judge (0.296)" in str(refusal({"judge": 0.2963}, 0.3))
    assert "judge (0.25)" in str(refusal({"judge": 0.2512}, 0.3))
