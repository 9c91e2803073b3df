"""The vectors of one task: remembered in its journal, else taken from a recording, else computed and kept.

A text is embedded once in the life of a run. A replay needs no embedding model, and gives the same distances on every machine.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from skills_dspy.base.errors import ContextTooLong, EmbedderMissing, MissingReply, RunDirError, Unanswered
from skills_dspy.model.embedding.embedder import LiveEmbedder
from skills_dspy.similarity.nearest import Vector, Vectors, margin
from skills_dspy.similarity.sight import Sight
from skills_dspy.store.journal import Journal, JournalReader
from skills_dspy.store.run_dir import RunPaths

WEIGHTS = "embedder_weights"
"""What a journal notes the weights under that its vectors were made with."""
_NONE = "no vector "
"""Begins the note of a journal why a text, by its key, has no vector: the server can give none, however often it is asked."""


SIGHT = "embedder_sight"
"""What a journal notes under how far its vectors are to be believed, from the first on; older ones say nothing."""


def vector_key(model: str, text: str) -> str:
    """What a journal keeps the vector of a text under: 64 hex digits of the embedding model's name and the text."""
    return hashlib.sha256(f"{model}\x1f{text}".encode("utf-8", "surrogatepass")).hexdigest()


class JournalVectors:
    """The vectors that a run's journal holds; those of texts that the run never compared are computed, if at all.

    `model` is the name of the embedding model that the run was made with, `weights` are those of then, empty where the
    journal does not say. The embedder is that model, loaded when it is first needed; None to compute nothing.
    """

    def __init__(
        self, journal: Journal | JournalReader, model: str, paths: RunPaths, embedder: LiveEmbedder | None = None
    ) -> None:
        self._journal = journal
        self._model = model
        self._paths = paths
        self._embedder = embedder
        self.weights = journal.meta().get(WEIGHTS, "")
        self._sight = _sight(journal)

    def sight(self) -> Sight:
        """What the run believed of its vectors."""
        return self._sight

    def find(self, text: str) -> Vector | None:
        """The unit vector of a text; None where the journal has none. RunDirError where what it has is no unit vector."""
        found = self._journal.vector(vector_key(self._model, text))
        if found is None:
            return None
        vector = np.frombuffer(found, "<f4") if len(found) % 4 == 0 else np.zeros(1, np.float32)
        if not abs(float(vector @ vector) - 1.0) < margin(len(vector)):  # written so that NaN fails too
            raise RunDirError(f"{self._paths.journal}: the vector of the text {_brief(text)!r} is broken; restore the file")
        return vector

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector per text, in their order.

        Raises:
            Unanswered: the run could not have one of them.
            RunDirError: the journal lacks one that cannot be computed.
        """
        found = {text: self.find(text) for text in texts}
        missing = [text for text, vector in found.items() if vector is None]
        _raise_noted((self._journal,), {vector_key(self._model, text): text for text in missing})
        if missing:
            found.update(zip(missing, await self._computed(missing), strict=True))
        return np.stack([vector for text in texts if (vector := found[text]) is not None])

    async def _computed(self, texts: list[str]) -> Vectors:
        if self._embedder is None:
            raise RunDirError(
                f"{self._paths.folder}: the journal has no vector of the text {_brief(texts[0])!r}, so it is not the journal "
                "of these rows, or they were changed; restore the files"
            )
        vectors = await self._embedder.embed(texts)
        if self.weights not in ("", self._embedder.weights):
            raise RunDirError(
                f"{self._paths.folder}: its vectors were made with other weights of the embedding model "
                f"({self.weights[:12]} then, {self._embedder.weights[:12]} now); decide where that model is"
            )
        return vectors


class RememberedVectors:
    """Texts to unit vectors, each computed once.

    The embedder computes what neither this run's journal nor the recording of a replay has; it is loaded when it is first
    needed, if not before. `folder` is the run's directory, for messages.
    """

    def __init__(self, embedder: LiveEmbedder, journal: Journal, recording: JournalReader | None, folder: Path) -> None:
        self._embedder = embedder
        self._journal = journal
        self._recording = recording
        self._folder = folder
        self._sight: Sight | None = None

    def sight(self) -> Sight:
        """How far the vectors are to be believed, which the first of them decides: as in the recording, or the run before."""
        if self._sight is None:
            self._sight = _sight(self._journal)
        return self._sight

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector per text, in their order.

        Raises:
            Unanswered: the server can give none of one of them, which is noted and not asked again.
            RunDirError: others were made with other weights of the model.
            MissingReply: of a replay, the recording lacks one and there is no model: the end of the run cut it off.
        """
        keys = [vector_key(self._embedder.name, text) for text in texts]
        found = {key: self._journal.vector(key) for key in keys}
        new = {key: vector for key in keys if found[key] is None and (vector := self._recorded(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if found[key] is None and key not in new}
        if missing:
            _raise_noted(filter(None, (self._journal, self._recording)), missing)
            try:
                computed = await self._embedder.embed(list(missing.values()))
            except Unanswered as error:
                self._journal.set_meta(_NONE + vector_key(self._embedder.name, error.raw), str(error))
                raise
            except ContextTooLong as error:  # the embedder knows the text, and this the task
                raise ContextTooLong(f"{self._folder}: {error}") from error
            except EmbedderMissing as error:
                if self._recording is None:
                    raise
                raise MissingReply(str(error)) from error
            await self._check_weights()
            new |= {key: row.tobytes() for key, row in zip(missing, computed, strict=True)}
        if new:
            await asyncio.to_thread(self._journal.put_vectors, list(new.items()))
        return np.stack([np.frombuffer(found[key] or new[key], dtype=np.float32) for key in keys])

    def _recorded(self, key: str) -> bytes | None:
        vector = None if self._recording is None else self._recording.vector(key)
        if vector is not None and self._recording is not None and WEIGHTS not in self._journal.meta():
            noted = self._recording.meta()
            self._journal.set_meta(WEIGHTS, noted.get(WEIGHTS, ""))
            if SIGHT in noted:
                self._journal.set_meta(SIGHT, noted[SIGHT])
        return vector

    async def _check_weights(self) -> None:
        """Distances between vectors of different weights mean nothing."""
        before, now = self._journal.meta().get(WEIGHTS), self._embedder.weights
        if before is None:
            self._journal.set_meta(SIGHT, await self._embedder.sight())
            self._journal.set_meta(WEIGHTS, now)
        elif before != now:
            raise RunDirError(
                f"{self._folder} holds a run that was begun with other weights of the embedding model ({before[:12]} then, "
                f"{now[:12]} now): use --restart, or another --output-dir"
            )


def _sight(journal: Journal | JournalReader) -> Sight:
    noted = journal.meta().get(SIGHT)
    return next((sight for sight in get_args(Sight) if sight == noted), "trusted")


def _raise_noted(journals: Iterable[JournalReader], missing: Mapping[str, str]) -> None:
    """Raise Unanswered where it is known of one of the texts, which are given by their keys, that it has no vector."""
    if missing:
        noted = {key: why for journal in journals for key, why in journal.meta().items()}
        for key, text in missing.items():
            if (why := noted.get(_NONE + key)) is not None:
                raise Unanswered(why, text)


def _brief(text: str) -> str:
    return " ".join(text.split())[:60]
