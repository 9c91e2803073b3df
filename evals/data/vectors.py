"""Vectors of the questions and contexts of rows and seeds: those that a run remembers, else computed."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evals.data.datasets import Origin
from skills_dspy.model.embedding.embedder import Embedder
from skills_dspy.store.files import storage_errors
from skills_dspy.store.journal import JournalReader

Vectors = NDArray[np.float32]
"""One unit vector per row."""

_WEIGHTS = "embedder_weights"  # what the journal calls the digest of the weights that its vectors were made with
_CHUNK = 32  # texts between two signs of progress

Progress = Callable[[int, int], None]
"""Told how many texts of how many have been embedded."""


class Asked(Protocol):
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


def embed(rows: Sequence[Asked], seeds: Sequence[Asked], run: Origin | None, embedder: Embedder, told: Progress) -> Embedded:
    """The vectors of rows and seeds.

    Those that the run's journal holds are taken from it, if they are of this embedder; a finished run needs no model.

    Args:
        rows: at least one.
        seeds: any number.
        run: the run that the rows are from.
        embedder: computes what is not remembered; it is loaded only then.
        told: hears of the progress.

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
        computed = dict(zip(missing, _computed(missing, embedder, told), strict=True))
    else:
        computed = {}
    known = {**found, **computed}
    grounded = any(item.context is not None for item in both)
    vectors = np.stack([_vector(item, known, grounded) for item in both])
    return Embedded(vectors[: len(rows)], vectors[len(rows) :], f"{embedder.name} {weights}", len(found), len(computed))


def _vector(item: Asked, known: dict[str, Vectors], grounded: bool) -> Vectors:
    question = known[item.question]
    if not grounded:
        return question
    about = question if item.context is None else known[item.context]
    both = np.concatenate([about, question]).astype(np.float64)
    return np.asarray(both / np.sqrt(2.0), dtype=np.float32)


def _remembered(texts: Sequence[str], run: Origin | None, name: str) -> tuple[dict[str, Vectors], str]:
    """What the journal holds of these texts, and the digest of the weights that it was made with."""
    if run is None or run.embedder != name:
        return {}, ""
    with storage_errors("read", run.journal):
        there = run.journal.exists()
    if not there:
        return {}, ""
    with JournalReader.open(run.journal) as journal:
        found = {text: journal.vector(_key(name, text)) for text in texts}
        weights = journal.meta().get(_WEIGHTS, "")
    return {text: np.frombuffer(vector, dtype=np.float32) for text, vector in found.items() if vector is not None}, weights


def _key(name: str, text: str) -> str:
    """The journal's key of a text's vector, as skills_dspy/model/embedding/vectors.py makes it."""
    return hashlib.sha256(f"{name}\x1f{text}".encode("utf-8", "surrogatepass")).hexdigest()


def _computed(texts: Sequence[str], embedder: Embedder, told: Progress) -> Vectors:
    parts = []
    for start in range(0, len(texts), _CHUNK):
        told(start, len(texts))
        parts.append(embedder.embed(texts[start : start + _CHUNK]))
    told(len(texts), len(texts))
    return np.concatenate(parts)
