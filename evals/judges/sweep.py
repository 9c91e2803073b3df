"""What a judge would let through at other thresholds, and the lines of configuration that choose one. Pure.

What should pass is as the configuration has it and stays so; only where the judge's own rating is cut changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evals.judges.ask import Judged
from evals.judges.figures import figures_of, rounded
from evals.judges.scales import SCALES, Label, passing
from evals.statistics import Rate, cohen_kappa
from skills_dspy.base.config import RunConfig

KEYS: Mapping[str, tuple[str, str]] = {
    "judge_pair_freeform": ("judges", "pair_pass"),
    "judge_pair_grounded": ("judges", "pair_pass"),
    "tag_instruction_quality": ("filter", "instruction_quality"),
    "tag_sample_quality": ("filter", "sample_quality"),
}
"""Step to where the configuration has its threshold; one key serves both judges of pairs."""

ENOUGH = 0.01
"""A threshold is better than the configured one if its kappa is larger by this or more."""

_STEPS = {3: 0.25, 5: 0.5}
"""Labels of the scale to the distance of the soft cuts."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One threshold.

    Attributes:
        accepts: the labels that pass; empty for a cut of the soft rating.
        least: the expected value from which on a soft rating passes; None for a cut of the labels.
        accepted: of all readable verdicts, those that pass.
        false_accept, false_reject, kappa: as in Figures.
        configured: the configuration has this one.
        best: it has the largest kappa of the cuts of its kind; or is the configured one, and no other is better by ENOUGH.
    """

    accepts: tuple[Label, ...]
    least: float | None
    accepted: Rate
    false_accept: Rate
    false_reject: Rate
    kappa: float | None
    configured: bool = False
    best: bool = False

    @property
    def youden(self) -> float | None:
        """Youden's J, from -1 to 1: 1 less both error rates (Youden 1950); None when the cases are all good or all bad."""
        if self.false_accept.value is None or self.false_reject.value is None:
            return None
        return 1.0 - self.false_accept.value - self.false_reject.value

    @property
    def name(self) -> str:
        """What passes, in words."""
        if self.least is not None:
            return f"expected value from {self.least:g}"
        return ", ".join(map(str, self.accepts))

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {
            "accepts": list(self.accepts) if self.least is None else None,
            "expected_from": self.least,
            "accepted": self.accepted.as_json(),
            "false_accept": self.false_accept.as_json(),
            "false_reject": self.false_reject.as_json(),
            "kappa": rounded(self.kappa),
            "youden": rounded(self.youden),
            "configured": self.configured,
            "best_by_kappa": self.best,
        }


@dataclass(frozen=True, slots=True)
class Sweep:
    """All thresholds of one judge.

    Attributes:
        step: its name.
        labels: cuts of the label, the loosest first.
        soft: cuts of the soft rating on the cases that have one; empty where the server gave none.
        rated: how many cases these are.
    """

    step: str
    labels: tuple[Cut, ...]
    soft: tuple[Cut, ...]
    rated: int

    @property
    def best(self) -> Cut | None:
        """The best cut of the label; None where kappa is not defined."""
        return next((cut for cut in self.labels if cut.best), None)

    @property
    def configured(self) -> Cut:
        """The one that the configuration has."""
        return next(cut for cut in self.labels if cut.configured)

    def yaml(self) -> str:
        """The lines that put the best cut into a configuration; empty where there is none."""
        if (best := self.best) is None:
            return ""
        section, key = KEYS[self.step]
        return f"{section}:\n  {key}: [{best.name}]"

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {
            "labels": [cut.as_json() for cut in self.labels],
            "with_soft_rating": self.rated,
            "soft": [cut.as_json() for cut in self.soft],
            "configuration": self.yaml(),
        }


def sweep_of(step: str, said: Sequence[Judged], config: RunConfig) -> Sweep:
    """The sweep of what a step said, each of a different case.

    Args:
        step: one with three labels or more.
        said: failures are left out.
        config: says what should pass, and which threshold is configured.
    """
    labels, configured = SCALES[step].labels, passing(step, config)
    readable = [one for one in said if one.label is not None]
    sets = [labels[start:] for start in range(len(labels))]
    if configured not in sets:
        sets.append(configured)
    cuts = [_label_cut(readable, accepts, accepts == configured) for accepts in sets]
    rated = [one for one in readable if one.soft is not None]
    step_by = _STEPS[len(labels)]
    leasts = [1 + step_by * number for number in range(1, round((len(labels) - 1) / step_by) + 1)]
    soft = [_soft_cut(rated, least) for least in leasts] if rated else []
    return Sweep(step, _best_marked(cuts), _best_marked(soft), len(rated))


def _label_cut(said: Sequence[Judged], accepts: tuple[Label, ...], configured: bool) -> Cut:
    figures = figures_of(said, accepts)
    accepted = sum(one.label in accepts for one in said)
    return Cut(accepts, None, Rate(accepted, len(said)), figures.false_accept, figures.false_reject, figures.kappa, configured)


def _soft_cut(said: Sequence[Judged], least: float) -> Cut:
    # An expected value is rounded to six decimals: one that is the cut itself passes.
    passed = [one.soft is not None and one.soft.expected >= least - 1e-6 for one in said]
    truth = [one.case.good for one in said]
    let_through = sum(accepts and not good for accepts, good in zip(passed, truth, strict=True))
    rejected = sum(good and not accepts for accepts, good in zip(passed, truth, strict=True))
    return Cut(
        accepts=(),
        least=least,
        accepted=Rate(sum(passed), len(passed)),
        false_accept=Rate(let_through, len(truth) - sum(truth)),
        false_reject=Rate(rejected, sum(truth)),
        kappa=cohen_kappa(passed, truth),
    )


def _best_marked(cuts: Sequence[Cut]) -> tuple[Cut, ...]:
    """The cuts with the best one marked: by kappa, then the configured one, then the stricter one."""
    told = {place: cut.kappa for place, cut in enumerate(cuts) if cut.kappa is not None}
    if not told:
        return tuple(cuts)
    best = max(told, key=lambda place: (told[place], place))
    for place, cut in enumerate(cuts):
        if cut.configured and told.get(place, -1.0) > told[best] - ENOUGH:
            best = place
    return tuple(replace(cut, best=True) if place == best else cut for place, cut in enumerate(cuts))
