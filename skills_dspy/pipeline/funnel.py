"""The funnel: what became of every settled candidate, stage by stage, and the yield that follows from it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from skills_dspy.base.records import Reason

LABELS = {
    "write_context": "context",
    "write_questions": "questions",
    "dedup": "dedup",
    "decontamination": "contaminated",
    "judge_question": "question judge",
    "instruction_quality": "instruction",
    "write_answer": "answer",
    "answer_decontamination": "contaminated answer",
    "judge_pair": "pair judge",
    "sample_quality": "sample",
    "difficulty": "difficulty",
    "category": "category",
}
"""Stage to what a line of progress calls it, where space is short."""

STAGES = tuple(LABELS)
"""Where a candidate can be rejected, in the order in which it is decided."""
SELDOM = ("write_context", "write_questions", "decontamination", "answer_decontamination", "difficulty", "category")
"""Stages that most runs lose nobody at, or do not have: a table needs them only where they rejected something."""


@dataclass(slots=True)
class Funnel:
    """Counts of settled candidates; `candidates == accepted + rejections` always holds."""

    candidates: int = 0
    accepted: int = 0
    rejected: Counter[tuple[str, Reason]] = field(default_factory=Counter)

    def accept(self) -> None:
        """One more candidate, accepted."""
        self.candidates += 1
        self.accepted += 1

    def reject(self, stage: str, reason: Reason) -> None:
        """One more candidate, rejected at a stage of STAGES."""
        if stage not in STAGES:
            raise ValueError(f"{stage!r} is no stage")
        self.candidates += 1
        self.rejected[stage, reason] += 1

    def rejections(self, stage: str) -> int:
        """How many were rejected at this stage."""
        return sum(count for (at, _), count in self.rejected.items() if at == stage)

    def reached(self, stage: str) -> int:
        """How many came as far as this stage."""
        before = STAGES[: STAGES.index(stage)]
        return self.candidates - sum(self.rejections(earlier) for earlier in before)

    def chances(self) -> dict[str, float]:
        """Stage to the chance, 0 to 1, that a candidate which came as far will be accepted.

        The rule of succession (Laplace): one half before anything has settled, then ever nearer to the measured share.
        """
        lost: Counter[str] = Counter()
        for (stage, _), count in self.rejected.items():
            lost[stage] += count
        chances, reached = {}, self.candidates
        for stage in STAGES:
            chances[stage] = (self.accepted + 1) / (reached + 2)
            reached -= lost[stage]
        return chances

    def rows(self) -> list[tuple[str, Reason, int]]:
        """Stage, reason and count of every rejection, in the order of the stages."""
        return sorted(
            ((stage, reason, count) for (stage, reason), count in self.rejected.items()),
            key=lambda row: (STAGES.index(row[0]), row[1]),
        )

    def as_json(self) -> dict[str, object]:
        """For run.json and `--json`."""
        return {
            "candidates": self.candidates,
            "accepted": self.accepted,
            "rejected": [{"stage": stage, "reason": reason, "count": count} for stage, reason, count in self.rows()],
        }


def added_up(funnels: Iterable[Funnel]) -> Funnel:
    """The counts of several funnels together."""
    total = Funnel()
    for funnel in funnels:
        total.candidates += funnel.candidates
        total.accepted += funnel.accepted
        total.rejected.update(funnel.rejected)
    return total
