"""The metrics: their definitions, what constants and copies earn, failures, and the forms in which optimizers call them."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.optimize.metrics import AGREEMENT, ANSWER_QUALITY, QUESTION_YIELD, Metric, soft_agreement
from skills_dspy.base.records import SoftRating
from tests.helpers.seeding import labelled_example as a_case
from tests.helpers.seeding import labelled_examples

EVERY = [AGREEMENT, QUESTION_YIELD, ANSWER_QUALITY]
FAILED = dspy.Prediction(failure="the reply is empty")
BOTH = st.lists(st.booleans(), min_size=2, max_size=40).filter(lambda good: 0 < sum(good) < len(good))
"""Which cases are good: some are, some are not."""
TEXTS = st.lists(st.text(max_size=12).filter(str.strip), min_size=1, max_size=6)


def said(rating: int, explanation: str = "It names no place.", **more: Any) -> dspy.Prediction:
    """What a judge said."""
    return dspy.Prediction(rating=rating, explanation=explanation, **more)


def sure(passes: float) -> SoftRating:
    """Probabilities of the three labels, of which 2 and 3 share `passes`."""
    return SoftRating(probabilities={"1": 1 - passes, "2": passes / 2, "3": passes / 2}, expected=2, mass=1)


def request(known: Sequence[str] = ("What is a fox?",), count: int = 4) -> dspy.Example:
    """A request for new questions."""
    return dspy.Example(key="k", asked={}, known=tuple(known), count=count)


def written(
    questions: Sequence[str], passed: Sequence[bool | None] | None = None, explanation: str = "Fine."
) -> dspy.Prediction:
    """What was written, and what the judge said of each."""
    verdicts = [True] * len(questions) if passed is None else list(passed)
    return dspy.Prediction(questions=list(questions), passed=verdicts, said=[explanation] * len(questions))


def answered(rating: int = 3, score: int = 5, passed: bool = True, **more: Any) -> dspy.Prediction:
    """An answer with what the judge and the tagger said."""
    return dspy.Prediction(passed=passed, rating=rating, score=score, judged="It is right.", tagged="It is terse.", **more)


# ---- judges and tags --------------------------------------------------------------------------------------------------


@given(BOTH, st.integers(1, 3))
def test_a_constant_label_earns_nothing(good: list[bool], label: int) -> None:
    """Always yes, always no, always the middle: 0, however few cases of one class there are."""
    assert fmean([AGREEMENT.score(example, said(label)) for example in labelled_examples(good)]) == pytest.approx(0, abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3)), min_size=2, max_size=40))
def test_the_mean_is_youdens_j(judged: list[tuple[bool, int]]) -> None:
    """Sensitivity plus specificity less 1."""
    good = [is_good for is_good, _ in judged]
    if not 0 < sum(good) < len(good):
        return
    found = fmean([AGREEMENT.score(e, said(label)) for e, (_, label) in zip(labelled_examples(good), judged, strict=True)])
    sensitivity = fmean([float(label >= 2) for is_good, label in judged if is_good])
    specificity = fmean([float(label < 2) for is_good, label in judged if not is_good])
    assert found == pytest.approx(sensitivity + specificity - 1, abs=1e-12)


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_a_failure_without_words_is_a_failure(metric: Metric) -> None:
    """The worst score for any example of weight 1, though what was wrong is an empty text."""
    example = dspy.Example(**a_case(good=False), known=(), count=3)
    for failed in (FAILED, dspy.Prediction(failure="")):
        assert metric.score(example, failed) == metric.worst < metric.good_enough
        assert "could not be used" in metric.feedback(example, failed)


def test_soft_agreement_is_how_much_more_probable_the_right_decision_is() -> None:
    """From minus the weight to the weight."""
    assert soft_agreement(a_case(True, 2.0), said(2, soft={"rating": sure(1.0)})) == 2.0
    assert soft_agreement(a_case(False, 2.0), said(2, soft={"rating": sure(1.0)})) == -2.0
    assert soft_agreement(a_case(False), said(1, soft={"rating": sure(0.25)})) == pytest.approx(0.5)


def test_without_probabilities_there_is_no_soft_agreement() -> None:
    """Neither of a server that gives none, nor of a reply that failed."""
    assert soft_agreement(a_case(True), said(3)) is None
    assert soft_agreement(a_case(True), said(3, soft={})) is None
    assert soft_agreement(a_case(True), FAILED) is None


def test_feedback_on_a_judge_gives_the_reason_of_the_case_and_the_judges_own_words() -> None:
    """Whether it was right, what should have been, what was said."""
    let_through = AGREEMENT.feedback(a_case(False, reason="wrong fact"), said(3, "All is well."))
    assert let_through.startswith("Wrong")
    assert "wrong fact" in let_through
    assert "was let through" in let_through
    assert "All is well." in let_through
    assert AGREEMENT.feedback(a_case(True), said(1, "Too short.")).startswith(
        "Wrong: this one should pass; but it was rejected"
    )
    assert AGREEMENT.feedback(a_case(True), said(2, "It fits.")) == "Right: this one should pass. The reply said 2: It fits."


# ---- questions --------------------------------------------------------------------------------------------------------


def test_question_yield_is_share_times_novelty_times_spread() -> None:
    """By hand: two of four pass, one shares half of its words with the seed, and the two share none."""
    example = request(["a b"], 4)
    prediction = written(["a c", "d e", "f g", "h i"], [True, True, False, False])
    assert QUESTION_YIELD.score(example, prediction) == pytest.approx((0.5 + 1.0) / 4)


@given(TEXTS, st.integers(1, 6))
def test_copies_of_seeds_earn_nothing(seeds: list[str], count: int) -> None:
    """Though the judge lets all pass, and whatever they are written in: a text without a word is a copy, too."""
    copies = [f" {seeds[number % len(seeds)]}\n" for number in range(count)]
    assert QUESTION_YIELD.score(request(seeds, count), written(copies)) == pytest.approx(0, abs=1e-9)


@given(st.text(max_size=20).filter(str.strip), st.integers(2, 6))
def test_one_question_many_times_earns_nothing(question: str, count: int) -> None:
    """New as it may be."""
    assert QUESTION_YIELD.score(request([], count), written([question] * count)) == pytest.approx(0, abs=1e-9)


@given(TEXTS, TEXTS, st.data())
def test_question_yield_lies_between_0_and_1(seeds: list[str], questions: list[str], data: st.DataObject) -> None:
    """Whatever was written and judged, as long as no more was written than asked for."""
    passed = data.draw(st.lists(st.sampled_from([True, False, None]), min_size=len(questions), max_size=len(questions)))
    count = data.draw(st.integers(len(questions), 8))
    assert 0 <= QUESTION_YIELD.score(request(seeds, count), written(questions, passed)) <= 1 + 1e-12


def test_a_question_without_a_verdict_is_neither_good_nor_bad() -> None:
    """It is left out of the share; without any verdict nothing was earned."""
    example = request(count=2)
    assert QUESTION_YIELD.score(example, written(["d e", "f g"], [True, None])) == 1.0
    assert QUESTION_YIELD.score(example, written(["d e", "f g"], [False, None])) == 0.0
    assert QUESTION_YIELD.score(example, written(["d e", "f g"], [None, None])) == 0.0


def test_feedback_on_questions_names_those_that_are_of_no_use() -> None:
    """The judge's explanation of each rejected one, copies of seeds, repetition, and what there is no verdict on."""
    questions = ["What is a fox?", "Why do red foxes run at night?", "Is it?"]
    said_so = QUESTION_YIELD.feedback(request(count=3), written(questions, [True, False, None], "It asks for a picture."))
    assert said_so.startswith("1 of 3 questions passed the judge.")
    assert 'The judge rejected "Why do red foxes run at night?": It asks for a picture.' in said_so
    assert '"What is a fox?" is nearly a copy of an example.' in said_so
    assert 'There was no verdict on "Is it?"' in said_so
    assert "repeat one another" not in said_so
    assert "repeat one another" in QUESTION_YIELD.feedback(request(count=2), written(["Why do they run?"] * 2))


