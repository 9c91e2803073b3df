"""The report card of the judges: how often they are right, wrong and unreadable on labelled cases, and on what. Pure.

All rates are of the first sampling seed of each case, so that each case counts once and the intervals hold; the other
samples show how well a judge agrees with itself, and nothing else. A reply that cannot be used is a failure and no
verdict: it has a rate of its own and is left out of every other.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any, Literal

from evals.figures.statistics import Rate, auc, auc_gap_interval, cohen_kappa, items_to_halve, kappa_interval
from evals.figures.tables import as_json
from evals.judges.ask import Figures, Judged, figures_of
from evals.judges.cases import ACCEPTED, ANSWER_ALONE, EDITED, IN_WORDS, SCALE_OF_STEP, CaseOrigin
from evals.judges.fused import FusedCard, StepTokens, fused_card
from evals.judges.sweep import Sweep, sweep_of
from skills_dspy.base.config import RunConfig
from skills_dspy.model.steps import STEPS

_SEED = 0
_NAMED = 5  # rows that a judge and a person see otherwise
_FEWEST_LABELS = 3  # for a threshold to choose, and a distance between labels to weigh
_VERDICTS_OF_REVIEWS = {
    EDITED: "the rows that you edited",
    IN_WORDS: "the rows that you rejected in your own words",
    ACCEPTED: "the rows that you accepted",
    ANSWER_ALONE: "the questions whose answer alone you rejected",
}
SAME = 0.02  # differences of AUC within this are too small to matter: the two separate alike

Verdict = Literal["better", "no better", "cannot be told"]

_VERDICTS: Mapping[Verdict, str] = {
    "better": "The soft rating separates good from bad better than the label.",
    "no better": "The soft rating separates good from bad no better than the label.",
    "cannot be told": "These cases do not tell whether the soft rating separates good from bad better than the label.",
}


@dataclass(frozen=True, slots=True)
class ReasonFigures:
    """How a judge does on the cases that are what they are for one reason: a corruption, one of cases by hand, or `seed`.

    `missed` are those of the readable verdicts that are wrong.
    """

    name: str
    origin: CaseOrigin
    good: bool
    missed: Rate


@dataclass(frozen=True, slots=True)
class SelfAgreement:
    """How a judge agrees with itself over so many sampling seeds, as shares of the pairs of readable verdicts on one case."""

    samples: int
    pairs: int
    same_decision: float
    same_label: float


@dataclass(frozen=True, slots=True)
class SoftCard:
    """Whether the soft rating separates good cases from bad ones better than the label does, on the same cases.

    Both are measured by the area under the ROC curve (AUC): of the label's place on the scale, which has few values and so many
    ties, and of the expected value of the labels' probabilities (G-Eval, Liu et al. 2023).

    Attributes:
        replies, with_soft_rating: readable replies, and those that have a soft rating; the rest is about these.
        label_auc, soft_auc: None when all cases are good or all bad.
        difference, low, high: soft less label, with its 95 % interval (bootstrap).
        verdict: better, if the whole interval is above 0; no better, if it is at most SAME above 0; `said` is its sentence.
    """

    replies: int
    with_soft_rating: int
    label_auc: float | None
    soft_auc: float | None
    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    said: str


@dataclass(frozen=True, slots=True)
class JudgeCard:
    """One judge or tagger.

    Attributes:
        all, by_hand, from_seeds: on all its cases, and those written by hand or made from seeds; None where there are none.
        of_models: the same for replies of models; as JSON it stands there only where there are some.
        kappa_low, kappa_high: 95 % of bootstrapped kappas on all its cases lie between; None where kappa is not defined, or the
            judge or the labels always say the same.
        weighted_kappa_by_hand: of label and expected label with quadratic weights, on cases by hand; None on the 0/1 scale.
        self_agreement, soft: None when nothing was readable twice, or the server gave no soft ratings.
        missed: all reasons and corruptions, those first of which it is surest that they are missed often; `said` says the most.
        threshold_sweep: what other thresholds would do; None on the 0/1 scale.
        of_reviews, more_reviews: the figures on rows that a person looked at, and about how many more of these would halve the
            interval of kappa on them; as JSON they stand there only where there are such rows.
    """

    step: str
    all: Figures
    by_hand: Figures | None
    from_seeds: Figures | None
    kappa_low: float | None
    kappa_high: float | None
    weighted_kappa_by_hand: float | None
    self_agreement: SelfAgreement | None
    missed: tuple[ReasonFigures, ...]
    said: tuple[str, ...]
    soft: SoftCard | None
    threshold_sweep: Sweep | None
    of_models: Figures | None = None
    of_reviews: Figures | None = None
    more_reviews: int | None = None

    def as_json(self) -> dict[str, Any]:
        """All fields, and what is of models or reviews only where there are such cases."""
        left_out = {"of_models"} if self.of_models is None else set()
        left_out |= {"of_reviews", "more_reviews"} if self.of_reviews is None else set()
        return {each.name: as_json(getattr(self, each.name)) for each in fields(self) if each.name not in left_out}


@dataclass(frozen=True, slots=True)
class ReportCard:
    """All judges that were asked, in the order of SCALE_OF_STEP, and the fused tagger where it was."""

    judges: tuple[JudgeCard, ...]
    fused_against_separate: FusedCard | None

    @property
    def empty(self) -> bool:
        """Whether no judge gave a verdict that can be read."""
        return all(card.all.unreadable.count == card.all.cases for card in self.judges)

    def below(self, least: float) -> tuple[JudgeCard, ...]:
        """The judges whose kappa on all cases is below a number, or is not defined."""
        return tuple(card for card in self.judges if card.all.kappa is None or card.all.kappa < least)


def report_card(
    judged: Sequence[Judged], fused: Sequence[Judged], config: RunConfig, costs: Mapping[str, StepTokens] | None = None
) -> ReportCard:
    """Return the report card of some verdicts.

    Args:
        judged: of each judge on its own cases, any number of samples.
        fused: of the fused tagger, and the taggers of difficulty and category, on cases of tag_instruction_quality.
        config: says which labels pass.
        costs: of `fused`, and of the first samples of tag_instruction_quality, by step.
    """
    by_step = {step: [one for one in judged if one.step == step] for step in SCALE_OF_STEP}
    cards = tuple(_judge_card(step, verdicts, config) for step, verdicts in by_step.items() if verdicts)
    separate = [one for one in by_step["tag_instruction_quality"] if one.sample == 0]
    return ReportCard(cards, fused_card(separate, fused, config, costs or {}) if separate and fused else None)


def _judge_card(step: str, judged: Sequence[Judged], config: RunConfig) -> JudgeCard:
    first = [one for one in judged if one.sample == 0]
    accepted = STEPS[step].passing(config)
    by_hand = [one for one in first if one.case.origin == "hand"]
    of_models = [one for one in first if one.case.origin == "reply"]
    reviewed = [one for one in first if one.case.origin == "review"]
    looked_at = [(one.label in accepted, one.case.good) for one in reviewed if one.label is not None]
    from_seeds = [one for one in first if not one.case.labelled]
    place, scaled = SCALE_OF_STEP[step].position, len(SCALE_OF_STEP[step].labels) >= _FEWEST_LABELS
    readable = [one for one in first if one.label is not None]
    places = [(place(one.label), place(one.case.label)) for one in by_hand if one.label is not None]
    given, wanted = ([pair[at] for pair in places] for at in (0, 1))
    spread = kappa_interval([one.label in accepted for one in readable], [one.case.good for one in readable], _SEED)

    def figures(some: Sequence[Judged]) -> Figures:
        return figures_of(some, [one.label in accepted for one in some])

    missed = _missed(readable, accepted)
    return JudgeCard(
        step=step,
        all=figures(first),
        by_hand=figures(by_hand) if by_hand else None,
        from_seeds=figures(from_seeds) if from_seeds else None,
        kappa_low=spread.low if spread else None,
        kappa_high=spread.high if spread else None,
        weighted_kappa_by_hand=cohen_kappa(given, wanted, "quadratic") if scaled else None,
        self_agreement=_with_itself(judged, accepted),
        missed=missed,
        said=(*_sentences(missed, len(readable)), *_wrong_rows(reviewed, accepted)),
        soft=_soft_card(step, readable),
        threshold_sweep=sweep_of(step, first, config) if scaled else None,
        of_models=figures(of_models) if of_models else None,
        of_reviews=figures(reviewed) if reviewed else None,
        more_reviews=items_to_halve([passed for passed, _ in looked_at], [good for _, good in looked_at], _SEED),
    )


def _with_itself(judged: Sequence[Judged], accepted: Sequence[object]) -> SelfAgreement | None:
    labels = defaultdict[str, list[object]](list)
    for one in judged:
        if one.label is not None:
            labels[one.case.id].append(one.label)
    pairs = [pair for given in labels.values() for pair in combinations(given, 2)]
    if not pairs:
        return None
    return SelfAgreement(
        samples=len({one.sample for one in judged}),
        pairs=len(pairs),
        same_decision=sum((one in accepted) == (other in accepted) for one, other in pairs) / len(pairs),
        same_label=sum(one == other for one, other in pairs) / len(pairs),
    )


def _missed(readable: Sequence[Judged], accepted: Sequence[object]) -> tuple[ReasonFigures, ...]:
    """Sorted by the lower end of the interval, so that one of one missed does not stand before nine of ten."""
    wrong = defaultdict[tuple[str, CaseOrigin, bool], list[bool]](list)
    for one in readable:
        wrong[one.case.reason, one.case.origin, one.case.good].append((one.label in accepted) != one.case.good)
    rows = [ReasonFigures(*key, Rate(sum(missed), len(missed))) for key, missed in wrong.items()]
    return tuple(sorted(rows, key=lambda row: (-row.missed.interval.low, row.name, row.origin, row.good)))


def _sentences(missed: Sequence[ReasonFigures], readable: int) -> tuple[str, ...]:
    """What a judge misses most: among corruptions, among bad cases by hand, among bad replies of models, among good cases."""
    flaws = [row for row in missed if row.name not in _VERDICTS_OF_REVIEWS]
    kinds: tuple[tuple[str, str, Callable[[ReasonFigures], bool]], ...] = (
        ("Of the corruptions it misses", "let through", lambda row: not row.good and row.origin == "corruption"),
        ("Of the flaws in cases by hand it misses", "let through", lambda row: not row.good and row.origin == "hand"),
        ("Of the flaws in replies of models it misses", "let through", lambda row: not row.good and row.origin == "reply"),
        ("Of the flaws that you found it misses", "let through", lambda row: not row.good and row.origin == "review"),
        ("Of the good cases it wrongs", "rejected", lambda row: row.good),
    )
    worst = ((begin, [row for row in flaws if wanted(row) and row.missed.count][:1], end) for begin, end, wanted in kinds)
    found = [
        f"{begin} `{row.name}` most: {row.missed.count} of {row.missed.of} {end}." for begin, rows, end in worst for row in rows
    ]
    found += [
        f"Of {those} it {'rejected' if row.good else 'let through'} {row.missed.count} of {row.missed.of}."
        for row in missed
        if row.missed.count and (those := _VERDICTS_OF_REVIEWS.get(row.name))
    ]
    return tuple(found) if found or not readable else (f"It decided all {readable} cases right.",)


def _wrong_rows(reviewed: Sequence[Judged], accepted: Sequence[object]) -> Iterator[str]:
    """Which rows a judge and a person see otherwise, the first few by their ids."""
    wrong = [one for one in reviewed if one.label is not None and (one.label in accepted) != one.case.good]
    for begin, good in (("It let through what you would not", False), ("It rejected what you would let through", True)):
        ids = [one.case.id.rpartition("/review-")[2] for one in wrong if one.case.good is good]
        if ids:
            yield f"{begin}: {', '.join(ids[:_NAMED])}{f' and {len(ids) - _NAMED} more' * (len(ids) > _NAMED)} (see `explain`)."


def _soft_card(step: str, readable: Sequence[Judged]) -> SoftCard | None:
    """None when no reply has a soft rating."""
    place = SCALE_OF_STEP[step].position
    rated = [
        (one.case.good, float(place(one.label)), one.soft.expected)
        for one in readable
        if one.soft is not None and one.label is not None
    ]
    if not rated:
        return None
    good, labels, expected = ([row[column] for row in rated] for column in range(3))
    label, soft = auc(labels, good), auc(expected, good)
    gap = None if label is None or soft is None else soft - label
    spread = None if gap is None else auc_gap_interval(labels, expected, [bool(each) for each in good], _SEED)
    verdict: Verdict = "cannot be told"
    if spread is not None and spread.low > 0:
        verdict = "better"
    elif spread is not None and spread.high <= SAME:
        verdict = "no better"
    low, high = (None, None) if spread is None else (spread.low, spread.high)
    return SoftCard(len(readable), len(rated), label, soft, gap, low, high, verdict, _VERDICTS[verdict])
