"""The fused tagger against the separate ones on the same cases: agreement, who is right, what each costs. Pure.

What a question's difficulty and category truly are nobody has written down, so for these there is agreement and no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evals.figures.statistics import Rate, bootstrap, cohen_kappa
from evals.judges.ask import FUSED, UNFILTERED_TAGS, Judged
from evals.judges.cases import SCALE_OF_STEP
from skills_dspy.base.config import RunConfig
from skills_dspy.base.scales import DIFFICULTY
from skills_dspy.model.steps import STEPS

SEPARATE = "tag_instruction_quality"
"""The step whose rating the fused tagger gives, too."""
_SEED = 0


@dataclass(frozen=True, slots=True)
class StepTokens:
    """What the calls of a step have cost, by the server's count, second tries included, and if known for each case."""

    calls: int
    prompt_tokens: int
    output_tokens: int
    tokens_per_case: float | None = None

    @property
    def tokens(self) -> int:
        """Those of prompts and replies."""
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class TagAgreement:
    """How often two taggers give the same label, of the cases that both gave a readable reply on.

    `kappa` has quadratic weights for labels of a scale, and none for those without an order.
    """

    same_label: Rate
    kappa: float | None


@dataclass(frozen=True, slots=True)
class QualityAgreement(TagAgreement):
    """The same of the instruction's quality, whose true label is known.

    Attributes:
        same_decision, decision_kappa: on whether a case passes.
        separate_accuracy, fused_accuracy: of each on the cases that both gave a readable reply on.
        difference, low, high: of these accuracies, fused less separate, with its 95 % interval (paired bootstrap).
    """

    same_decision: Rate
    decision_kappa: float | None
    separate_accuracy: Rate
    fused_accuracy: Rate
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class FusedCard:
    """The comparison on the cases that both were asked about.

    Attributes:
        costs: step to what its calls about these cases have cost; empty where nothing is known.
        fused_is_cheaper_from_accepted_share: from which share of accepted questions on fused tags are cheaper, in tokens: 0
            or less always, above 1 never; None where a cost is unknown. A run asks for the separate tags of difficulty and
            category only once a pair has passed everything else, and for the fused ones with every question that passes.
    """

    cases: int
    instruction_quality: QualityAgreement
    separate_unreadable: Rate
    fused_unreadable: Rate
    difficulty: TagAgreement
    category: TagAgreement
    costs: Mapping[str, StepTokens]
    fused_is_cheaper_from_accepted_share: float | None
    said: tuple[str, ...]


def fused_card(
    separate: Sequence[Judged], others: Sequence[Judged], config: RunConfig, costs: Mapping[str, StepTokens]
) -> FusedCard | None:
    """Return the comparison; None when the fused tagger was asked about none of the cases.

    Args:
        separate: the verdicts of tag_instruction_quality, each of a different case.
        others: those of tag_fused, tag_difficulty and tag_category on the same cases.
        config: says which labels pass.
        costs: of steps, of which only these four count.
    """
    by_step = {step: {one.case.id: one for one in others if one.step == step} for step in (FUSED, *UNFILTERED_TAGS)}
    fused = by_step[FUSED]
    both = [(one, fused[one.case.id]) for one in separate if one.case.id in fused]
    if not both:
        return None
    quality = _quality(both, STEPS[SEPARATE].passing(config))
    steps = [step for step in (SEPARATE, FUSED, *UNFILTERED_TAGS) if step in costs]
    spent = {step: replace(costs[step], tokens_per_case=costs[step].tokens / len(both)) for step in steps}
    one, other, rest = (tokens_for_each(spent, len(both), *step) for step in ((SEPARATE,), (FUSED,), UNFILTERED_TAGS))
    share = (other - one) / rest if one is not None and other is not None and rest else None
    return FusedCard(
        cases=len(both),
        instruction_quality=quality,
        separate_unreadable=Rate(sum(one.label is None for one, _ in both), len(both)),
        fused_unreadable=Rate(sum(other.label is None for _, other in both), len(both)),
        difficulty=_agreement(_pairs(fused, by_step["tag_difficulty"], "difficulty"), DIFFICULTY.labels),
        category=_agreement(_pairs(fused, by_step["tag_category"], "category")),
        costs=spent,
        fused_is_cheaper_from_accepted_share=share,
        said=(*_on_accuracy(quality), *_on_cost(share)),
    )


def tokens_for_each(costs: Mapping[str, StepTokens], cases: int, *steps: str) -> float | None:
    """Return the tokens of some steps for each of some cases; None where a cost is unknown."""
    return sum(costs[step].tokens for step in steps) / cases if all(step in costs for step in steps) else None


def _quality(both: Sequence[tuple[Judged, Judged]], passes: Sequence[object]) -> QualityAgreement:
    readable = [(one, other) for one, other in both if one.label is not None and other.label is not None]
    label = _agreement([(one.label, other.label) for one, other in readable], SCALE_OF_STEP[SEPARATE].labels)
    decision = _agreement([(one.label in passes, other.label in passes) for one, other in readable])
    right = [tuple((said.label in passes) == said.case.good for said in pair) for pair in readable]
    gains = [float(other) - float(one) for one, other in right]
    spread = bootstrap(gains, lambda drawn: sum(drawn) / len(drawn), _SEED)
    separate, fused = (Rate(sum(one[place] for one in right), len(right)) for place in (0, 1))
    return QualityAgreement(
        same_label=label.same_label,
        kappa=label.kappa,
        same_decision=decision.same_label,
        decision_kappa=decision.kappa,
        separate_accuracy=separate,
        fused_accuracy=fused,
        difference=None if fused.value is None or separate.value is None else fused.value - separate.value,
        low=spread.low if spread else None,
        high=spread.high if spread else None,
    )


def _pairs(fused: Mapping[str, Judged], own: Mapping[str, Judged], field: str) -> list[tuple[object, object]]:
    """The labels of one field by the fused tagger and by its own, where both are readable."""
    both = [(fused[name], one) for name, one in own.items() if name in fused]
    return [(one.values[field], other.label) for one, other in both if one.label is not None and other.label is not None]


def _agreement(pairs: Sequence[tuple[object, object]], scale: Sequence[object] | None = None) -> TagAgreement:
    same = Rate(sum(one == other for one, other in pairs), len(pairs))
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    if scale is None:
        return TagAgreement(same, cohen_kappa(first, second))
    places, others = ([scale.index(label) for label in labels] for labels in (first, second))
    return TagAgreement(same, cohen_kappa(places, others, "quadratic"))


def _on_accuracy(quality: QualityAgreement) -> tuple[str, ...]:
    if quality.low is None or quality.high is None:
        return ()
    if quality.low <= 0 <= quality.high:
        return ("Which of the two decides right more often cannot be told from these cases.",)
    return (f"The fused tagger decides right {'more' if quality.low > 0 else 'less'} often than the separate one.",)


def _on_cost(share: float | None) -> tuple[str, ...]:
    if share is None:
        return ()
    if share >= 1:
        return ("Separate tags take fewer tokens, however many questions end as accepted pairs.",)
    if share <= 0:
        return ("Fused tags take fewer tokens, however few questions end as accepted pairs.",)
    return (
        f"Fused tags take fewer tokens when more than {100 * share:.0f} % of the questions that the judge passes end "
        "as accepted pairs; separate ones when fewer do.",
    )
