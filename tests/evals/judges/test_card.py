"""Tests of the report card: rates, agreement, what is missed, soft ratings, fused tags and thresholds, by hand-made replies."""

import json
from collections.abc import Sequence

import pytest

from evals.figures.tables import as_json
from evals.judges.ask import FUSED, Judged
from evals.judges.card import JudgeCard, report_card
from evals.judges.fused import StepTokens
from skills_dspy.base.scales import Label
from tests.helpers.judges import CONFIG, PAIR, QUALITY, QUESTION, SAMPLE, a_case, both_ways, said, verdicts
from tests.helpers.making import a_config, there


def card_of(judged: Sequence[Judged]) -> JudgeCard:
    """The card of the only judge."""
    (card,) = report_card(judged, (), CONFIG).judges
    return card


# -- rates --------------------------------------------------------------------------------------------------------------


def test_rates_are_of_the_cases_that_they_are_about() -> None:
    """False accepts are counted among the bad cases, false rejects among the good ones, accuracy among all."""
    figures = card_of(verdicts(QUESTION, [(1, 1), (1, 1), (1, 0), (0, 0), (0, 1)])).all
    assert (figures.accuracy.count, figures.accuracy.of) == (3, 5)
    assert (figures.false_reject.count, figures.false_reject.of) == (1, 3)
    assert (figures.false_accept.count, figures.false_accept.of) == (1, 2)
    assert figures.kappa == pytest.approx(1 / 6)  # (3/5 - 13/25) / (1 - 13/25)


def test_a_passing_label_is_right_even_if_it_is_not_the_expected_one() -> None:
    """The decision counts: 2 for 3 lets the same pair through."""
    card = card_of(verdicts(PAIR, [(3, 2), (2, 3), (1, 1)]))
    assert card.all.accuracy.value == 1.0
    assert there(card.weighted_kappa_by_hand) < 1.0


def test_kappa_is_not_defined_where_nothing_can_go_wrong() -> None:
    """Only good cases, all let through: chance alone would do as well."""
    report = report_card(verdicts(QUESTION, [(1, 1), (1, 1)]), (), CONFIG)
    assert report.judges[0].all.kappa is None
    assert report.judges[0].kappa_low is None
    assert report.below(-1.0) == report.judges


def test_an_unreadable_reply_is_no_verdict() -> None:
    """It counts in a rate of its own and in no other."""
    judged = verdicts(QUESTION, [(1, 1), (0, 0), (0, None)])
    judged.append(said(a_case(QUESTION, 1, 9), None, failure="truncated"))
    figures = card_of(judged).all
    assert figures.cases == 4
    assert (figures.unreadable.count, figures.unreadable.of, figures.of_these_truncated) == (2, 4, 1)
    assert figures.accuracy.of == figures.false_accept.of + figures.false_reject.of == 2
    assert figures.kappa == 1.0


def test_nothing_readable_at_all_is_said_as_nothing() -> None:
    """No rate is made up, and nothing breaks."""
    card = card_of(verdicts(SAMPLE, [(5, None), (1, None)]))
    assert (card.all.accuracy.value, card.all.kappa, card.weighted_kappa_by_hand, card.soft) == (None, None, None, None)
    assert there(card.threshold_sweep).best is None
    assert card.said == ()
    json.dumps(as_json(card), allow_nan=False)


def test_cases_by_hand_and_from_seeds_have_figures_of_their_own() -> None:
    """A judge may be good on the one and bad on the other."""
    seeds = [said(a_case(QUESTION, 1, 1, origin="seed"), 1), said(a_case(QUESTION, 0, 2, origin="corruption"), 1)]
    card = card_of([*verdicts(QUESTION, [(1, 1), (0, 0)]), *seeds])
    assert card.by_hand is not None
    assert card.from_seeds is not None
    assert (card.by_hand.kappa, card.from_seeds.kappa) == (1.0, 0.0)
    assert (card.by_hand.cases, card.from_seeds.cases, card.all.cases) == (2, 2, 4)
    assert card_of(seeds).by_hand is None


