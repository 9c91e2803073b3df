"""Setting rows apart for testing: near-duplicates never part. Every row is compared with every other, in memory.

Two rows are near-duplicates when one of these holds:

- **same or near-same words** of their contexts, of their questions (rows without a context), or of question and answer
  together (see `similarity.words`). The same question on another passage is no near-duplicate.
- **near in meaning**: the run that made one of them noted the other, or a text that both are near to, within NOTED of it; or
  their vectors, or theirs and those of one seed, are nearer than what the runs' deduplication took for a duplicate, if the
  same weights made the vectors and the runs' journals still hold them. Texts that the vectors do not tell apart while their
  characters do (see `similarity.sight`) are not near by these.

Rows that are linked, directly or through others, form a group, and a group never parts.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skills_dspy.base.config import load_config
from skills_dspy.base.errors import ExportError, RequestError
from skills_dspy.base.records import AnswerPair, Neighbour
from skills_dspy.base.validation import require, require_whole
from skills_dspy.commands.export.facts import RunFacts
from skills_dspy.commands.export.reviewed import ExportRow, exported_answer
from skills_dspy.commands.export.source import SourceRun
from skills_dspy.model.embedding.vectors import JournalVectors
from skills_dspy.similarity.nearest import Groups, Vector, join_near, joined
from skills_dspy.similarity.sight import ComparedText, compared_text
from skills_dspy.similarity.words import Texts
from skills_dspy.store.journal_reader import journal_at

MOST_ROWS: Final = 200_000
"""How many rows are compared with one another; at twice as many it takes four times as long."""
NOTED: Final = 0.2
"""The squared distance of a neighbour that a run noted up to which a row stays with it; a cosine of 0.9."""


@dataclass(frozen=True, slots=True)
class Split:
    """How rows are set apart for testing: the share asked for, above 0 and below 1, and the seed."""

    share: float
    seed: int

    def __post_init__(self) -> None:
        """RequestError where it cannot be."""
        fits = isinstance(self.share, (int, float)) and 0 < self.share < 1
        require(fits, "--test-share", self.share, "a number above 0 and below 1")
        require_whole("--seed", self.seed, 0, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class SplitBasis:
    """By what rows were compared before they were set apart.

    Attributes:
        limit: the squared distance below which vectors were taken for near.
        by_words: how many rows have no vector in a journal, so that of their meaning only what the run noted was known.
        models: of how many embedding models (or weights of one) the others' vectors are.
    """

    split: Split
    limit: float
    by_words: int
    models: int

    def sentences(self, rows: int) -> list[str]:
        """What was not compared by meaning, of so many rows; nothing where all was."""
        said = []
        if self.by_words:
            said.append(
                f"{self.by_words:,} of {rows:,} rows have no vector in a journal and were compared with others by their words "
                "alone, and by what their run had noted."
            )
        if self.models > 1:
            said.append(
                f"The vectors are of {self.models} embedding models; rows of different ones were compared by their words alone."
            )
        return said


class _Space(NamedTuple):
    """Vectors that may be compared: those of the same kind of text by the same weights of one model."""

    model: str
    weights: str
    grounded: bool
    dimension: int


class _Near:
    """Collects rows and seeds, each a member with a number, and says which belong together."""

    def __init__(self, runs: Sequence[SourceRun]) -> None:
        self._runs = runs
        self._numbers: dict[tuple[object, ...], int] = {}
        self._links: list[tuple[int, int]] = []
        self._texts = {kind: Texts() for kind in ("context", "question", "pair")}
        self._vectors: dict[_Space, dict[int, tuple[Vector, ComparedText | None]]] = defaultdict(dict)
        self.by_words = 0
        self.models: set[tuple[str, str]] = set()

    def add(self, run: int, rows: Iterable[ExportRow]) -> Iterator[tuple[int, str]]:
        """Take in all rows of a run; gives the number and the id of each as it comes."""
        facts, paths = self._runs[run].facts, self._runs[run].paths
        with journal_at(paths.journal) as journal:
            kept = None if journal is None else JournalVectors(journal, facts.embedder, paths)
            for seed in facts.seeds:
                member = self._number("seed", seed.question, seed.context)
                if found := _vector(facts, kept, seed.question, seed.context):
                    self._vectors[found[0]].setdefault(member, found[1])
            for row in rows:
                member = self._number("row", run, row.id)
                question, context = row.instruction, row.context or None
                self._texts["question" if context is None else "context"].add(member, context or question)
                self._texts["pair"].add(member, f"{question}\n{exported_answer(row)}")
                self._link(member, run, row.neighbour if isinstance(row, AnswerPair) else row.provenance.neighbour)
                if found := _vector(facts, kept, question, context):
                    self._vectors[found[0]][member] = found[1]
                    self.models.add((found[0].model, found[0].weights))
                else:
                    self.by_words += 1
                yield member, row.id

    def groups(self, limit: float) -> Groups:
        """Which members belong together."""
        groups = Groups(len(self._numbers))
        groups.join(*np.array(self._links, np.int64).reshape(-1, 2).T)
        for found in self._vectors.values():
            vectors, about = zip(*found.values(), strict=True)
            join_near(groups, np.array(list(found)), np.stack(vectors), limit, about)
        for texts in self._texts.values():
            texts.join_similar(groups)
        return groups

    def _number(self, *name: object) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _link(self, member: int, run: int, near: Neighbour | None) -> None:
        """What the run itself found near."""
        if near is None or near.distance > NOTED:
            return
        if not near.id.startswith("seed:"):
            self._links.append((member, self._number("row", run, near.id)))
            return
        place, seeds = int(near.id.removeprefix("seed:")), self._runs[run].facts.seeds
        if place < len(seeds):  # by its text: other runs may have it at another place
            self._links.append((member, self._number("seed", seeds[place].question, seeds[place].context)))


def _vector(
    facts: RunFacts, kept: JournalVectors | None, question: str, context: str | None
) -> tuple[_Space, tuple[Vector, ComparedText | None]] | None:
    """A question, or a question with its context, as the run compared it; None where the journal has no vector of it.

    Nor has it any that can be compared where it does not say by which weights they are.
    """
    if kept is None or not kept.weights or (vector := kept.find(question)) is None:
        return None
    if context is not None:
        if (about := kept.find(context)) is None:
            return None
        vector = joined(vector, about)
    space = _Space(facts.embedder, kept.weights, context is not None, len(vector))
    return space, (vector, compared_text(kept.sight(), question, context))


def _near_limit(runs: Iterable[SourceRun]) -> float:
    """What the runs' deduplication took for a duplicate, the largest squared distance; the usual one where none says so."""
    found = [dict(run.facts.thresholds).get("dedup.max_squared_distance") for run in runs]
    return max(float(load_config().dedup.max_squared_distance if limit is None else limit) for limit in found)


