"""What a judge would let through at other thresholds, and the lines of configuration that choose one. Pure.

What should pass is as the configuration has it and stays so; only where the judge's own rating is cut changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evals.figures.statistics import Rate
from evals.judges.ask import Judged, figures_of
from evals.judges.cases import SCALE_OF_STEP
from skills_dspy.base.config import RunConfig
from skills_dspy.base.scales import PAIR, QUALITY, SAMPLE, Label
from skills_dspy.model.steps import STEPS

KEYS = {PAIR: ("judges", "pair_pass"), QUALITY: ("filter", "instruction_quality"), SAMPLE: ("filter", "sample_quality")}
"""Where the configuration has the threshold of a scale; one key serves both judges of pairs."""

ENOUGH = 0.01  # by so much the kappa of a threshold has to be larger to be better than the configured one
_STRIDES = {3: 0.25, 5: 0.5}  # labels of the scale to the distance of the soft cuts


@dataclass(frozen=True, slots=True)
class Cut:
    """One threshold.

    Attributes:
        accepts, expected_from: the labels that pass, or the expected value from which on a soft rating does; the other is None.
        accepted: of all readable verdicts, those that pass.
        false_accept, false_reject, kappa: as in Figures.
        youden: J, from -1 to 1: 1 less both error rates (Youden 1950); None when the cases are all good or all bad.
        configured: the configuration has this one.
        best_by_kappa: of its kind, it has the largest kappa; or is the configured one, and no other is better by ENOUGH.
    """

    accepts: tuple[Label, ...] | None
    expected_from: float | None
    accepted: Rate
    false_accept: Rate
    false_reject: Rate
    kappa: float | None
    youden: float | None
    configured: bool = False
    best_by_kappa: bool = False

    @property
    def labels(self) -> str:
        """The labels that pass, as the configuration has them."""
        return ", ".join(map(str, self.accepts or ()))


@dataclass(frozen=True, slots=True)
class Sweep:
    """All thresholds of one judge.

    Attributes:
        labels: cuts of the label, the loosest first.
        with_soft_rating, soft: how many cases have a soft rating, and cuts of it on these.
        configuration: the lines that put the best cut of the label into a configuration; empty where none is known.
    """

    labels: tuple[Cut, ...]
    with_soft_rating: int
    soft: tuple[Cut, ...]
    configuration: str

    @property
    def best(self) -> Cut | None:
        """The best cut of the label; None where kappa is not defined."""
        return next((cut for cut in self.labels if cut.best_by_kappa), None)

    @property
    def configured(self) -> Cut:
        """The one that the configuration has."""
        return next(cut for cut in self.labels if cut.configured)


def sweep_of(step: str, judged: Sequence[Judged], config: RunConfig) -> Sweep:
    """Return the sweep of verdicts, each of a different case, of a step with three labels or more; failures are left out."""
    labels, configured = SCALE_OF_STEP[step].labels, STEPS[step].passing(config)
    readable = [one for one in judged if one.label is not None]
    sets = [labels[start:] for start in range(len(labels))]
    if configured not in sets:
        sets.append(configured)
    cuts = [_cut(readable, [one.label in accepts for one in readable]) for accepts in sets]
    cuts = [replace(cut, accepts=accepts, configured=accepts == configured) for cut, accepts in zip(cuts, sets, strict=True)]
    rated, stride = [one for one in readable if one.soft is not None], _STRIDES[len(labels)]
    leasts = [1 + stride * number for number in range(1, round((len(labels) - 1) / stride) + 1)] if rated else []
    expected = [one.soft.expected for one in rated if one.soft is not None]
    # It is rounded to six decimals: one that is the cut itself passes.
    soft = [_cut(rated, [value >= least - 1e-6 for value in expected]) for least in leasts]
    soft = [replace(cut, expected_from=least) for cut, least in zip(soft, leasts, strict=True)]
    sweep, (section, key) = Sweep(_best_marked(cuts), len(rated), _best_marked(soft), ""), KEYS[SCALE_OF_STEP[step]]
    return replace(sweep, configuration=f"{section}:\n  {key}: [{sweep.best.labels}]") if sweep.best else sweep


def _cut(judged: Sequence[Judged], passed: Sequence[bool]) -> Cut:
    figures = figures_of(judged, passed)
    wrong, lost = figures.false_accept, figures.false_reject
    youden = None if wrong.value is None or lost.value is None else 1.0 - wrong.value - lost.value
    return Cut(None, None, Rate(sum(passed), len(judged)), wrong, lost, figures.kappa, youden)


def _best_marked(cuts: Sequence[Cut]) -> tuple[Cut, ...]:
    """The cuts with the best one marked: by kappa, then the configured one, then the stricter one."""
    kappas = {place: cut.kappa for place, cut in enumerate(cuts) if cut.kappa is not None}
    if not kappas:
        return tuple(cuts)
    largest = max(kappas.values())
    configured = [place for place, kappa in kappas.items() if cuts[place].configured and kappa > largest - ENOUGH]
    (best,) = configured or [max(place for place, kappa in kappas.items() if kappa == largest)]
    return tuple(replace(cut, best_by_kappa=True) if place == best else cut for place, cut in enumerate(cuts))
