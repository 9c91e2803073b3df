"""Word n-grams of normalised text, and an index that finds those which a text shares with many questions.

Thirteen words in a row are what GPT-3's authors looked for: what shares them with a question of a benchmark, or holds all of
a shorter question, is taken for contaminated (Brown et al. 2020, arXiv:2005.14165, section 4 and appendix C). The fewest
words that they look for are 8, and so it is here: a question of 8 to 12 words must be held whole, and a still shorter one
must be the whole text, because "What is the capital of France?" stands in too many good ones.

Words are the `tokens` of text.py. Where a script puts no spaces between words every character is a token, and counts as the
part of a word that it usually makes up: a Chinese character half a word, one of kana, Thai, Lao, Khmer or Burmese a quarter.
Thirteen of those would be no more than "which of the following is right".
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skills_dspy.similarity.text import WORD, plain, token_width, tokens

TOKENS_VERSION = 2
"""Of the normalisation and the hashes: an index that was made by another one is of no use."""
SHORTEST = 8
"""Words that a question must have to be looked for inside other texts."""

_Hashes = NDArray[np.uint64]
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_BLOCK = 500_000
"""Tokens that are hashed at one time, which bounds the memory that building takes."""


class SharedGram(NamedTuple):
    """An n-gram, as normalised tokens, that is shared with the question at place `owner`, or is the whole of it."""

    owner: int
    words: tuple[str, ...]
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class GramIndex:
    """The n-grams of many questions as 64-bit hashes; two different ones have the same hash once in 10^19 times.

    Attributes:
        n: how many words.
        grams: hashes of all n-grams and of whole questions of SHORTEST to n - 1 words, ascending, each once.
        owners: for each of them the first question that has it.
        lengths: how many tokens whole questions have, ascending, each once.
        shorts, short_owners: the same for still shorter questions, by `plain`.
    """

    n: int
    grams: _Hashes
    owners: NDArray[np.int32]
    lengths: NDArray[np.int32]
    shorts: _Hashes
    short_owners: NDArray[np.int32]

    def equals(self, other: "GramIndex") -> bool:
        """Whether it is of the same words of the same questions."""
        return all(np.array_equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))

    def find(self, text: str) -> Iterator[SharedGram]:
        """The n-grams of a text that questions have, and then the questions that it holds whole."""
        words = tokens(text)
        hashed = _Hashed.of([words])
        starts, ends = hashed.windows(self.n * WORD)
        yield from self._hits(hashed, words, starts, ends, whole=False)
        for length in self.lengths.tolist():
            starts = np.arange(max(0, len(words) - length + 1))
            yield from self._hits(hashed, words, starts, starts + length, whole=True)

    def same(self, text: str) -> int | None:
        """The first question of fewer than SHORTEST words that this text is; None for none."""
        place = _places(self.shorts, np.array([_digest(plain(text))], dtype=np.uint64))[0]
        return None if place < 0 else int(self.short_owners[place])

    def _hits(
        self, hashed: "_Hashed", words: list[str], starts: NDArray[np.int64], ends: NDArray[np.int64], *, whole: bool
    ) -> Iterator[SharedGram]:
        places = _places(self.grams, hashed.hashes(starts, ends, whole=whole))
        for hit in np.flatnonzero(places >= 0).tolist():
            yield SharedGram(int(self.owners[places[hit]]), tuple(words[int(starts[hit]) : int(ends[hit])]), whole)


def build(texts: Sequence[str], n: int) -> GramIndex:
    """The index of questions, in their order; `n` is a number of words, 1 or more."""
    shortest = min(SHORTEST, n) * WORD
    grams: list[_Hashes] = [np.zeros(0, np.uint64)]
    owners: list[NDArray[np.int32]] = [np.zeros(0, np.int32)]
    lengths: set[int] = set()
    shorts: list[int] = []
    short_owners: list[int] = []
    for first, block in _blocks(texts):
        hashed = _Hashed.of(block)
        starts, ends = hashed.windows(n * WORD)
        grams.append(hashed.hashes(starts, ends, whole=False))
        owners.append((first + hashed.owner[starts]).astype(np.int32))
        widths = np.diff(hashed.edges[hashed.begins])
        whole = np.flatnonzero((widths >= shortest) & (widths < n * WORD))
        grams.append(hashed.hashes(hashed.begins[whole], hashed.begins[whole + 1], whole=True))
        owners.append((first + whole).astype(np.int32))
        lengths.update((hashed.begins[whole + 1] - hashed.begins[whole]).tolist())
        for place in np.flatnonzero(widths < shortest).tolist():
            shorts.append(_digest(plain(texts[first + place])))
            short_owners.append(first + place)
    every = _each_once(np.concatenate(grams), np.concatenate(owners))
    short = _each_once(np.array(shorts, dtype=np.uint64), np.array(short_owners, dtype=np.int32))
    return GramIndex(n, *every, np.array(sorted(lengths), dtype=np.int32), *short)


@dataclass(frozen=True, slots=True, eq=False)
class _Hashed:
    """The tokens of several texts, one after the other."""

    sums: _Hashes  # before each token and after the last, of the hashes times powers of _BASE by place, modulo 2^64
    inverse: _Hashes  # powers of the base's inverse, which take an n-gram's hash back to where its place does not matter
    edges: NDArray[np.int64]  # before each token and after the last, the width of all before
    owner: NDArray[np.int64]  # for each token the text that it is of
    begins: NDArray[np.int64]  # of each text, and the end of the last

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> "_Hashed":
        """Hash all tokens, each different one once."""
        known: dict[str, tuple[int, int]] = {}
        hashes, widths = [], []
        for text in texts:
            for token in text:
                if (entry := known.get(token)) is None:
                    entry = known[token] = _digest(token), token_width(token)
                hashes.append(entry[0])
                widths.append(entry[1])
        counts = np.array([len(text) for text in texts], dtype=np.int64)
        return cls(
            sums=np.cumsum(np.array([0, *hashes], dtype=np.uint64) * _powers(_BASE, len(hashes) + 1) * np.uint64(_INVERSE)),
            inverse=_powers(_INVERSE, len(hashes) + 1),
            edges=np.cumsum([0, *widths], dtype=np.int64),
            owner=np.repeat(np.arange(len(texts), dtype=np.int64), counts),
            begins=np.cumsum([0, *counts], dtype=np.int64),
        )

    def windows(self, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The n-grams as first token and the one after the last: from every token on, as many as make up `width`."""
        ends = np.searchsorted(self.edges, self.edges[:-1] + width)
        starts = np.flatnonzero(ends <= self.begins[self.owner + 1])
        return starts, ends[starts]

    def hashes(self, starts: NDArray[np.int64], ends: NDArray[np.int64], *, whole: bool) -> _Hashes:
        """Hashes of n-grams, which depend on the tokens alone, and on whether they are looked for as a whole question."""
        mixed = (self.sums[ends] - self.sums[starts]) * self.inverse[starts]
        mixed ^= ((ends - starts) * 2 + whole).astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
        # The finaliser of SplitMix64 (Steele et al. 2014).
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        result: _Hashes = mixed ^ (mixed >> np.uint64(31))
        return result


