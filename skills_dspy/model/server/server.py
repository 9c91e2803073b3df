"""What a server is to everybody who asks one, whatever its kind: its face, its faults, and the patience with which it is asked.

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
from typing import Any, Generic, Protocol, TypeVar

import httpx

from skills_dspy.base.config import ServerConfig
from skills_dspy.base.errors import MachineError, ServerError

CONNECTIONS_PER_CLIENT = 2
"""httpcore 1.0 looks at every connection of a pool at every request: with 64 in one pool it collapses (encode/httpcore#1035),
and with 8 a request costs half as much again as with 2."""

FOREIGN = (httpx.HTTPError, ConnectionError, ValueError, TypeError, AttributeError)
"""Everything that httpx and what reads a body raise for a fault of the server: a body that does not parse is a ValueError,
and over JSON that is no object a reader trips with one of the last two."""

PASSING = frozenset({429, 500, 502, 503, 504})
"""The statuses after which asking again may help."""

T = TypeVar("T")
C = TypeVar("C")


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


class Server(Protocol):
    """Who answers requests in their one canonical form, Ollama's chat payload, whatever it speaks itself."""

    host: str
    """Its address as it may be shown: without name, password and key."""

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply as a body of Ollama's shape, however often it has to be asked for.

        Raises:
            ModelMissing: the server does not have the model.
            ContextTooLong: it says that the prompt exceeds the window.
            ServerError: it refuses, or answered nothing at all for longer than the patience allows.
        """

    async def version(self) -> str:
        """What it says of itself, asked once; ServerError within the connect timeout when nobody answers."""

    async def models(self) -> tuple[Model, ...]:
        """All models that it has, by name."""

    async def model(self, name: str) -> Model:
        """One model with its window; ModelMissing, with what to do, when it is not there."""

    async def close(self) -> None:
        """Close all connections; it can be asked again, also on another event loop."""


class Connections(Generic[C]):
    """Clients of one server, made when the first is wanted; requests go to the one with the fewest in flight.

    `concurrency` is how many requests may be in flight at once, 1 or more; `busy` how many each client has.
    """

    def __init__(self, make: Callable[[], C], concurrency: int) -> None:
        self._make = make
        self._wanted = -(-concurrency // CONNECTIONS_PER_CLIENT)
        self._clients: list[C] = []
        self.busy: list[int] = []

    def all(self) -> list[C]:
        """Every client."""
        if not self._clients:
            self._clients = [self._make() for _ in range(self._wanted)]
            self.busy = [0] * self._wanted
        return self._clients

    @contextmanager
    def lent(self) -> Iterator[C]:
        """The client with the fewest requests in flight, for one more."""
        clients, busy = self.all(), self.busy
        number = min(range(len(busy)), key=busy.__getitem__)
        busy[number] += 1
        try:
            yield clients[number]
        finally:
            busy[number] -= 1

    def drop(self) -> list[C]:
        """The clients that there are, to be closed; the next request makes new ones."""
        clients, self._clients, self.busy = self._clients, [], []
        return clients


class Asking:
    """How a server is asked: once, or for as long as the patience lasts.

    Args:
        host: the server's address as it may be shown.
        fault_of: our fault for a foreign error of a request to this model (no name where none was asked).
        unreachable: our error when nobody answers, for the reason.
        jitter: random numbers for the backoff; they decide no reply.
        on_fault: told each passing fault with the seconds until the next try.
    """

    def __init__(
        self,
        host: str,
        config: ServerConfig,
        fault_of: Callable[[Exception, str], Fault],
        unreachable: Callable[[str], ServerError],
        *,
        jitter: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_fault: Callable[[Fault, float], None] | None = None,
    ) -> None:
        self._host = host
        self._config = config
        self._fault_of = fault_of
        self._unreachable = unreachable
        self._jitter = jitter or random.Random(0)
        self._clock = clock
        self._sleep = sleep
        self._on_fault = on_fault
        self._answered = -math.inf

    async def patiently(self, ask: Callable[[], Awaitable[T]], model: str, foreign: tuple[type[Exception], ...]) -> T:
        """What `ask` gives, asked again while its faults pass; of all that it raises `foreign` are the server's faults.

        Raises the error of a fault that does not pass; ServerError where no request at all succeeded for the whole patience.
        """
        first_fault: float | None = None
        delay = self._config.backoff_first
        while True:
            try:
                answer = await ask()
            except foreign as error:
                fault, now = self._fault_of(error, model), self._clock()
                if not fault.passing:
                    raise fault.error from error
                first_fault = now if first_fault is None else first_fault
                # A server that answers others is well: its patience is spent only while nobody gets an answer.
                waited = now - max(first_fault, self._answered)
                if waited >= self._config.patience:
                    raise ServerError(
                        f"{fault.error} The server at {self._host} kept failing for {waited:.0f} s; "
                        "look at its log, then run the same command again (without --restart): it goes on where it stopped."
                    ) from error
            else:
                self._answered = self._clock()
                return answer
            # From half of the pause to all of it, so that requests that failed together do not come back together.
            pause = min(delay, self._config.backoff_max) * self._jitter.uniform(0.5, 1.0)
            pause = min(pause, self._config.patience - waited)
            if self._on_fault is not None:
                self._on_fault(fault, pause)
            await self._sleep(pause)
            delay *= 2

    async def once(self, ask: Callable[[], Awaitable[T]], foreign: tuple[type[Exception], ...]) -> T:
        """What `ask` gives, or its error at once; ServerError where nothing comes within the connect timeout."""
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                return await ask()
        except TimeoutError as error:
            raise self._unreachable(f"no answer within {self._config.connect_timeout:g} s") from error
        except (ConnectionError, httpx.ConnectError) as error:
            raise self._unreachable("it refuses the connection, or there is no such host") from error
        except foreign as error:
            raise self._fault_of(error, "").error from error


def client_options(
    address: str, config: ServerConfig, concurrency: int, transport: httpx.AsyncBaseTransport | None = None
) -> dict[str, Any]:
    """What an httpx client of this server is made with; `transport` replaces the network in tests."""
    # trust_env: a proxy set for the outside world must not be asked for a server on this machine.
    options: dict[str, Any] = {"timeout": timeout(config, concurrency), "trust_env": not is_loopback(address)}
    if transport is not None:
        options["transport"] = transport
    else:
        options["verify"] = address.lower().startswith("https")  # no TLS set-up (25 ms a client) for plain http
        options["limits"] = httpx.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS_PER_CLIENT)
    return options


def timeout(config: ServerConfig, concurrency: int) -> httpx.Timeout:
    """How long one request may take.

    A server that works on one request at a time answers the last of many when it has answered all the others.
    """
    return httpx.Timeout(config.timeout * concurrency, connect=config.connect_timeout, pool=None)


def connection_fault(error: Exception, host: str, example: str) -> Fault:
    """Our error for what httpx and a reader of bodies raise; `example` is an address as it should be written."""
    if isinstance(error, httpx.UnsupportedProtocol):
        return Fault(no_address(host, example), False)
    if isinstance(error, httpx.TimeoutException):
        return Fault(ServerError(f"The server at {host} did not answer in time."), True)
    if isinstance(error, ConnectionError | httpx.ConnectError):
        return Fault(ServerError(f"The server at {host} refuses the connection."), True)
    if isinstance(error, httpx.HTTPError):
        reason = str(error) or type(error).__name__
        return Fault(ServerError(f"The connection to {host} broke ({reason})."), True)
    return Fault(ServerError(f"The server at {host} sent a body that is empty or broken."), True)


def no_address(host: str, example: str) -> ServerError:
    """This is no address; `example` is one."""
    return ServerError(f"{host!r} is no address of a server; write it like {example}.")


@contextmanager
def address_errors(host: str, example: str) -> Iterator[None]:
    """Making a client raises these for nothing but the address."""
    try:
        yield
    except (ValueError, httpx.InvalidURL) as error:
        raise no_address(host, example) from error


def without_secrets(text: str) -> str:
    """An address, or a command with one, without the name and password that it may hold: they are for the server only."""
    return re.sub(r"(?<=//)[^/\s]+@", "", text)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    name = httpx.URL(host if "//" in host else f"http://{host}").host
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return address.is_loopback or address.is_unspecified  # 0.0.0.0 is what OLLAMA_HOST often says, and means this machine
