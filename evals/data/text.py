"""Measures of texts by their words: what two texts share, how varied many are. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence

from skills_dspy.similarity.text import words

OPENING = 4  # words that tell how a text begins


def rouge_l(a: str, b: str) -> float:
    """ROUGE-L of two texts, 0 (no word in common) to 1 (the same words in the same order).

    The harmonic mean (F1) of the shares of either text's words that the longest common subsequence holds (Lin 2004).
    """
    return rouge_l_of_words(words(a), words(b))


def rouge_l_of_words(a: Sequence[str], b: Sequence[str], at_least: float = 0.0) -> float:
    """`rouge_l` of texts whose `words` are at hand; a value below `at_least` may come as 0.0, which is quicker."""
    from rapidfuzz.distance import Indel

    if not a or not b:
        return 0.0
    # With L the longest common subsequence, F1 is 2L / (|a| + |b|), and so is the Indel similarity.
    # Its own comparison with the bound is off by a rounding, so it is given a little less.
    return float(Indel.normalized_similarity(a, b, score_cutoff=max(0.0, at_least - 1e-9)))


WordGrams = tuple[int, frozenset[tuple[str, ...]]]
"""How many n-grams a text has, and its different ones."""


def distinct_n(texts: Iterable[Sequence[str]], n: int) -> float | None:
    """The share of the n-grams of words that are different ones, over all texts together (Li et al. 2016); None without any.

    The more text there is, the lower it gets in any language, so it compares only sets of about one size.
    """
    return share_of_different(word_grams(text, n) for text in texts)


def word_grams(text: Sequence[str], n: int) -> WordGrams:
    """The n-grams of a text's words: how many there are, and the different ones."""
    return max(0, len(text) - n + 1), frozenset(zip(*(text[start:] for start in range(n)), strict=False))


def share_of_different(texts: Iterable[WordGrams]) -> float | None:
    """`distinct_n` of texts whose n-grams are known: those that many samples are drawn from."""
    known = list(texts)
    total = sum(count for count, _ in known)
    return len(frozenset[tuple[str, ...]]().union(*(different for _, different in known))) / total if total else None


def shared_opening(texts: Sequence[Sequence[str]]) -> tuple[str, float]:
    """The most frequent first OPENING words of texts, joined by spaces, and the share of the texts that begin with them.

    A text with fewer words counts in the share alone. Among equally frequent ones the first to come is taken; ("", 0.0) when
    no text is long enough.
    """
    openings = Counter(tuple(text[:OPENING]) for text in texts if len(text) >= OPENING)
    if not openings:
        return "", 0.0
    opening, count = openings.most_common(1)[0]
    return " ".join(opening), count / len(texts)
