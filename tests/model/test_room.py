"""Room for replies, from the seeds: half as much again, and never so little that a sentence would not fit."""

import pytest

from skills_dspy.base.records import SeedExample
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.room import Lengths, largest_shown, longest, may_be_shown, question_limit
from skills_dspy.model.steps import STEPS, reply_limits
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_spec


def seed(question: int = 1, answer: int = 1, context: int | None = None) -> SeedExample:
    """A seed whose parts have so many tokens."""
    return SeedExample(question="é" * question, answer="é" * answer, context=None if context is None else "é" * context)


def test_the_longest_parts_need_not_be_of_one_seed() -> None:
    """Each part by itself; what no seed has is 0."""
    assert longest([seed(5, 1), seed(2, 9, 7), seed(1, 1, 3)]) == Lengths(5, 9, 7)
    assert longest([seed(5, 1)]) == Lengths(5, 1, 0)
    assert longest([]) == Lengths(0, 0, 0)
    assert longest([GROUNDED]) == Lengths(
        estimate_tokens(GROUNDED.question), estimate_tokens(GROUNDED.answer), estimate_tokens(GROUNDED.context or "")
    )


def test_judges_and_taggers_have_their_roles_limit() -> None:
    """What they write does not depend on the task."""
    config = a_config({"validator": {"num_predict": 77}, "tagger": {"num_predict": 55}})
    limits = reply_limits(a_spec([seed(9000, 9000, 9000)]), config)
    roles = {"generator": None, "validator": 77, "tagger": 55}
    found = {step: limit for step, limit in limits.items() if STEPS[step].role != "generator"}
    assert found == {step.name: roles[step.role] for step in STEPS.values() if step.role != "generator"}


@pytest.mark.parametrize(
    ("answer", "num_predict", "limit"),
    [
        (1, 2048, 513),  # a one-word answer may need a sentence
        (1024, 2048, 1536),
        (1026, 2048, 1539),  # half as much again as the longest
        (800, 1312, 1312),
        (800, 1250, 1250),  # at most what the configuration says
        (800, 1100, 1200),  # but half as much again at least: the seeds show what a good answer is
        (5000, 2048, 7500),
        (1, 300, 300),  # the configuration may allow less than the usual least
        (100, 300, 300),
        (300, 300, 450),
        (10, 16, 16),
        (11, 16, 16),
        (12, 16, 18),
    ],
)
def test_room_for_an_answer(answer: int, num_predict: int, limit: int) -> None:
    """Tokens of the first reply; the same for both kinds of seed."""
    limits = reply_limits(a_spec([seed(answer=answer)]), a_config({"generator": {"num_predict": num_predict}}))
    assert limits["write_answer_freeform"] == limits["write_answer_grounded"] == limit


def test_room_for_questions_grows_with_their_number() -> None:
    """A list of ten takes ten times one question and the list around each."""
    config = a_config({"generator": {"num_predict": 20000}})
    one, ten = (reply_limits(a_spec([seed(question=992)], count=count), config) for count in (1, 10))
    assert one["write_questions_freeform"] == 1512
    assert ten["write_questions_freeform"] == ten["write_questions_grounded"] == 15000


def test_room_for_a_context() -> None:
    """As long as those of the seeds, and more; a task without contexts has the least."""
    assert reply_limits(a_spec([seed(context=1200)]), a_config())["write_context"] == 1800
    assert reply_limits(a_spec([seed(context=400)]), a_config())["write_context"] == 912
    assert reply_limits(a_spec([seed()]), a_config())["write_context"] == 512


@pytest.mark.parametrize(("question", "limit"), [(0, 256), (10, 266), (512, 768), (514, 771), (1000, 1500)])
def test_how_long_a_question_may_be(question: int, limit: int) -> None:
    """Half as long again as any seed's, and always a few sentences."""
    assert question_limit(Lengths(question, 1, 1)) == limit


def test_what_may_be_shown_again() -> None:
    """A quarter longer than the seeds: else each draw would show longer examples than the one before."""
    seeds = Lengths(100, 40, 20)
    assert largest_shown(seeds) == Lengths(125, 50, 25)
    assert may_be_shown("é" * 125, "é" * 25, seeds)
    assert not may_be_shown("é" * 126, "é" * 25, seeds)
    assert not may_be_shown("é" * 125, "é" * 26, seeds)
    assert may_be_shown("é" * 125, None, seeds)
    assert may_be_shown(FREEFORM.question, None, longest([FREEFORM]))
