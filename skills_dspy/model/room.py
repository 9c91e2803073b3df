"""How much room each reply gets, taken from the length of the seeds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from skills_dspy.base.records import SeedExample
from skills_dspy.base.tokens import estimate_tokens

_LEAST = 512
"""Room in tokens that every writer has beyond the seeds: a skill whose seeds are one word long may still need a sentence."""
_LEAST_QUESTION = 256
"""Room in tokens that one question has beyond the seeds'."""
_SHOWABLE = 1.25
"""How much longer than the longest seed an accepted pair may be and still be shown as an example."""
RETRY = 2
"""A truncated reply is asked for once more with this many times the room."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """The longest question, answer and context among seeds, in estimated tokens."""

    question: int
    answer: int
    context: int


def longest(seeds: Iterable[SeedExample]) -> Lengths:
    """The longest parts of `seeds`; a part that no seed has is 0."""
    rows = list(seeds)

    def most(part: Callable[[SeedExample], str]) -> int:
        return max((estimate_tokens(part(seed)) for seed in rows), default=0)

    return Lengths(most(lambda s: s.question), most(lambda s: s.answer), most(lambda s: s.context or ""))


def reply_room(length: int, most: int) -> int:
    """The most tokens of a writer's first reply that is like a part of the seeds with at most `length` tokens.

    Half as much again as the longest seed, at least 512 tokens more than it, at most the generator's num_predict; but never
    less than half as much again, because a limit that would cut a good answer makes no dataset.
    """
    return min(length + max(_LEAST, length // 2), max(most, length + length // 2))


def question_limit(seeds: Lengths) -> int:
    """The most tokens, estimated, that a new question may have: a longer one is none of this skill."""
    return seeds.question + max(_LEAST_QUESTION, seeds.question // 2)


def largest_shown(seeds: Lengths) -> Lengths:
    """The longest that an accepted pair may be to be shown as an example, so that prompts cannot grow from draw to draw."""
    return Lengths(*(int(_SHOWABLE * length) for length in (seeds.question, seeds.answer, seeds.context)))


def may_be_shown(question: str, context: str | None, seeds: Lengths) -> bool:
    """Whether an accepted pair is short enough to be shown to the writers, who see its question and context."""
    most = largest_shown(seeds)
    return estimate_tokens(question) <= most.question and estimate_tokens(context or "") <= most.context
