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

from skills_dspy.base.errors import ContextTooLong, EmbedderMissing, RunDirError, ServerError, Unanswered
from skills_dspy.model.embedding.embedder import LiveEmbedder
from skills_dspy.model.embedding.vectors import RememberedVectors
from skills_dspy.model.embedding.vocabulary import RARE_PAIRS
from skills_dspy.model.embedding.weights import find_model, served
from skills_dspy.model.served_embedder import ServedEmbedder
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.openai import OpenAIServer
from skills_dspy.store.journal import Journal
from tests.helpers.loops import on_a_loop
from tests.model.server.test_ollama import HOST, settings

LONG = "x " * 1000


Answer = Callable[[str], httpx.Response | None]
TOO_LONG = httpx.Response(400, json={"error": "the input length exceeds the context length"})


class Wire:
    """An Ollama with one embedding model, whose vectors say how long a text is, but for texts to which `answers` answers."""

    def __init__(self, answers: Answer = lambda _: None, digest: str = "d" * 64) -> None:
        self.answers = answers
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
        text = asked["input"]
        if text == LONG and asked.get("truncate") is False:
            return TOO_LONG
        return self.answers(text) or the_vector([3.0 * len(text), 4.0 * len(text)])


def the_vector(vector: list[float]) -> httpx.Response:
    """The answer with this in place of a vector."""
    return httpx.Response(200, content=json.dumps({"embeddings": [vector]}))


def nobody(request: httpx.Request) -> httpx.Response:
    """No server."""
    raise httpx.ConnectError("refused", request=request)


def an_embedder(wire: Callable[..., Any], name: str = "ollama:all-minilm") -> ServedEmbedder:
    """An embedder of a server on that network."""
    return ServedEmbedder(
        name, OllamaServer(HOST, settings(patience=0.0, backoff_first=0.01), transport=httpx.MockTransport(wire))
    )


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


@on_a_loop
async def test_vectors_are_unit_vectors_of_the_digest_and_nothing_is_cut() -> None:
    """One request for each text, one after the other however many ask at once, and `truncate` is off."""
    wire = Wire()
    embedder: LiveEmbedder = an_embedder(wire)
    one, two = await asyncio.gather(embedder.embed(["a", "bcd"]), embedder.embed(["ef"]))
    assert one.dtype == np.float32
    assert np.array_equal(np.concatenate([one, two]), np.array([[0.6, 0.8]] * 3, np.float32))
    assert embedder.weights == "d" * 64
    with pytest.raises(ValueError, match="blank"):
        await embedder.embed(["a", " "])
    assert len(await embedder.embed([])) == 0
    await embedder.close()
    assert sorted(asked["input"] for asked in wire.asked) == ["a", "bcd", "ef"]
    assert {asked["truncate"] for asked in wire.asked} == {False}
    assert wire.most == 1


@pytest.mark.parametrize("before", [(), ("a",)])
def test_a_text_that_is_too_long_is_named_with_what_to_do(before: tuple[str, ...]) -> None:
    """Its beginning, its length, and the two ways on; it is that text's fault, whether others had vectors before or not."""
    with pytest.raises(
        Unanswered, match=r"2000 characters .* begins with 'x x .* longer context, or the local default"
    ) as said:
        asyncio.run(an_embedder(Wire()).embed([*before, LONG]))
    assert said.value.raw == LONG


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [math.nan, 1.0]])
def test_what_is_no_vector_is_refused(vector: list[float]) -> None:
    """As a chat model gives it, or a broken server."""
    with pytest.raises(ServerError, match="gave no vector for a text; is all-minilm an embedding model"):
        asyncio.run(an_embedder(Wire(lambda _: the_vector(vector))).embed(["a"]))


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [math.nan, 1.0]])
@pytest.mark.parametrize("before", [(), ("a",)])
def test_a_text_whose_vector_is_none_is_given_up_whatever_was_asked_before(
    vector: list[float], before: tuple[str, ...]
) -> None:
    """A plain text has one now, so it is that text's fault."""
    with pytest.raises(Unanswered, match="ollama:all-minilm has no vector of the text that begins with 'odd'"):
        asyncio.run(an_embedder(Wire(lambda text: the_vector(vector) if text == "odd" else None)).embed([*before, "odd"]))


CHATS = r"gives no vectors, as a chat model does not \(.* answered {}: .*\): name an embedding model there .* or take the local"


