"""Ollama's own API, spoken through its package."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Unpack

import httpx
import msgspec
import ollama

from skills_dspy.base.config import ServerConfig
from skills_dspy.base.errors import ContextTooLong, ModelMissing, NoVectors, ServerError, ThinkingRefused, Unreachable
from skills_dspy.model.server.asking import Asking, Pace, control_of
from skills_dspy.model.server.connections import (
    FOREIGN,
    NO_JSON,
    PASSING,
    TOO_LARGE,
    UNREADABLE,
    Connections,
    Endpoint,
    Refused,
    address_errors,
    name_and_password,
    without_secrets,
)
from skills_dspy.model.server.faults import Cause
from skills_dspy.model.server.names import ListedNames, guess, listing, meant
from skills_dspy.model.server.server import Fault, Model, T, connection_fault, licence_in_words, refusal_fault, refused_thinking
from skills_dspy.model.server.tokens import Tokens
from skills_dspy.store.run_json import OLLAMA

_EXAMPLE = "http://127.0.0.1:11434"
_KEY = "OLLAMA_API_KEY"
"""The environment variable with the key that the ollama package sends."""
_NO_PATH = re.compile(r"\bpage\b|^(404:? )?not found$", re.IGNORECASE)
"""What servers say, with a 404, of a path that they do not have, and not of a model."""
_NO_MODEL = re.compile(r"\bmodel\b.*\bnot found\b", re.IGNORECASE)
_SCHEMAS = (0, 5)
"""The version from which on Ollama takes JSON schemas."""


class OllamaServer:
    """One Ollama host; see `Server` and `Asking`.

    Args:
        host: its address, for instance `http://127.0.0.1:11434`.
        concurrency: how many requests may be in flight at once, 1 or more; it sizes the connection pools, and a reply is
            waited for so many times longer, because the server may queue.
        environment: says by which proxy it is reached, and what certificates are trusted.
        transport: replaces the network in tests.
        pace: see `Pace`.
    """

    kind = OLLAMA

    def __init__(
        self,
        host: str,
        config: ServerConfig,
        *,
        concurrency: int = 8,
        environment: Mapping[str, str] = MappingProxyType({}),
        transport: httpx.AsyncBaseTransport | None = None,
        **pace: Unpack[Pace],
    ) -> None:
        self.host = without_secrets(host.partition("?")[0])
        self._endpoint = Endpoint(host, config, environment)
        self._concurrency = concurrency
        self._key = environment.get(_KEY, "")
        self._names = ListedNames()
        self._chat_url: httpx.URL | None = None

        def make() -> ollama.AsyncClient:
            with self._client_errors():
                options = self._endpoint.async_options(concurrency, transport)
                return ollama.AsyncClient(host=host, auth=name_and_password(host), **options)

        self._connections = Connections(make, concurrency)
        self._asking = Asking(self.host, config, self._fault, self._endpoint.cause, partial(unreachable, self.host), **pace)

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply as the server's body; see `Server.chat`."""
        return await self._asking.patiently(
            lambda: self._chat_once(payload),
            str(payload["model"]),
            lambda number: self._chat_once(control_of(payload, number)),
        )

    async def embed(self, model: str, text: str) -> Sequence[float]:
        """The vector that a model gives to a text; see `VectorServer.embed`."""

        async def ask(text: str) -> Sequence[float]:
            with self._connections.lent() as client:
                asked = {"model": self._names.sent(model), "input": text, "truncate": False}
                response = await client._client.post("/api/embed", json=asked)
            if (found := response.json().get("embeddings")) is None:
                raise _no_answer(response)
            (vector,) = found
            return [float(number) for number in vector]

        return await self._asking.patiently(lambda: ask(text), model, lambda number: ask(f"Number {number}."))

    async def version(self) -> str:
        """The server's version, asked once; ServerError when nobody answers, or one that is too old."""
        version = await self._once(_version)
        numbers = re.match(r"(\d+)\.(\d+)", version)
        # One that was built without a version calls itself 0.0.0.
        if numbers and (0, 0) < (int(numbers[1]), int(numbers[2])) < _SCHEMAS:
            raise _too_old(f"The Ollama at {self.host} is {version}")
        return version

    async def models(self) -> tuple[Model, ...]:
        """All models that are pulled, by name."""
        models = await self._once(_listed)
        self._names.learn(model.name for model in models)
        return models

    async def model(self, name: str) -> Model:
        """One model with its window; ModelMissing when it is not pulled."""
        there = {model.name: model for model in await self.models()}
        listed = meant(name, there)
        if listed is None:
            raise model_missing(name, tuple(there))
        found = there[listed]
        return await self._once(lambda client: _shown(client, found))

    async def loaded(self) -> tuple[str, ...] | None:
        """The models that are in memory; None where an old or a half Ollama does not say."""
        try:
            return await self._once(_in_memory)
        except ServerError:
            return None

    async def close(self) -> None:
        """Close all connections."""
        for client in self._connections.drop():
            await client._client.aclose()  # close() has no types

    def pull(self, model: str) -> Iterator[tuple[str, int, int]]:
        """Pull a model: yields (what is being done, bytes so far, bytes in all), blocking."""
        sent: list[httpx.Request] = []
        with self._client_errors():
            options = self._endpoint.options(self._concurrency) | {"event_hooks": {"request": [sent.append]}}
            address = self._endpoint.address
            client = ollama.Client(host=address, auth=name_and_password(address), **options)
        try:
            for progress in client.pull(model, stream=True):
                yield progress.status or "", progress.completed or 0, progress.total or 0
        except ollama.ResponseError as error:
            status = error.status_code
            raise self._fault(Refused(status, str(error.error), answered=status, request=sent[-1]), model).error from error
        except FOREIGN as error:
            raise self._fault(error, model).error from error
        finally:
            client._client.close()  # close() has no types

    async def _chat_once(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        # Not through the package's own call: it makes 2,000 objects of the alternatives of 100 tokens, which takes 5 ms.
        body = {**payload, "model": self._names.sent(str(payload["model"])), "stream": False, "tools": []}
        with self._connections.lent() as client:
            if self._chat_url is None:  # put together once: that takes httpx longer than the body
                self._chat_url = client._client.build_request("POST", "/api/chat").url
            response = await client._client.post(self._chat_url, json=body)
        try:
            return body_of(response.content)
        except ValueError as error:
            raise _no_answer(response) from error

    async def _once(self, ask: Callable[[ollama.AsyncClient], Awaitable[T]]) -> T:
        return await self._asking.once(lambda: ask(self._connections.all()[0]))

    @contextmanager
    def _client_errors(self) -> Iterator[None]:
        """Making a client raises these for the address or the key."""
        if not self._key.isascii() or not self._key.isprintable():
            raise ServerError(f"The key in {_KEY} cannot be one: a line break or a letter in it is in none.")
        with address_errors(self.host, _EXAMPLE):
            yield

    def _fault(self, error: Exception, model: str) -> Fault:
        """Our error for a foreign one, and whether it may pass."""
        if isinstance(error, Refused):
            return refusal_fault(error, self.host, self._endpoint) or self._fault_of_status(error, model)
        if not model and isinstance(error, UNREADABLE):
            return Fault(_no_ollama(self.host, "it sends a body that is empty or broken"), False)
        return connection_fault(error, self.host, _EXAMPLE, self._endpoint.cause)

    def _fault_of_status(self, refused: Refused, model: str) -> Fault:
        status, said = refused.status, refused.said
        here = f"The server at {self.host}{self._endpoint.through}"
        if status == 404 and model and not _NO_PATH.search(said):
            return Fault(model_missing(model), False)
        if status == 404 and not model and _NO_MODEL.search(said):
            return Fault(ModelMissing(f"{here} lists a model that it cannot show ({said}); pull it again."), False)
        if status == 404 or (status == 405 and not model):
            return Fault(_no_ollama(self.host, f"it answered {refused.answered}: {said}"), False)
        if status in (401, 403):
            todo = f"if it asks who you are, write http://NAME:PASSWORD@HOST for its address, or set {_KEY} in the environment"
            if status == 403:  # of a request that a tunnel or another machine hands on, with a Host of its own
                todo += (
                    "; an Ollama that listens to its own machine wants the header `Host: localhost` of who hands requests on"
                )
            return Fault(ServerError(f"{here} answered {status}: {said}; {todo}."), False)
        if status == 400 and "format of type string" in said:
            return Fault(_too_old(f"The Ollama at {self.host} says of a schema: {said}"), False)
        if (status == 400 and "context" in said) or TOO_LARGE in said:
            return Fault(ContextTooLong(f"The server at {self.host} says of a prompt: {said}. Raise max_num_ctx."), False)
        if (thinking := refused_thinking(status, said, model)) is not None:
            return Fault(ThinkingRefused(f"{here} answered {status}: {said}; {thinking}."), False)
        # A pull reports its faults in the stream, without a status.
        answered = f"answered {status}" if status > 0 else "reports"
        kind = NoVectors if refused.no_vectors else ServerError
        return Fault(kind(f"{here} {answered}: {said}."), status in PASSING or status == 200, refused.after)


class _Message(msgspec.Struct):
    role: str
    content: str | None = None
    thinking: str | None = None


class _Reply(msgspec.Struct, kw_only=True):
    """The parts of a reply that are kept, in the order in which they are; a token is read when it is asked for.

    What no text needs may be anything, see `counted`.
    """

    model: Any = None
    created_at: Any = None
    done: bool | None = None
    done_reason: Any = None
    total_duration: Any = None
    load_duration: Any = None
    prompt_eval_count: Any = None
    prompt_eval_duration: Any = None
    eval_count: Any = None
    eval_duration: Any = None
    message: _Message
    logprobs: list[msgspec.Raw] | None = None


_REPLY = msgspec.json.Decoder(_Reply)


def body_of(content: bytes) -> dict[str, Any]:
    """A reply's body, without what it leaves out; ValueError where it is none, or says that it is not done."""
    try:
        reply = _REPLY.decode(content)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    if not reply.done:
        raise ValueError("the reply says that it is not done")
    told = None if reply.logprobs is None else Tokens(reply.logprobs)
    return _said(reply) | {"message": _said(reply.message)} | ({} if told is None else {"logprobs": told})


def _said(part: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(part).items() if value is not None}


async def _listed(client: ollama.AsyncClient) -> tuple[Model, ...]:
    # Not through the package's own calls, here and below: of what nobody needs, a date that is none is no list to it.
    told = (await client._client.get("/api/tags")).json().get("models", 0)
    cards = [card for card in (() if told is None else told) if card.get("model")]  # null is how Go may write an empty list
    return tuple(sorted((Model(str(c["model"]), str(c.get("digest") or ""), None) for c in cards), key=lambda m: m.name))


async def _in_memory(client: ollama.AsyncClient) -> tuple[str, ...]:
    told = (await client._client.get("/api/ps")).json().get("models") or ()
    return tuple(str(card.get("model") or card.get("name")) for card in told)


async def _shown(client: ollama.AsyncClient, model: Model) -> Model:
    """The model with its largest window, its licence, and whether it can think; None where it does not say."""
    shown = (await client._client.post("/api/show", json={"model": model.name})).json()
    info, can = shown.get("model_info") or {}, shown.get("capabilities")
    lengths = [told for key, told in info.items() if key.endswith(".context_length")]
    return replace(
        model,
        context_length=next((told for told in lengths if isinstance(told, int) and told > 0), None),
        thinks=None if can is None else "thinking" in can,
        licence=licence_in_words(shown.get("license"), info.get("general.license")),
    )


def _no_answer(response: httpx.Response) -> Exception:
    """What is raised of a body that is none: what it says, if it says so in words."""
    if b'"error"' in response.content or response.content.lstrip().startswith(b"<"):
        return Refused.by(response)
    return ValueError("the body is empty or broken")


async def _version(client: ollama.AsyncClient) -> str:
    response = await client._client.get("/api/version")  # the ollama package has no call for it
    try:
        told = response.json()
    except NO_JSON as error:
        raise Refused.by(response, 404) from error
    if not isinstance(told, dict) or "error" in told:  # LM Studio, and whatever else answers 200 to any path
        raise Refused.by(response, 404)
    return str(told.get("version") or "unknown")


def _no_ollama(host: str, why: str) -> ServerError:
    """Something else answers: the sentence with the address that may be meant."""
    todo = "give an Ollama's with --base-url; if it has OpenAI's API (vLLM, llama.cpp, LM Studio), ask it with --api openai"
    _, _, path = host.rpartition("//")[2].partition("/")
    if path.strip("/"):
        todo = f"leave /{path.strip('/')} out of its address: --base-url {host.removesuffix(path).rstrip('/')}"
    return ServerError(f"What answers at {host} is no Ollama ({why}): {todo}.")


def _too_old(what: str) -> ServerError:
    return ServerError(f"{what}, but replies are read by JSON schemas, which Ollama takes from 0.5 on: install a newer one.")


def model_missing(name: str, there: Sequence[str] | None = None) -> ModelMissing:
    """The model is not pulled: what may be meant of those that are, where they are known, and the command that helps."""
    said, pull = f"The model {name!r} is not on the server", f"ollama pull {name}"
    if there and (question := guess(name, there)):
        return ModelMissing(f"{said}; {question} Then name that one, else get {name} with: {pull}")
    return ModelMissing(f"{said}{'' if there is None else f', which {listing(there)}'}; get it with: {pull}")


def unreachable(host: str, cause: Cause) -> Unreachable:
    """Nobody answers: the sentence with the ways on."""
    todo = cause.todo or ("start one with `ollama serve`, or see the program on the shipped recording with `run --replay demo`")
    return Unreachable(f"No Ollama server answers at {host} ({cause.sentence}); {todo}.")
