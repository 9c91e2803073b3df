"""The Ollama server: the only module that talks to the network, and where its faults become our errors.

Faults that pass (refused, reset, timeout, 429, 500, 502, 503, 504, an empty or broken body) are asked again with backoff and
jitter for as long as the patience lasts; the others are errors at once.
"""

import asyncio
import ipaddress
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import ollama

from skills_dspy.base.config import ServerConfig
from skills_dspy.base.errors import ContextTooLong, MachineError, ModelMissing, ServerError

CONNECTIONS_PER_CLIENT = 2
"""httpcore 1.0 looks at every connection of a pool at every request: with 64 in one pool it collapses (encode/httpcore#1035),
and with 8 a request costs half as much again as with 2."""

_PASSING = frozenset({429, 500, 502, 503, 504})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong with one request: our error, and whether asking again may help."""

    error: MachineError
    passing: bool


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the server has: its name, digest and largest context window in tokens (none when it does not say)."""

    name: str
    digest: str
    context_length: int | None


@dataclass(slots=True)
class _Shard:
    client: ollama.AsyncClient
    busy: int = 0


class OllamaServer:
    """One Ollama host.

    Args:
        host: its address, for instance `http://127.0.0.1:11434`.
        concurrency: how many requests may be in flight at once, 1 or more; it sizes the connection pools, and a reply is
            waited for so many times longer, because the server may queue.
        jitter: random numbers for the backoff; they decide no reply.
        transport: replaces the network in tests.
        on_fault: told each passing fault with the seconds until the next try.
    """

    def __init__(
        self,
        host: str,
        config: ServerConfig,
        *,
        concurrency: int = 8,
        jitter: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
        on_fault: Callable[[Fault, float], None] | None = None,
    ) -> None:
        self.host = without_secrets(host)
        self._address = host
        self._config = config
        self._shards_wanted = -(-concurrency // CONNECTIONS_PER_CLIENT)
        self._jitter = jitter or random.Random(0)
        self._clock = clock
        self._sleep = sleep
        self._transport = transport
        self._on_fault = on_fault
        self._shards: list[_Shard] = []
        self._concurrency = concurrency
        self._answered = -math.inf

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply as the server's body, however often it has to be asked for.

        Raises:
            ModelMissing: the model is not pulled.
            ContextTooLong: the server says that the prompt exceeds the window.
            ServerError: it refuses, or answered nothing at all for longer than the patience allows.
        """
        return await self._patiently(lambda: self._chat_once(payload), str(payload["model"]))

    async def version(self) -> str:
        """The server's version, asked once; ServerError within the connect timeout when nobody answers."""
        return await self._once(_version)

    async def models(self) -> tuple[Model, ...]:
        """All models that are pulled, by name."""
        listed = await self._once(lambda client: client.list())
        return tuple(
            Model(str(m.model), str(m.digest or ""), None) for m in sorted(listed.models, key=lambda m: str(m.model)) if m.model
        )

    async def model(self, name: str) -> Model:
        """One model with its window; ModelMissing when it is not pulled."""
        full = name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"
        found = next((m for m in await self.models() if m.name in (name, full)), None)
        if found is None:
            raise model_missing(name)
        shown = await self._once(lambda client: client.show(found.name))
        lengths = [v for k, v in (shown.modelinfo or {}).items() if k.endswith(".context_length")]
        return Model(found.name, found.digest, int(lengths[0]) if lengths else None)

    async def close(self) -> None:
        """Close all connections."""
        shards, self._shards = self._shards, []
        for shard in shards:
            await shard.client._client.aclose()  # close() has no types

    def pull(self, model: str) -> Iterator[tuple[str, int, int]]:
        """Pull a model: yields (what is being done, bytes so far, bytes in all), blocking."""
        with _address_errors(self.host):
            client = ollama.Client(host=self._address, timeout=self._timeout(), trust_env=not _is_loopback(self._address))
        try:
            for progress in client.pull(model, stream=True):
                yield progress.status or "", progress.completed or 0, progress.total or 0
        except _FOREIGN as error:
            raise fault_of(error, model, self.host).error from error
        finally:
            client._client.close()  # close() has no types

    async def _chat_once(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        shard = min(self._pool(), key=lambda s: s.busy)
        shard.busy += 1
        try:
            reply = await shard.client.chat(**payload, stream=False)
        finally:
            shard.busy -= 1
        body = reply.model_dump(exclude_none=True)
        if not reply.done:
            raise ValueError("the reply says that it is not done")
        self._answered = self._clock()
        return body

    async def _patiently(self, ask: Callable[[], Awaitable[_T]], model: str) -> _T:
        first_fault: float | None = None
        delay = self._config.backoff_first
        while True:
            try:
                return await ask()
            except _FOREIGN as error:
                fault, now = fault_of(error, model, self.host), self._clock()
                if not fault.passing:
                    raise fault.error from error
                first_fault = now if first_fault is None else first_fault
                # A server that answers others is well: its patience is spent only while nobody gets an answer.
                waited = now - max(first_fault, self._answered)
                if waited >= self._config.patience:
                    raise ServerError(
                        f"{fault.error} The server at {self.host} kept failing for {waited:.0f} s; "
                        "look at its log, then run the same command again (without --restart): it goes on where it stopped."
                    ) from error
            # From half of the pause to all of it, so that requests that failed together do not come back together.
            pause = min(delay, self._config.backoff_max) * self._jitter.uniform(0.5, 1.0)
            pause = min(pause, self._config.patience - waited)
            if self._on_fault is not None:
                self._on_fault(fault, pause)
            await self._sleep(pause)
            delay *= 2

    async def _once(self, ask: Callable[[ollama.AsyncClient], Awaitable[_T]]) -> _T:
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                return await ask(self._pool()[0].client)
        except TimeoutError as error:
            raise unreachable(self.host, f"no answer within {self._config.connect_timeout:g} s") from error
        except (ConnectionError, httpx.ConnectError) as error:
            raise unreachable(self.host, "it refuses the connection, or there is no such host") from error
        except _FOREIGN as error:
            raise fault_of(error, "", self.host).error from error

    def _pool(self) -> list[_Shard]:
        if not self._shards:
            with _address_errors(self.host):
                options = self._client_options()
                clients = [ollama.AsyncClient(host=self._address, **options) for _ in range(self._shards_wanted)]
            self._shards = [_Shard(client) for client in clients]
        return self._shards

    def _client_options(self) -> dict[str, Any]:
        # trust_env: a proxy set for the outside world must not be asked for a server on this machine.
        options: dict[str, Any] = {"timeout": self._timeout(), "trust_env": not _is_loopback(self._address)}
        if self._transport is not None:
            options["transport"] = self._transport
        else:
            options["verify"] = self._address.lower().startswith("https")  # no TLS set-up (25 ms a client) for plain http
            options["limits"] = httpx.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS_PER_CLIENT)
        return options

    def _timeout(self) -> httpx.Timeout:
        # A server that works on one request at a time answers the last of many when it has answered all the others.
        patient = self._config.timeout * self._concurrency
        return httpx.Timeout(patient, connect=self._config.connect_timeout, pool=None)


_FOREIGN = (ollama.ResponseError, httpx.HTTPError, ConnectionError, ValueError, TypeError, AttributeError)
"""Everything that the ollama package and httpx raise for a fault of the server: a body that does not parse is a ValueError,
and over JSON that is no object the package trips with one of the last two."""


async def _version(client: ollama.AsyncClient) -> str:
    response = await client._client.get("/api/version")  # the ollama package has no call for it
    if response.is_error:
        raise ollama.ResponseError(response.text, response.status_code)
    return str(response.json().get("version", "unknown"))


def fault_of(error: Exception, model: str, host: str) -> Fault:
    """Our error for a foreign one, and whether it may pass."""
    if isinstance(error, ollama.ResponseError):
        return _fault_of_status(error.status_code, str(error.error), model, host)
    if isinstance(error, httpx.UnsupportedProtocol):
        return Fault(_no_address(host), False)
    if isinstance(error, httpx.TimeoutException):
        return Fault(ServerError(f"The server at {host} did not answer in time."), True)
    if isinstance(error, ConnectionError | httpx.ConnectError):
        return Fault(ServerError(f"The server at {host} refuses the connection."), True)
    if isinstance(error, httpx.HTTPError):
        reason = str(error) or type(error).__name__
        return Fault(ServerError(f"The connection to {host} broke ({reason})."), True)
    return Fault(ServerError(f"The server at {host} sent a body that is empty or broken."), True)


def _fault_of_status(status: int, text: str, model: str, host: str) -> Fault:
    said = " ".join(text.split())[:200] or "nothing"
    if status == 404 and model:
        return Fault(model_missing(model), False)
    if status == 400 and "context" in said:
        return Fault(ContextTooLong(f"The server at {host} says of a prompt: {said}. Raise max_num_ctx."), False)
    # A pull reports its faults in the stream, without a status.
    answered = f"answered {status}" if status > 0 else "reports"
    return Fault(ServerError(f"The server at {host} {answered}: {said}."), status in _PASSING)


def model_missing(name: str) -> ModelMissing:
    """The model is not pulled: the sentence with the command that helps."""
    return ModelMissing(f"The model {name!r} is not on the server; get it with: ollama pull {name}")


def _no_address(host: str) -> ServerError:
    return ServerError(f"{host!r} is no address of a server; write it like http://127.0.0.1:11434.")


@contextmanager
def _address_errors(host: str) -> Iterator[None]:
    """Making a client raises these for nothing but the address."""
    try:
        yield
    except (ValueError, httpx.InvalidURL) as error:
        raise _no_address(host) from error


def unreachable(host: str, why: str) -> ServerError:
    """Nobody answers: the sentence with the two ways on."""
    return ServerError(
        f"No Ollama server answers at {host} ({why}); start one with `ollama serve`, or see the program on the "
        "shipped recording with `run --replay demo`."
    )


def without_secrets(text: str) -> str:
    """An address, or a command with one, without the name and password that it may hold: they are for the server only."""
    return re.sub(r"(?<=//)[^/\s]+@", "", text)


def _is_loopback(host: str) -> bool:
    name = httpx.URL(host if "//" in host else f"http://{host}").host
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return address.is_loopback or address.is_unspecified  # 0.0.0.0 is what OLLAMA_HOST often says, and means this machine
