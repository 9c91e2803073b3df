"""The forecast: calls and seconds for an accepted pair, by hand and as properties."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skills_dspy.base.records import SeedExample
from skills_dspy.commands.check.forecast import PASS_SHARE, StepCost, forecast
from skills_dspy.commands.check.speed import Speed
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_spec

MODEL = "mistral-small3.2"
SPEEDS = {MODEL: Speed(100.0, 10.0)}


def costs_of(spec: TaskSpec, ratio: float = 1.0, tagging: str = "separate") -> dict[str, StepCost]:
    """A task's costs by step."""
    return {cost.step: cost for cost in forecast([spec], a_config({"tagging": tagging}), ratio, SPEEDS)[0]}


def test_calls_follow_from_the_share_that_passes() -> None:
    """With 0.8 at each of five checks it takes 3.05 questions for a pair, and every check spares the calls after it."""
    calls = {step: cost.calls for step, cost in costs_of(a_spec((FREEFORM,), count=5)).items()}
    assert calls == pytest.approx(
        {
            "write_questions_freeform": PASS_SHARE**-5 / 5,
            "judge_question_freeform": PASS_SHARE**-4,
            "tag_instruction_quality": PASS_SHARE**-3,
            "write_answer_freeform": PASS_SHARE**-2,
            "judge_pair_freeform": PASS_SHARE**-2,
            "tag_sample_quality": PASS_SHARE**-1,
            "tag_difficulty": 1.0,
            "tag_category": 1.0,
        }
    )


def test_fused_tags_are_one_call() -> None:
    """Difficulty and category come with the instruction's quality."""
    calls = costs_of(a_spec((FREEFORM,)), tagging="fused")
    assert "tag_difficulty" not in calls
    assert calls["tag_fused"].calls == pytest.approx(PASS_SHARE**-3)


@given(freeform=st.integers(0, 4), grounded=st.integers(0, 4), count=st.integers(1, 9))
def test_an_accepted_pair_is_tagged_once_whatever_the_seeds(freeform: int, grounded: int, count: int) -> None:
    """The kinds share the pairs as they share the seeds."""
    assume(freeform + grounded)
    spec = a_spec([FREEFORM] * freeform + [GROUNDED] * grounded, count=count)
    costs = costs_of(spec)
    assert costs["tag_category"].calls == pytest.approx(1.0)
    share = costs["write_answer_grounded"].calls * PASS_SHARE**2 if grounded else 0.0
    assert share == pytest.approx(grounded / (freeform + grounded))
    assert ("write_context" in costs) == bool(grounded)


def test_replies_are_as_long_as_the_longest_seed() -> None:
    """Writers write what seeds have, by the server's count; judges and taggers a fixed explanation."""
    spec = a_spec((FREEFORM, SeedExample(question="Why?", answer="word " * 200)))
    plain, halved = costs_of(spec), costs_of(spec, 0.5)
    assert plain["write_answer_freeform"].output >= 400
    assert halved["write_answer_freeform"].output == pytest.approx(plain["write_answer_freeform"].output / 2)
    assert halved["write_answer_freeform"].prompt == pytest.approx(plain["write_answer_freeform"].prompt / 2)
    assert halved["judge_pair_freeform"].output == plain["judge_pair_freeform"].output == 80


def test_tasks_are_averaged_call_by_call() -> None:
    """Two tasks with the same number of pairs: half the calls of each, tokens weighted by calls."""
    one, two = a_spec((FREEFORM,), count=5), a_spec((FREEFORM, GROUNDED), count=5)
    alone, other, both = (
        {cost.step: cost for cost in forecast(specs, a_config(), 1.0, SPEEDS)[0]} for specs in ([one], [two], [one, two])
    )
    step = "write_answer_freeform"
    assert both[step].calls == pytest.approx(0.75 * alone[step].calls)
    assert both[step].prompt == pytest.approx((2 * alone[step].prompt + other[step].prompt) / 3)
    assert both["tag_category"].calls == pytest.approx(1.0)


def test_each_step_takes_its_own_models_time() -> None:
    """Reading and writing add up, for every call."""
    config = a_config({"validator": {"model": "fast"}})
    costs, seconds = forecast([a_spec((FREEFORM,))], config, 1.0, {MODEL: Speed(100.0, 10.0), "fast": Speed(1000.0, 100.0)})
    slow, fast = (
        sum(cost.calls * (cost.prompt / 100 + cost.output / 10) for cost in costs if (cost.model == MODEL) == mine)
        for mine in (True, False)
    )
    assert seconds == pytest.approx(slow + fast / 10)
