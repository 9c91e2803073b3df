"""Variety by plan: which values each question is told."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from signatures.examples import Axis
from skills_dspy.base.errors import ReplyError, Unanswered, Unreadable
from skills_dspy.model.ask import Answer, Asker, Failed
from skills_dspy.pipeline.candidate import Dropped
from skills_dspy.pipeline.draw import Draw, pairs_in
from skills_dspy.pipeline.variety import Tried, derive_axes, planned, usable
from tests.helpers.making import FREEFORM, a_spec

SUBJECTS = tuple(f"subject {n}" for n in range(12))
AXES = (Axis(name="subject", values=SUBJECTS), Axis(name="asker", values=("a nurse", "a child", "a cook")))


BAD = Dropped("judge_pair", "judged bad", "no")


def a_draw(number: int, *plan: str, text: str | None = None) -> Draw:
    """A draw with such a plan."""
    return Draw(number, "freeform" if text is None else "grounded", (), (), (), plan, text)


def a_plan(
    number: int,
    axes: tuple[Axis, ...] = AXES,
    *,
    grounded: bool = False,
    count: int = 5,
    seed: int = 0,
    task: str = "t",
    barren: Collection[str] = (),
) -> Draw:
    """A draw of a task with these axes, planned."""
    spec = a_spec([FREEFORM], name=task, count=count).model_copy(update={"variety": axes})
    return planned(a_draw(number, text="" if grounded else None), spec, seed, barren)


def lines(draws: int, **more: Any) -> list[str]:
    """The lines of the first draws."""
    return [line for number in range(draws) for line in a_plan(number, **more).plan]


def test_every_value_comes_before_one_comes_again() -> None:
    """Over the draws of a run, whichever of them settles first: a line follows from its number alone."""
    told = [dict(part.split(": ") for part in line.split("; ")) for line in lines(12)]
    assert all(set(one) == {"subject", "asker"} for one in told)
    for start in range(0, 60, 12):
        assert {one["subject"] for one in told[start : start + 12]} == set(SUBJECTS)
    assert set(Counter(one["asker"] for one in told).values()) == {20}
    assert [one["subject"] for one in told[:12]] != [one["subject"] for one in told[12:24]] != list(SUBJECTS)
    assert len({(one["subject"], one["asker"]) for one in told}) > 25  # the axes do not go in step
    assert lines(3) != lines(3, seed=1) != lines(3, task="u") != lines(3)


def test_a_text_is_told_what_is_of_texts_and_its_questions_what_is_of_requests() -> None:
    """Nothing of the text stands in the plan of its questions, for it is written by then."""
    axes = (Axis(name="subject", of="text", values=SUBJECTS), Axis(name="form", values=("a table", "a list")))
    draws = [a_plan(number, axes, grounded=True) for number in range(12)]
    assert {draw.text_plan for draw in draws} == {f"subject: {subject}" for subject in SUBJECTS}
    assert set(draws[0].plan) == {"form: a table", "form: a list"}
    assert a_plan(0, grounded=True).text_plan is None
    assert [len(pairs_in(line)) for line in a_plan(0, axes).plan] == [2] * 5
    assert a_plan(0, axes).text_plan is None


def test_a_line_has_the_first_axis_and_another_in_turn() -> None:
    """All values of many axes hardly ever go together."""
    axes = (*AXES, *(Axis(name=name, values=("a", "b")) for name in ("form", "size", "tone")))
    names = [tuple(part.split(": ")[0] for part in line.split("; ")) for line in a_plan(0, axes, count=4).plan]
    assert all(len(own) == 2 and own[0] == "subject" for own in names)
    assert set.union(*map(set, names)) == {axis.name for axis in axes}


def test_a_line_is_taken_apart_into_its_pairs() -> None:
    """A value may have the sign between them in it."""
    assert pairs_in("subject: ponds; form: a list; in order; size: 1") == (
        "subject: ponds",
        "form: a list; in order",
        "size: 1",
    )


# -- what gives little ----------------------------------------------------------------------------------------------------


def test_a_barren_value_is_told_every_other_round() -> None:
    """The others share its turns evenly; of the other axes nothing changes, nor where all are barren."""
    barren = {"subject: subject 3", "subject: subject 7"}
    told, as_it_was = lines(24, barren=barren), lines(24)
    counts = Counter(pairs_in(line)[0] for line in told)
    assert {counts[value] for value in barren} == {5}  # of the ten rounds every other one
    assert all(counts[f"subject: {subject}"] >= 10 for subject in SUBJECTS if f"subject: {subject}" not in barren)
    assert [pairs_in(line)[1] for line in told] == [pairs_in(line)[1] for line in as_it_was]
    assert lines(24, barren={f"subject: {subject}" for subject in SUBJECTS}) == as_it_was


def test_a_value_is_barren_when_three_questions_had_it_and_none_was_accepted() -> None:
    """As of any draw: what came later does not count, and one that was accepted in the end is barren no longer."""
    tried = Tried()
    for number in range(4):
        draw = a_draw(number, "subject: ponds; form: a list", "subject: lakes")
        tried.note(draw, 0, BAD, written=True)
        tried.note(draw, 1, BAD if number else None, written=True)
    tried.note(a_draw(4, "form: a list"), 0, None, written=True)
    assert [tried.barren(last) for last in (1, 2, 3, 4)] == [
        frozenset(),
        {"subject: ponds", "form: a list"},
        {"subject: ponds", "form: a list"},
        {"subject: ponds"},
    ]


def test_a_text_that_came_to_nothing_counts_and_a_broken_reply_does_not() -> None:
    """The plan of a text is that of all its questions; of a draw that wrote none only the text's counts."""
    tried = Tried()
    for number in range(3):
        tried.note(a_draw(number, "form: a list", text="subject: ponds"), 0, BAD, written=False)
        broken = Dropped("write_answer", "residue", "", raw="<think>") if number else Dropped("judge_pair", "unreadable", "")
        tried.note(a_draw(number, "form: a table"), 0, broken, written=True)
    for index in range(3):
        tried.note(a_draw(3, *("form: prose", "form: rhymes", "form: prose"), text="subject: lakes"), index, BAD, written=True)
    assert tried.barren(3) == {"subject: ponds", "subject: lakes"}


