"""What is a near copy of a measured seed: what is that seed's own in it, and not what other seeds share with it. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from evals.data.rows import Row
from evals.data.text import rouge_l_of_words, word_grams
from skills_dspy.similarity.ngrams import build
from skills_dspy.similarity.text import squeezed, words

NEAR = 0.85
"""From this ROUGE-L on a text is a near copy, as in `eval data`."""
_GRAM = 13
_LONG = 8
"""Answers of fewer words are those of many: a label, a number."""


def near_copy_of(measured: Sequence[Row], taught: Sequence[Row]) -> Callable[[Row], bool]:
    """Whether a row is a near copy of one of the measured seeds.

    It is if 13 of its words in a row are a measured seed's, or with a ROUGE-L of NEAR what is asked, with the text that it is
    asked about, or an answer of eight words and more. What a seed of `taught` has as well, a row that is itself one of these
    left aside, is no copy: where seeds share a text, their questions and answers alone are compared.
    """
    shared = _contexts(measured) & _contexts(taught)
    index = build([text for row in measured for text in _texts(row)], _GRAM)
    given = {gram.words for context in shared for gram in index.find(context)}
    common = Counter(gram for row in taught for gram in {gram.words for text in _texts(row) for gram in index.find(text)})
    headers = Counter(gram for row in taught for gram in word_grams(words(_asked(row)), _GRAM)[1])
    asked = [(row, words(_asked(row))) for row in measured]
    long = [told for row in measured if len(told := words(row.answer)) >= _LONG]
    answers = [(told, [row for row in taught if _like(words(row.answer), told)]) for told in long]

    def rest(row: Row, other: Row, own: int) -> Sequence[str]:
        """What is asked without what more of the taught seeds ask than the row itself, if it is one: all, where nothing is."""
        same = row.context is not None and squeezed(row.context) == squeezed(other.context or "")
        text = words(row.question if same and squeezed(row.context or "") in shared else _asked(row))
        places = range(len(text) - _GRAM + 1)
        known = {
            at for place in places if headers[tuple(text[place : place + _GRAM])] > own for at in range(place, place + _GRAM)
        }
        return [word for place, word in enumerate(text) if place not in known] or text

    def near(row: Row) -> bool:
        own = int(row in taught)
        if any(gram.words not in given and common[gram.words] <= own for text in _texts(row) for gram in index.find(text)):
            return True
        text, told = words(_asked(row)), words(row.answer)
        if any(_like(text, other) and _like(rest(row, seed, own), rest(seed, row, own)) for seed, other in asked):
            return True
        return any(_like(told, other) and all(one == row for one in having) for other, having in answers)

    return near


def _contexts(rows: Sequence[Row]) -> set[str]:
    return {squeezed(row.context) for row in rows if row.context is not None}


def _like(text: Sequence[str], other: Sequence[str]) -> bool:
    return rouge_l_of_words(text, other, at_least=NEAR) >= NEAR


def _asked(row: Row) -> str:
    return f"{row.context or ''} {row.question}"


def _texts(row: Row) -> Iterator[str]:
    yield from filter(None, (row.context, row.answer))
    if row.context is None:  # a request of a text may well be another text's, too
        yield row.question
