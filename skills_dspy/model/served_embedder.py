"""Vectors from a server: an embedding model that Ollama or a server of OpenAI's API has, with the face of a local one."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from skills_dspy.base.errors import (
    ContextTooLong,
    EmbedderMissing,
    MachineError,
    ModelMissing,
    NoVectors,
    ServerError,
    Unanswered,
)
from skills_dspy.model.embedding.vocabulary import RARE_PAIRS
from skills_dspy.model.embedding.weights import served
from skills_dspy.model.server.names import guess, meant
from skills_dspy.model.server.server import Model
from skills_dspy.similarity.nearest import Vector, Vectors, squared_distance
from skills_dspy.similarity.sight import LOOKED_AT, Sight

_SHOWN = 60
"""So many characters of a text are shown."""
_PLAIN = "A plain text, to see that it works."
"""Has a vector wherever any text has one."""


class VectorServer(Protocol):
    """A server that has embedding models."""

    host: str

    async def models(self) -> tuple[Model, ...]:
        """All models that it has, by name."""

    async def embed(self, model: str, text: str) -> Sequence[float]:
        """The vector that a model gives to a text, asked for as patiently as a reply; nothing of the text is cut off.

        Raises:
            ModelMissing: the server does not have the model.
            ContextTooLong: it says that the text is longer than the model reads, and says so of short ones.
            ServerError: it refuses, or answered nothing at all for longer than the patience allows.
            Unanswered: it gives vectors of other texts, and of this one never.
        """

    async def close(self) -> None:
        """Close all connections."""


def listed(models: Iterable[Model], name: str) -> Model | None:
    """The model that a name means to a server; None where there is none."""
    there = {model.name: model for model in models}
    return there.get(meant(name, there) or "")


class ServedEmbedder:
    """A `LiveEmbedder` whose vectors a server computes; `name` is the model with its prefix, as the user named it.

    Each text is a request of its own, and one follows the other: servers put what comes together into one batch, which may
    change the last bits. The vectors are made unit vectors here. The weights are told apart by the server's digest, and
    where it has none by the model's name alone.
    """

    def __init__(self, name: str, server: VectorServer) -> None:
        found = served(name)
        if found is None:
            raise ValueError(f"{name} is no model of a server")
        self.name = name
        self._kind, self._model = found
        self._server = server
        self._turn = asyncio.Lock()
        self._weights: str | None = None
        self._seeing = asyncio.Lock()
        self._sight: Sight | None = None

    @property
    def weights(self) -> str:
        """The server's digest of the model, else its name; RuntimeError before `ready`."""
        if self._weights is None:
            raise RuntimeError("the server was not asked for the embedding model yet")
        return self._weights

    async def sight(self) -> Sight:
        """What a few texts tell, for a server does not give its tokenizer: `some` where two have the same vector, or none."""
        async with self._seeing:
            if self._sight is None:
                try:
                    pairs = [await self.embed(pair) for pair in RARE_PAIRS]
                except (ContextTooLong, Unanswered):
                    pairs = []
                apart = [squared_distance(one, other) >= LOOKED_AT for one, other in pairs]
                self._sight = "all" if apart and all(apart) else "some"
        return self._sight

    def start(self) -> None:
        """Do nothing: the server loads a model when it is asked."""

    async def ready(self) -> None:
        """See that the server has the model. Raises EmbedderMissing."""
        async with self._turn:
            if self._weights is None:
                try:
                    models = await self._server.models()
                except MachineError as error:
                    raise EmbedderMissing(
                        f"the vectors of {self.name} are a server's, which cannot be asked: {error}"
                    ) from error
                found = listed(models, self._model)
                if found is None:
                    raise self._missing([model.name for model in models])
                self._weights = found.digest or self.name

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text; see `LiveEmbedder.embed`."""
        if not all(text.strip() for text in texts):
            raise ValueError("a blank text has no embedding")
        await self.ready()
        rows: list[Vector] = []
        for text in texts:
            async with self._turn:
                rows.append(await self._vector(text))
        return np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _vector(self, text: str) -> Vector:
        try:
            numbers = await self._server.embed(self._model, text)
        except ModelMissing as error:
            raise self._missing() from error
        except NoVectors as error:
            raise EmbedderMissing(
                f"{self.name} at {self._server.host} gives no vectors, as a chat model does not ({error}): name an embedding "
                "model there (Ollama: `ollama pull all-minilm`), or take the local default (without --embedder)"
            ) from error
        except ContextTooLong as error:
            raise ContextTooLong(f"{self.name} at {self._server.host} {_too_long(text)}") from error
        except Unanswered as error:
            if isinstance(error.__cause__, ContextTooLong):
                raise Unanswered(f"{self.name} {_too_long(text)}.", text) from error
            raise Unanswered(f"{self.name} has no vector of {_shown(text)}: {error}", text) from error
        if (vector := _unit(numbers)) is not None:
            return vector
        if text != _PLAIN and await self._gives_vectors():
            raise Unanswered(f"{self.name} has no vector of {_shown(text)}.", text)
        raise ServerError(f"The server at {self._server.host} gave no vector for a text; is {self._model} an embedding model?")

    async def _gives_vectors(self) -> bool:
        """Whether others have vectors, asked now: that some had before is not known to a run that goes on."""
        try:
            return _unit(await self._server.embed(self._model, _PLAIN)) is not None
        except (ContextTooLong, Unanswered):
            return False

    def _missing(self, there: Sequence[str] = ()) -> EmbedderMissing:
        todo = f"get it with `ollama pull {self._model}`" if self._kind == "ollama" else "give one that it has, as openai:NAME"
        question = guess(self._model, there)
        hint = f"; {question} Give it as {self._kind}:NAME, or" if question else ":"
        return EmbedderMissing(f"the server at {self._server.host} has no model {self._model!r} for vectors{hint} {todo}")


def _unit(numbers: Sequence[float]) -> Vector | None:
    """The unit vector of what a server gave; None where that is no vector."""
    vector = np.asarray(numbers, dtype=np.float64)
    length = math.sqrt(math.fsum((vector * vector).tolist()))
    if vector.ndim != 1 or not 0.0 < length < math.inf:  # written so that NaN fails too
        return None
    return (vector / length).astype(np.float32)


def _begin(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]


def _too_long(text: str) -> str:
    return (
        f"cannot read a text of {len(text)} characters whole, which begins with {_begin(text)!r}: take an embedding model "
        "with a longer context, or the local default (without --embedder), which reads long texts in pieces"
    )


def _shown(text: str) -> str:
    return f"the text that begins with {_begin(text)!r}"