# ---- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rating", "score", "quality"), [(3, 5, 1.0), (2, 4, 0.625), (2, 1, 0.25), (3, 1, 0.5), (1, 1, 0.0)])
def test_answer_quality_is_the_mean_of_both_ratings(rating: int, score: int, quality: float) -> None:
    """Each stretched over 0 to 1."""
    assert ANSWER_QUALITY.score(dspy.Example(), answered(rating, score)) == quality


def test_a_rejected_answer_earns_nothing() -> None:
    """Whatever the tagger says of it."""
    assert ANSWER_QUALITY.score(dspy.Example(), answered(1, 5, passed=False)) == 0


def test_feedback_on_an_answer_is_what_the_judge_and_the_tagger_said() -> None:
    """With their ratings."""
    told = ANSWER_QUALITY.feedback(None, answered(2, 4))
    assert told == "The judge passed the answer (2 of 3): It is right.\nAs a sample it got 4 of 5: It is terse."
    assert "rejected the answer (1 of 3)" in ANSWER_QUALITY.feedback(None, answered(1, 4, passed=False))


# ---- the forms in which they are called -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "example", "prediction"),
    [
        (AGREEMENT, a_case(True), said(3)),
        (QUESTION_YIELD, request(), written(["d e"])),
        (ANSWER_QUALITY, a_case(True), answered()),
    ],
    ids=lambda value: value.name if isinstance(value, Metric) else "",
)
def test_every_form_of_call_gives_the_same_score(metric: Metric, example: Any, prediction: Any) -> None:
    """Without a trace, with one as bootstrapping gives it, and with GEPA's five arguments, by name and by place."""
    score = metric.score(example, prediction)
    assert metric.score(example, prediction, []) == metric.score(example, prediction, trace=[("p", {}, {})]) == score
    for found in (
        metric.score_with_feedback(example, prediction),
        metric.score_with_feedback(example, prediction, None, "judge", [("p", {}, {})]),
        metric.score_with_feedback(gold=example, pred=prediction, trace=[], pred_name="judge", pred_trace=None),
    ):
        assert found.score == score
        assert found.feedback == metric.feedback(example, prediction)
