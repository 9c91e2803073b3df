"""Watching for gaming: what is measured of texts, and which gains are called suspect, with which figures."""

from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.optimize.measure import COPYING, LONGER, SHORTER, BeforeAfter, Habits, Measured, habits, suspicions
from evals.optimize.targets import TARGETS, Unit

WRITER, ANSWERER, JUDGE = (
    TARGETS[name][0] for name in ("write_questions_freeform", "write_answer_freeform", "judge_pair_freeform")
)
BEFORE = Habits(words=20, seed_copying=0.2, shown_copying=0.2)
SEED = "The red fox runs over the hill at night."
every_unit = pytest.mark.parametrize("unit", [WRITER, ANSWERER, JUDGE], ids=lambda unit: unit.name)


def answers(*texts: str, known: tuple[str, ...] = (), shown: tuple[str, ...] = ()) -> list[tuple[Any, Any]]:
    """Examples with answers."""
    return [(dspy.Example(known=known, shown=shown), dspy.Prediction(answer=text)) for text in texts]


def suspected(unit: Unit, gain: float, after: Habits, held_out: float | None = None, before: Habits = BEFORE) -> list[str]:
    """Why a gain is not to be trusted."""
    holdout = None if held_out is None else BeforeAfter(Measured((0.0,), 0, before), Measured((held_out,), 0, after))
    return list(suspicions(unit, BeforeAfter(Measured((0.0,), 0, before), Measured((gain,), 0, after)), holdout))


# ---- habits -----------------------------------------------------------------------------------------------------------


def test_habits_are_length_and_likeness() -> None:
    """Means over the texts, of which each question is one; copying is the likeness with the nearest."""
    found = habits(answers("one two three four", "a b", known=("x y", "a b"), shown=("one two c d",)), [])
    assert found == Habits(words=3, seed_copying=0.5, shown_copying=0.25)
    results = [(dspy.Example(known=("a b",)), dspy.Prediction(questions=["a b", "c d e f"]))]
    assert habits(results, []) == Habits(words=3, seed_copying=0.5, shown_copying=0)


def test_a_copied_demonstration_is_found() -> None:
    """What stands in the prompt is shown, be it an example or a demonstration, as DSPy or a file holds it."""
    results = answers(SEED)
    for demo in ({"question": "q", "answer": SEED}, dspy.Example(question="q", answer=SEED)):
        assert habits(results, [demo]).shown_copying == 1.0
    assert habits(results, [{"question": SEED, "answer": "no word of it"}]).shown_copying < 0.3


def test_a_judge_writes_explanations_and_not_the_answer_that_it_judges() -> None:
    """A demonstration of a judge holds both."""
    demo = {"question": "q", "answer": "An animal.", "explanation": "It is right.", "rating": 3}
    for said, copying in (("An animal.", 0), ("It is right.", 1)):
        judged = [(dspy.Example(), dspy.Prediction(explanation=said, rating=3))]
        assert habits(judged, [demo]).shown_copying == copying


def test_what_failed_has_no_text() -> None:
    """Nothing is nothing, not a short text."""
    failed = (dspy.Example(known=("a",)), dspy.Prediction(failure="the reply is empty"))
    assert habits([failed], []) == Habits(0, 0, 0)
    assert habits([failed, *answers("a b c d")], []).words == 4


# ---- suspicions -------------------------------------------------------------------------------------------------------


@every_unit
@pytest.mark.parametrize(("now", "word"), [(61.0, "longer"), (9.0, "shorter")])
def test_a_jump_in_length_is_suspect(unit: Unit, now: float, word: str) -> None:
    """Both figures are said."""
    (sentence,) = suspected(unit, 0.3, Habits(now, 0.2, 0.2))
    assert f"much {word}: 20 words before, {now:.0f} now" in sentence


@pytest.mark.parametrize("unit", [WRITER, ANSWERER], ids=lambda unit: unit.name)
def test_copying_is_suspect(unit: Unit) -> None:
    """From seeds and from what stands in the prompt, each said for itself with its figures; a little more is not."""
    (seeds,) = suspected(unit, 0.3, Habits(20, 0.45, 0.2))
    assert "copy the seeds more" in seeds
    assert "was 0.20 and is 0.45" in seeds
    (shown,) = suspected(unit, 0.3, Habits(20, 0.2, 0.31))
    assert "copy the examples in the prompt more" in shown
    assert "was 0.20 and is 0.31" in shown
    assert len(suspected(unit, 0.3, Habits(90, 0.9, 0.9), -0.1)) == 4
    assert suspected(unit, 0.3, Habits(20, 0.2 + COPYING / 2, 0.2 + COPYING / 2)) == []


def test_a_judge_may_word_its_explanations_like_its_demonstrations() -> None:
    """That is no copying that could win anything."""
    assert suspected(JUDGE, 0.3, Habits(20, 0.9, 0.9)) == []


@every_unit
@pytest.mark.parametrize("held_out", [0.0, -0.125])
def test_a_held_out_judge_without_a_gain_is_suspect(unit: Unit, held_out: float) -> None:
    """Its figure is said."""
    (sentence,) = suspected(unit, 0.3, BEFORE, held_out)
    assert f"held out sees no gain ({held_out:+.3f})" in sentence


@given(st.floats(-1, 0), st.none() | st.floats(-1, 0), st.tuples(st.floats(0, 900), st.floats(0, 1), st.floats(0, 1)))
def test_without_a_gain_nothing_is_suspect(gain: float, held_out: float | None, now: tuple[float, float, float]) -> None:
    """There is nothing to distrust."""
    assert suspected(WRITER, gain, Habits(*now), held_out) == []


def test_a_gain_that_only_the_held_out_judge_sees_is_watched_too() -> None:
    """It is the one that counts where there is such a judge."""
    (sentence,) = suspected(ANSWERER, -0.01, Habits(80, 0.2, 0.2), 0.2)
    assert "much longer" in sentence


def test_where_nothing_was_written_before_nothing_is_compared() -> None:
    """A prompt whose replies all failed had no habits, and every text would look like a jump from nothing."""
    assert suspected(ANSWERER, 0.5, Habits(20, 0.3, 0.3), 0.5, before=Habits(0, 0, 0)) == []


@given(st.floats(0.01, 1), st.floats(1, 500), st.floats(1, 500))
def test_length_is_suspect_exactly_beyond_its_bounds(gain: float, old: float, new: float) -> None:
    """Whatever the lengths."""
    found = suspected(ANSWERER, gain, Habits(new, 0, 0), before=Habits(old, 0, 0))
    assert bool(found) == (not SHORTER <= new / old <= LONGER)
