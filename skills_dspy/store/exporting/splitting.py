"""Setting rows apart for testing, with an index of near-duplicates that lies on the disk (layer 4).

For each row some 780 bytes of files, removed afterwards; in memory 33 bytes a row, and what the largest file of one band takes
while it is sorted (12 bytes a row).
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skills_dspy.near_duplicates import (
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
from skills_dspy.records import Record, SeedExample

_ENTRY = np.dtype([("key", "<u8"), ("row", "<u4")])
_BATCH = 4096
PATIENCE = 4096
"""With how many texts before it, of those that share a band's key, a text is compared. Only where thousands of different texts
are cast in one mould is anything missed by it, and another band may still find it."""


class NearIndex:
    """Collects rows, then says which belong together.

    Args:
        folder: where its files lie; it is there and empty.
        stack: closes the files.
        seeds: for each run its task's seeds.
    """

    def __init__(self, folder: Path, stack: ExitStack, seeds: tuple[tuple[SeedExample, ...], ...]) -> None:
        self._folder, self._stack, self._seeds = folder, stack, seeds
        self._bands = [[self._create(f"{view}-{band}") for band in range(BANDS)] for view in range(VIEWS)]
        self._signatures = [self._create(f"{view}-signatures") for view in range(VIEWS)]
        self._links = self._create("links")
        self._hashes: list[list[NDArray[np.uint32]]] = [[] for _ in range(VIEWS)]
        self._grounded: list[bool] = []
        self._link_batch: list[tuple[int, int]] = []
        self._ids: list[NDArray[np.uint64]] = []
        self._id_batch: list[int] = []
        self._count = 0

    def add(self, run: int, record: Record) -> None:
        """Take in the next row."""
        row, self._count = self._count, self._count + 1
        self._id_batch.append(key_of(record.id))
        for view, text in enumerate(views(record)):
            self._hashes[view].append(minhash(text))
        self._grounded.append(record.context is not None)
        self._link(run, row, record)
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
            if place >= len(self._seeds[run]):
                return
            seed = self._seeds[run][place]  # by its text: other runs may have it at another place
            name = key_of("seed", seed.question, seed.context or "")
        self._link_batch.append((name, row))

    def groups(self) -> tuple[Groups, NDArray[np.uint64]]:
        """Which rows belong together, and what stands for each row's id."""
        self._flush()
        groups = Groups(self._count)
        for bucket in _buckets(self._read("links")):
            for other in bucket[1:]:
                groups.join(int(bucket[0]), int(other))
        for view in range(VIEWS):
            signatures = self._stack.enter_context((self._folder / f"{view}-signatures").open("rb", buffering=0))
            for band in range(BANDS):
                for bucket in _buckets(self._read(f"{view}-{band}")):
                    _join_alike(bucket, signatures, groups)
        return groups, np.concatenate([*self._ids, np.empty(0, np.uint64)])

    def _create(self, name: str) -> FileIO:
        return self._stack.enter_context((self._folder / name).open("xb", buffering=0))

    def _read(self, name: str) -> NDArray[np.void]:
        return np.fromfile(self._folder / name, dtype=_ENTRY)

    def _flush(self) -> None:
        start = self._count - len(self._id_batch)
        self._ids.append(np.array(self._id_batch, np.uint64))
        self._id_batch = []
        for view in range(VIEWS):
            if self._hashes[view]:
                hashes = np.stack(self._hashes[view])
                self._signatures[view].write(signature(hashes).tobytes())
                keys = band_keys(hashes)
                if view == 0:  # a context is not compared with questions
                    keys ^= np.array(self._grounded, np.uint64)[:, None]
                entries = np.empty(len(keys), _ENTRY)
                entries["row"] = np.arange(start, start + len(keys))
                for band in range(BANDS):
                    entries["key"] = keys[:, band]
                    self._bands[view][band].write(entries.tobytes())
            self._hashes[view] = []
        self._grounded = []
        self._links.write(np.array(self._link_batch, _ENTRY).tobytes())
        self._link_batch = []


def _buckets(entries: NDArray[np.void]) -> Iterator[NDArray[np.uint32]]:
    """The rows that share a key, two or more, in their order."""
    order = np.argsort(entries["key"], kind="stable")
    keys = entries["key"][order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
    ends = np.append(starts[1:], len(keys))
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        yield np.unique(entries["row"][order[start:end]])


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
    rows: Iterable[tuple[int, Record]], folder: Path, seeds: tuple[tuple[SeedExample, ...], ...], share: float, seed: int
) -> NDArray[np.bool_]:
    """For each row, in their order, whether it is for testing; near-duplicates are always on one side.

    Args:
        rows: each with the number of its run.
        folder: for the index: there, empty, and emptied by the caller.
        seeds: for each run its task's seeds.
        share: of the rows that are for testing, above 0 and below 1.
        seed: decides which.

    Raises:
        RequestError: all rows are near-duplicates of one another.
        OSError: the disk is full or refuses.
    """
    with ExitStack() as stack:
        index = NearIndex(folder, stack, seeds)
        for run, record in rows:
            index.add(run, record)
        groups, ids = index.groups()
        return choose_test(groups, ids, share, seed)
