"""The HTTP of all servers: clients of few connections each, answers that are errors, and addresses."""

import json
import re
import ssl
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Generic, Self, TypeVar

import httpx

from skills_dspy.base.config import ServerConfig
from skills_dspy.base.errors import ServerError
from skills_dspy.model.server.faults import Cause, cause_of
from skills_dspy.model.server.route import Route, is_loopback, route_to, url_of

CONNECTIONS_PER_CLIENT = 2
"""httpcore 1.0 looks at every connection of a pool at every request: with 64 in one pool it collapses (encode/httpcore#1035),
and with 8 a request costs half as much again as with 2."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""The statuses after which asking again may help."""

BUSY = frozenset({429, 503, 529})
"""Those of a server that is well and will answer: it has too much to do, or still loads its model."""

_MOVED = frozenset({301, 302, 303})

NO_JSON = (ValueError, RecursionError)
"""What is raised of a body that does not parse; one that opens thousands of lists does not, either."""

TOO_LARGE = "is too large to process"
"""What llama.cpp says, with status 500, of a text that it cannot embed in one go, however often it is asked."""

_SECRETS = re.compile(r"(^|//|--base-url[ =]'?)(?:[^/\s@\[]+:(?!//|\d+(?:/|\s|$))(?:(?!,\w+://)\S)*@|[^/\s]+@)")
"""What stands before an address, of several each: a name and a password, in which there may be a slash or a second @."""

_ASKED = re.compile(r"""(?<=--base-url[ =])(?:'[^']*'|"'"|[^\s'"])+""")
_QUERY = re.compile(r"\?[^,]*?(?=(?:\s*\*\s*\d+)?(?:,|'?$))")
"""What is asked in an address, such as a key, of several each, up to its slots; and where a command has addresses."""

C = TypeVar("C")


class Refused(Exception):
    """A server's answer that is an error: its status, what it says, and after how many seconds it wants to be asked again.

    An answer that is none of the API's counts as a 404, whatever it was: `answered`. `moved` is the address where all is sent
    on to. Of `request`, which it answers, it shows no key, name or password, whatever it quotes.
    """

    def __init__(
        self, status: int, text: str, after: float = 0.0, *, answered: int, moved: str = "", request: httpx.Request
    ) -> None:
        super().__init__(f"status {status}")
        hide = _hider(request)
        self.status, self.answered, self.after = status, answered, after
        self.moved = hide(moved)[:200]
        self.said = _said(hide(text), hide)

    @classmethod
    def by(cls, response: httpx.Response, status: int | None = None) -> Self:
        """The one that an answer is; `status` is what it counts as."""
        answered, after = response.status_code, _retry_after(response.headers)
        return cls(answered if status is None else status, response.text, after, answered=answered, request=response.request)

    @property
    def no_vectors(self) -> bool:
        """Whether it says that a model, or the server, gives no vectors, as is answered for a chat model."""
        return self.status in (400, 501) and "embedding" in self.said.lower()


UNREADABLE = (*NO_JSON, OverflowError, TypeError, AttributeError)
"""What readers of a body raise of one that is none: over JSON that is no object they trip with one of the last two."""
FOREIGN = (Refused, httpx.HTTPError, ConnectionError, ssl.SSLError, *UNREADABLE)
"""Everything that httpx and what reads a body raise for a fault of the server."""


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


class Endpoint:
    """One server's address, and how it is reached from here.

    `environment` says by which proxy, and what certificates are trusted; see `route_to`.
    """

    def __init__(self, address: str, config: ServerConfig, environment: Mapping[str, str]) -> None:
        self.address = address
        self._config, self._environment = config, environment

    @property
    def through(self) -> str:
        """Who else may have said what is said by the server, in brackets; empty where it is asked itself."""
        return f" (asked through the proxy in {self.route.named_by})" if self.route.proxy is not None else ""

    @cached_property
    def route(self) -> Route:
        """The way to it; raises what `route_to` does."""
        return route_to(self.address, self._environment)

    def cause(self, error: Exception) -> Cause:
        """Why a request did not come to an answer; see `cause_of`."""
        return cause_of(error, url_of(self.address), self.route, self._config)

    def options(self, concurrency: int) -> dict[str, Any]:
        """What an httpx client for it is made with, whether that waits or not."""
        # Not trust_env: httpx trips over variables that are not meant for this address, and asks proxies for this machine.
        route = self.route
        return {"timeout": timeout(self._config, concurrency), "trust_env": False, "proxy": route.proxy, "verify": route.verify}

    def async_options(self, concurrency: int, transport: httpx.AsyncBaseTransport | None = None) -> dict[str, Any]:
        """The same for our clients, which raise Refused for each answer that is an error; `transport` is a test's network."""
        hooks = {"event_hooks": {"response": [_refuse]}}
        if transport is not None:
            return {"timeout": timeout(self._config, concurrency), "trust_env": False, "transport": transport, **hooks}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS_PER_CLIENT)
        return {**self.options(concurrency), "limits": limits, **hooks}


