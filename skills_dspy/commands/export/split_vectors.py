"""Which rows are near in meaning, by the vectors that their runs' journals hold; an index on the disk.

For each vector its bytes and 480 more of files; in memory 14 bytes each, and 16 MB for the hyperplanes and a batch of a model
with 384 dimensions.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skills_dspy.base.errors import RunDirError
from skills_dspy.commands.export.source import SourceRun
from skills_dspy.model.embedding.vectors import WEIGHTS, vector_key
from skills_dspy.similarity.hyperplanes import LIMIT, PLANE_BANDS, Hyperplanes
from skills_dspy.similarity.minhash import Groups, key_of
from skills_dspy.similarity.nearest import MARGIN, Vector, joined, squared_distance
from skills_dspy.store.files import storage_errors
from skills_dspy.store.journal import JournalReader

ENTRY = np.dtype([("key", "<u8"), ("row", "<u4")])
_BATCH = 512
_BLOCK = 512  # vectors of one bucket that are compared at one time
PATIENCE = 4096
"""With how many vectors before it a vector is compared at least, of those that share a band's key."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A vector, and what it may be compared with: vectors of the same kind of text by the same weights."""

    space: int
    vector: Vector


class KeptByRun:
    """The vectors of one run's rows and seeds, as dedup compared them.

    Args:
        run: its journal is opened, and may be missing.
        stack: closes the journal.
    """

    def __init__(self, run: SourceRun, stack: ExitStack) -> None:
        self._path, self._model = run.paths.journal, run.facts.embedder
        with storage_errors("read", self._path):
            there = self._path.is_file()
        self._journal = stack.enter_context(JournalReader.open(self._path)) if there else None
        self.weights = self._journal.meta().get(WEIGHTS, "") if self._journal is not None else ""
        """Those of the embedding model; nothing where nothing is known of them, and then there are no vectors."""

    def of(self, question: str, context: str | None) -> Embedded | None:
        """The vector of a question, or of a question with its context; None where the journal has none.

        Raises:
            RunDirError: what it has is no unit vector.
            StorageError: it cannot be read.
        """
        vector = self._vector(question)
        if context is not None and vector is not None:
            about = self._vector(context)
            vector = None if about is None else joined(vector, about)
        if vector is None:
            return None
        kind = "freeform" if context is None else "grounded"
        return Embedded(key_of("space", self._model, self.weights, kind, str(len(vector))), vector)

    def _vector(self, text: str) -> Vector | None:
        found = self._journal.vector(vector_key(self._model, text)) if self._journal is not None and self.weights else None
        if found is None:
            return None
        vector = np.frombuffer(found, "<f4") if len(found) % 4 == 0 else np.zeros(1, np.float32)
        if not abs(float(vector @ vector) - 1.0) < MARGIN:  # written so that NaN fails too
            raise RunDirError(
                f"{self._path}: the vector of the text {' '.join(text.split())[:60]!r} is broken; restore the file"
            )
        return vector


def put(file: FileIO, data: bytes) -> None:
    """Write all of the data: a raw file on a disk that fills up may take a part of it without a word.

    Raises:
        OSError: there is no room for all of it.
    """
    while data:
        data = data[file.write(data) :]  # the next write raises when nothing more fits


