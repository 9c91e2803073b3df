"""What texts have in common word for word: runs of words, found whatever stands around them."""

from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.similarity.pieces import Pieces, quoted, words_in

ANIMALS = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay", "kite", "lark")
WORDS = st.lists(st.sampled_from(ANIMALS), min_size=8, max_size=20)
NONE: frozenset[tuple[str, ...]] = frozenset()


@given(WORDS, st.lists(st.sampled_from(["pine", "oak", "elm"]), max_size=30), st.lists(st.just("yew"), max_size=30))
def test_a_run_is_found_whatever_stands_around_it(run: list[str], before: list[str], after: list[str]) -> None:
    """All of it and no more, in any case and with any punctuation, and the text holds the whole of it."""
    source, text = Pieces.of(" ".join(run)), Pieces.of(", ".join([*before, *run, *after]).upper())
    assert text.longest_run(frozenset(source.pieces), NONE) == tuple(run)
    assert text.holds(source)


@given(WORDS)
def test_what_is_ignored_makes_no_run(run: list[str]) -> None:
    """Not even as a part of a longer one."""
    source = Pieces.of(" ".join(run))
    assert source.longest_run(frozenset(source.pieces), frozenset(source.pieces)) == ()


def test_fewer_than_eight_words_are_no_run() -> None:
    """Seven words in a row stand in too many good texts."""
    seven = Pieces.of("what is the capital of the country")
    assert seven.pieces == ()
    assert not Pieces.of("what is the capital of the country of France").holds(seven)


def test_characters_of_scripts_without_spaces_count_as_parts_of_words() -> None:
    """Sixteen Chinese characters make eight words, and so do thirty-two of Thai."""
    chinese, thai = Pieces.of("我" * 16), Pieces.of("ก" * 32)
    assert (chinese.words, thai.words) == (8.0, 8.0)
    assert (len(chinese.pieces), len(thai.pieces)) == (1, 1)
    assert words_in(chinese.pieces[0]) == 8.0


def test_a_long_run_is_quoted_by_its_beginning() -> None:
    """A person sees at once where it is from."""
    assert quoted((*ANIMALS, "mole")) == f'"{" ".join(ANIMALS)} ..."'
    assert quoted(ANIMALS) == f'"{" ".join(ANIMALS)}"'