def test_replies_of_models_have_figures_and_a_sentence_of_their_own() -> None:
    """They are neither by hand nor from seeds; a report without them has no place for them, as it was before."""
    by_hand = verdicts(QUESTION, [(1, 1), (0, 0)])
    card = card_of([*by_hand, said(a_case(QUESTION, 0, 3, reason="off the task", origin="reply"), 1)])
    assert (there(card.by_hand).cases, there(card.of_models).cases, card.from_seeds, card.all.cases) == (2, 1, None, 3)
    assert "Of the flaws in replies of models it misses `off the task` most: 1 of 1 let through." in card.said
    assert ["of_models" in as_json(one) for one in (card, card_of(by_hand))] == [True, False]


def test_weighted_kappa_is_of_cases_by_hand_alone() -> None:
    """Cases from seeds know only the ends of the scale."""
    by_hand = verdicts(SAMPLE, [(1, 2), (5, 4), (3, 3), (2, 1)])
    from_seeds = [said(a_case(SAMPLE, 1, 7, origin="corruption"), 5)]
    assert card_of([*by_hand, *from_seeds]).weighted_kappa_by_hand == card_of(by_hand).weighted_kappa_by_hand
    assert card_of(verdicts(QUESTION, [(1, 1), (0, 0)])).weighted_kappa_by_hand is None


# -- samples ------------------------------------------------------------------------------------------------------------


def test_rates_are_of_the_first_sample() -> None:
    """More samples make no more cases, and one says nothing of agreement."""
    first = verdicts(PAIR, [(3, 3), (1, 1)])
    assert card_of(first).self_agreement is None
    more = [said(one.case, 1, sample) for one in first for sample in (1, 2)]
    assert card_of([*first, *more]).all == card_of(first).all


def test_agreement_with_itself_is_of_pairs_of_samples() -> None:
    """Three samples are three pairs: here the decision agrees in all, the label in one; an unreadable one has no part."""
    case, other = a_case(PAIR, 3), a_case(PAIR, 3, 1)
    samples = [said(case, 3), said(case, 3, 1), said(case, 2, 2), said(other, 1), said(other, None, 1)]
    agreement = there(card_of(samples).self_agreement)
    assert (agreement.samples, agreement.pairs) == (3, 3)
    assert agreement.same_decision == 1.0
    assert agreement.same_label == pytest.approx(1 / 3)


# -- what is missed -----------------------------------------------------------------------------------------------------


def test_what_is_missed_most_is_named() -> None:
    """By sort, and so that one of one does not stand before nine of ten."""
    judged = [said(a_case(QUESTION, 0, n, reason="numbers changed", origin="corruption"), int(n < 9)) for n in range(10)]
    judged += [said(a_case(QUESTION, 0, 20, reason="cut in half", origin="corruption"), 1)]
    judged += [said(a_case(QUESTION, 0, n, reason="too vague"), 1) for n in (30, 31)]
    judged += [said(a_case(QUESTION, 1, 40, reason="brief but right"), 0), said(a_case(QUESTION, 1, 41), 1)]
    card = card_of(judged)
    assert card.said == (
        "Of the corruptions it misses `numbers changed` most: 9 of 10 let through.",
        "Of the flaws in cases by hand it misses `too vague` most: 2 of 2 let through.",
        "Of the good cases it wrongs `brief but right` most: 1 of 1 rejected.",
    )
    by_name = {row.name: (row.missed.count, row.missed.of) for row in card.missed}
    assert by_name["fit"] == (0, 1)
    assert by_name["cut in half"] == (1, 1)


