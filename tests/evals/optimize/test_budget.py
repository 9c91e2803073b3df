"""Budgets: what an optimization costs at most, against what DSPy's optimizers really ask; and fitting it to --max-calls."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import dspy
import pytest
from dspy import lm15

from evals.optimize.budget import (
    OPTIMIZERS,
    Optimizer,
    UnitSettings,
    calls_per_example,
    cost_of,
    descending_settings,
    settings_for,
)
from evals.optimize.compile import compile_student
from evals.optimize.metrics import AGREEMENT
from evals.optimize.plan import OptimizeRequest, Plan, plan_of
from evals.optimize.splits import Splits
from evals.optimize.targets import TARGETS, Unit
from skills_dspy.base.errors import RequestError
from skills_dspy.model.adapter import SkillsAdapter
from tests.helpers.making import Teacher, a_config
from tests.helpers.seeding import a_task, labelled_examples, skill_cases

CONFIG = a_config()
ONE, TWO = TARGETS["judge_pair_freeform"][0], TARGETS["write_questions_grounded"][0]
SMALLEST = descending_settings(ONE)[-1]


# ---- what the optimizers really ask -----------------------------------------------------------------------------------


class Held:
    """A model that answers by chance, as the prompt decides, and counts who was asked; no copy is made of it."""

    def __init__(self) -> None:
        self.lm = Teacher(lambda request: str(1 + 2 * (hashlib.sha256(str(request).encode()).digest()[0] % 2))).lm()
        self.forwards = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Held":
        return self


class Student(dspy.Module):  # type: ignore[misc] # dspy ships no types
    """As many predictors as a unit has steps, the last of which rates."""

    def __init__(self, steps: int, held: Held) -> None:
        super().__init__()
        self._held, self._steps = held, steps
        for step in range(steps):
            setattr(self, f"step_{step}", dspy.Predict("question -> rating", f"Rate well, in step {step}."))

    def forward(self, key: str, asked: dict[str, Any]) -> dspy.Prediction:
        """The rating that was given last."""
        self._held.forwards += 1
        for step in range(self._steps):
            found = getattr(self, f"step_{step}")(lm=self._held.lm, question=f"{asked['question']} k{key}")
        return dspy.Prediction(rating=int(found.rating), explanation="By chance.")


def proposal(request: lm15.Request) -> str:
    """Another instruction for every request, in the form that is asked for: GEPA wants JSON, MIPROv2 takes prose here."""
    text = f"Rate as {hashlib.sha256(str(request).encode()).hexdigest()} would."
    return json.dumps({"new_instruction": text}) if "new_instruction" in str(request) else text


@pytest.mark.parametrize("unit", [ONE, TWO], ids=["one predictor", "two predictors"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("settings", [SMALLEST, settings_for(ONE, "light")], ids=["smallest", "light"])
def test_no_optimizer_asks_more_than_was_said(unit: Unit, optimizer: Optimizer, settings: UnitSettings) -> None:
    """Neither students nor the proposer, on a model of which nobody knows what helps."""
    sizes = settings.sizes
    held, proposer = Held(), Teacher(proposal)
    splits = Splits(*(tuple(labelled_examples([number % 2 == 0 for number in range(size)])) for size in sizes))
    with dspy.context(adapter=SkillsAdapter(), disable_history=True):
        compile_student(
            optimizer, Student(len(unit.steps), held), splits, AGREEMENT, settings, proposer.lm(), seed=3, threads=1
        )
    cost = cost_of(unit, optimizer, settings, sizes, 5, holdout=False)
    evaluated = (cost.optimizing - cost.proposing) // calls_per_example(unit, 5)
    assert 0 < held.forwards <= evaluated
    assert len(proposer.requests) <= cost.proposing
    assert bool(proposer.requests) == (optimizer != "bootstrap")


# ---- the estimate -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "calls"),
    [
        ("judge_pair_freeform", 1),
        ("write_questions_freeform", 6),  # one writing and five verdicts
        ("write_questions_grounded", 7),  # a context is written first
        ("write_answer_freeform", 3),  # it is judged and tagged
    ],
)
def test_calls_for_one_example(unit: str, calls: int) -> None:
    """With five questions in one writing."""
    assert calls_per_example(TARGETS[unit][0], 5) == calls


def test_another_judge_costs_its_own_verdicts() -> None:
    """On the test, before and after; for labels there is nothing to judge again."""
    settings = settings_for(TWO, "light")
    with_it, without = (cost_of(TWO, "gepa", settings, (8, 8, 12), 5, holdout=holdout) for holdout in (True, False))
    assert with_it.calls - without.calls == 2 * 12 * 5
    assert cost_of(ONE, "gepa", settings, (8, 8, 12), 5, holdout=True) == cost_of(
        ONE, "gepa", settings, (8, 8, 12), 5, holdout=False
    )


@pytest.mark.parametrize("unit", [ONE, TWO], ids=["judge", "writer"])
def test_budgets_shrink_to_an_end(unit: Unit) -> None:
    """The heaviest one first, each no dearer than the one before, and the last one still works."""
    every = descending_settings(unit)
    assert every[0] == settings_for(unit, "heavy")
    assert {settings_for(unit, "medium"), settings_for(unit, "light")} <= set(every)
    for optimizer in OPTIMIZERS:
        calls = [cost_of(unit, optimizer, own, own.sizes, 5, holdout=False).calls for own in every]
        assert calls == sorted(calls, reverse=True)
    last = every[-1]
    assert min(last.sizes) >= 2  # a good case and a bad one
    assert last.metric_calls >= last.sizes[1]  # GEPA measures the validation set first
    assert last.candidates > 1
    assert last.trials >= 1


# ---- a number of calls ------------------------------------------------------------------------------------------------

SPECS = (a_task(8), a_task(8, "grounded", name="test/owls", about="o"))
CASES = tuple(case for step in ("judge_question_freeform", "judge_pair_grounded") for case in skill_cases(step, 4))
A_REQUEST = OptimizeRequest(
    target="judges",
    optimizer="gepa",
    specs=SPECS,
    cases=CASES,
    level=None,
    most_calls=None,
    seed=0,
    holdout=None,
    proposer="m",
    floor=0.4,
    force=False,
    base=None,
)


def planned(**changes: Any) -> Plan:
    """The plan of a request."""
    return plan_of(replace(A_REQUEST, **changes), CONFIG, 32768, {})


@pytest.mark.parametrize(
    ("target", "optimizer"), [("question-judge", "gepa"), ("answers", "mipro"), ("questions", "bootstrap")]
)
def test_the_plan_never_takes_more_calls_than_allowed(target: str, optimizer: Optimizer) -> None:
    """From the smallest number that is enough, which a smaller one is told, to plenty."""
    with pytest.raises(RequestError, match=r"--max-calls 1 is too few: the smallest budget for this takes \d+ calls") as caught:
        planned(target=target, optimizer=optimizer, most_calls=1)
    assert caught.value.exit_code == 2
    needed = int(str(caught.value).split()[-2])
    before = 0
    for allowed in (needed, needed + 20, 3 * needed, 10**7):
        plan = planned(target=target, optimizer=optimizer, most_calls=allowed)
        assert before <= plan.calls <= allowed
        before = plan.calls
    with pytest.raises(RequestError, match=f"takes {needed} calls"):
        planned(target=target, optimizer=optimizer, most_calls=needed - 1)
