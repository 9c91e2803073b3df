"""Vectors of the questions and contexts of rows and seeds: those that a run remembers, else computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evals.data.datasets import RunOrigin
from evals.data.rows import Row
from skills_dspy.base.records import SeedExample
from skills_dspy.model.embedding.embedder import Embedder
from skills_dspy.model.embedding.vectors import JournalVectors
from skills_dspy.similarity.nearest import Vector, Vectors, joined
from skills_dspy.store.files import storage_errors
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths

_CHUNK = 32  # texts between two signs of progress

OnEmbedded = Callable[[int, int], None]
"""What hears how many texts of how many have been embedded."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of rows and seeds, one unit vector each, and the model with its weights that they are of.

    Where any of them has a context, question and context count half each, as in dedup: the same question on another passage is
    far away. What has no context counts its question twice. Distances of two sets compare only when the model is the same.
    """

    rows: Vectors
    seeds: Vectors
    model: str


def embed(
    rows: Sequence[Row | SeedExample],
    seeds: Sequence[Row | SeedExample],
    run: RunOrigin | None,
    embedder: Embedder,
    progress: OnEmbedded,
) -> Embedded:
    """The vectors of rows, at least one, and seeds.

    Those of this embedder that the run's journal holds are taken from it; only for others the embedder is loaded.

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
        found |= dict(zip(missing, _computed(missing, embedder, progress), strict=True))
    grounded = any(item.context is not None for item in both)
    vectors = np.stack([_vector(item, found, grounded) for item in both])
    return Embedded(vectors[: len(rows)], vectors[len(rows) :], f"{embedder.name} {weights}")


def _vector(item: Row | SeedExample, known: dict[str, Vector], grounded: bool) -> Vector:
    question = known[item.question]
    return joined(question, question if item.context is None else known[item.context]) if grounded else question


def _remembered(texts: Sequence[str], run: RunOrigin | None, name: str) -> tuple[dict[str, Vector], str]:
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


def _computed(texts: Sequence[str], embedder: Embedder, progress: OnEmbedded) -> Vectors:
    parts = []
    for start in range(0, len(texts), _CHUNK):
        progress(start, len(texts))
        parts.append(embedder.embed(texts[start : start + _CHUNK]))
    progress(len(texts), len(texts))
    return np.concatenate(parts)
