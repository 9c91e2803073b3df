"""What makes two rows near-duplicates for a split into train and test, and which groups then go to which side.

Two rows are near-duplicates when one of these holds:

- **same or near-same words** of their contexts, of their questions (rows without a context), or of question and answer
  together: the Jaccard similarity of the two sets of words and pairs of neighbouring words is SIMILAR or more, as estimated by
  MinHash (Broder 1997) with HASHES hash functions. Texts with the same words in the same order, whatever their case,
  punctuation, spaces and encoding (accents apart or not), always count. A question about a context is compared through its
  context and its answer: the same question on another passage is no near-duplicate.
- **near in meaning**: the run that made one of them found its nearest earlier text within NEAR of it (squared L2 of unit
  vectors, see `provenance.neighbour`), and that text is the other, or one seed or accepted row that both are near to; or
  their vectors, or theirs and those of one seed, lie within `hyperplanes.LIMIT`, whichever runs they are from, if the same
  weights made the vectors and the runs' journals still hold them.

Rows that are linked, directly or through others, form a group, and a group never parts.

MinHash finds candidates by BANDS bands of HASHES / BANDS hashes (locality-sensitive hashing): of two texts that share 0.7 of
their words and pairs, 99.98 % become candidates, of two that share 0.8 all but one in 30 million. The estimate from the
signatures (8 bits of each hash, Li and König 2010) then decides; its standard error is 0.04 at most.
"""

import zlib
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Record
from skills_dspy.similarity.ngrams import tokens

SIMILAR: Final = 0.7
NEAR: Final = 0.2  # a cosine of 0.9
HASHES: Final = 128
BANDS: Final = 32
VIEWS: Final = 2
"""How many texts of a row are compared: its context or else its question, and question with answer."""

MATCHES: Final = int(np.ceil(HASHES * (SIMILAR + (1 - SIMILAR) / 256)))
"""Equal bytes of two signatures from which their texts are near-same; one in 256 is equal by chance."""

Signature = NDArray[np.uint8]
Keys = NDArray[np.uint64]


def words(text: str) -> list[str]:
    """The words of a text as `ngrams.tokens` has them; where there is none, as in `:-)`, what stands between spaces."""
    return tokens(text) or text.casefold().split()


def views(record: Record) -> tuple[str, str]:
    """The texts by which a row is compared: its context or else its question; question and answer."""
    about = record.instruction if record.context is None else record.context
    return about, record.instruction + "\n" + record.response


def _constants() -> tuple[Keys, Keys]:
    """The hash functions h(x) = (a x + b mod 2^64) div 2^32 (Dietzfelbinger 1996): the same in every export."""
    drawn = b"".join(blake2b(f"skills_dspy near {n}".encode(), digest_size=16).digest() for n in range(HASHES))
    pairs = np.frombuffer(drawn, dtype="<u8").reshape(HASHES, 2).astype(np.uint64)
    return pairs[:, 0] | np.uint64(1), pairs[:, 1]


_A, _B = _constants()
_HALF = np.uint64(32)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = 512  # shingles hashed at once, so that a long text takes no more memory than a short one


def minhash(text: str) -> NDArray[np.uint32]:
    """The smallest value of each hash function over a text's words and pairs of neighbouring words; shape (HASHES,)."""
    found = words(text) or [""]
    single = np.fromiter((zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in found), np.uint64, len(found))
    # Which of two words comes first matters; a pair is never taken for a word, whose upper half is empty.
    pairs = single[:-1] * _MIX ^ (single[1:] << _HALF)
    hashed = np.concatenate([single, pairs])
    smallest = np.full(HASHES, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(hashed), _CHUNK):
        block = hashed[start : start + _CHUNK, None] * _A + _B
        np.minimum(smallest, block.min(axis=0), out=smallest)
    return (smallest >> _HALF).astype(np.uint32)


def signature(hashes: NDArray[np.uint32]) -> Signature:
    """The part of a MinHash that is kept to estimate how alike two texts are; shape (HASHES,)."""
    return hashes.astype(np.uint8)


def band_keys(hashes: NDArray[np.uint32]) -> Keys:
    """One key a band for each of some MinHashes, shape (n, HASHES): texts with an equal key in any band are candidates.

    Returns:
        Shape (n, BANDS).
    """
    parts = hashes.astype(np.uint64).reshape(len(hashes), BANDS, -1)
    keys = np.zeros(parts.shape[:2], np.uint64)
    for column in range(parts.shape[2]):
        keys = (keys ^ parts[:, :, column]) * _MIX
        keys ^= keys >> _HALF
    return keys


def alike(one: Signature, others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """For each of other signatures, shape (n, HASHES), whether its text is near-same; shape (n,)."""
    return np.asarray((others == one).sum(axis=1) >= MATCHES)


def key_of(*parts: str) -> int:
    """64 bits that stand for some texts."""
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "little")


class Groups:
    """Rows by number, from 0, and which of them belong together (union-find, the smallest number stands for its group).

    Args:
        count: how many rows.
        beside: how many more, numbered after them, that rows may belong together through.
    """

    def __init__(self, count: int, beside: int = 0) -> None:
        self._count = count
        self._parent = np.arange(count + beside, dtype=np.int64)

    def root(self, row: int) -> int:
        """The row that stands for this row's group."""
        parent = self._parent
        while (above := int(parent[row])) != row:
            parent[row] = parent[above]
            row = above
        return row

    def join(self, a: int, b: int) -> None:
        """From now on these two are in one group."""
        a, b = self.root(a), self.root(b)
        if a != b:
            self._parent[max(a, b)] = min(a, b)

    def roots(self) -> NDArray[np.int64]:
        """For each row the one that stands for its group."""
        parent = self._parent
        while not np.array_equal(parent, above := parent[parent]):
            parent = above
        self._parent = parent.copy()
        return parent[: self._count]


def choose_test(groups: Groups, ids: Keys, share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows are for testing: whole groups in an order that the seed decides, as long as they fit the share.

    Args:
        groups: which rows belong together.
        ids: what stands for each row's id; shape (rows,).
        share: of all rows, above 0 and below 1; at least one row is aimed at.
        seed: decides the order of the groups.

    Returns:
        For each row whether it is for testing. There are at most `share` of the rows, rounded, or if every group is larger
        than that, one smallest group.

    Raises:
        RequestError: all rows are one group.
    """
    roots = groups.roots()
    count = len(roots)
    heads, of, sizes = np.unique(roots, return_inverse=True, return_counts=True)
    if len(heads) < 2:
        raise RequestError(
            f"--test-share {share}: all {count} rows are near-duplicates of one another, so none can be set apart for testing"
            if count > 1
            else f"--test-share {share}: there is only one row, so none can be set apart for testing"
        )
    smallest = np.full(len(heads), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, of, ids)
    mixed = (smallest ^ np.uint64(key_of("split", str(seed)))) * _MIX
    mixed = (mixed ^ (mixed >> _HALF)) * _MIX
    order = np.lexsort((heads, mixed))
    room = max(1, round(share * count))
    chosen = np.zeros(len(heads), np.bool_)
    for group in order:
        if sizes[group] <= room:
            chosen[group] = True
            room -= int(sizes[group])
            if room == 0:
                break
    if not chosen.any():
        chosen[order[np.argmin(sizes[order])]] = True
    return np.asarray(chosen[of])
