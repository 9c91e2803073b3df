"""The fused tagger against the separate ones on the same cases: agreement, who is right, what each costs. Pure.

What a question's difficulty and category truly are nobody has written down, so for these there is agreement and no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.judges.ask import DESCRIBING, FUSED, Judged
from evals.judges.figures import rounded
from evals.judges.scales import SCALES, passing
from evals.statistics import Interval, Rate, cohen_kappa, paired_bootstrap, weighted_kappa
from skills_dspy.base.config import RunConfig
from skills_dspy.base.scales import DIFFICULTY

SEPARATE = "tag_instruction_quality"
"""The step whose rating the fused tagger gives, too."""

_SEED = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls have cost, by the server's count; a second try counts as a call of its own."""

    calls: int
    prompt_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        """Of prompts and replies."""
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class TagAgreement:
    """How often two taggers give the same label.

    Attributes:
        same: of the cases that both gave a readable reply on.
        kappa: beyond chance; with quadratic weights for labels of a scale, Cohen's for those without an order.
    """

    same: Rate
    kappa: float | None

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {"same_label": self.same.as_json(), "kappa": rounded(self.kappa)}


@dataclass(frozen=True, slots=True)
class FusedCard:
    """The comparison.

    Attributes:
        cases: how many both were asked about.
        quality: agreement on the label of the instruction's quality.
        decision: cases on which both let pass, or both reject.
        decision_kappa: Cohen's, of the two decisions.
        separate, fused: accuracy of each on the cases that both gave a readable reply on.
        difference: of these accuracies, fused less separate, with the 95 % interval (paired bootstrap); None without cases.
        separate_failed, fused_failed: of all cases, those without a readable reply.
        described: difficulty and category to the agreement of the two.
        costs: step to what its calls about these cases have cost; empty where nothing is known.
    """

    cases: int
    quality: TagAgreement
    decision: Rate
    decision_kappa: float | None
    separate: Rate
    fused: Rate
    difference: Interval | None
    separate_failed: Rate
    fused_failed: Rate
    described: Mapping[str, TagAgreement]
    costs: Mapping[str, Cost]

    def tokens(self, *steps: str) -> float | None:
        """Tokens of some steps for each case; None where a cost is unknown."""
        if not self.cases or any(step not in self.costs for step in steps):
            return None
        return sum(self.costs[step].tokens for step in steps) / self.cases

    @property
    def break_even(self) -> float | None:
        """From which share of accepted questions on fused tags are cheaper, in tokens: 0 or less always, above 1 never.

        A run asks for the separate tags of difficulty and category only once a pair has passed everything else, and for the
        fused ones with every question that the judge passes. None where a cost is unknown.
        """
        fused, separate, rest = self.tokens(FUSED), self.tokens(SEPARATE), self.tokens(*DESCRIBING)
        return (fused - separate) / rest if fused is not None and separate is not None and rest else None

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        gap = None if self.fused.value is None or self.separate.value is None else self.fused.value - self.separate.value
        return {
            "cases": self.cases,
            "instruction_quality": {
                **self.quality.as_json(),
                "same_decision": self.decision.as_json(),
                "decision_kappa": rounded(self.decision_kappa),
                "separate_accuracy": self.separate.as_json(),
                "fused_accuracy": self.fused.as_json(),
                "difference": rounded(gap),
                "low": rounded(self.difference.low if self.difference else None),
                "high": rounded(self.difference.high if self.difference else None),
            },
            "separate_unreadable": self.separate_failed.as_json(),
            "fused_unreadable": self.fused_failed.as_json(),
            **{name: agreement.as_json() for name, agreement in self.described.items()},
            "costs": {
                step: {
                    "calls": cost.calls,
                    "prompt_tokens": cost.prompt_tokens,
                    "output_tokens": cost.output_tokens,
                    "tokens_per_case": rounded(self.tokens(step)),
                }
                for step, cost in self.costs.items()
            },
            "fused_is_cheaper_from_accepted_share": rounded(self.break_even),
            "said": list(in_words(self)),
        }


