"""Whether the soft rating of a judge separates good cases from bad ones better than its label does. Pure.

Both are measured by the area under the ROC curve (AUC): the chance that a good case is rated above a bad one, ties counted
half. The label has few values and so many ties; the soft rating is the expected value of the labels' probabilities (G-Eval,
Liu et al. 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evals.judges.ask import Judged
from evals.judges.figures import rounded
from evals.judges.scales import SCALES
from evals.statistics import Interval, auc, bootstrap

_ROUNDS = 1000
_SEED = 0

SAME = 0.02
"""Differences of AUC within this are too small to matter: the two separate alike."""

Verdict = Literal["better", "no better", "cannot be told"]


@dataclass(frozen=True, slots=True)
class SoftCard:
    """The two measured on the same cases.

    Attributes:
        replies: readable replies.
        rated: those of them that have a soft rating; the rest of the figures is about these.
        label_auc: of the label's place on the scale; None when the cases are all good or all bad.
        soft_auc: of the expected value.
        difference: 95 % of bootstrapped differences, soft less label, lie in it.
    """

    replies: int
    rated: int
    label_auc: float | None
    soft_auc: float | None
    difference: Interval | None

    @property
    def verdict(self) -> Verdict:
        """Better: the whole interval is above 0. No better: it is at most SAME above 0. Else the cases do not tell."""
        if self.difference is None:
            return "cannot be told"
        if self.difference.low > 0:
            return "better"
        return "no better" if self.difference.high <= SAME else "cannot be told"

    @property
    def said(self) -> str:
        """The verdict as a sentence."""
        return {
            "better": "The soft rating separates good from bad better than the label.",
            "no better": "The soft rating separates good from bad no better than the label.",
            "cannot be told": "These cases do not tell whether the soft rating separates good from bad better than the label.",
        }[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        gap = None if self.label_auc is None or self.soft_auc is None else self.soft_auc - self.label_auc
        return {
            "replies": self.replies,
            "with_soft_rating": self.rated,
            "label_auc": rounded(self.label_auc),
            "soft_auc": rounded(self.soft_auc),
            "difference": rounded(gap),
            "low": rounded(self.difference.low if self.difference else None),
            "high": rounded(self.difference.high if self.difference else None),
            "verdict": self.verdict,
            "said": self.said,
        }


_Point = tuple[bool, float, float]
"""A case: whether it is good, the label's place, the expected value."""


def soft_card(said: Sequence[Judged]) -> SoftCard | None:
    """The comparison on what was said, each of a different case; None when no reply has a soft rating."""
    readable = [one for one in said if one.label is not None]
    points: list[_Point] = [
        (one.case.good, float(SCALES[one.case.step].position(one.label)), one.soft.expected)
        for one in readable
        if one.label is not None and one.soft is not None
    ]
    if not points:
        return None
    label, soft = _auc(points, 1), _auc(points, 2)
    difference = None if label is None or soft is None else bootstrap(points, _gap, _SEED, _ROUNDS)
    return SoftCard(len(readable), len(points), label, soft, difference)


def _gap(points: Sequence[_Point]) -> float | None:
    label, soft = _auc(points, 1), _auc(points, 2)
    return None if label is None or soft is None else soft - label


def _auc(points: Sequence[_Point], column: Literal[1, 2]) -> float | None:
    return auc([point[column] for point in points], [point[0] for point in points])
