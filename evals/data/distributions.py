"""How rows are spread: over the stages of their run, over the labels of their ratings, over lengths. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evals.data.rows import RATINGS, Row
from skills_dspy.base.scales import Label
from skills_dspy.pipeline.funnel import SELDOM, STAGES, Funnel


@dataclass(frozen=True, slots=True)
class StageYield:
    """What became of the candidates at one stage: how many came, and reason to how many were rejected."""

    stage: str
    came: int
    rejected: Mapping[str, int]

    @property
    def went_on(self) -> int:
        """How many were not rejected."""
        return self.came - sum(self.rejected.values())

    def as_json(self) -> dict[str, Any]:
        """Counts, and the share that went on."""
        share = round(self.went_on / self.came, 4) if self.came else None
        return {
            "stage": self.stage,
            "came": self.came,
            "rejected": dict(self.rejected),
            "went_on": self.went_on,
            "share": share,
        }


@dataclass(frozen=True, slots=True)
class RatingScore:
    """How the rows are rated by one judge or tagger.

    Attributes:
        counts: label to rows, worst first, or in the order of the vocabulary.
        mean: of the labels, a word counted as its place on the scale from 1; None for the category, which has no order.
        soft_rows: the rows with a soft rating.
        mean_expected: of their expected values; None where there is none.
        mean_probabilities: label to its mean probability over them; empty where there is none.
    """

    counts: Mapping[Label, int]
    mean: float | None
    soft_rows: int
    mean_expected: float | None
    mean_probabilities: Mapping[Label, float]

    def as_json(self) -> dict[str, Any]:
        """The counts and probabilities by label as text, and the means, to four decimals."""
        return {
            "counts": {str(label): count for label, count in self.counts.items()},
            "mean": rounded(self.mean),
            "soft_rows": self.soft_rows,
            "mean_expected": rounded(self.mean_expected),
            "mean_probabilities": {str(label): rounded(share) for label, share in self.mean_probabilities.items()},
        }


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many words the texts have: the least, the quartiles and the most."""

    texts: int
    least: int
    low: float
    median: float
    high: float
    most: int

    def as_json(self) -> dict[str, Any]:
        """All six."""
        return {
            "texts": self.texts,
            "min": self.least,
            "q1": rounded(self.low),
            "median": rounded(self.median),
            "q3": rounded(self.high),
            "max": self.most,
        }


def yield_by_stage(funnel: Funnel) -> tuple[StageYield, ...]:
    """Every stage that can reject what it is given; those that nearly never do are left out where they have not."""
    found = []
    for stage in STAGES:
        rejected: dict[str, int] = {reason: count for at, reason, count in funnel.rows() if at == stage}
        if rejected or stage not in SELDOM:
            found.append(StageYield(stage, funnel.reached(stage), rejected))
    return tuple(found)


def rate(rows: Sequence[Row]) -> dict[str, RatingScore]:
    """How rows are rated, by the names of RATINGS that any of them has."""
    found = {}
    for name, labels in RATINGS.items():
        counts = Counter(row.ratings[name] for row in rows if name in row.ratings)
        if not counts:
            continue
        total = sum(count * value_of(name, label) for label, count in counts.items())
        soft = [row.soft[name] for row in rows if name in row.soft]
        found[name] = RatingScore(
            counts={label: counts[label] for label in labels},
            mean=None if name == "category" else total / counts.total(),
            soft_rows=len(soft),
            mean_expected=math.fsum(one.expected for one in soft) / len(soft) if soft else None,
            mean_probabilities={
                label: math.fsum(one.probabilities[str(label)] for one in soft) / len(soft)
                for label in (labels if soft else ())
            },
        )
    return found


def value_of(name: str, label: Label) -> float:
    """What a label of a rating of RATINGS counts: a number itself, a word its place on the scale, from 1."""
    return float(label) if isinstance(label, int) else RATINGS[name].index(label) + 1.0


def lengths_of(counts: Sequence[int]) -> Lengths | None:
    """The lengths of texts by their numbers of words; None when there is no text."""
    if not counts:
        return None
    low, median, high = np.quantile(np.array(counts, dtype=np.float64), [0.25, 0.5, 0.75]).tolist()
    return Lengths(len(counts), min(counts), low, median, high, max(counts))


def rounded(value: float | None) -> float | None:
    """To four decimals, as everything that is written down."""
    return None if value is None else round(value, 4)