def fused_card(
    separate: Sequence[Judged], asked: Sequence[Judged], config: RunConfig, costs: Mapping[str, Cost]
) -> FusedCard | None:
    """The comparison; None when the fused tagger was asked about none of the cases.

    Args:
        separate: what tag_instruction_quality said, each of a different case.
        asked: what tag_fused, tag_difficulty and tag_category said of the same cases.
        config: says which labels pass.
        costs: see FusedCard; other steps are left out.
    """
    said = {step: {one.case.id: one for one in asked if one.step == step} for step in (FUSED, *DESCRIBING)}
    both = [(one, said[FUSED][one.case.id]) for one in separate if one.case.id in said[FUSED]]
    if not both:
        return None
    readable = [(one, other) for one, other in both if one.label is not None and other.label is not None]
    passes, place = passing(SEPARATE, config), SCALES[SEPARATE].position
    decided = [(one.label in passes, other.label in passes) for one, other in readable]
    places = [
        (place(one.label), place(other.label)) for one, other in readable if one.label is not None and other.label is not None
    ]
    right = [
        (accepts == one.case.good, fused_accepts == one.case.good)
        for (one, _), (accepts, fused_accepts) in zip(readable, decided, strict=True)
    ]
    first, second = [float(one) for one, _ in right], [float(other) for _, other in right]
    steps = (SEPARATE, FUSED, *DESCRIBING)
    return FusedCard(
        cases=len(both),
        quality=TagAgreement(_same(places), weighted_kappa([one for one, _ in places], [other for _, other in places])),
        decision=_same(decided),
        decision_kappa=cohen_kappa([one for one, _ in decided], [other for _, other in decided]),
        separate=Rate(sum(one for one, _ in right), len(right)),
        fused=Rate(sum(other for _, other in right), len(right)),
        difference=paired_bootstrap(first, second, _SEED) if right else None,
        separate_failed=Rate(sum(one.label is None for one, _ in both), len(both)),
        fused_failed=Rate(sum(other.label is None for _, other in both), len(both)),
        described={field: _described(field, said[FUSED], said[step]) for step, field in DESCRIBING.items()},
        costs={step: costs[step] for step in steps if step in costs},
    )


def in_words(card: FusedCard) -> tuple[str, ...]:
    """What speaks for one or the other, sentence by sentence."""
    said = []
    if (gap := card.difference) is not None:
        if gap.low > 0:
            said.append("The fused tagger decides right more often than the separate one.")
        elif gap.high < 0:
            said.append("The fused tagger decides right less often than the separate one.")
        else:
            said.append("Which of the two decides right more often cannot be told from these cases.")
    share = card.break_even
    if share is not None:
        if share >= 1:
            said.append("Separate tags take fewer tokens, however many questions end as accepted pairs.")
        elif share <= 0:
            said.append("Fused tags take fewer tokens, however few questions end as accepted pairs.")
        else:
            said.append(
                f"Fused tags take fewer tokens when more than {100 * share:.0f} % of the questions that the judge passes end "
                "as accepted pairs; separate ones when fewer do."
            )
    return tuple(said)


def _described(field: str, fused: Mapping[str, Judged], own: Mapping[str, Judged]) -> TagAgreement:
    pairs = [
        (fused[name].values[field], one.label)
        for name, one in own.items()
        if name in fused and fused[name].label is not None and one.label is not None
    ]
    if field == "difficulty":
        places = [(DIFFICULTY.position(one), DIFFICULTY.position(other)) for one, other in pairs]
        return TagAgreement(_same(pairs), weighted_kappa([one for one, _ in places], [other for _, other in places]))
    return TagAgreement(_same(pairs), cohen_kappa([one for one, _ in pairs], [other for _, other in pairs]))


def _same(pairs: Sequence[tuple[object, object]]) -> Rate:
    return Rate(sum(one == other for one, other in pairs), len(pairs))
