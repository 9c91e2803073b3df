"""Variety by plan: the axes along which a task's exercises differ, and what each new question is to be like.

After AttrPrompt (Yu et al. 2023, arXiv:2306.15895): what is not told to vary does not. A model names the axes of a task once;
each question gets one value of each.
"""

from collections.abc import Sequence
from dataclasses import replace

from signatures.examples import Axis
from skills_dspy.base.records import Kind
from skills_dspy.base.seeds import rng_of
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.ask import WHOLE_DRAW, Asker, Failed, Rank
from skills_dspy.model.description import examples_in_turn
from skills_dspy.model.steps import LONGEST_NAME, LONGEST_VALUE, PLAN, TOLD_AXES, inputs
from skills_dspy.pipeline.draw import Draw
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.spec import TaskSpec

_PLACE = (-1, WHOLE_DRAW)
"""Where a plan stands among a task's draws, which decides its sampling seed: before all of them."""


async def derive_axes(asker: Asker, spec: TaskSpec, rank: Rank) -> tuple[tuple[Axis, ...], str | None]:
    """The axes that the model names for a described task, and why there are none where it names none that can be used.

    A run goes on without: the plan makes the rows more varied, and none of them right or wrong.
    """
    try:
        answer = await asker.ask(PLAN.name, inputs(PLAN, spec, examples_in_turn(spec)), _PLACE, lambda: rank)
    except Failed as failed:
        return (), f"{failed}, twice"
    axes = usable([Axis.model_validate(one) for one in answer.values["axes"]])  # DSPy hands on records as mappings
    return axes, None if axes else "no axis has two values of a few words that differ"


def usable(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Axes without what stands there twice or is no phrase of a few words; one with a single value varies nothing."""
    kept: dict[str, Axis] = {}
    for axis in axes:
        name = " ".join(axis.name.split())
        values = {squeezed(value): " ".join(value.split()) for value in reversed(axis.values)}
        own = tuple(value for value in reversed(values.values()) if estimate_tokens(value) <= LONGEST_VALUE)
        if len(own) > 1 and estimate_tokens(name) <= LONGEST_NAME:
            kept.setdefault(squeezed(name), Axis(name=name, of=axis.of, values=own))
    return tuple(kept.values())


def planned(draw: Draw, axes: Sequence[Axis], count: int, *, task: str, run_seed: int) -> Draw:
    """The draw with what its text and its `count` questions are to be like."""
    text = text_plan_of(axes, draw.number, task=task, run_seed=run_seed) if draw.kind == "grounded" else None
    lines = question_plans(axes, draw.kind, draw.number, count, task=task, run_seed=run_seed)
    return replace(draw, plan=lines, text_plan=text)


def text_plan_of(axes: Sequence[Axis], number: int, *, task: str, run_seed: int) -> str | None:
    """What the text of a grounded draw is to be like; None where no axis is of the text. It follows from the number alone."""
    own = [axis for axis in axes if axis.of == "text"]
    return _line(own, number, "variety", run_seed, task, "text") if own else None


def question_plans(axes: Sequence[Axis], kind: Kind, number: int, count: int, *, task: str, run_seed: int) -> tuple[str, ...]:
    """What each of the `count` questions of draw `number` is to be like, in a line each; no lines without axes.

    It follows from these numbers alone. Questions about a text are told nothing of the text, which is written by then.
    """
    own = [axis for axis in axes if kind == "freeform" or axis.of == "request"]
    turns = range(number * count, (number + 1) * count)
    return tuple(_line(own, turn, "variety", run_seed, task, "question") for turn in turns) if own else ()


def _line(axes: Sequence[Axis], turn: int, *where: object) -> str:
    """The value of the first axis, and of some others in turn."""
    first, *others = enumerate(axes)
    more = TOLD_AXES - 1
    told = [others[(more * turn + step) % len(others)] for step in range(min(more, len(others)))]
    return "; ".join(f"{axis.name}: {_value(axis, turn, *where, place)}" for place, axis in (first, *sorted(told)))


def _value(axis: Axis, turn: int, *where: object) -> str:
    """The value of a turn: all of them, in an order of their own, before one comes again."""
    rounds, place = divmod(turn, len(axis.values))
    order = list(axis.values)
    rng_of(*where, rounds).shuffle(order)
    return order[place]
