"""Room for replies: three times what the seeds show, between bounds."""

import pytest

from skills_dspy.limits import Lengths, longest, reply_limits
from skills_dspy.program import STEPS
from skills_dspy.records import SeedExample
from skills_dspy.tokens import estimate_tokens
from tests.making import FREEFORM, GROUNDED, a_config, a_spec


def seed(question: int = 1, answer: int = 1, context: int | None = None) -> SeedExample:
    """A seed whose parts have so many tokens."""
    return SeedExample(question="é" * question, answer="é" * answer, context=None if context is None else "é" * context)


def test_the_longest_parts_need_not_be_of_one_seed() -> None:
    """Each part by itself; what no seed has is 0."""
    assert longest([seed(5, 1), seed(2, 9, 7), seed(1, 1, 3)]) == Lengths(5, 9, 7)
    assert longest([seed(5, 1)]) == Lengths(5, 1, 0)
    assert longest([]) == Lengths(0, 0, 0)
    words = estimate_tokens(GROUNDED.question), estimate_tokens(FREEFORM.answer), estimate_tokens(GROUNDED.context or "")
    assert longest([FREEFORM, GROUNDED]) == Lengths(max(words[0], estimate_tokens(FREEFORM.question)), words[1], words[2])


def test_every_step_has_its_limit() -> None:
    """None is forgotten and none is made up."""
    assert set(reply_limits(a_spec(), a_config())) == set(STEPS)


def test_judges_and_taggers_have_their_roles_limit() -> None:
    """What they write does not depend on the task."""
    limits = reply_limits(
        a_spec([seed(9000, 9000, 9000)]), a_config({"validator": {"num_predict": 77}, "tagger": {"num_predict": 55}})
    )
    roles = {"validator": 77, "tagger": 55}
    assert {s: n for s, n in limits.items() if STEPS[s].role != "generator"} == {
        s: roles[step.role] for s, step in STEPS.items() if step.role != "generator"
    }


@pytest.mark.parametrize(
    ("answer", "num_predict", "limit"),
    [
        (1, 2048, 512),  # a one-word answer may need a sentence
        (170, 2048, 512),
        (171, 2048, 513),  # three times the longest
        (600, 2048, 1800),
        (700, 2048, 2048),  # at most what the configuration says
        (1024, 2048, 2048),
        (1025, 2048, 2050),  # but twice the longest at least: the seeds show what a good answer is
        (5000, 2048, 10000),
        (1, 300, 300),  # the configuration may allow less than the usual least
        (100, 300, 300),
        (200, 300, 400),
        (10, 16, 20),
    ],
)
def test_room_for_an_answer(answer: int, num_predict: int, limit: int) -> None:
    """Tokens of the first reply; the same for both kinds of seed."""
    limits = reply_limits(a_spec([seed(answer=answer)]), a_config({"generator": {"num_predict": num_predict}}))
    assert limits["write_answer_freeform"] == limits["write_answer_grounded"] == limit


def test_room_for_questions_grows_with_their_number() -> None:
    """A list of ten takes ten times one question and the list around each."""
    config = a_config({"generator": {"num_predict": 20000}})
    one, ten = (reply_limits(a_spec([seed(question=500)], count=count), config) for count in (1, 10))
    assert one["write_questions_freeform"] == 3 * 508
    assert ten["write_questions_freeform"] == ten["write_questions_grounded"] == 30 * 508


def test_room_for_a_context() -> None:
    """As long as those of the seeds, and more."""
    assert reply_limits(a_spec([seed(context=400)]), a_config())["write_context"] == 1200
    assert reply_limits(a_spec([seed()]), a_config())["write_context"] == 512
