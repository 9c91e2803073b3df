"""Which of many texts have the same or near-same words, exactly: the Jaccard similarity of their words and pairs of neighbours.

Texts with the same words in the same order always count, whatever their case, punctuation, spaces and encoding; an operator
between numbers or letters is a word. Two sets that are near-same must share one of their first few elements when all elements
are ordered from the rarest to the most frequent (the prefix filter of set similarity joins, Chaudhuri et al. 2006, Bayardo et
al. 2007). Only texts that do are compared.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from skills_dspy.similarity.nearest import Groups
from skills_dspy.similarity.text import operators, pictures, tokens

SIMILAR: Final = 0.7
"""The Jaccard similarity from which on two texts are near-same."""
_TENTHS = 7
_AT_ONCE = 4_000_000
"""Elements of sets that are looked at together, which bounds the memory that comparing takes."""


class Texts:
    """Texts under the numbers of those that they belong to in some groups."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._first: dict[bytes, int] = {}
        self._same: list[tuple[int, int]] = []

    def add(self, member: int, text: str) -> None:
        """Take in the text of a member of the groups."""
        words = [*tokens(text), *pictures(text), *operators(text)] or text.casefold().split()
        numbers = np.fromiter((self._numbers.setdefault(word, len(self._numbers)) for word in words), np.int32, len(words))
        first = self._first.setdefault(numbers.tobytes(), member)
        if first != member:
            self._same.append((first, member))

    def join_similar(self, groups: Groups) -> None:
        """Put the members whose texts are near-same into one group."""
        groups.join(*np.array(self._same, np.int64).reshape(-1, 2).T)
        sets, members = _sets(list(self._first)), np.array(list(self._first.values()), np.int64)
        sizes = np.diff(sets.indptr)
        # Of two near-same sets the smaller one is found by the larger one: it must share one of still fewer elements.
        probes, held = _rarest(sets, 10 - _TENTHS, 10), _rarest(sets, 10 - _TENTHS, 10 + _TENTHS)
        costs = probes @ np.asarray(held.sum(axis=0)).ravel()
        for rows in _portions(costs):
            found = (probes[rows] @ held.T).tocoo()
            one, other = found.row + rows.start, found.col
            earlier = (sizes[other] < sizes[one]) | ((sizes[other] == sizes[one]) & (other < one))
            one, other = one[earlier], other[earlier]
            for some in _portions(sizes[one] + sizes[other]):
                a, b = one[some], other[some]
                apart = groups.labels[members[a]] != groups.labels[members[b]]
                a, b = a[apart], b[apart]
                common = np.asarray(sets[a].multiply(sets[b]).sum(axis=1)).ravel()
                near = 10 * common >= _TENTHS * (sizes[a] + sizes[b] - common)
                groups.join(members[a[near]], members[b[near]])


def _sets(texts: list[bytes]) -> Any:
    """One row a text, one column a word or pair of neighbours, from the rarest to the most frequent; 1 where a text has it."""
    from scipy.sparse import csr_array  # not at every start

    words = [np.frombuffer(text, np.int32).astype(np.int64) for text in texts]
    sets = [np.unique(np.concatenate([some, (some[:-1] + 1) << 32 | some[1:]])) for some in words]
    elements, columns, counts = np.unique(
        np.concatenate([np.empty(0, np.int64), *sets]), return_inverse=True, return_counts=True
    )
    ranks = np.empty(len(elements), np.int64)
    ranks[np.argsort(counts, kind="stable")] = np.arange(len(elements))
    ends = np.cumsum([0, *(len(one) for one in sets)])
    made = csr_array((np.ones(len(columns), np.int32), ranks[columns], ends), shape=(len(sets), len(elements)))
    made.sort_indices()
    return made


def _rarest(sets: Any, part: int, of: int) -> Any:
    """Of each set of n elements the 1 + part n / of rarest, rounded down, without those that no other set has."""
    from scipy.sparse import csr_array

    sizes = np.diff(sets.indptr)
    place = np.arange(sets.nnz) - np.repeat(sets.indptr[:-1], sizes)
    kept = place <= np.repeat(part * sizes // of, sizes)
    ends = np.concatenate([[0], np.cumsum(kept)])[sets.indptr]
    return csr_array((sets.data[kept], sets.indices[kept], ends), shape=sets.shape)


def _portions(costs: NDArray[Any]) -> Iterator[slice]:
    """Slices of about the same cost, of one or more."""
    total = np.cumsum(costs)
    start = 0
    while start < len(costs):
        before = total[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(total, before + _AT_ONCE, side="right")))
        yield slice(start, end)
        start = end
