"""Measures of texts by their words: what a word is, ROUGE-L, distinct n-grams, shared openings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.data.text import distinct_n, distinct_n_of_words, rouge_l, rouge_l_of_words, shared_opening, words

TEXTS = st.text(alphabet=st.sampled_from("ab cd' éß中ー👍-.\n"), max_size=30)
WORD_LISTS = st.lists(st.sampled_from("abcd"), max_size=12)


def longest_common(a: list[str], b: list[str]) -> int:
    """The length of the longest common subsequence, by the textbook's table."""
    row = [0] * (len(b) + 1)
    for left in a:
        before = 0
        for place, right in enumerate(b, start=1):
            before, row[place] = row[place], before + 1 if left == right else max(row[place], row[place - 1])
    return row[-1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Fox, the fox!", ["the", "fox", "the", "fox"]),
        ("Don’t stop - it's 'quoted'", ["don't", "stop", "it's", "quoted"]),
        ("a well-known snake_case _word_", ["a", "well", "known", "snake", "case", "word"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("3.14 + 2x", ["3", "14", "2x"]),
        ("狐は走る fast", ["狐", "は", "走", "る", "fast"]),
        ("빠른 여우", ["빠른", "여우"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("👍🏽👍 ❤️ ok", ["👍🏽", "👍", "❤️", "ok"]),
        ("... !? \n", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    """Words are what a reader of the language counts; each Chinese or Japanese character and each emoji is one."""
    assert words(text) == found


@given(TEXTS)
def test_words_of_words_are_the_same(text: str) -> None:
    """Taking a text's words apart a second time changes nothing."""
    assert words(" ".join(words(text))) == words(text)


@given(WORD_LISTS, WORD_LISTS)
def test_rouge_l_is_the_definition(a: list[str], b: list[str]) -> None:
    """F1 of the shares of words in the longest common subsequence, by a slow table."""
    common = longest_common(a, b)
    expected = 0.0
    if common:
        precision, recall = common / len(b), common / len(a)
        expected = 2 * precision * recall / (precision + recall)
    assert rouge_l_of_words(a, b) == pytest.approx(expected)
    assert rouge_l(" ".join(a), " ".join(b)) == pytest.approx(expected)


@given(TEXTS, TEXTS)
def test_rouge_l_is_symmetric_and_within_bounds(a: str, b: str) -> None:
    """0 to 1, the same both ways, and 1 for a text with itself if it has a word."""
    assert 0.0 <= rouge_l(a, b) == rouge_l(b, a) <= 1.0
    assert rouge_l(a, a) == (1.0 if words(a) else 0.0)


def test_rouge_l_below_the_bound_is_left_out() -> None:
    """With a bound, what is below it may be 0; what reaches it is exact."""
    a, b = ["a", "b", "c", "d"], ["a", "x", "c", "y"]
    assert rouge_l_of_words(a, b) == rouge_l_of_words(a, b, at_least=0.5) == 0.5
    assert rouge_l_of_words(a, b, at_least=0.6) == 0.0


def test_distinct_n_counts_over_all_texts() -> None:
    """Three bigrams, two of them different; none goes from one text to the next."""
    assert distinct_n(["a b a", "A b"], 2) == pytest.approx(2 / 3)
    assert distinct_n(["a b", "c d"], 2) == 1.0
    assert distinct_n(["a b a", "A b"], 1) == pytest.approx(2 / 5)


def test_distinct_n_of_nothing() -> None:
    """Texts that are too short have no n-gram, so nothing is varied."""
    assert distinct_n(["one two"], 3) == 0.0
    assert distinct_n([], 1) == 0.0
    with pytest.raises(ValueError, match="at least one word, not 0"):
        distinct_n(["one"], 0)


@given(st.lists(WORD_LISTS, max_size=6), st.integers(1, 3))
def test_saying_all_twice_halves_distinct_n(texts: list[list[str]], n: int) -> None:
    """Repeating everything brings no new n-gram."""
    assert distinct_n_of_words(texts * 2, n) == pytest.approx(distinct_n_of_words(texts, n) / 2)


def test_shared_opening() -> None:
    """The most frequent first words, whatever their case and punctuation, and how many have them."""
    questions = ["Write a haiku about rain.", "Name a fox.", "Write: a haiku, about snow!", "Why?"]
    assert shared_opening(questions) == ("write a haiku about", 0.5)
    assert shared_opening(questions, words=1) == ("write", 0.5)


def test_shared_opening_of_ties_and_nothing() -> None:
    """Among equals the first to come; nothing is shared when no question is long enough."""
    assert shared_opening(["one two three four", "five six seven eight"]) == ("one two three four", 0.5)
    assert shared_opening(["Why?", "How?"]) == ("", 0.0)
    assert shared_opening([]) == ("", 0.0)
