"""How a judge did on some cases: rates with their intervals and Cohen's kappa; failures are no verdicts. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.judges.ask import Judged
from evals.statistics import Rate, cohen_kappa

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Figures:
    """How a judge did on some cases.

    Attributes:
        cases: how many were asked about.
        accuracy: of the readable verdicts, those that decide as the case wants.
        false_accept: of the bad cases, those let through.
        false_reject: of the good cases, those rejected.
        kappa: Cohen's, of the decision and the truth (Cohen 1960); None where it is not defined.
        failed: of all cases, those that got no readable verdict, twice.
        truncated: how many of these were cut.
    """

    cases: int
    accuracy: Rate
    false_accept: Rate
    false_reject: Rate
    kappa: float | None
    failed: Rate
    truncated: int

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {
            "cases": self.cases,
            "accuracy": self.accuracy.as_json(),
            "false_accept": self.false_accept.as_json(),
            "false_reject": self.false_reject.as_json(),
            "kappa": rounded(self.kappa),
            "unreadable": self.failed.as_json(),
            "of_these_truncated": self.truncated,
        }


def figures_of(said: Sequence[Judged], passes: Sequence[object]) -> Figures:
    """The figures of what was said; each of a different case."""
    readable = [one for one in said if one.label is not None]
    decided = [one.label in passes for one in readable]
    truth = [one.case.good for one in readable]
    right = sum(map(bool.__eq__, decided, truth))
    let_through = sum(accepts and not good for accepts, good in zip(decided, truth, strict=True))
    rejected = sum(good and not accepts for accepts, good in zip(decided, truth, strict=True))
    failures = Counter(one.failure for one in said if one.label is None)
    return Figures(
        cases=len(said),
        accuracy=Rate(right, len(readable)),
        false_accept=Rate(let_through, len(truth) - sum(truth)),
        false_reject=Rate(rejected, sum(truth)),
        kappa=cohen_kappa(decided, truth),
        failed=Rate(failures.total(), len(said)),
        truncated=failures["truncated"],
    )


def rounded(value: float | None) -> float | None:
    """To four decimals, as reports have it."""
    return None if value is None else round(value, _DIGITS)
