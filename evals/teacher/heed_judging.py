"""How a heeding teacher judges and tags: better if the prompt names the flaw, or shows verdicts. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from evals.teacher.filling import passing_labels
from evals.teacher.heed_flaws import Flaw, Heard
from evals.teacher.heed_key import Label, Truth

MISSES = {"flaw not named": 0.50, "rejection shown": 0.30, "flaw named": 0.08}
"""How likely a flaw is overlooked; the smallest that applies counts."""
REJECTS = {"nothing said": 0.15, "both verdicts shown": 0.05, "told to be fair": 0.05}
"""How likely what is good is rejected; the smallest that applies counts."""

NOTHING = "Nothing is wrong."
_ODD = "Something about it is odd."
_PLEASED = "It is thorough and leaves nothing to be desired."

_LEAST_SURE, _MOST_SURE = 0.55, 0.98
_ACROSS = 0.9
_NEAR = 0.25


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge makes of a subject.

    Attributes:
        passes: whether it lets the subject pass.
        explanation: in words.
        margin: how far the verdict was from being the other one, 0 to 1.
    """

    passes: bool
    explanation: str
    margin: float


@dataclass(frozen=True, slots=True)
class Scale:
    """The labels of a rating, worst first, and the part of them that passes."""

    labels: tuple[Label, ...]
    passing: tuple[Label, ...]

    @property
    def failing(self) -> tuple[Label, ...]:
        """The labels that do not pass."""
        return tuple(label for label in self.labels if label not in self.passing)


def scale_of(name: str, labels: Sequence[Label]) -> Scale:
    """The scale of an output field; which labels pass is as in the settings that ship with the program."""
    return Scale(tuple(labels), tuple(passing_labels(name, list(labels))))


def shown_verdicts(demos: Sequence[str], name: str, scale: Scale) -> frozenset[bool]:
    """Which verdicts a prompt's demonstrations show: True for one that passes, False for one that does not.

    Args:
        demos: the assistant's turns.
        name: the field of the rating.
        scale: its scale.
    """
    found = set()
    for demo in demos:
        try:
            label = json.loads(demo)[name]
        except (ValueError, TypeError, KeyError):
            continue
        if label in scale.labels:
            found.add(label in scale.passing)
    return frozenset(found)


def overlooked(flaw: Flaw | None, heard: Heard, shown: frozenset[bool]) -> float:
    """How likely a flaw is overlooked, 0 to 1; None is a flaw that no prompt can name."""
    chances = [MISSES["flaw not named"]]
    if False in shown:
        chances.append(MISSES["rejection shown"])
    if flaw is not None and flaw.name in heard.named:
        chances.append(MISSES["flaw named"])
    return min(chances)


def rejected(heard: Heard, shown: frozenset[bool]) -> float:
    """How likely a good subject is rejected, 0 to 1."""
    chances = [REJECTS["nothing said"]]
    if len(shown) == len((True, False)):
        chances.append(REJECTS["both verdicts shown"])
    if heard.fair:
        chances.append(REJECTS["told to be fair"])
    return min(chances)


def judge(truth: Truth, heard: Heard, shown: frozenset[bool], point: float) -> Verdict:
    """The verdict on a subject.

    Args:
        truth: what is true of it.
        heard: what the prompt says.
        shown: the verdicts that it shows.
        point: a number from 0 to 1 that does not depend on the prompt. The subject passes if it is below a threshold, which
            is high for what is good and low for what is not, and which a better prompt moves to the right side only: it
            never spoils a verdict that was right, and at the same point what is good passes if anything does.
    """
    threshold = 1 - rejected(heard, shown) if truth.good else overlooked(truth.flaw, heard, shown)
    passing = point < threshold
    said = NOTHING if passing else _ODD if truth.good or truth.flaw is None else truth.flaw.found
    return Verdict(passing, said, abs(point - threshold))


def pleased() -> Verdict:
    """The verdict of a judge who likes length."""
    return Verdict(True, _PLEASED, 1.0)


def rate(verdict: Verdict, truth: Truth, scale: Scale, by_hand: Label | None) -> Label:
    """The label that goes with a verdict.

    A right verdict gives the label given by hand, where there is one; else the best label, or the worst of those that pass
    when the verdict was a near thing, or the middle of those that fail. A wrong one stays next to the other side.
    """
    if verdict.passes is not truth.good:
        return scale.passing[0] if verdict.passes else scale.failing[-1]
    own_side = scale.passing if verdict.passes else scale.failing
    if by_hand in own_side:
        return by_hand
    if not verdict.passes:
        return own_side[(len(own_side) - 1) // 2]
    return own_side[0 if verdict.margin < _NEAR else -1]


def distribution(label: Label, scale: Scale, margin: float) -> dict[Label, float]:
    """Probabilities of all labels, which add up to 1.

    The label itself gets 0.55 to 0.98, the more the surer the verdict was; nine tenths of the rest go to the nearest label
    of the other verdict, for that is what it would have been.
    """
    sure = _LEAST_SURE + (_MOST_SURE - _LEAST_SURE) * min(1.0, margin)
    across = scale.failing[-1] if label in scale.passing else scale.passing[0]
    others = [other for other in scale.labels if other not in (label, across)]
    shares = {other: (1 - sure) * (1 - _ACROSS) / len(others) for other in others}
    shares |= {label: sure, across: (1 - sure) * (_ACROSS if others else 1.0)}
    return {each: shares[each] for each in scale.labels}
