"""Setting rows apart for testing, with an index of near-duplicates that lies on the disk.

For each row some 780 bytes of files, removed afterwards; in memory 33 bytes a row, and what the largest file of one band takes
while it is sorted (12 bytes a row). What vectors take stands in meaning.py.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skills_dspy.base.records import Record
from skills_dspy.commands.export.card import Compared
from skills_dspy.commands.export.source import SourceRun
from skills_dspy.commands.export.split_vectors import ENTRY, KeptByRun, MeaningIndex, buckets, put
from skills_dspy.similarity.minhash import (
    BANDS,
    HASHES,
    NEAR,
    VIEWS,
    Groups,
    alike,
    band_keys,
    choose_test,
    key_of,
    minhash,
    signature,
    views,
)

_BATCH = 4096
_SEEDS = 2**31  # what seeds are numbered from until it is known how many rows there are
PATIENCE = 4096
"""With how many texts before it, of those that share a band's key, a text is compared. Only where thousands of different texts
are cast in one mould is anything missed by it, and another band may still find it."""


class NearIndex:
    """Collects rows, then says which belong together.

    Args:
        folder: where its files lie; it is there and empty.
        stack: closes the files.
        runs: those that the rows are from.
    """

    def __init__(self, folder: Path, stack: ExitStack, runs: tuple[SourceRun, ...]) -> None:
        self._folder, self._stack, self._runs = folder, stack, runs
        self._bands = [[self._create(f"{view}-{band}") for band in range(BANDS)] for view in range(VIEWS)]
        self._signatures = [self._create(f"{view}-signatures") for view in range(VIEWS)]
        self._links = self._create("links")
        self._meaning = MeaningIndex(folder, stack)
        self._journal = stack.enter_context(ExitStack())
        self._kept: tuple[int, KeptByRun] | None = None
        self._seeds: dict[tuple[int, int], int] = {}
        self._by_words = 0
        self._weights: set[tuple[str, str]] = set()
        self._hashes: list[list[NDArray[np.uint32]]] = [[] for _ in range(VIEWS)]
        self._grounded: list[bool] = []
        self._link_batch: list[tuple[int, int]] = []
        self._ids: list[NDArray[np.uint64]] = []
        self._id_batch: list[int] = []
        self._count = 0

    def add(self, run: int, record: Record) -> None:
        """Take in the next row; those of one run come one after another."""
        row, self._count = self._count, self._count + 1
        self._id_batch.append(key_of(record.id))
        for view, text in enumerate(views(record)):
            self._hashes[view].append(minhash(text))
        self._grounded.append(record.context is not None)
        self._link(run, row, record)
        embedded = self._kept_by(run).of(record.instruction, record.context)
        self._by_words += embedded is None
        if embedded is not None:
            self._weights.add((self._runs[run].facts.embedder, self._kept_by(run).weights))
            self._meaning.add(row, embedded)
        if len(self._id_batch) == _BATCH:
            self._flush()

    def _link(self, run: int, row: int, record: Record) -> None:
        """What the run itself found near: the row meets its neighbour under the neighbour's name."""
        self._link_batch.append((key_of("row", str(run), record.id), row))
        near = record.provenance.neighbour
        if near is None or near.distance > NEAR:
            return
        name = key_of("row", str(run), near.id)
        if near.id.startswith("seed:"):
            place = int(near.id.removeprefix("seed:"))
            seeds = self._runs[run].facts.seeds
            if place >= len(seeds):
                return
            seed = seeds[place]  # by its text: other runs may have it at another place
            name = key_of("seed", seed.question, seed.context or "")
        self._link_batch.append((name, row))

    def _kept_by(self, run: int) -> KeptByRun:
        """The vectors of a run, from a journal that is open until another run's row comes."""
        if self._kept is None or self._kept[0] != run:
            self._journal.close()
            self._kept = run, KeptByRun(self._runs[run], self._journal)
            for seed in self._runs[run].facts.seeds:
                embedded = self._kept[1].of(seed.question, seed.context)
                name = key_of("seed", seed.question, seed.context or "")
                if embedded is not None and (embedded.space, name) not in self._seeds:
                    number = self._seeds[embedded.space, name] = _SEEDS + len(self._seeds)
                    self._link_batch.append((name, number))
                    self._meaning.add(number, embedded)
        return self._kept[1]

    @property
    def compared(self) -> Compared:
        """By what the rows were compared."""
        return Compared(self._by_words, len(self._weights))

    def groups(self) -> tuple[Groups, NDArray[np.uint64]]:
        """Which rows belong together, and what stands for each row's id."""
        self._flush()
        groups = Groups(self._count, len(self._seeds))
        for bucket in buckets(self._read("links")):
            first, *others = self._numbers(bucket).tolist()
            for other in others:
                groups.join(first, other)
        self._meaning.join(groups, self._numbers)
        for view in range(VIEWS):
            signatures = self._stack.enter_context((self._folder / f"{view}-signatures").open("rb", buffering=0))
            for band in range(BANDS):
                for bucket in buckets(self._read(f"{view}-{band}")):
                    _join_alike(bucket, signatures, groups)
        return groups, np.concatenate([*self._ids, np.empty(0, np.uint64)])

    def _numbers(self, nodes: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Seeds stand behind all rows."""
        numbers = nodes.astype(np.int64)
        return np.where(numbers < _SEEDS, numbers, numbers - _SEEDS + self._count)

    def _create(self, name: str) -> FileIO:
        return self._stack.enter_context((self._folder / name).open("xb", buffering=0))

    def _read(self, name: str) -> NDArray[np.void]:
        return np.fromfile(self._folder / name, dtype=ENTRY)

    def _flush(self) -> None:
        start = self._count - len(self._id_batch)
        self._ids.append(np.array(self._id_batch, np.uint64))
        self._id_batch = []
        for view in range(VIEWS):
            if self._hashes[view]:
                hashes = np.stack(self._hashes[view])
                put(self._signatures[view], signature(hashes).tobytes())
                keys = band_keys(hashes)
                if view == 0:  # a context is not compared with questions
                    keys ^= np.array(self._grounded, np.uint64)[:, None]
                entries = np.empty(len(keys), ENTRY)
                entries["row"] = np.arange(start, start + len(keys))
                for band in range(BANDS):
                    entries["key"] = keys[:, band]
                    put(self._bands[view][band], entries.tobytes())
            self._hashes[view] = []
        self._grounded = []
        put(self._links, np.array(self._link_batch, ENTRY).tobytes())
        self._link_batch = []


def _join_alike(bucket: NDArray[np.uint32], signatures: FileIO, groups: Groups) -> None:
    """Join those of a bucket whose signatures say that they are near-same."""
    if len({groups.root(int(row)) for row in bucket}) == 1:
        return
    first: dict[bytes, int] = {}
    kept = np.empty((min(len(bucket), PATIENCE), HASHES), np.uint8)
    rows: list[int] = []
    for row in map(int, bucket):
        signatures.seek(row * HASHES)
        raw = signatures.read(HASHES)
        if (same := first.setdefault(raw, row)) != row:
            groups.join(same, row)
            continue
        one = np.frombuffer(raw, np.uint8)
        for like in np.flatnonzero(alike(one, kept[: len(rows)])):
            groups.join(rows[like], row)
        place = len(first) - 1
        kept[place % len(kept)] = one
        if place < len(kept):
            rows.append(row)
        else:
            rows[place % len(kept)] = row


def set_apart(
    rows: Iterable[tuple[int, Record]], folder: Path, runs: tuple[SourceRun, ...], share: float, seed: int
) -> tuple[NDArray[np.bool_], Compared]:
    """For each row, in their order, whether it is for testing, and by what they were compared; near-duplicates are on one side.

    Args:
        rows: each with the number of its run; those of one run come one after another.
        folder: for the index: there, empty, and emptied by the caller.
        runs: those that the rows are from; their journals are opened one after another.
        share: of the rows that are for testing, above 0 and below 1.
        seed: decides which.

    Raises:
        RequestError: all rows are near-duplicates of one another.
        RunDirError, StorageError: there is a journal and it cannot be read.
        OSError: the disk is full or refuses.
    """
    with ExitStack() as stack:
        index = NearIndex(folder, stack, runs)
        for run, record in rows:
            index.add(run, record)
        groups, ids = index.groups()
        return choose_test(groups, ids, share, seed), index.compared
