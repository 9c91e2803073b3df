"""Word n-grams of normalised text, and an index that finds those which a text shares with many questions.

Thirteen words in a row are what GPT-3's authors looked for: what shares them with a question of a benchmark, or holds all of
a shorter question, is taken for contaminated (Brown et al. 2020, arXiv:2005.14165, section 4 and appendix C). The fewest
words that they look for are 8, and so it is here: a question of 8 to 12 words must be held whole, and a still shorter one
must be the whole text, because "What is the capital of France?" stands in too many good ones.

A word is a run of letters, marks and digits after Unicode's NFKC and casefold. Apostrophes and invisible characters are left
out of it; all else, punctuation and symbols too, only separates words. Where a script puts no spaces between words every
character is a token of its own, and counts as the part of a word that it usually makes up: a Chinese character half a word,
one of kana, Thai, Lao, Khmer or Burmese a quarter. Thirteen of those would be no more than "which of the following is right".
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

VERSION = 2
"""Of the normalisation and the hashes: an index that was made by another one is of no use."""
SHORTEST = 8
"""Words that a question must have to be looked for inside other texts."""

_Hashes = NDArray[np.uint64]
_WORD = 4
"""The width of a word; that of a character is the part of it that it makes up."""
_UNSPACED = (
    (2, re.compile("[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")),
    (1, re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3031-\u3035\u3040-\u30ff\u31f0-\u31ff]")),
)
_APOSTROPHES = frozenset("'\u2019\u02bc\u2018\uff07\u02b9`")
_ACUTE = "\u00b4"  # typed for an apostrophe; NFKC would make it a space with an accent
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_BLOCK = 500_000
"""Tokens that are hashed at one time, which bounds the memory that building takes."""


def tokens(text: str) -> list[str]:
    """The words of a text, and the characters of scripts that do not separate words."""
    return "".join(map(_piece, _folded(text))).split()


def plain(text: str) -> str:
    """What two short texts must have in common to be the same: all but case, width, white space and punctuation at the end.

    Signs within it stay, so that `2 + 2` and `2 - 2` differ.
    """
    bare = "".join(_folded(text).split())
    end = len(bare)
    while end and unicodedata.category(bare[end - 1])[0] == "P":
        end -= 1
    return bare[:end] or bare


class Found(NamedTuple):
    """A shared n-gram.

    Attributes:
        owner: the question that has it: its place in what the index was built from, the first of several.
        words: the n-gram as normalised tokens.
        whole: whether it is all of the question.
    """

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

    def find(self, text: str) -> Found | None:
        """The first n-gram of a text that a question has, or the first question that the text holds whole; None for none."""
        words = tokens(text)
        hashed = _Hashed.of([words])
        starts, ends = hashed.windows(self.n * _WORD)
        found = [self._first(hashed, words, starts, ends, whole=False)]
        for length in self.lengths.tolist():
            starts = np.arange(max(0, len(words) - length + 1))
            found.append(self._first(hashed, words, starts, starts + length, whole=True))
        return next((f for f in found if f is not None), None)

    def same(self, text: str) -> int | None:
        """The first question of fewer than SHORTEST words that this text is; None for none."""
        place = _places(self.shorts, np.array([_digest(plain(text))], dtype=np.uint64))[0]
        return None if place < 0 else int(self.short_owners[place])

    def _first(
        self, hashed: "_Hashed", words: list[str], starts: NDArray[np.int64], ends: NDArray[np.int64], *, whole: bool
    ) -> Found | None:
        places = _places(self.grams, hashed.hashes(starts, ends, whole=whole))
        hits = np.flatnonzero(places >= 0)
        if not len(hits):
            return None
        first = int(hits[0])
        return Found(int(self.owners[places[first]]), tuple(words[int(starts[first]) : int(ends[first])]), whole)


def build(texts: Sequence[str], n: int) -> GramIndex:
    """The index of questions, in their order; `n` is a number of words, 1 or more."""
    shortest = min(SHORTEST, n) * _WORD
    grams: list[_Hashes] = []
    owners: list[NDArray[np.int32]] = []
    lengths: set[int] = set()
    shorts: list[int] = []
    short_owners: list[int] = []
    for first, block in _blocks(texts):
        hashed = _Hashed.of(block)
        starts, ends = hashed.windows(n * _WORD)
        grams.append(hashed.hashes(starts, ends, whole=False))
        owners.append((first + hashed.owner[starts]).astype(np.int32))
        widths = hashed.text_widths()
        whole = np.flatnonzero((widths >= shortest) & (widths < n * _WORD))
        grams.append(hashed.hashes(hashed.begins[whole], hashed.begins[whole + 1], whole=True))
        owners.append((first + whole).astype(np.int32))
        lengths.update((hashed.begins[whole + 1] - hashed.begins[whole]).tolist())
        for place in np.flatnonzero(widths < shortest).tolist():
            shorts.append(_digest(plain(texts[first + place])))
            short_owners.append(first + place)
    every, owner = _each_once(
        np.concatenate([np.zeros(0, np.uint64), *grams]), np.concatenate([np.zeros(0, np.int32), *owners])
    )
    short, short_owner = _each_once(np.array(shorts, dtype=np.uint64), np.array(short_owners, dtype=np.int32))
    return GramIndex(n, every, owner, np.array(sorted(lengths), dtype=np.int32), short, short_owner)


@dataclass(frozen=True, slots=True, eq=False)
class _Hashed:
    """The tokens of several texts, one after the other.

    Attributes:
        sums: one more than there are tokens: sums of the tokens' hashes, each times a power of _BASE by its place, modulo 2^64.
        inverse: the powers of the base's inverse, which take an n-gram's hash back to where its place does not matter.
        edges: one more than there are tokens: the width of all before.
        owner: for each token the text that it is of.
        begins: one more than there are texts: where each begins.
    """

    sums: _Hashes
    inverse: _Hashes
    edges: NDArray[np.int64]
    owner: NDArray[np.int64]
    begins: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> "_Hashed":
        """Hash all tokens, each different one once."""
        known: dict[str, tuple[int, int]] = {}
        hashes, widths = [], []
        for text in texts:
            for token in text:
                if (entry := known.get(token)) is None:
                    entry = known[token] = _digest(token), _width(token)
                hashes.append(entry[0])
                widths.append(entry[1])
        counts = np.array([len(text) for text in texts], dtype=np.int64)
        sums = np.zeros(len(hashes) + 1, dtype=np.uint64)
        np.cumsum(np.array(hashes, dtype=np.uint64) * _powers(_BASE, len(hashes)), out=sums[1:])
        return cls(
            sums=sums,
            inverse=_powers(_INVERSE, len(hashes) + 1),
            edges=np.concatenate([[0], np.cumsum(widths, dtype=np.int64)]).astype(np.int64),
            owner=np.repeat(np.arange(len(texts), dtype=np.int64), counts),
            begins=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )

    def windows(self, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The n-grams as first token and the one after the last: from every token on, as many as make up `width`."""
        ends = np.searchsorted(self.edges, self.edges[:-1] + width)
        starts = np.flatnonzero(ends <= self.begins[self.owner + 1])
        return starts, ends[starts]

    def text_widths(self) -> NDArray[np.int64]:
        """How wide each text is."""
        widths: NDArray[np.int64] = self.edges[self.begins[1:]] - self.edges[self.begins[:-1]]
        return widths

    def hashes(self, starts: NDArray[np.int64], ends: NDArray[np.int64], *, whole: bool) -> _Hashes:
        """Hashes of n-grams, which depend on the tokens alone, and on whether they are looked for as a whole question."""
        mixed = (self.sums[ends] - self.sums[starts]) * self.inverse[starts]
        mixed ^= ((ends - starts) * 2 + whole).astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
        # The finaliser of SplitMix64 (Steele et al. 2014).
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        result: _Hashes = mixed ^ (mixed >> np.uint64(31))
        return result


def in_words(found: Sequence[str]) -> str:
    """Tokens as a person reads them: words with spaces between them, characters without."""
    text = ""
    for token in found:
        text += f" {token}" if text and _WORD in (_width(token), _width(text[-1])) else token
    return text


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


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.replace(_ACUTE, "'")).casefold())


@cache
def _piece(character: str) -> str:
    """What a character contributes: itself, itself alone, nothing, or an end of a word."""
    if character in _APOSTROPHES:
        return ""
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    if category[0] not in "LMN":
        return " "
    return f" {character} " if any(pattern.match(character) for _, pattern in _UNSPACED) else character


def _width(token: str) -> int:
    return next((width for width, pattern in _UNSPACED if pattern.match(token)), _WORD)


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
    hashes, owners = hashes[order], owners[order]
    first = np.ones(len(hashes), dtype=np.bool_)
    first[1:] = hashes[1:] != hashes[:-1]
    return hashes[first], owners[first]


def _places(ascending: _Hashes, wanted: _Hashes) -> NDArray[np.int64]:
    """Where each hash stands, or -1."""
    places = np.searchsorted(ascending, wanted)
    there = places < len(ascending)
    there[there] = ascending[places[there]] == wanted[there]
    return np.where(there, places, -1)