def test_a_reason_is_counted_apart_for_good_and_bad_cases() -> None:
    """A small flaw may pass on one scale and not on another: letting it through is another error than rejecting it."""
    flawed = [said(a_case(SAMPLE, label, n, reason="small flaw"), 5) for n, label in enumerate((4, 3))]
    rows = [(row.name, row.good, row.missed.count) for row in card_of(flawed).missed]
    assert rows == [("small flaw", False, 1), ("small flaw", True, 0)]


def test_a_judge_without_a_fault_is_said_to_be_one() -> None:
    """Of the cases that it gave a readable verdict on; where there are two labels, there is no threshold to choose."""
    card = card_of(verdicts(QUESTION, [(1, 1), (0, 0), (0, None)]))
    assert card.said == ("It decided all 2 cases right.",)
    assert card.threshold_sweep is None


# -- soft ratings -------------------------------------------------------------------------------------------------------


def softly(points: Sequence[tuple[Label, Label, float]]) -> JudgeCard:
    """The card of a judge of pairs by expected label, given label and expected value."""
    return card_of(
        [said(a_case(PAIR, wanted, n), label, expected=expected) for n, (wanted, label, expected) in enumerate(points)]
    )


def test_a_soft_rating_that_tells_apart_what_the_label_does_not_is_better() -> None:
    """All have the label 2, and the expected value is higher for the good ones."""
    soft = there(softly([(3, 2, 2.2 + n / 100) for n in range(10)] + [(1, 2, 1.7 + n / 100) for n in range(10)]).soft)
    assert (soft.label_auc, soft.soft_auc, soft.verdict) == (0.5, 1.0, "better")
    assert "better than the label" in soft.said


def test_a_soft_rating_that_orders_like_the_label_is_no_better() -> None:
    """The same order, so the same area."""
    soft = there(softly([(3, 3, 2.9)] * 10 + [(1, 1, 1.1)] * 10).soft)
    assert (soft.label_auc, soft.soft_auc, soft.verdict) == (1.0, 1.0, "no better")


def test_few_cases_do_not_tell() -> None:
    """One case less in order is no evidence."""
    soft = there(softly([(3, 3, 2.9), (3, 2, 2.4), (3, 2, 1.9), (1, 2, 2.0), (1, 1, 1.3), (1, 2, 1.2)]).soft)
    assert soft.verdict == "cannot be told"
    only_good = there(softly([(3, 3, 2.9)]).soft)
    assert (only_good.label_auc, only_good.difference, only_good.verdict) == (None, None, "cannot be told")


def test_soft_ratings_are_compared_only_where_the_server_gave_them() -> None:
    """Replies without one are counted and left out of both areas."""
    judged = [said(a_case(PAIR, 3, 0), 3, expected=2.8), said(a_case(PAIR, 1, 1), 1, expected=1.1)]
    judged += verdicts(PAIR, [(3, 1)] * 3)
    soft = there(card_of(judged).soft)
    assert (soft.with_soft_rating, soft.replies, soft.label_auc) == (2, 5, 1.0)
    assert card_of(verdicts(PAIR, [(3, 3)])).soft is None


# -- fused tags ---------------------------------------------------------------------------------------------------------


def test_fused_and_separate_are_compared_on_the_same_cases() -> None:
    """Agreement of decision and label, accuracy of each; difficulty and category where both were readable."""
    card = there(report_card(*both_ways(), CONFIG).fused_against_separate)
    assert (card.cases, card.instruction_quality.same_decision.count, card.instruction_quality.same_label.count) == (4, 3, 2)
    assert (card.instruction_quality.separate_accuracy.value, card.instruction_quality.fused_accuracy.value) == (1.0, 0.75)
    assert (card.difficulty.same_label.count, card.difficulty.same_label.of) == (2, 3)
    assert (card.category.same_label.count, card.category.kappa) == (3, 0.0)
    assert card.fused_is_cheaper_from_accepted_share is None


