"""Near-copies among texts: the quick way finds what comparing all with all finds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.data.near_copies import has_near_copy, near_copy_pairs
from evals.data.text import rouge_l_of_words


@st.composite
def some_texts(draw: st.DrawFn) -> list[list[str]]:
    """A few texts, and others made of them by taking a word out, putting one in, or saying all again."""
    texts = draw(st.lists(st.lists(st.sampled_from("aabcdefgh"), max_size=14), min_size=1, max_size=6))
    for source in draw(st.lists(st.integers(0, 100), max_size=8)):
        text = list(texts[source % len(texts)])
        for place in draw(st.lists(st.integers(0, 100), max_size=3)):
            if place % 2:
                text.insert(place % (len(text) + 1), "x")
            elif text:
                del text[place % len(text)]
        texts.append(text)
    return texts


TEXTS = some_texts()
BOUNDS = st.sampled_from([0.85, 0.88, 0.9, 0.95, 1.0])


def all_pairs(texts: list[list[str]], bound: float) -> list[tuple[int, int]]:
    """What is to be found, by comparing all with all."""
    places = range(len(texts))
    return [(a, b) for a in places for b in places if a < b and texts[a] and rouge_l_of_words(texts[a], texts[b]) >= bound]


@given(TEXTS, BOUNDS)
@settings(max_examples=300)
def test_every_pair_is_found(texts: list[list[str]], bound: float) -> None:
    """The filter leaves nothing out and adds nothing."""
    assert near_copy_pairs(texts, bound) == all_pairs(texts, bound)


@given(TEXTS, BOUNDS)
def test_every_copy_is_found(texts: list[list[str]], bound: float) -> None:
    """A text has a near-copy exactly if it stands in a pair."""
    expected = {place for pair in all_pairs(texts, bound) for place in pair}
    assert has_near_copy(texts, bound) == [place in expected for place in range(len(texts))]


@given(TEXTS, BOUNDS, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(texts: list[list[str]], bound: float, random: object) -> None:
    """Which texts are copies does not depend on where they stand."""
    places = list(range(len(texts)))
    random.shuffle(places)  # type: ignore[attr-defined]
    moved = has_near_copy([texts[place] for place in places], bound)
    found = has_near_copy(texts, bound)
    assert moved == [found[place] for place in places]


def test_patience_bounds_the_work() -> None:
    """With little patience a copy may be missed, but never one too many is found."""
    texts = [["the", "area", "is", str(n), "square", "metres", "as", "asked", "for"] for n in range(30)]
    assert has_near_copy(texts, 0.95, patience=3) == [False] * 30
    assert all(has_near_copy(texts, 0.85, patience=3))


def test_what_has_no_words_is_no_copy() -> None:
    """Two texts without a word are not alike."""
    assert has_near_copy([[], [], ["a"]], 0.9) == [False, False, False]
    assert near_copy_pairs([[], []], 0.9) == []


def test_a_bound_has_to_be_one() -> None:
    """Where a near-copy need not share two neighbouring words, it could be missed, so that is refused."""
    with pytest.raises(ValueError, match=r"0\.85 to 1, not 0\.8"):
        has_near_copy([["a"]], 0.8)
