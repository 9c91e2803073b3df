"""Measuring a student on a set of examples, before and after: scores, habits, and which gains are suspect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dspy

from evals.figures.statistics import Interval, bootstrap, spread_json
from evals.optimize.compile import quiet_dspy
from evals.optimize.metrics import AGREEMENT, Metric, failure_of, nearest, soft_agreement
from evals.optimize.plan import Planned
from evals.optimize.targets import Unit
from skills_dspy.similarity.text import words

LONGER = 1.5
"""A mean length that grows by more than this factor is a jump: judges are known to prefer length (Dubois et al. 2024)."""
SHORTER = 0.5
"""And one that shrinks below this factor."""
COPYING = 0.1
"""A mean ROUGE-L with seeds or examples that grows by more than this is a jump."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How a prompt's outputs look, whatever a judge says of them.

    Attributes:
        words: mean length of an output.
        seed_copying: mean ROUGE-L of an output with the nearest seed, 0 to 1.
        shown_copying: the same with the nearest example or demonstration in its prompt.
    """

    words: float
    seed_copying: float
    shown_copying: float


def habits(results: Sequence[tuple[Any, Any]], demos: Sequence[Mapping[str, Any]]) -> Habits:
    """Return the habits of a prompt by examples with their predictions (those without texts are left out), and its demos."""
    texts = [(text, example) for example, prediction in results for text in _output_texts(prediction)]
    demo_texts = [text for demo in demos for text in _output_texts(demo)]
    return Habits(
        _mean([len(words(text)) for text, _ in texts]),
        _mean([nearest(text, example.get("known", ())) for text, example in texts]),
        _mean([nearest(text, (*example.get("shown", ()), *demo_texts)) for text, example in texts]),
    )


def _output_texts(values: Any) -> list[str]:
    """The texts that a prediction or a demonstration holds: questions, a judge's explanation, or an answer.

    A judge's demonstration holds the answer that it judged, too, which is nothing that it wrote.
    """
    if questions := values.get("questions", None):
        return list(questions)
    text = values.get("explanation", None) or values.get("answer", None)
    return [text] if text else []


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


@dataclass(frozen=True)
class Measured:
    """How a student did on a set.

    Attributes:
        scores: one for each example, in their order.
        failures: how many replies could not be used.
        habits: how its outputs look.
        seed: of the intervals.
        signed: whether a score is the example's weight or minus it, as for judges and tags.
        soft: the mean of `soft_agreement`, for judges and tags of a server that gives probabilities for all; else None.
    """

    scores: tuple[float, ...]
    failures: int
    habits: Habits
    seed: int = 0
    signed: bool = False
    soft: float | None = None

    @property
    def mean(self) -> float:
        """The score."""
        return _mean(self.scores)

    @cached_property
    def interval(self) -> Interval:
        """95 % of bootstrapped means lie in it."""
        found = bootstrap(self.scores, lambda scores: sum(scores) / self.whole(scores), self.seed)
        assert found is not None
        return found

    def whole(self, scores: Sequence[float]) -> float:
        """Return what a resample of the scores is divided by: its weights, or its number."""
        return sum(map(abs, scores)) if self.signed else float(len(scores))

    def as_json(self) -> dict[str, Any]:
        """Return what program files keep, rounded."""
        return {
            "score": round(self.mean, 4),
            **spread_json(self.interval),
            "examples": len(self.scores),
            "failures": self.failures,
            "soft_score": None if self.soft is None else round(self.soft, 4),
            "habits": {
                "words": round(self.habits.words, 1),
                "seed_copying": round(self.habits.seed_copying, 4),
                "shown_copying": round(self.habits.shown_copying, 4),
            },
        }


@dataclass(frozen=True)
class BeforeAfter:
    """Two measurements of the same examples."""

    before: Measured
    after: Measured

    @property
    def gain(self) -> float:
        """How much the score has grown."""
        return self.after.mean - self.before.mean

    @cached_property
    def interval(self) -> Interval:
        """The gain's, by paired bootstrap."""
        pairs = list(zip(self.before.scores, self.after.scores, strict=True))
        whole = self.before.whole
        found = bootstrap(pairs, lambda both: sum(b - a for a, b in both) / whole([a for a, _ in both]), self.before.seed)
        assert found is not None
        return found

    def as_json(self) -> dict[str, Any]:
        """Return what program files keep, rounded."""
        both = {"before": self.before.as_json(), "after": self.after.as_json()}
        return {**both, "gain": round(self.gain, 4), **spread_json(self.interval)}