@pytest.mark.parametrize(
    ("fused_tokens", "share", "words"),
    [
        (500, 0.5, "more than 50 %"),
        (300, 0.0, "Fused tags take fewer tokens, however few"),
        (900, 1.5, "Separate tags take fewer tokens, however many"),
    ],
)
def test_what_is_cheaper_depends_on_how_many_are_accepted(fused_tokens: int, share: float, words: str) -> None:
    """Difficulty and category are asked for only of accepted pairs, so the dear call for all may cost more or less."""
    separate, fused = both_ways()
    spent = {
        QUALITY: StepTokens(4, 1000, 200),
        FUSED: StepTokens(4, 4 * fused_tokens - 100, 100),
        "tag_difficulty": StepTokens(4, 400, 400),
        "tag_category": StepTokens(5, 500, 300),
        QUESTION: StepTokens(9, 9, 9),
    }
    card = there(report_card(separate, fused, CONFIG, spent).fused_against_separate)
    assert card.fused_is_cheaper_from_accepted_share == pytest.approx(share)
    assert QUESTION not in card.costs
    assert any(words in sentence for sentence in card.said)


def test_an_unreadable_fused_reply_counts_against_it_alone() -> None:
    """It is no disagreement."""
    separate, fused = both_ways()
    fused[0] = said(separate[0].case, None, step=FUSED)
    card = there(report_card(separate, fused, CONFIG).fused_against_separate)
    assert (card.fused_unreadable.count, card.separate_unreadable.count, card.instruction_quality.same_decision.of) == (1, 0, 3)
    assert card.category.same_label.of == 3


# -- thresholds ---------------------------------------------------------------------------------------------------------


def test_every_threshold_is_tried_the_loosest_first() -> None:
    """From letting all through to the best label alone; what was configured and what is best is marked."""
    sweep = there(card_of(verdicts(SAMPLE, [(5, 5), (4, 5), (3, 4), (2, 4), (1, 2)])).threshold_sweep)
    assert [cut.accepts for cut in sweep.labels] == [(1, 2, 3, 4, 5), (2, 3, 4, 5), (3, 4, 5), (4, 5), (5,)]
    assert [cut.accepted.count for cut in sweep.labels] == [5, 5, 4, 4, 2]
    assert sweep.labels[0].youden == sweep.labels[0].kappa == 0.0
    assert sweep.configured.accepts == (4, 5)
    assert sweep.best is not None
    assert (sweep.best.accepts, sweep.best.kappa, sweep.best.youden) == ((5,), 1.0, 1.0)
    assert sweep.configuration == "filter:\n  sample_quality: [5]"


def test_a_configured_set_with_a_gap_has_a_row_of_its_own() -> None:
    """It is no threshold, but it is what the run does."""
    config = a_config({"filter": {"sample_quality": (3, 5)}})
    (card,) = report_card(verdicts(SAMPLE, [(5, 5), (4, 4)]), (), config).judges
    assert card.threshold_sweep is not None
    assert (card.threshold_sweep.labels[-1].accepts, card.threshold_sweep.configured.accepted.count) == ((3, 5), 1)


def test_soft_ratings_are_cut_in_steps() -> None:
    """Quarters on the scale of three, halves on that of five, on the cases that have one; the cut itself passes."""
    sweep = there(softly([(3, 3, 2.75), (1, 3, 2.5), (1, 1, 1.0)]).threshold_sweep)
    assert [cut.expected_from for cut in sweep.soft] == [1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0]
    assert [cut.accepted.count for cut in sweep.soft] == [2, 2, 2, 2, 2, 2, 1, 0]
    assert next(cut.expected_from for cut in sweep.soft if cut.best_by_kappa) == 2.75
    quality = [said(a_case(QUALITY, "good"), "good", expected=4.1)]
    (card,) = report_card(quality, (), CONFIG).judges
    assert [cut.expected_from for cut in there(card.threshold_sweep).soft] == [1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]


# -- properties ---------------------------------------------------------------------------------------------------------
