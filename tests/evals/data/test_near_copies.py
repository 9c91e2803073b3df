"""Near-copies among texts: the quick way finds what comparing all with all finds."""

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


@given(some_texts(), st.sampled_from([0.85, 0.88, 0.9, 0.95, 1.0]))
@settings(max_examples=6 * settings().max_examples)
def test_every_pair_is_found(texts: list[list[str]], bound: float) -> None:
    """The filter leaves nothing out and adds nothing; a text has a near-copy exactly if it stands in a pair."""
    places = range(len(texts))
    pairs = [(a, b) for a in places for b in places if a < b and texts[a] and rouge_l_of_words(texts[a], texts[b]) >= bound]
    assert near_copy_pairs(texts, bound) == pairs
    assert has_near_copy(texts, bound) == [any(place in pair for pair in pairs) for place in places]


def test_patience_bounds_the_work() -> None:
    """With little patience a copy may be missed, but never one too many is found."""
    texts = [["the", "area", "is", str(n), "square", "metres", "as", "asked", "for"] for n in range(30)]
    assert has_near_copy(texts, 0.95, patience=3) == [False] * 30
    assert all(has_near_copy(texts, 0.85, patience=3))