Compared = tuple[Unit, BeforeAfter, Sequence[str]]
"""A unit with the original prompts and with the compiled ones, and why a gain is not to be trusted."""


@dataclass(frozen=True, slots=True)
class UnitResult:
    """What became of a unit.

    Attributes:
        planned: what was done.
        validation: what the choice was made on.
        test: by the judge that was optimized against; nothing changes where nothing was kept.
        holdout: by the judge that was held out, where there is one.
        suspicions: why the gain is not to be trusted.
        kept: whether the new prompt was better on the validation.
        calls: different requests that it was the first to make, answered by whatever: a resumed run counts as many.
    """

    planned: Planned
    validation: BeforeAfter
    test: BeforeAfter
    holdout: BeforeAfter | None
    suspicions: tuple[str, ...]
    kept: bool
    calls: int

    @property
    def counts(self) -> BeforeAfter:
        """What counts: by the held-out judge where there is one."""
        return self.holdout or self.test


def measure(student: dspy.Module, examples: Sequence[dspy.Example], metric: Metric, threads: int, seed: int) -> Measured:
    """Measure a student. Blocking.

    Raises:
        Halt: the evaluation cannot go on, or there is a mistake in this program.
    """
    evaluate = dspy.Evaluate(devset=list(examples), metric=metric.score, num_threads=threads, max_errors=1)
    with quiet_dspy():
        results = [(example, prediction, float(score)) for example, prediction, score in evaluate(student).results]
    said = [(example, prediction) for example, prediction, _ in results]
    soft = [soft_agreement(*each) for each in said] if metric is AGREEMENT else []
    known = [value for value in soft if value is not None]
    return Measured(
        scores=tuple(score for *_, score in results),
        failures=sum(failure_of(prediction) is not None for _, prediction in said),
        habits=habits(said, [demo for predictor in student.predictors() for demo in predictor.demos]),
        seed=seed,
        signed=metric is AGREEMENT,
        soft=_mean(known) if known and len(known) == len(soft) else None,
    )


def suspicions(unit: Unit, test: BeforeAfter, holdout: BeforeAfter | None = None) -> tuple[str, ...]:
    """Return why a gain on the test is not to be trusted, in sentences; none where there is no gain or nothing odd.

    A judge's explanation may be worded like a demonstration's, so there only length is looked at. `holdout` is by a judge that
    had no part in the optimizing, if there was one.
    """
    if test.gain <= 0 and (holdout is None or holdout.gain <= 0):
        return ()
    before, after, found = test.before.habits, test.after.habits, []
    compared = before.words > 0 and after.words > 0  # where one wrote nothing, there is nothing to compare
    if compared and not SHORTER <= after.words / before.words <= LONGER:
        how, by = ("longer", "length") if after.words > before.words else ("shorter", "brevity")
        found.append(
            f"the texts became much {how}: {before.words:.0f} words before, {after.words:.0f} now; the judge may be pleased "
            f"by {by} alone"
        )
    for name, old, new in (
        ("seeds", before.seed_copying, after.seed_copying),
        ("examples in the prompt", before.shown_copying, after.shown_copying),
    ):
        if compared and unit.makes != "labels" and new - old > COPYING:
            found.append(f"the texts copy the {name} more: ROUGE-L with the nearest was {old:.2f} and is {new:.2f}")
    if holdout is not None and holdout.gain <= 0:
        found.append(f"the judge that was held out sees no gain ({holdout.gain:+.3f})")
    return tuple(found)