def set_apart(
    rows: Iterable[tuple[int, ExportRow]], runs: Sequence[SourceRun], split: Split
) -> tuple[NDArray[np.bool_], SplitBasis]:
    """For each row, in their order, whether it is for testing, and by what they were compared; near-duplicates are on one side.

    Each row comes with the number of its run in `runs`, those of one run one after another.

    Raises:
        ExportError: there are more than MOST_ROWS.
        RequestError: all rows are near-duplicates of one another.
        RunDirError, StorageError: there is a journal and it cannot be read.
    """
    near = _Near(runs)
    members: list[int] = []
    ids: list[int] = []
    for run, some in groupby(rows, itemgetter(0)):
        for member, row_id in near.add(run, (row for _, row in some)):
            if len(members) == MOST_ROWS:
                raise ExportError(
                    f"--test-share {split.share} compares every row with every other, at most {MOST_ROWS:,} rows, and here are "
                    "more; export fewer runs together, or leave it out"
                )
            members.append(member)
            ids.append(_hash(row_id))
    limit = _near_limit(runs)
    if not members:
        return np.zeros(0, np.bool_), SplitBasis(split, limit, 0, 0)
    labels = near.groups(limit).labels[np.array(members, np.int64)]
    testing = choose_test(labels, np.array(ids, np.uint64), split.share, split.seed)
    return testing, SplitBasis(split, limit, near.by_words, len(near.models))


def choose_test(groups: NDArray[np.int64], ids: NDArray[np.uint64], share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows are for testing: whole groups in an order that the seed decides, as long as they fit the share.

    At most `share` of the rows, rounded, and at least one, are chosen; if every group is larger than that, one smallest group.
    For each row there are its group's number and what stands for its id, which with the seed decides the order of the groups.

    Raises:
        RequestError: all rows are one group.
    """
    count = len(groups)
    heads, of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(heads) < 2:
        raise RequestError(
            f"--test-share {share}: all {count} rows are near-duplicates of one another, so none can be set apart for testing"
            if count > 1
            else f"--test-share {share}: there is only one row, so none can be set apart for testing"
        )
    smallest = np.full(len(heads), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, of, ids)
    order = np.lexsort((heads, _mixed(smallest, seed)))
    room = max(1, round(share * count))
    chosen = np.zeros(len(heads), np.bool_)
    for group in order:
        if sizes[group] <= room:
            chosen[group] = True
            room -= int(sizes[group])
    if not chosen.any():
        chosen[order[np.argmin(sizes[order])]] = True
    return np.asarray(chosen[of])


def _mixed(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Numbers that order the keys in another way for each seed."""
    mix, half = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
    mixed = (keys ^ np.uint64(_hash(f"split\x1f{seed}"))) * mix
    return (mixed ^ (mixed >> half)) * mix


def _hash(text: str) -> int:
    """64 bits that stand for a text."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
