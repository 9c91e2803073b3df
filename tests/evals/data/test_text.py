"""Measures of texts by their words: ROUGE-L, distinct n-grams, shared openings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.data.text import distinct_n, rouge_l, rouge_l_of_words, shared_opening
from skills_dspy.similarity.text import words

WORD_LISTS = st.lists(st.sampled_from("abcd"), max_size=12)


def longest_common(a: list[str], b: list[str]) -> int:
    """The length of the longest common subsequence, by the textbook's table."""
    row = [0] * (len(b) + 1)
    for left in a:
        before = 0
        for place, right in enumerate(b, start=1):
            before, row[place] = row[place], before + 1 if left == right else max(row[place], row[place - 1])
    return row[-1]


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


def test_rouge_l_below_the_bound_is_left_out() -> None:
    """With a bound, what is below it may be 0; what reaches it is exact."""
    a, b = ["a", "b", "c", "d"], ["a", "x", "c", "y"]
    assert rouge_l_of_words(a, b) == rouge_l_of_words(a, b, at_least=0.5) == 0.5
    assert rouge_l_of_words(a, b, at_least=0.6) == 0.0


def test_distinct_n_counts_over_all_texts() -> None:
    """Three bigrams, two of them different; none goes from one text to the next, and a short text has none."""
    assert distinct_n([list("aba"), list("ab")], 2) == pytest.approx(2 / 3)
    assert distinct_n([list("ab"), list("cd")], 2) == 1.0
    assert distinct_n([list("ab")], 3) is distinct_n([], 1) is None


@pytest.mark.parametrize(
    ("questions", "opening", "share"),
    [
        (["Write a haiku about rain.", "Name a fox.", "Write: a haiku, about snow!", "Why?"], "write a haiku about", 0.5),
        (["one two three four", "five six seven eight"], "one two three four", 0.5),
        (["Why?", "How?"], "", 0.0),
    ],
)
def test_shared_opening(questions: list[str], opening: str, share: float) -> None:
    """The most frequent first words, whatever their case and punctuation; among equals the first to come."""
    assert shared_opening([words(question) for question in questions]) == (opening, share)
