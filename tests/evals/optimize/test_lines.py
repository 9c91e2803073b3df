"""The lines of `optimize`: columns that stay apart, losses called losses, the time of what is left."""

import dspy

from evals.optimize.budget import UnitCost, settings_for
from evals.optimize.gaming import Habits
from evals.optimize.lines import _doubts, _row, speed_line
from evals.optimize.measure import Gain, Measured, refusal
from evals.optimize.plan import Plan, Planned
from evals.optimize.splits import Splits
from evals.optimize.targets import TARGETS
from skills_dspy.commands.check.speed import Speed

NO_HABITS = Habits(0, 0, 0)
UNIT = TARGETS["judges"][0]


def test_columns_stay_apart_though_all_is_negative() -> None:
    """A judge without one readable reply."""
    worst = Measured((-1.0, -1.0), 2, NO_HABITS, signed=True)
    row = _row("judge_pair_freeform", worst, worst, Gain(0.0, 0.0, 0.0), 0)
    assert ")-" not in row
    assert ")+" not in row


def test_a_loss_is_not_called_a_gain_by_chance() -> None:
    """Whatever the interval holds."""
    assert _doubts(Gain(-0.1, -0.4, 0.2)) == ["  no gain on held-out examples"]
    assert _doubts(Gain(-0.3, -0.4, -0.2)) == ["  it is worse on held-out examples"]
    assert _doubts(Gain(0.1, -0.1, 0.2)) == ["  the interval of the gain holds 0: it may be chance"]
    assert _doubts(Gain(0.3, 0.1, 0.4)) == []


def test_the_calls_of_report_cards_take_nothing_off_the_time_of_the_rest() -> None:
    """100 calls that write 3,600 tokens at one a second are an hour, though 100 cases were asked before."""
    none: Splits[dspy.Example] = Splits((), (), ())
    cost = UnitCost(UNIT.name, 50, 50, 0, prompt_tokens=0, output_tokens=3600)
    plan = Plan((Planned(UNIT, none, settings_for(UNIT, "light"), cost),), {"judge_pair_freeform": 100}, 1024)
    assert "at most about 60 min" in speed_line(plan, Speed(None, 1.0), done=100)
    assert "at most about 30 min" in speed_line(plan, Speed(None, 1.0), done=150)


def test_a_kappa_below_the_floor_is_seen_to_be_below() -> None:
    """0.2963 is below 0.3 and no 0.30."""
    assert "judge (0.296)" in str(refusal({"judge": 0.2963}, 0.3))
    assert "judge (0.25)" in str(refusal({"judge": 0.2512}, 0.3))
