"""Vectors of the questions and contexts of rows and seeds: those that a run remembers, else computed.

Where these do not tell texts apart (see similarity/sight.py), the letters of the texts count beside them, or alone.
"""

import math
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evals.data.datasets import RunOrigin
from evals.data.measures import LETTERS
from evals.data.rows import Row
from skills_dspy.base.records import SeedExample
from skills_dspy.model.embedding.embedder import Embedder
from skills_dspy.model.embedding.vectors import JournalVectors
from skills_dspy.similarity.nearest import Vector, Vectors, joined
from skills_dspy.similarity.sight import ComparedText, Sight, compared_text, distance
from skills_dspy.store.files import storage_errors
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths

_CHUNK = 32  # texts between two signs of progress

OnEmbedded = Callable[[int, int], None]
"""What hears how many texts of how many have been embedded."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of rows and seeds, one each for `measures.products`, and the model with its weights that they are of.

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
    found, weights, sight = _remembered(texts, run, embedder.name)
    missing = [text for text in texts if text not in found]
    if missing:
        embedder.load()
        if weights != embedder.weights:  # vectors of different weights have no distance
            found, missing, weights, sight = {}, texts, embedder.weights, embedder.sight()
        found |= dict(zip(missing, _computed(missing, embedder, progress), strict=True))
    grounded = any(item.context is not None for item in both)
    vectors = np.stack([_vector(item, found, grounded) for item in both])
    # Of a run that believed its vectors in everything, too, a score is made now.
    sights = "some" if sight == "trusted" else sight
    vectors = _told_apart(vectors, [_text(item, sights, grounded) for item in both])
    return Embedded(vectors[: len(rows)], vectors[len(rows) :], f"{embedder.name} {weights}")


def _vector(item: Row | SeedExample, known: dict[str, Vector], grounded: bool) -> Vector:
    question = known[item.question]
    return joined(question, question if item.context is None else known[item.context]) if grounded else question


def _text(item: Row | SeedExample, sight: Sight, grounded: bool) -> ComparedText | None:
    return compared_text(sight, item.question, (item.context or item.question) if grounded else None)


def _told_apart(vectors: Vectors, texts: Sequence[ComparedText | None]) -> Vectors:
    """The vectors with those of letters beside them: instead of one that says nothing, and as well where several texts have it.

    They are longer by LETTERS then. Those that have both are of length sqrt(2), so that the product with a row without letters
    is that of the model's vectors; `measures.products` knows.
    """
    blind, both = np.zeros(len(vectors), np.bool_), np.zeros(len(vectors), np.bool_)
    first = dict[bytes, list[int]]()
    for place, (vector, text) in enumerate(zip(np.round(vectors, 4), texts, strict=True)):
        blind[place] = text is not None and text.unread
        alike = first.setdefault(vector.tobytes(), [])
        alike.append(place)
        both[alike] = both[alike[0]] or distance(0.0, texts[alike[0]], text) > 0
    both &= ~blind
    if not (blind | both).any():
        return vectors
    letters = np.stack([letter_vector("\n".join(text.parts) if text else "") for text in texts])
    return np.hstack([vectors * ~blind[:, None], letters * (blind | both)[:, None]]).astype(np.float32)


def letter_vector(text: str) -> Vector:
    """A unit vector of the runs of one to three characters of a text, as they stand: the nearer, the more two texts share."""
    runs = Counter(text[start : start + n] for n in (1, 2, 3) for start in range(len(text) - n + 1))
    vector = np.zeros(LETTERS)
    for run, count in runs.items():
        drawn = zlib.crc32(run.encode("utf-8", "surrogatepass"))
        vector[drawn % LETTERS] += (1 if drawn >> 31 else -1) * len(run) * math.sqrt(count)
    return np.asarray(vector / (math.sqrt(float(vector @ vector)) or 1.0), dtype=np.float32)


def _remembered(texts: Sequence[str], run: RunOrigin | None, name: str) -> tuple[dict[str, Vector], str, Sight]:
    """What the journal holds of these texts, the digest of the weights that it was made with, and how far they are believed."""
    if run is None or run.embedder != name:
        return {}, "", "some"
    with storage_errors("read", run.journal):
        there = run.journal.exists()
    if not there:
        return {}, "", "some"
    with JournalReader.open(run.journal) as journal:
        vectors = JournalVectors(journal, name, RunPaths(run.journal.parent))
        return {text: vector for text in texts if (vector := vectors.find(text)) is not None}, vectors.weights, vectors.sight()


def _computed(texts: Sequence[str], embedder: Embedder, progress: OnEmbedded) -> Vectors:
    parts = []
    for start in range(0, len(texts), _CHUNK):
        progress(start, len(texts))
        parts.append(embedder.embed(texts[start : start + _CHUNK]))
    progress(len(texts), len(texts))
    return np.concatenate(parts)
