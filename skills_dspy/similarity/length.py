"""How long some texts are: in words that a writer is told, `20 to 45 words`; of pairs of answers, which is longer."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import median, quantiles

from skills_dspy.similarity.text import WORD, token_width, tokens, words

_SHORTER, _LONGER = 3 / 4, 5 / 4
"""How much shorter than the shortest and longer than the longest text another one of the kind may be."""
_RICHER, _OF_FEW, _MORE_WORDS = 7 / 4, 5 / 2, 300
"""How much longer an answer may be that has more to say, where one or two show what is usual, and how many words more at most,
for which a reply has room."""
_LEAST_RANGE = 2
"""What lies between both ends at least: whoever answers in one word may need three."""
_MANY = 5
"""So many answers show what is usual: whoever is told a range alone writes to its middle, and a single long text moves that."""
_PROSE = 100
"""An answer of so many words is a text of its own, and readers prefer one that says more; a shorter reply only grows."""


def usual_length(texts: Iterable[str], *, answers: bool = False, richer: bool = False) -> str:
    """The range of lengths of one or more texts, a little widened and in round numbers: `10 to 45 words`.

    Of five `answers` or more the middle half is told as well: `10 to 45 words, mostly 15 to 20`. `richer` answers of which
    there are fewer, or which are long, may be longer than any of them instead, and are told so. It counts words, and
    characters where most of the texts stand in a script that puts no spaces between words.
    """
    return _usual_length(tuple(texts), answers, richer)


@lru_cache(maxsize=1024)  # each prompt of a task's writers says the same length of its seeds
def _usual_length(own: tuple[str, ...], answers: bool, richer: bool) -> str:
    found = [token for text in own for token in tokens(text)]
    unspaced = 2 * sum(token_width(token) < WORD for token in found) > len(found)
    counts = [len("".join(text.split())) if unspaced else len(words(text)) for text in own]
    unit = "characters" if unspaced else "words"
    least, longest = max(1, _rounded(min(counts) * _SHORTER, math.floor)), max(counts)
    told = f"{_range(least, longest * _LONGER)} {unit}"
    if answers and len(own) >= _MANY and not (richer and median(counts) >= _PROSE):
        first, _, third = quantiles(counts, n=4, method="inclusive")
        usual = dict.fromkeys((_rounded(first, math.floor), _rounded(third, math.ceil)))  # one number where both are the same
        return f"{told}, mostly {' to '.join(map(str, usual))}"
    if not (answers and richer):
        return told
    most = min(longest * (_OF_FEW if len(own) < 3 else _RICHER), longest + _MORE_WORDS)
    return f"{_range(least, max(most, longest * _LONGER))} {unit}, near the upper end where there is much worth saying"


def _range(least: int, most: float) -> str:
    return f"{least} to {max(least + _LEAST_RANGE, _rounded(most, math.ceil))}"


def _rounded(number: float, way: Callable[[float], int]) -> int:
    """The next number, up or down as `way` goes, that people would write: 7, 35, 120, 1300."""
    step = next(step for below, step in ((10, 1), (100, 5), (1000, 10), (math.inf, 100)) if number < below)
    return step * way(number / step)


@dataclass(slots=True)
class PairLengths:
    """The lengths of pairs of answers, in words: first that of the preferred one."""

    counts: list[tuple[int, int]] = field(default_factory=list)

    def add(self, chosen: str, rejected: str) -> None:
        """One more pair."""
        self.counts.append((len(words(chosen)), len(words(rejected))))

    @property
    def longer(self) -> tuple[int, int]:
        """In how many pairs the chosen answer is the longer one, and in how many the rejected one."""
        return sum(one > other for one, other in self.counts), sum(one < other for one, other in self.counts)

    @property
    def uneven(self) -> bool:
        """Whether one side is longer more often than a fair coin would have it in 19 of 20 cases."""
        chosen, rejected = self.longer
        return abs(chosen - rejected) > 1.96 * math.sqrt(chosen + rejected)

    def as_json(self) -> dict[str, float | int]:
        """The medians of both sides, and which is longer how often; zeros without a pair."""
        chosen, rejected = (median(side) for side in zip(*(self.counts or [(0, 0)]), strict=True))
        longer = dict(zip(("chosen_longer", "rejected_longer"), self.longer, strict=True))
        return {"chosen_words": chosen, "rejected_words": rejected, **longer}

    def sentences(self) -> list[str]:
        """What is to be said of them; nothing without a pair."""
        if not self.counts:
            return []
        told, (chosen, rejected), count = self.as_json(), self.longer, len(self.counts)
        said = [
            f"Chosen answers have {told['chosen_words']:g} words in the median, rejected ones {told['rejected_words']:g}; the "
            f"chosen one is longer in {chosen} of {count} pairs, the rejected one in {rejected}."
        ]
        if self.uneven:
            longer = "longer" if chosen > rejected else "shorter"
            said.append(f"That is uneven: what is trained on these pairs may learn to write {longer} answers, good or not.")
        return said
