"""A server that speaks OpenAI's API, whoever made it: vLLM, llama.cpp, SGLang, LM Studio, a service."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Unpack

import httpx

from skills_dspy.base.config import ServerConfig
from skills_dspy.base.errors import ContextTooLong, ModelMissing, NoVectors, ServerError, ThinkingRefused, Unreachable
from skills_dspy.model.server.asking import Asking, Pace, control_of
from skills_dspy.model.server.connections import (
    BUSY,
    NO_JSON,
    PASSING,
    TOO_LARGE,
    Connections,
    Endpoint,
    Refused,
    address_errors,
    no_address,
    without_secrets,
)
from skills_dspy.model.server.dialect import Dialect, answer_of, asked_of
from skills_dspy.model.server.faults import Cause
from skills_dspy.model.server.names import ListedNames, guess, listing, meant
from skills_dspy.model.server.probe import REFUSALS, Thinking, find_dialect
from skills_dspy.model.server.route import url_of
from skills_dspy.model.server.server import Fault, Model, T, connection_fault, refusal_fault, refused_thinking

_EXAMPLE = "http://127.0.0.1:8000/v1"
API_KEYS = ("SKILLS_DSPY_API_KEY", "OPENAI_API_KEY")
"""The environment variables with the key, the first that is set."""

_SGLANG = ("/server_info", "/get_server_info")
"""Where an SGLang tells its settings: newer ones at the first, older ones at the second only."""
_OWNERS = {
    "vllm": ("vLLM", ("/version",), "version"),
    "sglang": ("SGLang", _SGLANG, "version"),
    "llamacpp": ("llama.cpp", ("/props",), "build_info"),
    "library": ("Ollama", ("/api/version",), "version"),
}
"""By what a server says of who owns a model: its name, the paths where it tells its version, and under which key."""
_OLLAMAS = (
    "this is an Ollama, which cuts a prompt without a word where its window is too small, and cannot be told the window here: "
    "use its own API (--api ollama)"
)
_UNSEEDED = (
    "this SGLang takes a seed and heeds none, so what is asked for anew comes out otherwise; start it with "
    "--enable-deterministic-inference (a resumed or replayed run has the same bytes either way)"
)
_LENGTHS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""Where servers tell the window in the list of models: vLLM and SGLang the first, services the others."""


