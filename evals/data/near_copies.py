"""Near-copies among many texts, found without a model and without comparing all with all. Pure and exact.

Two texts are near-copies when their ROUGE-L reaches a bound t, 0.85 to 1. They then share many pairs of neighbouring words:
with m and n words and a longest common subsequence of L at least 3L - m - n - 1, since a word that only one of them has parts
two pairs in that one and one in the other. So each text's pairs are sorted from the rarest to the most frequent, and two
near-copies must share one of their first few (the prefix filter, Chaudhuri et al. 2006); only texts that do are compared.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise

from evals.data.text import rouge_l_of_words

WordList = Sequence[str]
WordPair = tuple[str, str, int]
"""Two neighbouring words, and which of the pair's occurrences in the text it is, from 0."""


def has_near_copy(texts: Sequence[WordList], bound: float, patience: int = 200) -> list[bool]:
    """For each text, by its words, whether another one is a near-copy of it: of a ROUGE-L of `bound`, 0.85 to 1.

    With one text at most `patience` candidates are compared. Where texts are all cast in one mould, each has thousands; the few
    copies that a text has only beyond these are missed, so that the time stays in proportion.
    """
    groups = _same_words(texts)
    copies = {words for words, places in groups.items() if len(places) > 1}
    for words, candidates in _candidates(list(groups), bound):
        for other in islice(candidates, patience):
            # What two copies are is known already; the pair tells nothing new.
            if not (words in copies and other in copies) and rouge_l_of_words(words, other, at_least=bound) >= bound:
                copies |= {words, other}
    return [tuple(text) in copies for text in texts]


def near_copy_pairs(texts: Sequence[WordList], bound: float) -> list[tuple[int, int]]:
    """All pairs of places (smaller first, sorted) of texts that are near-copies; for some hundreds of texts."""
    groups = _same_words(texts)
    pairs = [(a, b) for places in groups.values() for n, a in enumerate(places) for b in places[n + 1 :]]
    for words, candidates in _candidates(list(groups), bound):
        for other in candidates:
            if rouge_l_of_words(words, other, at_least=bound) >= bound:
                pairs += [(min(a, b), max(a, b)) for a in groups[words] for b in groups[other]]
    return sorted(pairs)


def _same_words(texts: Sequence[WordList]) -> dict[tuple[str, ...], list[int]]:
    """Each different text that has a word, with the places where it stands."""
    groups = defaultdict[tuple[str, ...], list[int]](list)
    for place, text in enumerate(texts):
        if text:
            groups[tuple(text)].append(place)
    return dict(groups)


def _candidates(texts: list[tuple[str, ...]], bound: float) -> Iterator[tuple[tuple[str, ...], Iterator[tuple[str, ...]]]]:
    """Each text with those before it that may be near-copies of it; every two that are come together once."""
    frequency = Counter(pair for text in texts for pair in _pairs(text))
    texts.sort(key=lambda text: (len(text), text))  # of two, the later one is at least as long
    held = defaultdict[WordPair, list[int]](list)  # a rare pair to the texts that have it among their rarest
    for place, text in enumerate(texts):
        rarest = _rarest(text, bound, frequency)
        yield text, _met(texts, held, rarest, _up(len(text) * bound / (2 - bound)))
        for pair in rarest:
            if frequency[pair] > 1:
                held[pair].append(place)


def _met(
    texts: list[tuple[str, ...]], held: Mapping[WordPair, list[int]], rarest: list[WordPair], shortest: int
) -> Iterator[tuple[str, ...]]:
    """The texts of at least a length that share a pair: by the rarest pair first, each text once."""
    seen = set[int]()
    for pair in rarest:
        for place in reversed(held.get(pair, ())):
            if len(texts[place]) < shortest:
                break
            if place not in seen:
                seen.add(place)
                yield texts[place]


def _rarest(text: tuple[str, ...], bound: float, frequency: Mapping[WordPair, int]) -> list[WordPair]:
    """The rarest pairs of a text: so many that a near-copy cannot lack them all."""
    # 3L - m - n - 1 is least for the smallest L, which is bound (m + n) / 2, and the shortest n, bound m / (2 - bound).
    both = len(text) * 2 / (2 - bound)
    shared = max(1, _up((1.5 * bound - 1) * both - 1))
    ranked = sorted(_pairs(text), key=lambda pair: (frequency[pair], pair))
    return ranked[: len(text) - shared]


def _up(number: float) -> int:
    """The whole number above, but for roundings."""
    return math.ceil(number - 1e-9)


def _pairs(text: tuple[str, ...]) -> Iterator[WordPair]:
    seen = Counter[tuple[str, str]]()
    for both in pairwise(text):
        yield (*both, seen[both])
        seen[both] += 1
