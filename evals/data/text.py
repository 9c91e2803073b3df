"""Measures of texts by their words alone: the words themselves, what two texts share, how varied many are. Pure.

Words are those of Unicode, so any language with spaces is counted as its readers count. Chinese and Japanese have no
spaces: each of their characters is a word. Thai, Lao and Khmer have none either, and are not taken apart: a phrase is
one long word there, so their numbers are too low.
"""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice

_CJK = (
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
_PICTURE = (
    "[\u2600-\u27bf\u2b00-\u2bff\U0001f1e6-\U0001f1ff\U0001f300-\U0001f3fa\U0001f400-\U0001faff]"
    "[\ufe0f\u20e3\U0001f3fb-\U0001f3ff]*"
)
"""An emoji with what colours it. A skill that answers in emoji has no other words."""


@cache
def _word() -> re.Pattern[str]:
    """What a word looks like: a Chinese or Japanese character, an emoji, or letters and digits with their marks."""
    # Python's \w leaves out the marks that many scripts write their vowels with: without them Hindi falls into pieces.
    marks = "".join(char for char in map(chr, range(0x300, 0x10000)) if unicodedata.category(char)[0] == "M")
    letter = rf"(?![{_CJK}])[^\W_]"
    letters = rf"{letter}(?:{letter}|[{marks}])*"
    return re.compile(rf"[{_CJK}]|{_PICTURE}(?:\u200d{_PICTURE})*|{letters}(?:'{letters})*")


def _each_word(text: str) -> Iterator[str]:
    folded = unicodedata.normalize("NFC", text).casefold().replace("’", "'")
    return (found.group() for found in _word().finditer(folded))


def words(text: str) -> list[str]:
    """The words of a text in their order, case folded, without punctuation.

    An apostrophe inside a word belongs to it ("don't" is one word, in either typography); a hyphen parts words.
    """
    # Interned: the same word is one object, so that many lists of words cost little and compare quickly.
    return [sys.intern(word) for word in _each_word(text)]


def rouge_l(a: str, b: str) -> float:
    """ROUGE-L of two texts, 0 (no word in common) to 1 (the same words in the same order).

    The harmonic mean (F1) of the shares of either text's words that the longest common subsequence holds (Lin 2004).
    It is the same for (a, b) and (b, a). A text without a word shares nothing: 0.
    """
    return rouge_l_of_words(words(a), words(b))


def rouge_l_of_words(a: Sequence[str], b: Sequence[str], at_least: float = 0.0) -> float:
    """`rouge_l` of texts whose `words` are at hand.

    Args:
        a: the words of one text.
        b: those of the other.
        at_least: a value below this one may be given as 0.0, which is quicker.
    """
    from rapidfuzz.distance import Indel

    if not a or not b:
        return 0.0
    # With L the longest common subsequence, F1 is 2L / (|a| + |b|), and so is the Indel similarity.
    # Its own comparison with the bound is off by a rounding, so it is given a little less.
    return float(Indel.normalized_similarity(a, b, score_cutoff=max(0.0, at_least - 1e-9)))


def distinct_n(texts: Iterable[str], n: int) -> float:
    """The share of the n-grams of words that are different ones, over all texts together (Li et al. 2016).

    1 when no n-gram comes twice; 0.0 when there is none. No n-gram goes across the end of a text. The more text there
    is, the lower it gets in any language, so it compares only sets of about one size.

    Raises:
        ValueError: n is below 1.
    """
    return distinct_n_of_words((words(text) for text in texts), n)


def distinct_n_of_words(texts: Iterable[Sequence[str]], n: int) -> float:
    """`distinct_n` of texts whose `words` are at hand."""
    if n < 1:
        raise ValueError(f"an n-gram has at least one word, not {n}")
    total, seen = 0, set[tuple[str, ...]]()
    for text in texts:
        grams = list(zip(*(text[start:] for start in range(n)), strict=False))
        total += len(grams)
        seen.update(grams)
    return len(seen) / total if total else 0.0


def shared_opening(questions: Sequence[str], words: int = 4) -> tuple[str, float]:
    """The most frequent first words of the questions, joined by spaces, and the share of questions that begin with them.

    A question with fewer words begins with none that are counted, but counts in the share. Among equally frequent ones
    the first to come is taken; ("", 0.0) when no question is long enough.

    Args:
        questions: any texts.
        words: how many first words make an opening.
    """
    beginnings = (tuple(islice(_each_word(question), words)) for question in questions)
    openings = Counter(beginning for beginning in beginnings if len(beginning) == words)
    if not openings:
        return "", 0.0
    opening, count = openings.most_common(1)[0]
    return " ".join(opening), count / len(questions)