class OpenAIServer:
    """One server of OpenAI's API; see `Server` and `Asking`.

    What it takes of a request is found out by `model`, with one small request or more, and kept for `chat`.

    Args:
        host: its address, for instance `http://127.0.0.1:8000/v1`; the `/v1` is added where there is no path.
        key: sent as a bearer; None where it wants none. It is in no error and in nothing that is shown.
        concurrency: how many requests may be in flight at once, 1 or more.
        environment: says by which proxy it is reached, and what certificates are trusted.
        transport: replaces the network in tests.
        thinking: how a model is asked about it.
        pace: see `Pace`.

    Raises:
        ServerError: the address is none, or the key cannot be one.
    """

    kind = "OpenAI API"

    def __init__(
        self,
        host: str,
        config: ServerConfig,
        *,
        key: str | None = None,
        concurrency: int = 8,
        environment: Mapping[str, str] = MappingProxyType({}),
        transport: httpx.AsyncBaseTransport | None = None,
        thinking: Callable[[str], Thinking] = lambda _: Thinking(),
        **pace: Unpack[Pace],
    ) -> None:
        address = _address(host)
        self.host = without_secrets(address)
        self._key = (key or "").strip()
        if not self._key.isascii() or not self._key.isprintable():
            raise ServerError(f"The key in {' or '.join(API_KEYS)} cannot be one: a line break or a letter in it is in none.")
        self._endpoint = Endpoint(address, config, environment)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}

        def make() -> httpx.AsyncClient:
            with address_errors(self.host, _EXAMPLE):
                options = self._endpoint.async_options(concurrency, transport)
                return httpx.AsyncClient(base_url=address, headers=headers, follow_redirects=True, **options)

        self._root = address.removesuffix("/v1")
        self._connections = Connections(make, concurrency)
        self._thinking = thinking
        self._dialects: dict[str, Dialect] = {}
        self._names = ListedNames()
        self._asking = Asking(self.host, config, self._fault, self._endpoint.cause, self._unreachable, **pace)

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply as a body of Ollama's shape; see `Server.chat`."""
        model = str(payload["model"])
        dialect = self._dialects.get(self._names.sent(model), Dialect())
        return await self._asking.patiently(
            lambda: self._ask(payload, dialect), model, lambda number: self._ask(control_of(payload, number), dialect)
        )

    async def embed(self, model: str, text: str) -> Sequence[float]:
        """The vector that a model gives to a text; see `VectorServer.embed`. What is too long the server has to refuse."""

        async def ask(text: str) -> Sequence[float]:
            with self._connections.lent() as client:
                response = await client.post("/embeddings", json={"model": self._names.sent(model), "input": text})
            found = json.loads(_content(response)).get("data")
            if not found:  # LM Studio answers 200 to what it does not know
                raise Refused.by(response)
            (only,) = found
            return [float(number) for number in only.get("embedding")]

        return await self._asking.patiently(lambda: ask(text), model, lambda number: ask(f"Number {number}."))

    async def version(self) -> str:
        """What it tells of itself, such as `llama.cpp b1234`; empty where it tells nothing."""
        response, cards = await self._once(_listed)
        owners = [str(card.get("owned_by")) for card in cards]
        name, paths, key = next((_OWNERS[owner] for owner in owners if owner in _OWNERS), ("", (), ""))
        if not name:
            return str(response.headers.get("Server", ""))
        told = await self._told(*paths)
        return f"{name} {told[key]}" if key in told else name

    async def models(self) -> tuple[Model, ...]:
        """All models that it has, by name; of the window what the list says."""
        _, cards = await self._once(_listed)
        models = sorted((Model(str(card["id"]), "", _window(card)) for card in cards), key=lambda model: model.name)
        self._names.learn(_called(cards))
        return tuple(models)

    async def model(self, name: str) -> Model:
        """One model with its window and what the server does not take of a request to it.

        Raises:
            ModelMissing: it is not there; names those that are.
            ServerError: the server has no JSON schemas for it, or it writes only thoughts.
        """
        _, cards = await self._once(_listed)
        called = _called(cards)
        self._names.learn(called)
        if (listed := meant(name, called)) is None:
            raise self._missing(name, [str(card["id"]) for card in cards])
        card = called[listed]
        window = _window(card)
        if card.get("owned_by") == "llamacpp":
            slot = (await self._told("/props")).get("default_generation_settings")
            window = _window({"meta": slot}) or window  # of one slot, which older versions do not list
        thinking, name = self._thinking(name), self._names.sent(name)
        if name not in self._dialects:
            self._dialects[name] = await find_dialect(self._attempt, self._insist, name, self.host, thinking)
        dialect = self._dialects[name]
        return Model(name, "", window, dialect.noted(), dialect.in_words(), await self._warnings(card), weights=_weights(card))

    async def loaded(self) -> tuple[str, ...] | None:
        """None: it does not say."""
        return None

    async def close(self) -> None:
        """Close all connections; what was found out stays known."""
        for client in self._connections.drop():
            await client.aclose()

    async def _ask(self, payload: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
        named = {**payload, "model": self._names.sent(str(payload["model"]))}
        with self._connections.lent() as client:
            response = await client.post("/chat/completions", json=asked_of(named, dialect))
        body = answer_of(_content(response))
        if body is None:  # LM Studio answers 200 to what it does not know
            raise Refused.by(response)
        return body

    async def _insist(self, payload: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
        return await self._asking.patiently(lambda: self._ask(payload, dialect), str(payload["model"]))

    async def _attempt(self, payload: Mapping[str, Any], dialect: Dialect) -> dict[str, Any] | Refused:
        async def ask() -> dict[str, Any] | Refused:
            try:
                return await self._ask(payload, dialect)
            except Refused as refused:
                if refused.status not in REFUSALS:
                    raise
                return refused

        return await self._asking.patiently(ask, str(payload["model"]))

    async def _once(self, ask: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
        return await self._asking.once(lambda: ask(self._connections.all()[0]))

    async def _warnings(self, card: Mapping[str, Any]) -> tuple[str, ...]:
        """What no request finds out of the server of a model, and spoils replies without a word."""
        if card.get("owned_by") == "library":
            return (_OLLAMAS,)
        if card.get("owned_by") == "sglang" and (await self._told(*_SGLANG)).get("enable_deterministic_inference") is False:
            return (_UNSEEDED,)
        return ()

    async def _told(self, *paths: str) -> Mapping[str, Any]:
        """What it tells under the first of some paths beside the API that it has; nothing where it has none of them."""

        async def ask(client: httpx.AsyncClient) -> Mapping[str, Any]:
            for path in paths:
                try:
                    return _json(await client.get(self._root + path))
                except Refused as refused:
                    if refused.status in BUSY:
                        raise
            return {}

        return await self._once(ask)

    def _fault(self, error: Exception, model: str) -> Fault:
        if not isinstance(error, Refused):
            return connection_fault(error, self.host, _EXAMPLE, self._endpoint.cause)
        if (fault := refusal_fault(error, self.host, self._endpoint)) is not None:
            return fault
        status, said = error.status, error.said
        here = f"The server at {self.host}{self._endpoint.through}"
        if status in (401, 403):
            # What it says of a key often holds a part of it.
            refused = "refuses the key" if self._key else "wants a key"
            todo = f"set {' or '.join(API_KEYS)} in the environment to one that it takes"
            return Fault(ServerError(f"{here} {refused} (it answered {status}); {todo}."), False)
        if status == 404 and model and "model" in said.lower():
            return Fault(ModelMissing(f"{here} has no model {model!r} ({said}); give one that it has with --model."), False)
        if status in (404, 405):
            address = httpx.URL(self.host)
            like = _EXAMPLE if address.path.endswith("/v1") else str(address.copy_with(path="/v1"))
            todo = f"give the address of its API with --base-url, which usually ends in /v1, such as {like}"
            return Fault(ServerError(f"{here} has nothing there (it answered {error.answered}: {said}); {todo}."), False)
        if status == 413 or (status in (400, 422) and _too_long(said)) or TOO_LARGE in said:
            todo = "start it with a larger window, or take shorter seeds or fewer examples a prompt"
            return Fault(ContextTooLong(f"{here} says of a prompt: {said} ({status}); {todo}."), False)
        if advice := refused_thinking(status, said, model):
            return Fault(ThinkingRefused(f"{here} answered {status}: {said}; {advice}."), False)
        kind = NoVectors if error.no_vectors else ServerError
        return Fault(kind(f"{here} answered {status}: {said}."), status in PASSING, error.after)

    def _unreachable(self, cause: Cause) -> Unreachable:
        todo = cause.todo or (
            "start it, or give its address with --base-url, or see the program on the shipped recording with "
            "`run --replay demo`"
        )
        return Unreachable(f"No server answers at {self.host} ({cause.sentence}); {todo}.")

    def _missing(self, name: str, there: list[str]) -> ModelMissing:
        said, todo = f"The model {name!r} is not on the server at {self.host}", "give one that it has with --model"
        question = guess(name, there)
        return ModelMissing(f"{said}; {question} Else {todo}." if question else f"{said}; it {listing(there)}: {todo}.")


def _too_long(said: str) -> bool:
    return "context" in said.lower() or "n_ctx" in said  # LM Studio: Cannot truncate prompt with n_keep >= n_ctx


def _address(host: str) -> str:
    """The address of an API, without a slash at its end; ServerError where it is none, or asks a question, as with a key."""
    with address_errors(without_secrets(host.partition("?")[0]), _EXAMPLE):
        url = url_of(host)
    if url.query or url.fragment or not url.host:
        raise no_address(without_secrets(str(url.copy_with(query=None, fragment=None))), _EXAMPLE)
    return str(url.copy_with(path=url.path.rstrip("/") or "/v1"))


def _content(response: httpx.Response) -> bytes:
    """The body; Refused for a web page, which another try would only bring again."""
    if "html" in response.headers.get("Content-Type", ""):
        raise Refused.by(response, 404)
    return response.content


def _json(response: httpx.Response) -> dict[str, Any]:
    """The object in a body; Refused for what is none."""
    try:
        found = json.loads(_content(response))
    except NO_JSON as error:
        raise Refused.by(response, 404) from error
    if not isinstance(found, dict):
        raise Refused.by(response, 404)
    return found


async def _listed(client: httpx.AsyncClient) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """The list of models, and what it has of each; Refused where it is none (LM Studio answers 200 to any path)."""
    response = await client.get("/models")
    listed = _json(response).get("data")
    if not isinstance(listed, list):
        raise Refused.by(response, 404)
    return response, [card for card in listed if isinstance(card, dict) and "id" in card]


def _called(cards: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The entries of a list of models by all the names that they have."""
    return {str(name): card for card in cards for name in (*_list(card.get("aliases")), card["id"])}


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _meta(card: Mapping[str, Any]) -> dict[str, Any]:
    """What llama.cpp tells of a model beside its name."""
    meta = card.get("meta")
    return meta if isinstance(meta, dict) else {}


def _weights(card: Mapping[str, Any]) -> dict[str, int]:
    """What llama.cpp tells of a model's weights, in place of a digest."""
    told = _meta(card)
    return {name: told[name] for name in ("n_params", "n_vocab", "size") if isinstance(told.get(name), int)}


def _window(card: Mapping[str, Any]) -> int | None:
    """The largest window of a model, in tokens, as its entry in the list tells it."""
    meta = _meta(card)
    told = [*(card.get(name) for name in _LENGTHS), meta.get("n_ctx"), meta.get("n_ctx_train")]
    return next((length for length in told if isinstance(length, int) and length > 0), None)
