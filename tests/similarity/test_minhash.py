"""Near-duplicates by their words, groups of them, and which groups are for testing."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skills_dspy.base.errors import RequestError
from skills_dspy.similarity.minhash import (
    BANDS,
    HASHES,
    MATCHES,
    SIMILAR,
    Groups,
    alike,
    band_keys,
    choose_test,
    key_of,
    minhash,
    signature,
    views,
    words,
)
from tests.helpers.exporting import a_record

LONG = " ".join(f"word{n}" for n in range(60))


def near(a: str, b: str) -> bool:
    """Whether the signatures of two texts say that they are near-same."""
    return bool(alike(signature(minhash(a)), signature(minhash(b))[None])[0])


def jaccard(a: str, b: str) -> float:
    """What is estimated, exactly."""
    one, other = ({*w, *pairwise(w)} for w in (words(a), words(b)))
    return len(one & other) / len(one | other)


@given(st.text(min_size=1))
def test_the_same_words_are_always_found(text: str) -> None:
    """Case, punctuation and spaces do not count, and no chance has a part in it: every band has the same key."""
    other = "  " + text.upper().casefold().replace(" ", "   ")
    if words(other) == words(text):
        assert (minhash(text) == minhash(other)).all()
        assert near(text, other)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What is a Fox?", ["what", "is", "a", "fox"]),
        ("狐とは", ["狐", "と", "は"]),
        (":-) :-(", [":-)", ":-("]),
        ("", []),
        ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
        ("\u0915\u0940 \u0915\u093e", ["\u0915\u0940", "\u0915\u093e"]),
        ("\u0e01\u0e47\u0e14\u0e35", ["\u0e01", "\u0e47", "\u0e14", "\u0e35"]),
        ("\uff21\uff22", ["ab"]),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    """Chinese, Japanese and Thai have one a character; a text of signs has what stands between spaces.

    However it is encoded, a letter is the same one, and the marks of a script such as Devanagari tell words apart.
    """
    assert words(text) == found


def test_one_text_in_two_encodings_is_one_text() -> None:
    """A Mac writes letters and accents apart; and a Thai sentence with another end is the same one."""
    text = "Gi\u1ea3i th\u00edch v\u00ec sao b\u1ea7u tr\u1eddi c\u00f3 m\u00e0u xanh?"
    assert near(text, unicodedata.normalize("NFD", text))
    thai = "อธิบายว่าทำไมท้องฟ้าจึงเป็นสีฟ้า"
    assert near(thai, thai + "ครับ")


def test_one_word_changed_in_a_long_text_is_near_and_another_text_is_not() -> None:
    """By the measure that the module states."""
    changed = LONG.replace("word30", "another")
    assert jaccard(LONG, changed) > SIMILAR
    assert near(LONG, changed)
    assert not near(LONG, " ".join(f"other{n}" for n in range(60)))
    assert not near("Write a haiku about frost.", "Write a haiku about an old mill.")


def test_the_order_of_words_counts() -> None:
    """The same words the other way round share no pair."""
    assert not near(LONG, " ".join(reversed(LONG.split())))


def test_the_estimate_is_as_good_as_the_module_says() -> None:
    """Over many pairs it is off by 0.04 on average (root of the mean square) at most, and not to one side."""
    errors = []
    for n in range(200):
        a = " ".join(f"a{n}w{k}" for k in range(40))
        b = " ".join(f"a{n}w{k}" for k in range(4 + n % 8, 40))
        equal = int((signature(minhash(a)) == signature(minhash(b))).sum()) / HASHES
        errors.append((equal - 1 / 256) / (1 - 1 / 256) - jaccard(a, b))
    assert float(np.mean(np.square(errors))) ** 0.5 < 0.04
    assert abs(float(np.mean(errors))) < 0.01
    assert SIMILAR * HASHES < MATCHES < (SIMILAR + 0.01) * HASHES


def test_near_same_texts_become_candidates() -> None:
    """Of 300 pairs that share 0.7 to 0.75 of their words and pairs, every one has a key in common."""
    missed = 0
    for n in range(300):
        a = " ".join(f"t{n}w{k}" for k in range(50))
        b = " ".join(f"t{n}w{k}" for k in range(13, 50))
        assert 0.7 <= jaccard(a, b) <= 0.75
        missed += not (band_keys(minhash(a)[None]) == band_keys(minhash(b)[None])).any()
    assert band_keys(minhash("a")[None]).shape == (1, BANDS)
    assert missed == 0


def test_a_question_on_a_context_is_compared_through_its_context() -> None:
    """The same question on another passage is no near-duplicate."""
    assert views(a_record(context="The fox runs."))[0] == "The fox runs."
    assert views(a_record())[0] == "What is a fox?"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_groups_are_what_is_connected(pairs: list[tuple[int, int]]) -> None:
    """In whatever order they were joined, with the smallest number for each."""
    groups, plain = Groups(31), {n: {n} for n in range(31)}
    for a, b in pairs:
        groups.join(a, b)
        both = plain[a] | plain[b]
        for n in both:
            plain[n] = both
    assert groups.roots().tolist() == [min(plain[n]) for n in range(31)]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=8),
    st.floats(0.01, 0.99),
    st.integers(0, 2**63 - 1),
)
def test_no_group_is_parted_and_the_share_is_kept(pairs: list[tuple[int, int]], share: float, seed: int) -> None:
    """At most the share, or one smallest group where all are larger; the same seed gives the same rows."""
    groups = Groups(20)
    for a, b in pairs:
        groups.join(a, b)
    roots = groups.roots()
    ids = np.array([key_of(str(n)) for n in range(20)], np.uint64)
    chosen = choose_test(groups, ids, share, seed)
    assert all(len({bool(chosen[n]) for n in range(20) if roots[n] == root}) == 1 for root in roots)
    sizes = np.unique(roots, return_counts=True)[1]
    assert 1 <= chosen.sum() <= max(1, round(20 * share), min(sizes))
    assert (chosen == choose_test(groups, ids, share, seed)).all()


def test_the_seed_decides() -> None:
    """Other seeds set other rows apart, and single rows fill the share exactly."""
    ids = np.array([key_of(str(n)) for n in range(100)], np.uint64)
    picked = [tuple(np.flatnonzero(choose_test(Groups(100), ids, 0.1, seed))) for seed in range(5)]
    assert {len(rows) for rows in picked} == {10}
    assert len(set(picked)) == 5


@pytest.mark.parametrize(("count", "said"), [(1, "only one row"), (3, "all 3 rows are near-duplicates")])
def test_one_group_cannot_be_split(count: int, said: str) -> None:
    """Better none than a test set that is known beforehand."""
    groups = Groups(count)
    for row in range(1, count):
        groups.join(0, row)
    with pytest.raises(RequestError, match=said):
        choose_test(groups, np.arange(count, dtype=np.uint64), 0.5, 0)
