"""How long some texts are, in words that a writer is told: `20 to 45 words`."""

import math
from collections.abc import Callable, Iterable

from skills_dspy.similarity.text import WORD, each_word, token_width, tokens

_SHORTER, _LONGER = 3 / 4, 5 / 4
"""How much shorter than the shortest and longer than the longest text another one of the kind may be."""
_RICHER, _OF_FEW, _MORE_WORDS = 7 / 4, 5 / 2, 300
"""How much longer an answer may be that has more to say, where one or two show what is usual, and how many words more at most,
for which a reply has room."""
_LEAST_RANGE = 2
"""What lies between both ends at least: whoever answers in one word may need three."""


def usual_length(texts: Iterable[str], *, richer: bool = False) -> str:
    """The range of lengths of one or more texts, a little widened and in round numbers; upwards by more for `richer` ones.

    It counts words, and characters where most of the texts stand in a script that puts no spaces between words.
    """
    own = list(texts)
    found = [token for text in own for token in tokens(text)]
    unspaced = 2 * sum(token_width(token) < WORD for token in found) > len(found)
    counts = [len("".join(text.split())) if unspaced else sum(1 for _ in each_word(text)) for text in own]
    least = max(1, _rounded(min(counts) * _SHORTER, math.floor))
    longest = max(counts)
    factor = _OF_FEW if len(own) < 3 else _RICHER
    longer = max(longest * _LONGER, min(longest * factor, longest + _MORE_WORDS) if richer else 0)
    most = max(least + _LEAST_RANGE, _rounded(longer, math.ceil))
    return f"{least} to {most} {'characters' if unspaced else 'words'}"


def _rounded(number: float, way: Callable[[float], int]) -> int:
    """The next number, up or down as `way` goes, that people would write: 7, 35, 120, 1300."""
    step = next(step for below, step in ((10, 1), (100, 5), (1000, 10), (math.inf, 100)) if number < below)
    return step * way(number / step)
