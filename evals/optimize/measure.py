"""Measuring a student on a set of examples, before and after, and the judges that writers are optimized against."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from evals.judges.ask import CaseCall, figures_of, judge_all
from evals.judges.cases import Case, passing
from evals.optimize.compile import quiet, unswallowed
from evals.optimize.gaming import Habits, habits
from evals.optimize.metrics import AGREEMENT, Metric, failure_of, soft_agreement
from evals.optimize.plan import card_cases
from evals.statistics import Interval, bootstrap
from skills_dspy.base.config import RunConfig
from skills_dspy.model.ask import Asker

ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """How a student did on a set.

    Attributes:
        scores: one for each example, in their order.
        failures: how many replies could not be used.
        habits: how its outputs look.
        signed: whether a score is the example's weight or minus it, as for judges and tags.
        soft: the mean of `soft_agreement`, for judges and tags of a server that gives probabilities for all; else None.
    """

    scores: tuple[float, ...]
    failures: int
    habits: Habits
    signed: bool = False
    soft: float | None = None

    @property
    def mean(self) -> float:
        """The score."""
        return sum(self.scores) / len(self.scores)

    def interval(self, seed: int) -> Interval:
        """95 % of bootstrapped means lie in it."""
        found = bootstrap(self.scores, lambda scores: sum(scores) / self.whole(scores), seed, ROUNDS)
        assert found is not None
        return found

    def whole(self, scores: Sequence[float]) -> float:
        """What a resample of the scores is divided by: its weights, or its number."""
        return sum(map(abs, scores)) if self.signed else float(len(scores))

    def as_json(self, seed: int) -> dict[str, Any]:
        """For program files."""
        interval = self.interval(seed)
        return {
            "score": round(self.mean, 4),
            "low": round(interval.low, 4),
            "high": round(interval.high, 4),
            "examples": len(self.scores),
            "failures": self.failures,
            "soft_score": None if self.soft is None else round(self.soft, 4),
            "habits": self.habits.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Gain:
    """The difference of two measurements of the same examples, with its 95 % interval (paired bootstrap)."""

    mean: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """For program files."""
        return {"gain": round(self.mean, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


def measure(student: dspy.Module, examples: Sequence[dspy.Example], metric: Metric, threads: int) -> Measured:
    """Measure a student. Blocking.

    Raises:
        Halt: the evaluation cannot go on.
        Broken: there is a mistake in this program.
    """
    evaluate = dspy.Evaluate(devset=list(examples), metric=unswallowed(metric).score, num_threads=threads, max_errors=1)
    with quiet():
        found = evaluate(student)
    results: list[tuple[Any, Any, Any]] = found.results
    demos = [demo for predictor in student.predictors() for demo in predictor.demos]
    return Measured(
        scores=tuple(float(score) for _, _, score in results),
        failures=sum(failure_of(prediction) is not None for _, prediction, _ in results),
        habits=habits([(example, prediction) for example, prediction, _ in results], demos),
        signed=metric is AGREEMENT,
        soft=_soft(results) if metric is AGREEMENT else None,
    )


def _soft(results: Sequence[tuple[Any, Any, Any]]) -> float | None:
    found = [soft_agreement(example, prediction) for example, prediction, _ in results]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known and len(known) == len(found) else None


def gain_of(before: Measured, after: Measured, seed: int) -> Gain:
    """What changed from one measurement to the other."""
    pairs = list(zip(before.scores, after.scores, strict=True))
    interval = bootstrap(pairs, lambda both: sum(b - a for a, b in both) / before.whole([a for a, _ in both]), seed, ROUNDS)
    assert interval is not None
    return Gain(after.mean - before.mean, interval.low, interval.high)


class Card:
    """A short report card: Cohen's kappa of each judge that was examined.

    Args:
        asker: asks the judges, as they are at the moment.
        cases: labelled by hand, of all steps.
        config: says which labels pass.

    Attributes:
        kappas: step to its kappa; None where it cannot be told.
    """

    def __init__(self, asker: Asker, cases: Sequence[Case], config: RunConfig) -> None:
        self._asker = asker
        self._cases = cases
        self._config = config
        self.kappas: dict[str, float | None] = {}

    async def examine(self, step: str, seen: Collection[str]) -> float | None:
        """The kappa of a judge's decisions on the cases of skills that it was not compiled with.

        Args:
            step: the judge.
            seen: digests of the seeds and cases that it was compiled with.
        """
        cases = card_cases(self._cases, step, seen)
        accepted = passing(step, self._config)
        judged = await judge_all(self._asker, [CaseCall(case, step) for case in cases])
        figures = figures_of(judged, [one.label in accepted for one in judged])
        self.kappas[step] = figures.kappa
        return figures.kappa


def refusal(kappas: Mapping[str, float | None], floor: float) -> str | None:
    """Why a writer is not optimized against these judges; None where all are good enough.

    Args:
        kappas: step to its kappa; None, which is not good enough, where it cannot be told.
        floor: the least that is.
    """
    bad = [
        f"{step} ({'unknown' if kappa is None else _told(kappa, floor)})"
        for step, kappa in kappas.items()
        if kappa is None or kappa < floor
    ]
    if not bad:
        return None
    return f"the judge is not good enough to optimize against: kappa below {floor:g} for {', '.join(bad)}"


def _told(kappa: float, floor: float) -> str:
    """A kappa below the floor, in so many decimals that it is seen to be below."""
    return next((told for digits in (2, 3, 4) if float(told := f"{kappa:.{digits}f}") < floor), f"{kappa:g}")
