"""Vectors from a server: whose weights they are, unit length, nothing cut off, and sentences for what goes wrong."""

import asyncio
import json
import math
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from skills_dspy.base.errors import ContextTooLong, EmbedderMissing, ServerError
from skills_dspy.model.embedding.embedder import LiveEmbedder
from skills_dspy.model.embedding.weights import served
from skills_dspy.model.served_embedder import ServedEmbedder
from skills_dspy.model.server.ollama import OllamaServer
from tests.model.server.test_ollama import HOST, settings

LONG = "x " * 1000
TAGS = {"models": [{"model": "all-minilm:latest", "digest": "d" * 64, "size": 1}]}


class Wire:
    """An Ollama with one embedding model, whose vectors say how long a text is."""

    def __init__(self, vector: Callable[[str], list[float]] = lambda text: [3.0 * len(text), 4.0 * len(text)]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.at_once = self.most = 0
        self._vector = vector

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """One answer."""
        if request.url.path == "/api/tags":
            return httpx.Response(200, json=TAGS)
        asked = json.loads(request.content)
        self.asked.append(asked)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if asked["input"] == LONG and asked.get("truncate") is False:
            return httpx.Response(400, json={"error": "the input length exceeds the context length"})
        return httpx.Response(200, json={"embeddings": [self._vector(asked["input"])]})


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
    body = json.dumps({"embeddings": [vector]}).encode()

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=TAGS) if request.url.path == "/api/tags" else httpx.Response(200, content=body)

    with pytest.raises(ServerError, match="gave no vector for a text; is all-minilm an embedding model"):
        asyncio.run(an_embedder(answer).embed(["a"]))


def test_a_model_that_is_not_there_is_said_with_the_command_that_helps() -> None:
    """And so is a server that is not there; a replay takes both for an embedding model that is missing."""
    with pytest.raises(EmbedderMissing, match=r"has no model 'bge-m3' for vectors: get it with `ollama pull bge-m3`"):
        asyncio.run(an_embedder(Wire(), "ollama:bge-m3").ready())

    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(EmbedderMissing, match="cannot be asked: No Ollama server answers"):
        asyncio.run(an_embedder(nobody).ready())
