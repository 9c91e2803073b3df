"""How near two texts are in their words, and which words tie a text to its context. Pure."""

import re
from collections.abc import Sequence

from skills_dspy.base.records import SeedExample
from skills_dspy.similarity.text import likeness, words

_COMMON = frozenset(
    words(
        "about after again also answer because been before being between both could does done down each else "
        "every find first from give given have here into just know last less like list made make many more most "
        "much must name need next note only other over part question same says second sentence should some such "
        "tell text than that their them then there these they thing this those three through under until upon "
        "very want well were what when where which while will with word words write your mrs"
    )
)
"""Words that say little of what a text is about."""
_STEM = 5  # so many first letters stand for a word, so that "arrive" and "arrival" are one
_NAME = re.compile(r"(?:\b(?:Mrs?|Ms|Dr)\. |(?<![.?!:\n\"“] )(?<!^)(?<!\n)\b)[A-Z][\w'’-]+", re.MULTILINE)
"""A capitalized word that does not begin a sentence; behind "Mr." no sentence begins."""
_NEAR = 0.85


def near(a: str, b: str) -> bool:
    """Whether two texts say as good as the same: nearly equal, or one holds the other as whole words."""
    one, other = f" {' '.join(words(a))} ", f" {' '.join(words(b))} "
    return one in other or other in one or likeness(a, b) >= _NEAR


def stems(text: str) -> frozenset[str]:
    """The beginnings of the words that say what a text is about, and its numbers."""
    said = (word.removesuffix("'s").removesuffix("s") for word in words(text) if word not in _COMMON)
    return frozenset(word[:_STEM] for word in said if len(word) > 2 or word.isdigit())


def names(text: str) -> frozenset[str]:
    """The beginnings of capitalized words inside of sentences."""
    return stems(" ".join(_NAME.findall(text)))


def tied(text: str, own: str, other: str) -> bool:
    """Whether a text speaks of its own context, and not of another one.

    It does so with at least two words, or one name or number, that its own context has and the other one lacks; and the
    other one lacks at least half of what it shares with its own.
    """
    shared = {stem for stem in stems(text) if len(stem) > 3 or stem.isdigit() or stem in names(text)} & stems(own)
    missing = shared - stems(other)
    strong = {stem for stem in missing if stem.isdigit() or stem in names(text)}
    return 2 * len(missing) >= len(shared) and (len(missing) > 1 or bool(strong))


def foreign_contexts(text: str, seed: SeedExample, others: Sequence[SeedExample]) -> list[str]:
    """The contexts of other seeds that lack what a text speaks of and the seed's own context has."""
    own = seed.context
    return [
        one.context
        for one in others
        if own is not None and one.context is not None and not near(one.context, own) and tied(text, own, one.context)
    ]
