"""Two funnels over the same candidates, side by side: what changes stage by stage, who is gained and who is lost."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skills_dspy.base.records import Reason
from skills_dspy.pipeline.funnel import STAGES, Funnel

Fate = tuple[str, Reason] | None
"""What became of a candidate: the stage and the reason of its rejection, or None when it was accepted."""

LISTED = 5
"""How many ids are kept of those gained, and of those lost."""


@dataclass(frozen=True, slots=True)
class Change:
    """How many candidates one stage rejected for one reason, before and after."""

    stage: str
    reason: Reason
    before: int
    after: int


@dataclass(slots=True)
class FunnelDiff:
    """Counts of candidates that were decided twice.

    Attributes:
        before, after: the funnels.
        gained, lost: the first few ids of those accepted only after, or only before, in settled order.
        moved: candidates by their two fates, where these differ.
    """

    before: Funnel = field(default_factory=Funnel)
    after: Funnel = field(default_factory=Funnel)
    gained: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    moved: Counter[tuple[Fate, Fate]] = field(default_factory=Counter)

    def add(self, name: str, before: Fate, after: Fate) -> None:
        """One more candidate, by its id.

        Raises:
            ValueError: a fate's stage is none.
        """
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

    def changes(self) -> list[Change]:
        """Every stage and reason that rejects anybody, before or after, in the order of the stages."""
        pairs = sorted({*self.before.rejected, *self.after.rejected}, key=_place)
        return [Change(*pair, self.before.rejected[pair], self.after.rejected[pair]) for pair in pairs]

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
