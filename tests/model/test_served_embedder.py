"""Vectors from a server: whose weights they are, unit length, nothing cut off, and sentences for what goes wrong."""

import asyncio
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from skills_dspy.base.errors import ContextTooLong, EmbedderMissing, RunDirError, ServerError
from skills_dspy.model.embedding.embedder import LiveEmbedder
from skills_dspy.model.embedding.vectors import RememberedVectors
from skills_dspy.model.embedding.weights import find_model, served
from skills_dspy.model.served_embedder import ServedEmbedder
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.store.journal import Journal
from tests.model.server.test_ollama import HOST, settings

LONG = "x " * 1000


class Wire:
    """An Ollama with one embedding model, whose vectors say how long a text is."""

    def __init__(self, digest: str = "d" * 64) -> None:
        self.asked: list[dict[str, Any]] = []
        self.at_once = self.most = 0
        self._models = {"models": [{"model": "all-minilm:latest", "digest": digest, "size": 1}]}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """One answer."""
        if request.url.path == "/api/tags":
            return httpx.Response(200, json=self._models)
        asked = json.loads(request.content)
        self.asked.append(asked)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if asked["input"] == LONG and asked.get("truncate") is False:
            return httpx.Response(400, json={"error": "the input length exceeds the context length"})
        return httpx.Response(200, json={"embeddings": [[3.0 * len(asked["input"]), 4.0 * len(asked["input"])]]})


def nobody(request: httpx.Request) -> httpx.Response:
    """No server."""
    raise httpx.ConnectError("refused", request=request)


def an_embedder(wire: Callable[..., Any], name: str = "ollama:all-minilm") -> ServedEmbedder:
    """An embedder of a server on that network."""
    return ServedEmbedder(name, OllamaServer(HOST, settings(patience=0.0), transport=httpx.MockTransport(wire)))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ollama:nomic-embed-text:v1.5", ("ollama", "nomic-embed-text:v1.5")),
        ("openai:BAAI/bge-m3", ("openai", "BAAI/bge-m3")),
        ("ollama:", None),
        ("all-minilm", None),
        ("C:\\models\\minilm", None),
    ],
)
def test_a_prefix_says_whose_model_it_is(name: str, found: tuple[str, str] | None) -> None:
    """The rest is the name there, colons and slashes and all."""
    assert served(name) == found


def test_vectors_are_unit_vectors_of_the_digest_and_nothing_is_cut() -> None:
    """One request for each text, one after the other however many ask at once, and `truncate` is off."""
    wire = Wire()
    embedder: LiveEmbedder = an_embedder(wire)

    async def scene() -> None:
        one, two = await asyncio.gather(embedder.embed(["a", "bcd"]), embedder.embed(["ef"]))
        assert one.dtype == np.float32
        assert np.array_equal(np.concatenate([one, two]), np.array([[0.6, 0.8]] * 3, np.float32))
        assert embedder.weights == "d" * 64
        with pytest.raises(ValueError, match="blank"):
            await embedder.embed(["a", " "])
        assert len(await embedder.embed([])) == 0
        await embedder.close()

    asyncio.run(scene())
    assert sorted(asked["input"] for asked in wire.asked) == ["a", "bcd", "ef"]
    assert {asked["truncate"] for asked in wire.asked} == {False}
    assert wire.most == 1


def test_a_text_that_is_too_long_is_named_with_what_to_do() -> None:
    """Its beginning, its length, and the two ways on."""
    with pytest.raises(ContextTooLong, match=r"2000 characters .* begins with 'x x .* longer context, or the local default"):
        asyncio.run(an_embedder(Wire()).embed([LONG]))


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [math.nan, 1.0]])
def test_what_is_no_vector_is_refused(vector: list[float]) -> None:
    """As a chat model gives it, or a broken server."""

    class Broken(Wire):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/api/tags":
                return await super().__call__(request)
            return httpx.Response(200, content=json.dumps({"embeddings": [vector]}))

    with pytest.raises(ServerError, match="gave no vector for a text; is all-minilm an embedding model"):
        asyncio.run(an_embedder(Broken()).embed(["a"]))


def test_a_model_that_is_not_there_is_said_with_the_command_that_helps() -> None:
    """And so is a server that is not there; a replay takes both for an embedding model that is missing."""
    with pytest.raises(EmbedderMissing, match=r"has no model 'bge-m3' for vectors: get it with `ollama pull bge-m3`"):
        asyncio.run(an_embedder(Wire(), "ollama:bge-m3").ready())

    with pytest.raises(EmbedderMissing, match="cannot be asked: No Ollama server answers"):
        asyncio.run(an_embedder(nobody).ready())


def test_what_was_journaled_needs_no_server_and_other_weights_are_refused(tmp_path: Path) -> None:
    """As with a model of this machine: a replay asks nobody, and a resume with another digest is refused."""

    async def embed(embedder: ServedEmbedder, text: str) -> bytes:
        with Journal.open(tmp_path / "j.sqlite") as journal:
            return (await RememberedVectors(embedder, journal, None, Path("run")).embed([text])).tobytes()

    first = asyncio.run(embed(an_embedder(Wire()), "a"))
    assert asyncio.run(embed(an_embedder(nobody), "a")) == first
    asyncio.run(embed(an_embedder(Wire()), "b"))
    with pytest.raises(RunDirError, match=r"other weights of the embedding model \(dddddddddddd then, eeeeeeeeeeee now\)"):
        asyncio.run(embed(an_embedder(Wire(digest="e" * 64)), "c"))


def test_a_text_that_is_too_long_is_said_with_the_run(tmp_path: Path) -> None:
    """Whose folder has the task's name."""
    with Journal.open(tmp_path / "j.sqlite") as journal, pytest.raises(ContextTooLong, match=r"^output/foxes: ollama:all-mini"):
        asyncio.run(RememberedVectors(an_embedder(Wire()), journal, None, Path("output/foxes")).embed([LONG]))


def test_who_asks_no_server_says_so() -> None:
    """`eval data` and `decide` look for the model on this machine."""
    with pytest.raises(EmbedderMissing, match="only `run` and `check` ask one for vectors"):
        find_model("ollama:all-minilm")
