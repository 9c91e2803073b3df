"""Vectors of the questions and contexts of rows and seeds: those that a run remembers, else computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evals.data.datasets import Origin
from skills_dspy.model.embedding.embedder import Embedder
from skills_dspy.model.embedding.vectors import JournalVectors
from skills_dspy.similarity.nearest import Vector, Vectors, joined
from skills_dspy.store.files import storage_errors
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths

_CHUNK = 32  # texts between two signs of progress

Progress = Callable[[int, int], None]
"""Told how many texts of how many have been embedded."""


class Embeddable(Protocol):
    """A row or a seed: what is embedded of it."""

    @property
    def question(self) -> str:
        """Not blank."""

    @property
    def context(self) -> str | None:
        """Not blank, or None."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was asked for as vectors.

    Attributes:
        rows, seeds: one unit vector each. Where any of them has a context, question and context count half each, as in
            dedup: the same question on another passage is far away. What has no context counts its question twice.
        model: which model and weights; distances of two sets compare only when it is the same for both.
        remembered: the texts whose vectors the run's journal held.
        computed: the texts that were embedded now.
    """

    rows: Vectors
    seeds: Vectors
    model: str
    remembered: int
    computed: int


def embed(
    rows: Sequence[Embeddable], seeds: Sequence[Embeddable], run: Origin | None, embedder: Embedder, progress: Progress
) -> Embedded:
    """The vectors of rows and seeds.

    Those that the run's journal holds are taken from it, if they are of this embedder; a finished run needs no model.

    Args:
        rows: at least one.
        seeds: any number.
        run: the run that the rows are from.
        embedder: computes what is not remembered; it is loaded only then.
        progress: is called before the first text, and after each few.

    Raises:
        EmbedderMissing: something has to be computed and there is no model.
        StorageError: the journal cannot be read.
    """
    both = [*rows, *seeds]
    texts = list(dict.fromkeys(text for item in both for text in (item.question, item.context) if text is not None))
    found, weights = _remembered(texts, run, embedder.name)
    missing = [text for text in texts if text not in found]
    if missing:
        embedder.load()
        if weights != embedder.weights:  # vectors of different weights have no distance
            found, missing, weights = {}, texts, embedder.weights
        computed = dict(zip(missing, _computed(missing, embedder, progress), strict=True))
    else:
        computed = {}
    known = {**found, **computed}
    grounded = any(item.context is not None for item in both)
    vectors = np.stack([_vector(item, known, grounded) for item in both])
    return Embedded(vectors[: len(rows)], vectors[len(rows) :], f"{embedder.name} {weights}", len(found), len(computed))


def _vector(item: Embeddable, known: dict[str, Vector], grounded: bool) -> Vector:
    question = known[item.question]
    return joined(question, question if item.context is None else known[item.context]) if grounded else question


def _remembered(texts: Sequence[str], run: Origin | None, name: str) -> tuple[dict[str, Vector], str]:
    """What the journal holds of these texts, and the digest of the weights that it was made with."""
    if run is None or run.embedder != name:
        return {}, ""
    with storage_errors("read", run.journal):
        there = run.journal.exists()
    if not there:
        return {}, ""
    with JournalReader.open(run.journal) as journal:
        vectors = JournalVectors(journal, name, RunPaths(run.journal.parent))
        return {text: vector for text in texts if (vector := vectors.find(text)) is not None}, vectors.weights


def _computed(texts: Sequence[str], embedder: Embedder, progress: Progress) -> Vectors:
    parts = []
    for start in range(0, len(texts), _CHUNK):
        progress(start, len(texts))
        parts.append(embedder.embed(texts[start : start + _CHUNK]))
    progress(len(texts), len(texts))
    return np.concatenate(parts)
