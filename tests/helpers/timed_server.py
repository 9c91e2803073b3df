"""A stand-in for the Ollama server whose replies take as long as they say, on virtual time or in no time at all."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from evals.teacher.filling import Taste, fill
from skills_dspy.base.errors import MachineError, ModelMissing
from skills_dspy.model.server.ollama import OllamaServer, model_missing
from skills_dspy.model.server.server import Model

READING, WRITING = 1000.0, 50.0
"""Tokens a second."""

Payload = Mapping[str, Any]


def willing(payload: Payload) -> str:
    """A reply that fits the schema, or a sentence."""
    if "format" not in payload:
        return "A whole sentence."
    return json.dumps(fill(payload["format"], Random(0), Taste()))


def rating(payload: Payload, *, best: bool, why: str = "Right.") -> str:
    """A judge's reply with the best or the worst label of every scale."""
    fields = payload["format"]["properties"].items()
    return json.dumps(
        {"explanation": why, **{name: field["enum"][-1 if best else 0] for name, field in fields if "enum" in field}}
    )


class TimedServer(OllamaServer):
    """A server with some slots.

    Args:
        slots: how many requests it works on at once.
        reply: the text of a reply; the number of tokens it is said to have is `tokens`, num_predict at most.
        tokens: of every reply.
        timed: whether a reply takes its time.
        silent: whether it leaves out all counts.
        dense: how many times our usual number of tokens it counts in a prompt.
        missing: the models that are not pulled.
        context_length: of every model.
        refuses: what every chat ends with.
        room: how many models it holds at once; None for a server that does not say what it holds.
    """

    host = "http://fake:11434"

    def __init__(
        self,
        *,
        slots: int = 1,
        reply: Callable[[Payload], str] = willing,
        tokens: int = 50,
        timed: bool = True,
        silent: bool = False,
        dense: float = 1.0,
        missing: tuple[str, ...] = (),
        context_length: int | None = 131072,
        refuses: MachineError | None = None,
        room: int | None = None,
    ) -> None:
        self.held: list[str] = []
        self._room = room
        self.payloads: list[Payload] = []
        self.pulled: list[str] = []
        self.closed = 0
        self._slots = asyncio.Semaphore(slots)
        self._reply = reply
        self._tokens = tokens
        self._timed = timed
        self._silent = silent
        self._dense = dense
        self._missing = set(missing)
        self._context_length = context_length
        self._refuses = refuses

    async def version(self) -> str:
        """What it says it is."""
        return "0.0.0-fake"

    async def models(self) -> tuple[Model, ...]:
        """One model for vectors."""
        return (Model("all-minilm:latest", "e" * 64, 512),)

    async def embed(self, model: str, text: str) -> Sequence[float]:
        """A vector of three numbers."""
        return [float(len(model)), float(len(text)), 2.0]

    async def model(self, name: str) -> Model:
        """A model, when it is not missing."""
        if name in self._missing:
            raise model_missing(name)
        return Model(f"{name}:latest", "d" * 64, self._context_length)

    def pull(self, model: str) -> Iterator[tuple[str, int, int]]:
        """Pull in two layers; models whose name starts with `no-` are in no library."""
        if model.startswith("no-"):
            raise ModelMissing(f"there is no {model} to pull")
        yield "pulling manifest", 0, 0
        for layer in ("one", "two"):
            yield f"pulling {layer}", 50, 100
            yield f"pulling {layer}", 100, 100
        self._missing.discard(model)
        self.pulled.append(model)
        yield "success", 0, 0

    async def chat(self, payload: Payload) -> dict[str, Any]:
        """One reply's body, after the time that it takes."""
        self.payloads.append(payload)
        self.held = [*(model for model in self.held if model != payload["model"]), payload["model"]][-(self._room or 1) :]
        if self._refuses is not None:
            raise self._refuses
        text = self._reply(payload)
        read = round(self._dense * sum(len(message["content"]) for message in payload["messages"]) / 4)
        written = min(self._tokens, payload["options"]["num_predict"])
        reading, writing = read / READING, written / WRITING
        async with self._slots:
            await asyncio.sleep(reading + writing if self._timed else 0)
        body = {"message": {"role": "assistant", "content": text}, "done": True, "done_reason": "stop"}
        counts = {
            "load_duration": 2_000_000_000,
            "prompt_eval_count": read,
            "prompt_eval_duration": round(reading * 1e9),
            "eval_count": written,
            "eval_duration": round(writing * 1e9),
        }
        return body if self._silent else body | counts

    async def loaded(self) -> tuple[str, ...] | None:
        """The models that it was asked for last, as many as it holds."""
        return None if self._room is None else tuple(f"{model}:latest" for model in self.held)

    async def close(self) -> None:
        """Count it."""
        self.closed += 1