def test_a_chat_model_of_an_ollama_is_said_with_what_to_do() -> None:
    """At once, in our words around the server's."""
    chats = httpx.Response(501, json={"error": "This server does not support embeddings. Start it with `--embeddings`"})
    with pytest.raises(EmbedderMissing, match="ollama:all-minilm at .* " + CHATS.format(501)):
        asyncio.run(an_embedder(Wire(lambda _: chats)).embed(["a"]))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (501, "This server does not support embeddings. Start it with `--embeddings`"),
        (400, "The model does not support Embeddings API"),
        (400, "This model does not appear to be an embedding model by default. Please add `--is-embedding`"),
    ],
    ids=["llama.cpp", "vLLM", "SGLang"],
)
def test_a_chat_model_of_another_server_is_said_with_what_to_do(status: int, said: str) -> None:
    """At once, as other texts have none either, whatever the server's own words are."""
    wire = OpenAIWire(status, {"error": {"message": said, "code": status}})
    with pytest.raises(EmbedderMissing, match="openai:BAAI/bge-m3 at .* " + CHATS.format(status)):
        embed_by_openai(wire)
    assert [request["input"] for _, _, request in wire.asked] == ["a", "Number 1.", "Number 2."]


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


def test_a_server_that_finds_every_text_too_long_is_said_with_the_run(tmp_path: Path) -> None:
    """Whose folder has the task's name."""
    wire, folder = Wire(lambda _: TOO_LONG), Path("output/foxes")
    with Journal.open(tmp_path / "j.sqlite") as journal, pytest.raises(ContextTooLong, match=r"^output/foxes: ollama:all-mini"):
        asyncio.run(RememberedVectors(an_embedder(wire), journal, None, folder).embed([LONG]))


def test_who_asks_no_server_says_so() -> None:
    """`eval data` and `decide` look for the model on this machine."""
    with pytest.raises(EmbedderMissing, match="only `run` and `check` ask one for vectors"):
        find_model("ollama:all-minilm")


class OpenAIWire:
    """A server of OpenAI's API that has one model and answers a text with this."""

    def __init__(self, status: int = 200, body: Any = None) -> None:
        self.asked: list[tuple[str, str | None, Any]] = []
        self._answer = httpx.Response(status, json=body or {"data": [{"index": 0, "embedding": [0, 2]}]})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """One answer."""
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "BAAI/bge-m3"}]})
        self.asked.append((request.url.path, request.headers.get("Authorization"), json.loads(request.content)))
        return httpx.Response(self._answer.status_code, content=self._answer.content)


def embed_by_openai(wire: OpenAIWire, name: str = "openai:BAAI/bge-m3") -> tuple[list[list[float]], str]:
    """The vectors of two texts, and the weights."""
    transport = httpx.MockTransport(wire)
    server = OpenAIServer("http://127.0.0.1:8000", settings(patience=0.0), key="secret", transport=transport)
    embedder = ServedEmbedder(name, server)
    return asyncio.run(embedder.embed(["a", "b"])).tolist(), embedder.weights


def test_a_server_of_openais_api_gives_vectors_too() -> None:
    """With the key; it has no digest, so that the name tells its weights from others."""
    wire = OpenAIWire()
    assert embed_by_openai(wire) == ([[0.0, 1.0]] * 2, "openai:BAAI/bge-m3")
    asked = [{"model": "BAAI/bge-m3", "input": text} for text in "ab"]
    assert wire.asked == [("/v1/embeddings", "Bearer secret", text) for text in asked]
    with pytest.raises(EmbedderMissing, match="has no model 'other' for vectors: give one that it has, as openai:NAME"):
        embed_by_openai(wire, "openai:other")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "This model's maximum context length is 512 tokens. However, you requested 735 tokens"),
        (413, "Input validation error: `inputs` must have less than 512 tokens. Given: 735"),
        (500, "input (735 tokens) is too large to process. increase the physical batch size (current batch size: 512)"),
    ],
    ids=["vLLM", "TEI", "llama.cpp"],
)
def test_what_servers_say_of_a_text_that_is_too_long_is_understood(status: int, said: str) -> None:
    """It is refused at once, also where the status says that it may pass."""
    wire = OpenAIWire(status, {"error": {"message": said, "code": status}})
    with pytest.raises(ContextTooLong, match="cannot read a text of 1 characters whole"):
        embed_by_openai(wire)
    assert [asked["input"] for _, _, asked in wire.asked].count("a") == 1


@pytest.mark.parametrize(("sees", "expected"), [(True, "all"), (False, "some")])
@on_a_loop
async def test_what_a_servers_model_reads_is_tried_once(sees: bool, expected: str) -> None:
    """Two questions in each of three rare scripts: a model that gives both one vector does not read all."""
    wire = Wire(lambda _: the_vector([1.0, float(sees and len(wire.asked) % 2)]))
    embedder = an_embedder(wire)
    assert [await embedder.sight(), await embedder.sight()] == [expected] * 2
    assert [asked["input"] for asked in wire.asked] == [text for pair in RARE_PAIRS for text in pair]
