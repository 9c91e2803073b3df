"""Asking judges and taggers about labelled cases, as a run asks them; what they said, case by case."""

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evals.judges.cases import Case
from evals.judges.scales import SCALES, Label
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import SkillsError, Truncated
from skills_dspy.base.records import SoftRating
from skills_dspy.model.ask import Asker, Failed
from skills_dspy.model.steps import STEPS

FUSED = "tag_fused"
"""The step that gives the instruction's quality together with other tags."""

DESCRIBING: Mapping[str, str] = {"tag_difficulty": "difficulty", "tag_category": "category"}
"""The steps that give the other tags on their own, with the field of each."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge said of a case.

    Attributes:
        case: the case.
        step: who was asked: the case's own step, or FUSED, or one of DESCRIBING.
        sample: the number of the sampling seed, from 0.
        label: None when twice in a row no reply could be used.
        soft: the probability of every label, where the server gave it.
        explanation: the judge's; what was wrong with the reply where there is no label.
        failure: why there is no label.
        values: all output fields; empty where there is no label.
        digests: of the requests that it took.
    """

    case: Case
    step: str
    sample: int
    label: Label | None
    soft: SoftRating | None
    explanation: str
    failure: Literal["unreadable", "truncated"] | None
    values: Mapping[str, Any] = field(default_factory=dict)
    digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to ask: a case, a step that takes its inputs, and the number of the sampling seed, from 0."""

    case: Case
    step: str
    sample: int = 0


def judging_limits(config: RunConfig) -> dict[str, int]:
    """Step to the most tokens of a first reply, for the judges and taggers."""
    return {name: config.role(step.role).num_predict for name, step in STEPS.items() if step.role != "generator"}


async def judge_cases(
    asker: Asker,
    cases: Sequence[Case],
    *,
    samples: int = 1,
    fused: bool = False,
    done: Callable[[], None] = lambda: None,
) -> tuple[Judged, ...]:
    """Ask about every case, `samples` times with different sampling seeds.

    Args:
        asker: who asks.
        cases: what about.
        samples: 1 or more.
        fused: ask the fused tagger instead of the case's own step; for cases of tag_instruction_quality.
        done: called after each.

    Returns:
        What was said, in the order of the cases, the samples of a case one after another.

    Raises:
        SkillsError: the evaluation cannot go on.
    """

    asks = [Ask(case, FUSED if fused else case.step, sample) for case in cases for sample in range(samples)]
    return await judge_all(asker, asks, done)


async def judge_all(asker: Asker, asks: Sequence[Ask], done: Callable[[], None] = lambda: None) -> tuple[Judged, ...]:
    """Ask all at once; returns what was said in the order asked. `done` is called after each.

    Raises:
        SkillsError: the evaluation cannot go on.
    """

    async def one(place: int, ask: Ask) -> Judged:
        said = await judge(asker, ask, place)
        done()
        return said

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(place, ask)) for place, ask in enumerate(asks)]
    except BaseExceptionGroup as errors:
        ours = [error for error in errors.exceptions if isinstance(error, SkillsError)]
        if len(ours) < len(errors.exceptions):
            raise
        raise ours[0] from errors
    return tuple(task.result() for task in tasks)


async def judge(asker: Asker, ask: Ask, rank: int = 0) -> Judged:
    """Ask about one case; the smallest rank goes first where slots are few.

    Raises:
        SkillsError: the evaluation cannot go on.
    """
    case, step, sample = ask.case, ask.step, ask.sample
    rated = DESCRIBING.get(step) or SCALES[case.step].field
    try:
        # The sampling seed follows from the case itself, so that other cases beside it change nothing.
        answer = await asker.ask(step, case.inputs(step), (zlib.crc32(case.id.encode()), sample), lambda: (rank,))
    except Failed as failed:
        failure: Literal["unreadable", "truncated"] = "truncated" if isinstance(failed.cause, Truncated) else "unreadable"
        return Judged(case, step, sample, None, None, str(failed.cause), failure, digests=failed.digests)
    values = answer.values
    soft = answer.soft.get(rated)
    return Judged(case, step, sample, values[rated], soft, values["explanation"], None, values, answer.digests)
