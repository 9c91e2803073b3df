"""What two texts have in common word for word: the longest run of words, and whether the one holds all of the other.

Both rest on pieces of SHORTEST words, so nothing shorter is found. Words are the `tokens` of text.py; where a script puts no
spaces between words a character counts as the part of a word that it usually makes up.
"""

from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from skills_dspy.similarity.ngrams import SHORTEST
from skills_dspy.similarity.text import WORD, joined_tokens, token_width, tokens

Piece = tuple[str, ...]

_QUOTED = 12
_LATEST = 64
"""Texts that are remembered cut up: a context is looked at again with each of its questions and answers."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text, cut up.

    Attributes:
        tokens: its words.
        edges: the width before each of them, and of all.
        pieces: from each word on as many as make up SHORTEST words; the last few words begin none.
    """

    tokens: Piece
    edges: tuple[int, ...]
    pieces: tuple[Piece, ...]

    @classmethod
    @lru_cache(maxsize=_LATEST)
    def of(cls, text: str) -> "Pieces":
        """Cut a text up."""
        found = tuple(tokens(text))
        widths = {token: token_width(token) for token in set(found)}
        edges = tuple(accumulate((widths[token] for token in found), initial=0))
        pieces, end = [], 0
        for start in range(len(found)):
            while end < len(found) and edges[end] - edges[start] < SHORTEST * WORD:
                end += 1
            if edges[end] - edges[start] < SHORTEST * WORD:
                break
            pieces.append(found[start:end])
        return cls(found, edges, tuple(pieces))

    @property
    def words(self) -> float:
        """How many words it has."""
        return self.edges[-1] / WORD

    def longest_run(self, source: Container[Piece], ignored: Container[Piece]) -> Piece:
        """The longest run whose pieces are all in a source, and none of which is ignored; the first of the longest."""
        best, begun = (0, 0), None
        for place, piece in enumerate(self.pieces):
            if piece not in source or piece in ignored:
                begun = None
                continue
            begun = place if begun is None else begun
            best = max(best, (begun, place + len(piece)), key=lambda run: self.edges[run[1]] - self.edges[run[0]])
        return self.tokens[slice(*best)]

    def holds(self, other: "Pieces") -> bool:
        """Whether all words of another text, SHORTEST or more, stand in this one in their order, with nothing between them."""
        if not other.pieces:
            return False
        begins = (place for place, piece in enumerate(self.pieces) if piece == other.pieces[0])
        return any(self.tokens[place : place + len(other.tokens)] == other.tokens for place in begins)


def words_in(run: Piece) -> float:
    """How many words a run has."""
    return sum(map(token_width, run)) / WORD


def quoted(run: Piece) -> str:
    """The first twelve words of a run as a person reads them, in quotes."""
    return f'"{joined_tokens(run[:_QUOTED])}{" ..." if len(run) > _QUOTED else ""}"'
