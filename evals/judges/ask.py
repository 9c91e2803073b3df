"""Asking judges and taggers about labelled cases, as a run asks them: what they say, and how often they are right."""

import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.figures.statistics import Rate, cohen_kappa
from evals.judges.cases import Case
from skills_dspy.base.config import RunConfig
from skills_dspy.base.records import Reason, SoftRating
from skills_dspy.base.scales import Label
from skills_dspy.model.ask import Asker, judgement_of, together
from skills_dspy.model.steps import STEPS

FUSED = "tag_fused"
UNFILTERED_TAGS = tuple(step.name for step in STEPS.values() if step.rates and step.filter is None)
"""The steps that give the tags that no filter looks at."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge says of a case.

    Attributes:
        step: who was asked: the case's own step, or FUSED, or one of UNFILTERED_TAGS.
        sample: the number of the sampling seed, from 0.
        label, values: None and empty when no reply could be used, for the reason `failure`.
        soft: the probability of every label, where the server gave it.
        explanation: the judge's; what was wrong with the reply where there is no label.
        digests: of the requests that it took.
    """

    case: Case
    step: str
    sample: int
    label: Label | None
    soft: SoftRating | None
    explanation: str
    failure: Reason | None
    values: Mapping[str, Any] = field(default_factory=dict)
    digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseCall:
    """One call to make: a case, a step that takes its inputs, and the number of the sampling seed, from 0."""

    case: Case
    step: str
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """How a judge does on some cases; a reply that cannot be used is no verdict.

    Attributes:
        accuracy: of the readable verdicts, those that decide as the case wants.
        false_accept, false_reject: of the bad cases, those let through; of the good cases, those rejected.
        kappa: Cohen's, of the decision and the truth; None where it is not defined.
        unreadable, of_these_truncated: of all cases, those without a readable verdict, and how many of them were cut.
    """

    cases: int
    accuracy: Rate
    false_accept: Rate
    false_reject: Rate
    kappa: float | None
    unreadable: Rate
    of_these_truncated: int


def figures_of(judged: Sequence[Judged], passed: Sequence[bool]) -> Figures:
    """Return the figures of some verdicts, each of a different case and with whether it lets the case through, if readable."""
    readable = [(passes, one.case.good) for one, passes in zip(judged, passed, strict=True) if one.label is not None]
    decided, truth = [passes for passes, _ in readable], [good for _, good in readable]
    both = Counter(readable)
    failures = Counter(one.failure for one in judged if one.label is None)
    return Figures(
        cases=len(judged),
        accuracy=Rate(both[True, True] + both[False, False], len(readable)),
        false_accept=Rate(both[True, False], len(truth) - sum(truth)),
        false_reject=Rate(both[False, True], sum(truth)),
        kappa=cohen_kappa(decided, truth),
        unreadable=Rate(failures.total(), len(judged)),
        of_these_truncated=failures["truncated"],
    )


def judging_limits(config: RunConfig) -> dict[str, int]:
    """Step to the most tokens of a first reply, for the judges and taggers."""
    return {name: config.role(step.role).num_predict for name, step in STEPS.items() if step.role != "generator"}


async def judge_all(asker: Asker, calls: Sequence[CaseCall], done: Callable[[], None] = lambda: None) -> tuple[Judged, ...]:
    """Make all calls at once; returns the verdicts in the order of the calls. `done` is called after each."""

    async def one(place: int, call: CaseCall) -> Judged:
        verdict = await judge(asker, call, place)
        done()
        return verdict

    return tuple(await together([one(place, call) for place, call in enumerate(calls)]))


async def judge(asker: Asker, call: CaseCall, rank: int = 0) -> Judged:
    """Ask about one case; the smallest rank goes first where slots are few."""
    case, step, sample = call.case, call.step, call.sample
    # The sampling seed follows from the case itself, so that other cases beside it change nothing.
    said = await judgement_of(asker, step, case.inputs(step), (zlib.crc32(case.id.encode()), sample), lambda: (rank,))
    return Judged(case, step, sample, said.label, said.soft, said.explanation, said.failure, said.values, said.digests)
