"""The report card of the judges: how often they are right, wrong and unreadable on labelled cases, and on what. Pure.

All rates are of the first sampling seed of each case, so that each case counts once and the intervals hold; the other
samples show how well a judge agrees with itself, and nothing else. A reply that cannot be used is a failure and no
verdict: it has a rate of its own and is left out of every other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from evals.judges.ask import Judged
from evals.judges.cases import Origin
from evals.judges.figures import Figures, figures_of, rounded
from evals.judges.fused import Cost, FusedCard, fused_card
from evals.judges.scales import SCALES, passing
from evals.judges.separating import SoftCard, soft_card
from evals.judges.sweep import Sweep, sweep_of
from evals.statistics import Interval, Rate, bootstrap, cohen_kappa, weighted_kappa
from skills_dspy.base.config import RunConfig

_SEED = 0

FEWEST_LABELS = 3
"""From so many labels on there is a threshold to choose, and a distance between labels to weigh."""

Sort = Literal["corruption", "hand", "good"]
"""What may be missed: a seed that was corrupted, a bad case written by hand, a good case of either origin."""


@dataclass(frozen=True, slots=True)
class Missed:
    """How a judge did on the cases that are what they are for one reason.

    Attributes:
        name: a corruption's name, a reason of a case by hand, or `seed`.
        origin: who made the cases.
        good: whether they should pass.
        rate: of the readable verdicts on them, those that are wrong.
    """

    name: str
    origin: Origin
    good: bool
    rate: Rate

    @property
    def sort(self) -> Sort:
        """What it counts as."""
        return "good" if self.good else "corruption" if self.origin == "corruption" else "hand"

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {"name": self.name, "origin": self.origin, "good": self.good, "missed": self.rate.as_json()}


@dataclass(frozen=True, slots=True)
class SelfAgreement:
    """How a judge agrees with itself over sampling seeds.

    Attributes:
        samples: how many seeds.
        pairs: pairs of readable verdicts on the same case.
        decision: share of them with the same decision, 0 to 1.
        label: share of them with the same label, 0 to 1.
    """

    samples: int
    pairs: int
    decision: float
    label: float

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        shares = {"same_decision": rounded(self.decision), "same_label": rounded(self.label)}
        return {"samples": self.samples, "pairs": self.pairs, **shares}


@dataclass(frozen=True, slots=True)
class JudgeCard:
    """One judge or tagger.

    Attributes:
        step: its name.
        all: on all its cases.
        hand, seeds: on those written by hand, and those made from seeds; None where there are none.
        kappa_interval: 95 % of bootstrapped kappas on all its cases lie in it; None where kappa is not defined.
        weighted_kappa: of label and expected label with quadratic weights (Cohen 1968), on cases by hand; None on the 0/1
            scale, or where it is not defined.
        agreement: with itself; None when each case was asked once, or nothing was readable twice.
        missed: all reasons and corruptions, those first of which it is surest that they are missed often.
        soft: whether soft ratings separate better; None where the server gave none.
        sweep: what other thresholds would do; None on the 0/1 scale.
    """

    step: str
    all: Figures
    hand: Figures | None
    seeds: Figures | None
    kappa_interval: Interval | None
    weighted_kappa: float | None
    agreement: SelfAgreement | None
    missed: tuple[Missed, ...]
    soft: SoftCard | None
    sweep: Sweep | None

    def worst(self, sort: Sort) -> Missed | None:
        """What of a sort it misses most; None when it misses nothing of it, or there is nothing of it."""
        return next((row for row in self.missed if row.sort == sort and row.rate.count), None)

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {
            "step": self.step,
            "all": self.all.as_json(),
            "by_hand": None if self.hand is None else self.hand.as_json(),
            "from_seeds": None if self.seeds is None else self.seeds.as_json(),
            "kappa_low": rounded(self.kappa_interval.low if self.kappa_interval else None),
            "kappa_high": rounded(self.kappa_interval.high if self.kappa_interval else None),
            "weighted_kappa_by_hand": rounded(self.weighted_kappa),
            "self_agreement": None if self.agreement is None else self.agreement.as_json(),
            "missed": [row.as_json() for row in self.missed],
            "said": list(in_words(self)),
            "soft": None if self.soft is None else self.soft.as_json(),
            "threshold_sweep": None if self.sweep is None else self.sweep.as_json(),
        }


@dataclass(frozen=True, slots=True)
class ReportCard:
    """All judges that were asked, in the order of SCALES; `fused` is None where the fused tagger was not asked."""

    judges: tuple[JudgeCard, ...]
    fused: FusedCard | None

    def below(self, least: float) -> tuple[JudgeCard, ...]:
        """The judges whose kappa on all cases is below a number, or is not defined."""
        return tuple(card for card in self.judges if card.all.kappa is None or card.all.kappa < least)

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {
            "judges": [card.as_json() for card in self.judges],
            "fused_against_separate": None if self.fused is None else self.fused.as_json(),
        }


def report_card(
    judged: Sequence[Judged], fused: Sequence[Judged], config: RunConfig, costs: Mapping[str, Cost] | None = None
) -> ReportCard:
    """The report card of what judges said.

    Args:
        judged: what each said of its own cases, any number of samples.
        fused: what the fused tagger, and the taggers of difficulty and category, said of cases of tag_instruction_quality.
        config: says which labels pass.
        costs: step to what its calls in `fused`, and those of the first samples of tag_instruction_quality, have cost.
    """
    by_step = {step: [said for said in judged if said.step == step] for step in SCALES}
    cards = tuple(_judge_card(step, said, config) for step, said in by_step.items() if said)
    separate = [said for said in by_step["tag_instruction_quality"] if said.sample == 0]
    return ReportCard(cards, fused_card(separate, fused, config, costs or {}) if separate and fused else None)


def in_words(card: JudgeCard) -> tuple[str, ...]:
    """What a judge misses most, sentence by sentence."""
    words: dict[Sort, str] = {
        "corruption": "Of the corruptions it misses `{0}` most: {1} of {2} let through.",
        "hand": "Of the flaws in cases by hand it misses `{0}` most: {1} of {2} let through.",
        "good": "Of the good cases it wrongs `{0}` most: {1} of {2} rejected.",
    }
    worsts = [worst for sort in words if (worst := card.worst(sort))]
    readable = card.all.accuracy.of
    if not worsts and readable:
        return (f"It decided all {readable} cases right.",)
    return tuple(words[worst.sort].format(worst.name, worst.rate.count, worst.rate.of) for worst in worsts)


def _judge_card(step: str, said: Sequence[Judged], config: RunConfig) -> JudgeCard:
    first = [one for one in said if one.sample == 0]
    passes = passing(step, config)
    by_hand = [one for one in first if one.case.origin == "hand"]
    from_seeds = [one for one in first if one.case.origin != "hand"]
    scaled = len(SCALES[step].labels) >= FEWEST_LABELS
    return JudgeCard(
        step=step,
        all=figures_of(first, passes),
        hand=figures_of(by_hand, passes) if by_hand else None,
        seeds=figures_of(from_seeds, passes) if from_seeds else None,
        kappa_interval=_kappa_interval(first, passes),
        weighted_kappa=_weighted(step, by_hand) if scaled else None,
        agreement=_with_itself(said, passes),
        missed=_missed(first, passes),
        soft=soft_card(first),
        sweep=sweep_of(step, first, config) if scaled else None,
    )


def _kappa_interval(said: Sequence[Judged], passes: Sequence[object]) -> Interval | None:
    decided = [(one.label in passes, one.case.good) for one in said if one.label is not None]

    def kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
        return cohen_kappa([accepts for accepts, _ in pairs], [good for _, good in pairs])

    return bootstrap(decided, kappa, _SEED)


def _weighted(step: str, said: Sequence[Judged]) -> float | None:
    place = SCALES[step].position
    pairs = [(place(one.label), place(one.case.label)) for one in said if one.label is not None]
    return weighted_kappa([given for given, _ in pairs], [wanted for _, wanted in pairs])


def _with_itself(said: Sequence[Judged], passes: Sequence[object]) -> SelfAgreement | None:
    labels: dict[str, list[object]] = {}
    for one in said:
        if one.label is not None:
            labels.setdefault(one.case.id, []).append(one.label)
    pairs = [pair for given in labels.values() for pair in combinations(given, 2)]
    if not pairs:
        return None
    return SelfAgreement(
        samples=len({one.sample for one in said}),
        pairs=len(pairs),
        decision=sum((one in passes) == (other in passes) for one, other in pairs) / len(pairs),
        label=sum(one == other for one, other in pairs) / len(pairs),
    )


def _missed(said: Sequence[Judged], passes: Sequence[object]) -> tuple[Missed, ...]:
    """Sorted by the lower end of the interval, so that one of one missed does not stand before nine of ten."""
    wrong: dict[tuple[str, Origin, bool], list[bool]] = {}
    for one in said:
        if one.label is not None:
            key = (one.case.reason, one.case.origin, one.case.good)
            wrong.setdefault(key, []).append((one.label in passes) != one.case.good)
    rows = [Missed(*key, Rate(sum(missed), len(missed))) for key, missed in wrong.items()]
    return tuple(sorted(rows, key=lambda row: (-row.rate.interval.low, row.name, row.origin, row.good)))