def timeout(config: ServerConfig, concurrency: int) -> httpx.Timeout:
    """How long one request may take.

    A server that works on one request at a time answers the last of many when it has answered all the others.
    """
    return httpx.Timeout(config.timeout * concurrency, connect=config.connect_timeout, pool=None)


async def _refuse(response: httpx.Response) -> None:
    if response.has_redirect_location:
        url, told = response.request.url, response.headers["Location"]
        try:
            to = url_of(str(url.join(told)))
        except (httpx.InvalidURL, ValueError) as error:
            raise _sent_on(response, f"{without_secrets(told.partition('?')[0])!r}") from error
        elsewhere = (to.scheme, to.host, to.port) != (url.scheme, url.host, url.port)
        # A POST is sent on as a GET by these, and so is lost.
        lost = response.status_code in _MOVED and (elsewhere or response.request.method == "POST")
        if lost or to.scheme not in ("http", "https"):
            raise _sent_on(response, _shown(url, to))
    if response.is_error:
        await response.aread()
        raise Refused.by(response)


def _sent_on(response: httpx.Response, to: str) -> Refused:
    return Refused(response.status_code, "", answered=response.status_code, moved=to, request=response.request)


def _shown(asked: httpx.URL, to: httpx.URL) -> str:
    """Where an answer sends on to: the address of the server there, if it is the same question."""
    path = to.path.removesuffix(asked.path.removeprefix("/v1"))
    return without_secrets(str(to.copy_with(path=path or "/", query=None, fragment=None))).rstrip("/")


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
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone beside one with
        return 0.0


def _hider(request: httpx.Request) -> Callable[[str], str]:
    """What leaves out of a text the key, or name and password, with which a request says who asks."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    plain = {sent: "(the key)"}
    if scheme == "Basic":
        name, _, password = b64decode(sent).decode("utf-8", "replace").partition(":")
        plain |= {name: "(the name)", password: "(the password)"}
    in_address = {str(httpx.QueryParams({"": secret}))[1:]: word for secret, word in plain.items()}
    shown = in_address | plain
    # A short one is looked for only as a word: any text has its letters.
    found = {
        secret: re.escape(secret) if len(secret) > 3 else rf"(?<!\w){re.escape(secret)}(?!\w)" for secret in shown if secret
    }
    if not found:
        return lambda text: text
    any_of_them = re.compile("|".join(found[secret] for secret in sorted(found, key=len, reverse=True)))
    return lambda text: any_of_them.sub(lambda match: shown[match[0]], text)


def _said(text: str, hide: Callable[[str], str]) -> str:
    """What a server says of its error, as far as it fits into a sentence."""
    if text.lstrip().startswith("<"):
        words = " ".join(re.sub(r"<[^>]*>", " ", text).split())
        text = f"a web page ({words})" if words else "a web page"
    try:
        told = json.loads(text)
    except NO_JSON:
        told = text
    for name in ("error", "message", "detail"):
        told = told.get(name, told) if isinstance(told, dict) else told
    # Once more: a body of JSON may write some characters of a key in another way.
    return " ".join(hide(str(told)).split())[:200].rstrip(".") or "nothing"


def no_address(host: str, example: str) -> ServerError:
    """This is no address; `example` is one."""
    return ServerError(f"{host!r} is no address of a server; write it like {example}.")


def is_address(host: str) -> bool:
    """Whether it can be one of a server."""
    try:
        return url_of(host).scheme in ("http", "https")
    except httpx.InvalidURL:
        return False


def name_and_password(address: str) -> tuple[str, str] | None:
    """Those in an address, which the ollama package leaves out; None where there are none."""
    url = url_of(address)
    return (url.username, url.password) if url.username or url.password else None


def place_of(host: str) -> str:
    """What two ways to write one address have in common, with OpenAI's /v1 or without; one that is none is its own."""
    try:
        read = url_of(host)
    except httpx.InvalidURL:
        return host
    path = "" if (path := read.path.rstrip("/")) == "/v1" else path
    name = "127.0.0.1" if is_loopback(host) else read.host
    return f"{read.scheme}://{name}:{read.port or (443 if read.scheme == 'https' else 80)}{path}"


@contextmanager
def address_errors(host: str, example: str) -> Iterator[None]:
    """Making a client raises these for nothing but the address."""
    try:
        yield
    except (ValueError, httpx.InvalidURL) as error:
        raise no_address(host, example) from error


def without_secrets(text: str) -> str:
    """An address, or a command with one, without the name and password that it may hold: they are for the server only.

    A command is shown without the keys that stand in the queries of its addresses, too.
    """
    return _ASKED.sub(lambda found: _QUERY.sub("", found[0]), _SECRETS.sub(r"\1", text))