def _blocks(texts: Sequence[str]) -> Iterable[tuple[int, list[list[str]]]]:
    """The texts' tokens, some texts at a time, with the number of the first of them."""
    first, block, count = 0, [], 0
    for number, text in enumerate(texts):
        block.append(tokens(text))
        count += len(block[-1])
        if count >= _BLOCK:
            yield first, block
            first, block, count = number + 1, [], 0
    if block:
        yield first, block


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _powers(base: int, count: int) -> _Hashes:
    """1, base, base^2 ... modulo 2^64."""
    powers = np.full(count, base, dtype=np.uint64)
    powers[:1] = 1
    np.cumprod(powers, out=powers)
    return powers


def _each_once(hashes: _Hashes, owners: NDArray[np.int32]) -> tuple[_Hashes, NDArray[np.int32]]:
    """The hashes in ascending order, each once, with its smallest owner."""
    order = np.lexsort((owners, hashes))
    found, first = np.unique(hashes[order], return_index=True)
    return found, owners[order][first]


def _places(ascending: _Hashes, wanted: _Hashes) -> NDArray[np.int64]:
    """Where each hash stands, or -1."""
    places = np.searchsorted(ascending, wanted)
    there = places < len(ascending)
    there[there] = ascending[places[there]] == wanted[there]
    return np.where(there, places, -1)