class MeaningIndex:
    """Collects vectors, then joins those that are near.

    Args:
        folder: where its files lie; it is there and holds none of them.
        stack: closes the files.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._vectors = self._create("vectors")
        self._bands = [self._create(f"meaning-{band}") for band in range(PLANE_BANDS)]
        self._planes: dict[int, Hyperplanes] = {}
        self._batch: list[tuple[int, Embedded]] = []
        self._blocks: list[NDArray[np.void]] = []
        self._spaces: dict[int, int] = {}
        self._end = self._count = 0

    def add(self, node: int, embedded: Embedded) -> None:
        """Take in the vector of a row or a seed, which are told apart by numbers below 2^32."""
        self._batch.append((node, embedded))
        if len(self._batch) == _BATCH:
            self._flush()

    def join(self, groups: Groups, numbers: Callable[[NDArray[np.uint32]], NDArray[np.int64]]) -> None:
        """Put those that are near into one group; `numbers` gives the groups' numbers of rows and seeds."""
        self._flush()
        if not self._count:
            return
        places = np.concatenate(self._blocks)
        nodes = numbers(places["node"])
        file = self._stack.enter_context((self._folder / "vectors").open("rb", buffering=0))
        for band in range(PLANE_BANDS):
            for bucket in buckets(np.fromfile(self._folder / f"meaning-{band}", dtype=ENTRY)):
                for space in np.unique(places["space"][bucket]):
                    same = bucket[places["space"][bucket] == space]
                    _join_near(nodes[same], places["at"][same], int(places["size"][same[0]]), file, groups)

    def _create(self, name: str) -> FileIO:
        return self._stack.enter_context((self._folder / name).open("xb", buffering=0))

    def _flush(self) -> None:
        for space in dict.fromkeys(embedded.space for _, embedded in self._batch):
            some = [(node, embedded.vector) for node, embedded in self._batch if embedded.space == space]
            vectors = np.stack([vector for _, vector in some]).astype("<f4")
            size = vectors.shape[1]
            if size not in self._planes:
                self._planes[size] = Hyperplanes(size)
            places = np.empty(len(some), _PLACE)
            places["node"] = [node for node, _ in some]
            places["at"] = self._end + 4 * size * np.arange(len(some))
            places["size"] = size
            places["space"] = self._spaces.setdefault(space, len(self._spaces))
            self._blocks.append(places)
            put(self._vectors, vectors.tobytes())
            keys = self._planes[size].keys(vectors) ^ np.uint64(space)
            entries = np.empty(len(some), ENTRY)
            entries["row"] = np.arange(self._count, self._count + len(some))
            for band in range(PLANE_BANDS):
                entries["key"] = keys[:, band]
                put(self._bands[band], entries.tobytes())
            self._end += vectors.nbytes
            self._count += len(some)
        self._batch = []


_PLACE = np.dtype([("node", "<u4"), ("at", "<i8"), ("size", "<u4"), ("space", "<u2")])


def buckets(entries: NDArray[np.void]) -> Iterator[NDArray[np.uint32]]:
    """The rows that share a key, two or more, in their order."""
    order = np.argsort(entries["key"], kind="stable")
    keys = entries["key"][order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
    ends = np.append(starts[1:], len(keys))
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        yield np.unique(entries["row"][order[start:end]])


def _join_near(nodes: NDArray[np.int64], at: NDArray[np.int64], size: int, file: FileIO, groups: Groups) -> None:
    """Join those of a bucket that are near, a block with itself and with what stands before it."""
    if len({groups.root(int(node)) for node in nodes}) <= 1:
        return
    kept = np.empty((0, size), np.float32)
    for start in range(0, len(nodes), _BLOCK):
        block = np.stack([_read(file, int(place), size) for place in at[start : start + _BLOCK]])
        first = start - len(kept)
        kept = np.concatenate([kept, block])
        here = nodes[first : start + len(block)]
        roots = np.array([groups.root(int(node)) for node in here])
        rough = 2.0 - 2.0 * (block @ kept.T)
        for place, row in enumerate(rough, start=start - first):
            near = np.flatnonzero((row[:place] < LIMIT + MARGIN) & (roots[:place] != roots[place]))
            while len(near):
                other, near = int(near[0]), near[1:]
                if squared_distance(kept[place], kept[other]) < LIMIT:
                    groups.join(int(here[place]), int(here[other]))
                    roots[roots == roots[other]] = roots[place]
                    near = near[roots[near] != roots[place]]
        kept = kept[-PATIENCE:]


def _read(file: FileIO, at: int, size: int) -> Vector:
    file.seek(at)
    return np.frombuffer(file.read(4 * size), "<f4")
