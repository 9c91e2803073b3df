"""The HTTP of all servers: clients of few connections each, answers that are errors, and addresses."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx

from skills_dspy.base.config import ServerConfig
from skills_dspy.base.errors import ServerError

CONNECTIONS_PER_CLIENT = 2
"""httpcore 1.0 looks at every connection of a pool at every request: with 64 in one pool it collapses (encode/httpcore#1035),
and with 8 a request costs half as much again as with 2."""

PASSING = frozenset({429, 500, 502, 503, 504})
"""The statuses after which asking again may help."""

BUSY = frozenset({429, 503})
"""Those of a server that is well and will answer: it has too much to do, or still loads its model."""

TOO_LARGE = "is too large to process"
"""What llama.cpp says, with status 500, of a text that it cannot embed in one go, however often it is asked."""

C = TypeVar("C")


class Refused(Exception):
    """A server's answer that is an error: its status, what it says, and after how many seconds it wants to be asked again."""

    def __init__(self, status: int, text: str, after: float = 0.0) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.said = _said(text)
        self.after = after

    @property
    def no_vectors(self) -> bool:
        """Whether it says that a model, or the server, gives no vectors, as is answered for a chat model."""
        return self.status in (400, 501) and "embedding" in self.said.lower()


FOREIGN = (Refused, httpx.HTTPError, ConnectionError, ValueError, TypeError, AttributeError)
"""Everything that httpx and what reads a body raise for a fault of the server: a body that does not parse is a ValueError,
and over JSON that is no object a reader trips with one of the last two."""


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


def client_options(
    address: str, config: ServerConfig, concurrency: int, transport: httpx.AsyncBaseTransport | None = None
) -> dict[str, Any]:
    """What an httpx client of this server is made with; `transport` replaces the network in tests.

    The client raises Refused for every answer that is an error.
    """
    # trust_env: a proxy set for the outside world must not be asked for a server on this machine.
    options: dict[str, Any] = {"timeout": timeout(config, concurrency), "trust_env": not is_loopback(address)}
    options["event_hooks"] = {"response": [_refuse]}
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


async def _refuse(response: httpx.Response) -> None:
    if response.is_error:
        await response.aread()
        raise Refused(response.status_code, response.text, _retry_after(response.headers))


def _retry_after(headers: httpx.Headers) -> float:
    """The seconds that a server wants to be left alone, which it gives as such or as a date; 0 where it does not say."""
    told = headers.get("Retry-After", "")
    if re.fullmatch(r"\d{1,9}(\.\d*)?", told):
        return float(told)
    try:
        until = parsedate_to_datetime(told)
        # By its own clock, where it shows that: ours may be another.
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a zone beside one with
        return 0.0


def _said(text: str) -> str:
    """What a server says of its error, as far as it fits into a sentence."""
    if text.lstrip().startswith("<"):
        text = f"a web page ({' '.join(re.sub(r'<[^>]*>', ' ', text).split())})"
    try:
        told = json.loads(text)
    except ValueError:
        told = text
    for name in ("error", "message", "detail"):
        told = told.get(name, told) if isinstance(told, dict) else told
    return " ".join(str(told).split())[:200].rstrip(".") or "nothing"


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
