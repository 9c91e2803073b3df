"""Variety by plan: the axes along which a task's exercises differ, and what each new question is to be like.

After AttrPrompt (Yu et al. 2023, arXiv:2306.15895): what is not told to vary does not. A model names the axes of a task once;
each question gets a value of the first and of one other, in turn.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from signatures.examples import Axis
from skills_dspy.base.records import is_failure
from skills_dspy.base.seeds import rng_of
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.ask import WHOLE_DRAW, Asker, Failed
from skills_dspy.model.description import examples_in_turn
from skills_dspy.model.hosts.call import Rank
from skills_dspy.model.steps import LONGEST_NAME, LONGEST_VALUE, PLAN, TOLD_AXES, inputs
from skills_dspy.pipeline.candidate import Dropped, Passed
from skills_dspy.pipeline.draw import Draw, pairs_in
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.spec import TaskSpec

_PLACE = (-1, WHOLE_DRAW)
"""Where a plan stands among a task's draws, which decides its sampling seed: before all of them."""
_ENOUGH = 3
"""So many questions that were told a value, and none of them accepted, say that the value gives little."""


class Tried:
    """What came of the values that were told: noted in settled order, and known of any stretch of draws from the first on."""

    def __init__(self) -> None:
        # An axis with its value to the draws of the first few questions that were told it, and of the first that was accepted.
        self._told: dict[str, list[int]] = {}
        self._accepted: dict[str, int] = {}

    def note(self, draw: Draw, index: int, outcome: Passed | Dropped | None, *, written: bool) -> None:
        """What became of question `index` of a draw, or of the draw where nothing was `written`; None for an accepted one.

        A reply that could not be used, or did not come, tells of no value.
        """
        dropped = outcome if isinstance(outcome, Dropped) else None
        if dropped is not None and is_failure(dropped.reason, dropped.raw):
            return
        for line in (draw.text_plan, *draw.plan[index : index + written]):
            for pair in () if line is None else pairs_in(line):
                told = self._told.setdefault(pair, [])
                told += [draw.number] if len(told) < _ENOUGH else []
                if dropped is None:
                    self._accepted.setdefault(pair, draw.number)

    def barren(self, last: int) -> frozenset[str]:
        """The values, each with its axis, from which nothing was accepted in the draws up to `last`, though it was tried."""
        often = (pair for pair, draws in self._told.items() if len(draws) == _ENOUGH and draws[-1] <= last)
        return frozenset(pair for pair in often if pair not in self._accepted or self._accepted[pair] > last)


async def derive_axes(asker: Asker, spec: TaskSpec, rank: Rank) -> tuple[tuple[Axis, ...], str | None]:
    """The axes that the model names for a described task, and why there are none where it names none that can be used.

    A run goes on without: the plan makes the rows more varied, and none of them right or wrong.
    """
    try:
        answer = await asker.ask(PLAN.name, inputs(PLAN, spec, examples_in_turn(spec)), _PLACE, lambda: rank)
    except Failed as failed:
        return (), failed.in_words
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


def planned(draw: Draw, spec: TaskSpec, run_seed: int, barren: Collection[str] = ()) -> Draw:
    """The draw with what its text and its questions are to be like, in a line each; nothing without axes.

    It follows from the numbers of draw and run, and from the `barren` values, which are told every other time only.
    """
    axes, count = spec.variety or (), spec.num_questions_to_generate_per_prompt
    of_text = [axis for axis in axes if draw.kind == "grounded" and axis.of == "text"]
    of_questions = [axis for axis in axes if axis not in of_text]  # the text is written by then
    turns = range(draw.number * count, (draw.number + 1) * count) if of_questions else ()
    where = ("variety", run_seed, spec.task_name)
    plan = tuple(_line(of_questions, turn, barren, *where, "question") for turn in turns)
    return replace(draw, plan=plan, text_plan=_line(of_text, draw.number, barren, *where, "text") if of_text else None)


def _line(axes: Sequence[Axis], turn: int, barren: Collection[str], *where: object) -> str:
    """The value of the first axis, and of some others in turn."""
    first, *others = enumerate(axes)
    more = TOLD_AXES - 1
    told = [others[(more * turn + step) % len(others)] for step in range(min(more, len(others)))]
    return "; ".join(_pair(axis, turn, barren, *where, place) for place, axis in (first, *sorted(told)))


def _pair(axis: Axis, turn: int, barren: Collection[str], *where: object) -> str:
    """An axis with its value of a turn: all values, in an order of their own, before one comes again.

    In every other round another one stands in for a value that is barren, if there is one that is not.
    """
    rounds, place = divmod(turn, len(axis.values))
    order = [f"{axis.name}: {value}" for value in axis.values]
    rng_of(*where, rounds).shuffle(order)
    others = [pair for pair in order if pair not in barren]
    return others[place % len(others)] if rounds % 2 and others and order[place] in barren else order[place]
