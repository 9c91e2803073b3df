"""What a person looks at first: rows that the judges are least sure of, any, rejected ones, or the newest."""

import hashlib
from collections.abc import Iterable
from itertools import combinations
from typing import Literal, get_args

from skills_dspy.base.config import RunConfig
from skills_dspy.commands.review.rated import RATED, RatedRow, StageVerdict

Order = Literal["uncertain", "random", "rejected", "newest"]
ORDERS: tuple[Order, ...] = get_args(Order)

_NEAR = 0.5  # the doubt about a label that is the last before the border, where the scale has more than two


def in_order(rows: Iterable[RatedRow], order: Order, config: RunConfig) -> list[RatedRow]:
    """The rows to look at, the first one first; the same ones always come in the same order.

    `rejected` shows all rejected ones that have a question, those first that a judge or a tag has rejected. The others show
    what was accepted, or rejected by a judge or a tag: who looks at accepted ones alone learns nothing of what was lost.
    """
    if order == "rejected":
        return sorted((row for row in rows if not row.accepted), key=lambda row: (not row.judged_out, row.place))
    judged = [row for row in rows if row.accepted or row.judged_out]
    if order == "random":
        return sorted(judged, key=lambda row: hashlib.sha256(row.row.id.encode()).digest())
    if order == "newest":
        return sorted(judged, key=lambda row: row.place, reverse=True)
    doubts = {row.row.id: doubts_about(row, config) for row in judged}
    # Of rows whose largest doubt is the same the one with more of them comes first.
    return sorted(judged, key=lambda row: (-max(doubts[row.row.id]), -sum(doubts[row.row.id]), row.place))


def doubts_about(row: RatedRow, config: RunConfig) -> list[float]:
    """How little the judges are sure of a row, each 0 to 1; the first is 0, and so there is one.

    How near a soft rating is to even odds, or a label to the border, where there are no soft ratings; and how far two who
    rate the same thing, the question or the pair, are apart: 1 where one lets it pass and the other does not.
    """
    alone = [_alone(verdict, config) for verdict in row.verdicts if verdict.passed is not None]
    return [0.0, *alone, *(_apart(*pair) for pair in combinations(row.verdicts, 2))]


def _alone(verdict: StageVerdict, config: RunConfig) -> float:
    scale = RATED[verdict.stage]
    passing = set() if scale.passing is None else set(scale.passing(config))
    if verdict.soft is not None:
        odds = sum(share for label, share in verdict.soft.probabilities.items() if label in set(map(str, passing)))
        return 1 - 2 * abs(odds - 0.5)
    if verdict.label is None or len(scale.labels) <= 2:
        return 0.0
    others = [label for label in scale.labels if (label in passing) != (verdict.label in passing)]
    far = min((abs(scale.position(label) - scale.position(verdict.label)) for label in others), default=len(scale.labels))
    return _NEAR / far


def _apart(one: StageVerdict, other: StageVerdict) -> float:
    if RATED[one.stage].about != RATED[other.stage].about or None in (one.passed, other.passed):
        return 0.0
    if one.passed != other.passed:
        return 1.0
    if one.label is None or other.label is None:
        return 0.0
    first, second = (
        (RATED[v.stage].position(v.label) - 1) / (len(RATED[v.stage].labels) - 1) for v in (one, other) if v.label is not None
    )
    return abs(first - second)
