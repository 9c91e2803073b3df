"""Variety by plan: which values each question is told."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from signatures.examples import Axis
from skills_dspy.base.errors import Unreadable
from skills_dspy.model.ask import Answer, Asker, Failed
from skills_dspy.pipeline.variety import derive_axes, question_plans, text_plan_of, usable
from tests.helpers.making import FREEFORM, a_spec

SUBJECTS = tuple(f"subject {n}" for n in range(12))
AXES = (Axis(name="subject", values=SUBJECTS), Axis(name="asker", values=("a nurse", "a child", "a cook")))


def lines(draws: int, kind: Any = "freeform", **where: Any) -> list[str]:
    """The lines of the first draws."""
    return [line for n in range(draws) for line in question_plans(AXES, kind, n, 5, **{"task": "t", "run_seed": 0, **where})]


def test_every_value_comes_before_one_comes_again() -> None:
    """Over the draws of a run, whichever of them settles first: a line follows from its number alone."""
    told = [dict(part.split(": ") for part in line.split("; ")) for line in lines(12)]
    assert all(set(one) == {"subject", "asker"} for one in told)
    for start in range(0, 60, 12):
        assert {one["subject"] for one in told[start : start + 12]} == set(SUBJECTS)
    assert set(Counter(one["asker"] for one in told).values()) == {20}
    assert [one["subject"] for one in told[:12]] != [one["subject"] for one in told[12:24]] != list(SUBJECTS)
    assert len({(one["subject"], one["asker"]) for one in told}) > 25  # the axes do not go in step
    assert lines(3) != lines(3, run_seed=1) != lines(3, task="u") != lines(3)


def test_a_text_is_told_what_is_of_texts_and_its_questions_what_is_of_requests() -> None:
    """Nothing of the text stands in the plan of its questions, for it is written by then."""
    axes = (Axis(name="subject", of="text", values=SUBJECTS), Axis(name="form", values=("a table", "a list")))
    texts = [text_plan_of(axes, n, task="t", run_seed=0) for n in range(12)]
    assert set(texts) == {f"subject: {subject}" for subject in SUBJECTS}
    assert set(question_plans(axes, "grounded", 0, 5, task="t", run_seed=0)) == {"form: a table", "form: a list"}
    assert text_plan_of(AXES, 0, task="t", run_seed=0) is None


def test_a_line_has_the_first_axis_and_two_others_in_turn() -> None:
    """All values of many axes hardly ever go together."""
    axes = (*AXES, *(Axis(name=name, values=("a", "b")) for name in ("form", "size", "tone")))
    names = [
        tuple(part.split(": ")[0] for part in line.split("; "))
        for line in question_plans(axes, "freeform", 0, 4, task="t", run_seed=0)
    ]
    assert all(len(own) == 3 and own[0] == "subject" for own in names)
    assert set.union(*map(set, names)) == {axis.name for axis in axes}


def test_without_axes_nothing_is_planned() -> None:
    """The prompt then has no plan."""
    assert question_plans((), "freeform", 0, 5, task="t", run_seed=0) == ()


def test_what_is_no_axis_is_left_out() -> None:
    """What stands there twice, what varies nothing, and what is no phrase of a few words."""
    given = [
        Axis(name=" subject ", of="text", values=("ponds", "Ponds", "lakes\n", "word " * 40)),
        Axis(name="Subject", values=("a", "b")),
        Axis(name="form", values=("one", "ONE")),
        Axis(name="who asks " * 9, values=("a", "b")),
    ]
    assert usable(given) == (Axis(name="subject", of="text", values=("ponds", "lakes")),)


class Planner(Asker):
    """Gives one reply, or fails."""

    def __init__(self, reply: Mapping[str, Any] | None) -> None:
        self.reply = reply
        self.asked: list[tuple[str, Mapping[str, Any], tuple[int, ...]]] = []

    async def ask(self, step: str, inputs: Mapping[str, Any], place: tuple[int, ...], *_: Any) -> Answer:
        """The reply."""
        self.asked.append((step, inputs, place))
        if self.reply is None:
            raise Failed(step, Unreadable("the reply is empty", ""), ("1", "2"))
        return Answer(self.reply, "", ("1",))


def test_a_plan_is_asked_for_once_and_a_run_goes_on_without() -> None:
    """It makes rows more varied and none right or wrong; why there is none is told."""
    planner = Planner({"axes": [axis.model_dump(mode="json") for axis in AXES]})
    assert asyncio.run(derive_axes(planner, a_spec([FREEFORM]), (0,))) == (AXES, None)
    ((step, given, place),) = planner.asked
    assert (step, place) == ("plan_variety", (-1, -1))
    assert set(given) == {"task_description", "examples"}
    assert asyncio.run(derive_axes(Planner(None), a_spec([FREEFORM]), (0,))) == ((), "the reply is empty, twice")
    none = asyncio.run(derive_axes(Planner({"axes": [Axis(name="form", values=("a", "a"))]}), a_spec([FREEFORM]), (0,)))
    assert none == ((), "no axis has two values of a few words that differ")