def test_without_axes_nothing_is_planned() -> None:
    """The prompt then has no plan."""
    draw = planned(a_draw(0), a_spec([FREEFORM]), 0)
    assert (draw.plan, draw.text_plan) == ((), None)


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

    def __init__(self, reply: Mapping[str, Any] | ReplyError) -> None:
        self.reply = reply
        self.asked: list[tuple[str, Mapping[str, Any], tuple[int, ...]]] = []

    async def ask(self, step: str, inputs: Mapping[str, Any], place: tuple[int, ...], *_: Any) -> Answer:
        """The reply."""
        self.asked.append((step, inputs, place))
        if isinstance(self.reply, ReplyError):
            raise Failed(step, self.reply, ("1", "2"))
        return Answer(self.reply, "", ("1",))


def test_a_plan_is_asked_for_once_and_a_run_goes_on_without() -> None:
    """It makes rows more varied and none right or wrong; why there is none is told."""
    planner = Planner({"axes": [axis.model_dump(mode="json") for axis in AXES]})
    assert asyncio.run(derive_axes(planner, a_spec([FREEFORM]), (0,))) == (AXES, None)
    ((step, given, place),) = planner.asked
    assert (step, place) == ("plan_variety", (-1, -1))
    assert set(given) == {"task_description", "examples"}
    failures = {"the reply is empty, twice": Unreadable("the reply is empty", ""), "EOF.": Unanswered("EOF.", "")}
    for why, failure in failures.items():
        assert asyncio.run(derive_axes(Planner(failure), a_spec([FREEFORM]), (0,))) == ((), why)
    none = asyncio.run(derive_axes(Planner({"axes": [Axis(name="form", values=("a", "a"))]}), a_spec([FREEFORM]), (0,)))
    assert none == ((), "no axis has two values of a few words that differ")
