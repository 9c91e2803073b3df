"""The funnel: what became of every settled candidate, stage by stage; and two funnels over the same candidates compared."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skills_dspy.base.records import Reason, is_failure

LABELS = {
    "write_context": "context",
    "judge_context": "context judge",
    "write_questions": "questions",
    "dedup": "dedup",
    "question_habits": "question habits",
    "decontamination": "contaminated",
    "judge_question": "question judge",
    "instruction_quality": "instruction",
    "write_answer": "answer",
    "answer_decontamination": "contaminated answer",
    "judge_pair": "pair judge",
    "sample_quality": "sample",
    "answer_habits": "answer habits",
    "difficulty": "difficulty",
    "category": "category",
}
"""Stage to what a line of progress calls it, where space is short."""

STAGES = tuple(LABELS)
"""Where a candidate can be rejected, in the order in which it is decided."""
AGAIN = "_again"
"""Ends the names under which a row has the calls of an answer's second writing."""
_ANSWERED = STAGES[STAGES.index("write_answer") : STAGES.index("answer_habits")]
"""What an answer goes through, once more where it is written again."""
SCREENING = ("decontamination", "answer_decontamination")
"""Stages of a run that has evaluation questions."""
HABITS = ("question_habits", "answer_habits")
"""Stages of a run that looks at the set, and not only at the row."""
SELDOM = ("write_context", "judge_context", "write_questions", *SCREENING, *HABITS, "difficulty", "category")
"""Stages that most runs lose nobody at, or do not have: a table needs them only where they rejected something."""


def latest(calls: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The calls of a row, by their stages, that are about it as it stands.

    Where its answer was written again, nothing is among them that was about the first one.
    """
    again = "write_answer" + AGAIN in calls
    kept = (stage for stage in calls if not (again and stage in _ANSWERED))
    return {stage.removesuffix(AGAIN): calls[stage] for stage in kept}


@dataclass(slots=True)
class Funnel:
    """Counts of settled candidates; `candidates == accepted + rejections` always holds.

    `rewritten` says of how many the answer was written again, whatever became of them; `tags_lost` how many tags of accepted
    ones the server could not give; `first` has, of those for which there
    was no usable reply, the detail and the reply of the first, by stage and reason.
    """

    candidates: int = 0
    accepted: int = 0
    rejected: Counter[tuple[str, Reason]] = field(default_factory=Counter)
    rewritten: int = 0
    tags_lost: int = 0
    first: dict[tuple[str, Reason], tuple[str, str]] = field(default_factory=dict, compare=False)

    def accept(self) -> None:
        """One more candidate, accepted."""
        self.candidates += 1
        self.accepted += 1

    def reject(self, stage: str, reason: Reason, detail: str = "", raw: str | None = None) -> None:
        """One more candidate, rejected at a stage of STAGES; detail and raw reply as its row has them."""
        if stage not in STAGES:
            raise ValueError(f"{stage!r} is no stage")
        self.candidates += 1
        self.rejected[stage, reason] += 1
        if is_failure(reason, raw):
            self.first.setdefault((stage, reason), (detail, raw or ""))

    def rejections(self, stage: str) -> int:
        """How many were rejected at this stage."""
        return sum(count for (at, _), count in self.rejected.items() if at == stage)

    def reached(self, stage: str) -> int:
        """How many came as far as this stage."""
        before = STAGES[: STAGES.index(stage)]
        return self.candidates - sum(self.rejections(earlier) for earlier in before)

    def rows(self) -> list[tuple[str, Reason, int]]:
        """Stage, reason and count of every rejection, in the order of the stages."""
        return [(*pair, self.rejected[pair]) for pair in sorted(self.rejected, key=_place)]

    def as_json(self) -> dict[str, object]:
        """For run.json and `--json`."""
        return {
            "candidates": self.candidates,
            "accepted": self.accepted,
            "rejected": [{"stage": stage, "reason": reason, "count": count} for stage, reason, count in self.rows()],
            **({"rewritten": self.rewritten} if self.rewritten else {}),
            **({"tags_lost": self.tags_lost} if self.tags_lost else {}),
        }


def added_up(funnels: Iterable[Funnel]) -> Funnel:
    """The counts of several funnels together."""
    total = Funnel()
    for funnel in funnels:
        total.candidates += funnel.candidates
        total.accepted += funnel.accepted
        total.rejected.update(funnel.rejected)
        total.rewritten += funnel.rewritten
        total.tags_lost += funnel.tags_lost
        total.first = {**funnel.first, **total.first}
    return total


Fate = tuple[str, Reason] | None
"""What became of a candidate: the stage and the reason of its rejection, or None when it was accepted."""

LISTED = 5
"""How many ids are kept of those gained, and of those lost."""


@dataclass(slots=True)
class FunnelDiff:
    """Counts of candidates that were decided twice: their funnels, and candidates by their two fates, where these differ.

    `gained` and `lost` are the first few ids of those accepted only after, or only before, in settled order.
    """

    before: Funnel = field(default_factory=Funnel)
    after: Funnel = field(default_factory=Funnel)
    gained: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    moved: Counter[tuple[Fate, Fate]] = field(default_factory=Counter)

    def add(self, name: str, before: Fate, after: Fate) -> None:
        """One more candidate, by its id."""
        for funnel, fate in ((self.before, before), (self.after, after)):
            if fate is None:
                funnel.accept()
            else:
                funnel.reject(*fate)
        if before != after:
            self.moved[before, after] += 1
        ids = self.gained if after is None else self.lost
        if (before is None) != (after is None) and len(ids) < LISTED:
            ids.append(name)

    @property
    def gained_from(self) -> Counter[tuple[str, Reason]]:
        """What those that are accepted only after had been rejected for."""
        return Counter({old: count for (old, new), count in self.moved.items() if old is not None and new is None})

    @property
    def lost_to(self) -> Counter[tuple[str, Reason]]:
        """What those that were accepted only before are rejected for."""
        return Counter({new: count for (old, new), count in self.moved.items() if old is None and new is not None})

    @property
    def not_asked(self) -> dict[str, int]:
        """Stage to how many candidates it left out because the reply that comes next was never asked for."""
        return {stage: count for stage, reason, count in self.after.rows() if reason == "not asked"}

    def changes(self) -> list[tuple[str, Reason, int, int]]:
        """Stage, reason and how many they rejected, before and after, in the order of the stages."""
        pairs = sorted({*self.before.rejected, *self.after.rejected}, key=_place)
        return [(*pair, self.before.rejected[pair], self.after.rejected[pair]) for pair in pairs]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "gained": _side(self.gained_from, self.gained),
            "lost": _side(self.lost_to, self.lost),
            "not_asked": self.not_asked,
        }


def _place(pair: tuple[str, Reason]) -> tuple[int, str]:
    return STAGES.index(pair[0]), pair[1]


def ranked(fates: Mapping[tuple[str, Reason], int]) -> list[tuple[str, Reason, int]]:
    """Stages and reasons with their counts, the most first, then in the order of the stages."""
    return [(*pair, fates[pair]) for pair in sorted(fates, key=lambda pair: (-fates[pair], _place(pair)))]


def _side(fates: Mapping[tuple[str, Reason], int], ids: list[str]) -> dict[str, Any]:
    by = [{"stage": stage, "reason": reason, "count": count} for stage, reason, count in ranked(fates)]
    return {"count": sum(fates.values()), "by": by, "first_ids": list(ids)}
