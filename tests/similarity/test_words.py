"""Texts with near-same words: the join finds what the measure says, and nothing else."""

import unicodedata
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skills_dspy.similarity import words
from skills_dspy.similarity.nearest import Groups
from skills_dspy.similarity.words import SIMILAR, Texts

LONG = " ".join(f"word{n}" for n in range(60))


def groups_of(*texts: str) -> list[int]:
    """For each text its group's number."""
    found, groups = Texts(), Groups(len(texts))
    for number, text in enumerate(texts):
        found.add(number, text)
    found.join_similar(groups)
    return list(map(int, groups.labels))


def near(a: str, b: str) -> bool:
    """Whether two texts come into one group, among others."""
    return len(set(groups_of(a, b, "something else", "quite another")[:2])) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG, LONG.replace("word30", "another")),
        ("What is a Fox?", "  what is A fox"),
        (":-) :-(", ":-)   :-("),
        ("Is 15 - 3 well-known?", "is 15 − 3 well known"),
        ("Giải thích vì sao bầu trời có màu xanh?", unicodedata.normalize("NFD", "Giải thích vì sao bầu trời có màu xanh?")),
        ("อธิบายว่าทำไมท้องฟ้าจึงเป็นสีฟ้า", "อธิบายว่าทำไมท้องฟ้าจึงเป็นสีฟ้าครับ"),
    ],
    ids=["a word changed", "case and spaces", "signs alone", "minus as typeset", "accents apart", "another end in Thai"],
)
def test_near_same(one: str, other: str) -> None:
    """A long text with another word; the same words in another spelling."""
    assert near(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Write a haiku about frost.", "Write a haiku about an old mill."),
        (LONG, " ".join(reversed(LONG.split()))),
        (":-)", ":-("),
        ("की", "का"),
        ("12 + 7", "12 - 7"),
        ("12 - 7", "12 * 7"),
        ("What is x + y?", "What is x - y?"),
    ],
    ids=["one form", "the other way round", "signs alone", "another vowel", "plus", "times", "letters"],
)
def test_not_near_same(one: str, other: str) -> None:
    """Pairs of neighbours count, and so do the marks of a script."""
    assert not near(one, other)


@settings(max_examples=4 * settings().max_examples, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=12).map(" ".join), max_size=12), st.integers(1, 60))
def test_what_is_joined_is_exactly_what_the_measure_says(texts: list[str], at_once: int) -> None:
    """Directly or through others, in however small portions."""
    sets = [{*text.split(), *pairwise(text.split())} for text in texts]
    wanted = Groups(len(texts))
    for (a, one), (b, other) in combinations(enumerate(sets), 2):
        if len(one & other) / len(one | other) >= SIMILAR:
            wanted.join(np.array([a]), np.array([b]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_AT_ONCE", at_once)
        found = groups_of(*texts)
    assert {(a, b) for a, b in combinations(range(len(texts)), 2) if found[a] == found[b]} == {
        (a, b) for a, b in combinations(range(len(texts)), 2) if wanted.labels[a] == wanted.labels[b]
    }
