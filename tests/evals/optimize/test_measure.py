"""Measuring: scores in the order of the examples, failures counted, intervals that hold the score, gains that are paired."""

from typing import Any

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.optimize.measure import BeforeAfter, Habits, Measured, measure
from evals.optimize.metrics import AGREEMENT, ANSWER_QUALITY, Metric
from evals.optimize.splits import weights
from evals.session.bridge import Halt
from skills_dspy.base.errors import ServerError
from skills_dspy.base.records import SoftRating
from tests.helpers.seeding import labelled_examples

NO_HABITS = Habits(0, 0, 0)
SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=25)


class Saying(dspy.Module):  # type: ignore[misc] # dspy ships no types
    """Says what its function says of an example's key."""

    def __init__(self, say: Any) -> None:
        super().__init__()
        self.say = say

    def forward(self, key: str, asked: dict[str, Any]) -> dspy.Prediction:
        """What it says."""
        del asked
        return self.say(key)


def said(rating: int, soft: float | None = None) -> dspy.Prediction:
    """What a judge said."""
    found = {} if soft is None else {"rating": SoftRating(probabilities={"1": 1 - soft, "2": 0, "3": soft}, expected=2, mass=1)}
    return dspy.Prediction(rating=rating, explanation="So it is.", soft=found)


def measured(scores: list[float], seed: int = 0, signed: bool = False) -> Measured:
    """A measurement with these scores."""
    return Measured(tuple(scores), 0, NO_HABITS, seed, signed)


# ---- measuring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 4])
def test_scores_come_in_the_order_of_the_examples(threads: int) -> None:
    """However many threads there are."""
    student = Saying(
        lambda key: dspy.Prediction(passed=True, rating=3, score=1 + int(key) % 5, answer="a b", judged="", tagged="")
    )
    examples = [dspy.Example(key=str(place), asked={}).with_inputs("key", "asked") for place in range(10)]
    found = measure(student, examples, ANSWER_QUALITY, threads, 0)
    assert found.scores == tuple(((1 + place % 5 / 4) / 2) for place in range(10))
    assert found.mean == pytest.approx(0.75)
    assert (found.failures, found.habits.words, found.signed, found.soft) == (0, 2, False, None)


def test_failures_are_counted_and_are_wrong() -> None:
    """One of four cases is no reply that could be used."""
    student = Saying(lambda key: dspy.Prediction(failure="the reply is empty") if key == "1" else said(3 if key in "02" else 1))
    found = measure(student, labelled_examples([True, False, True, False]), AGREEMENT, 1, 0)
    assert found.scores == (1, -1, 1, 1)
    assert (found.mean, found.failures, found.signed) == (0.5, 1, True)


def test_soft_scores_are_shown_where_all_replies_have_them() -> None:
    """The mean of the soft agreement; where one reply has none, none is made up."""
    examples = labelled_examples([True, False])
    assert measure(Saying(lambda _: said(3, 0.75)), examples, AGREEMENT, 1, 0).soft == pytest.approx(0)
    sure = Saying(lambda key: said(3, 1.0) if key == "0" else said(1, 0.25))
    assert measure(sure, examples, AGREEMENT, 1, 0).soft == pytest.approx(0.75)
    assert measure(Saying(lambda key: said(3, 1.0 if key == "0" else None)), examples, AGREEMENT, 1, 0).soft is None


def halts(key: str) -> dspy.Prediction:
    """The server is away."""
    raise Halt(ServerError(f"no server for {key}"))


def breaks(*_: Any) -> float:
    """A mistake in a metric."""
    raise ZeroDivisionError


def test_what_halts_is_no_bad_score() -> None:
    """A server that went away ends the measuring."""
    with pytest.raises(Halt, match="no server"):
        measure(Saying(halts), labelled_examples([True, False]), AGREEMENT, 2, 0)


def test_a_mistake_in_a_metric_is_no_bad_score() -> None:
    """It comes out as what it is."""
    broken = Metric("broken", "none", breaks, lambda *_: "", 0, 1)
    with pytest.raises(Halt) as caught:
        measure(Saying(lambda _: said(3)), labelled_examples([True, False]), broken, 1, 0)
    assert isinstance(caught.value.error, ZeroDivisionError)


def test_demonstrations_of_the_student_count_as_shown() -> None:
    """Whoever repeats them is seen."""

    class Shows(Saying):
        def __init__(self) -> None:
            super().__init__(lambda _: dspy.Prediction(passed=True, rating=3, score=5, answer="a b c", judged="", tagged=""))
            self.write = dspy.Predict("question -> answer")
            self.write.demos = [dspy.Example(question="q", answer="a b c")]

    examples = [dspy.Example(key="0", asked={}).with_inputs("key", "asked")]
    assert measure(Shows(), examples, ANSWER_QUALITY, 1, 0).habits.shown_copying == 1


# ---- intervals --------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(SCORES, st.integers(0, 2**31))
def test_an_interval_lies_within_the_scores_and_is_the_same_again(scores: list[float], seed: int) -> None:
    """By the seed alone; the mean of the bootstrap's middle is the score's."""
    interval = measured(scores, seed).interval
    assert min(scores) <= interval.low <= interval.high <= max(scores)
    assert interval == measured(scores, seed).interval
    if len(set(scores)) == 1:
        assert interval.low == interval.high == scores[0]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.booleans(), min_size=4, max_size=25).filter(lambda g: 0 < sum(g) < len(g)), st.integers(0, 99))
def test_an_agreement_stays_within_its_range_in_every_resample(good: list[bool], seed: int) -> None:
    """Weights differ, so a resample may weigh more than its number of cases; it is divided by its own weight."""
    found = measured(weights(good), seed, signed=True)
    assert [found.mean, found.interval.low, found.interval.high] == pytest.approx([1] * 3)


@settings(max_examples=15, deadline=None)
@given(SCORES, st.sampled_from([-0.25, 0.0, 0.5]), st.integers(0, 99))
def test_a_gain_is_paired(scores: list[float], more: float, seed: int) -> None:
    """Where every example gains the same, there is no doubt about it, however much the examples differ."""
    both = BeforeAfter(measured(scores, seed), measured([score + more for score in scores], seed))
    assert [both.gain, both.interval.low, both.interval.high] == pytest.approx([more] * 3)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=2, max_size=25), st.integers(0, 99))
def test_a_gain_of_agreement_is_between_minus_2_and_2(cases: list[tuple[bool, bool, bool]], seed: int) -> None:
    """And so is its interval."""
    good = [is_good for is_good, _, _ in cases]
    if not 0 < sum(good) < len(good):
        return
    signs = [(w if a else -w, w if b else -w) for w, (_, a, b) in zip(weights(good), cases, strict=True)]
    before, after = (measured([pair[place] for pair in signs], seed, signed=True) for place in (0, 1))
    interval = BeforeAfter(before, after).interval
    assert -2 - 1e-9 <= interval.low <= interval.high <= 2 + 1e-9
