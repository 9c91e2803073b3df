"""What a server is to everybody who asks one, whatever its kind: its face, its faults, and the patience with which it is asked.

Faults that pass (refused, reset, timeout, 429, 500, 502, 503, 504, an empty or broken body) are asked again with backoff and
jitter, or when the server says (Retry-After), for as long as the patience lasts; the others are errors at once.
"""

import asyncio
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import httpx

from skills_dspy.base.config import ServerConfig
from skills_dspy.base.errors import MachineError, ServerError
from skills_dspy.model.server.connections import BUSY, Endpoint, Refused, no_address
from skills_dspy.model.server.faults import UNANSWERED, Cause
from skills_dspy.store.run_json import OLLAMA

T = TypeVar("T")
_THINKING = re.compile(r"think|reasoning")

_LIST = 60.0
"""Seconds in which a server has to say what it is and what it has, where a fifth of `server.timeout` is less."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong with one request: our error, whether asking again may help, and after how many seconds at least."""

    error: MachineError
    passing: bool
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the server has: its name, digest and largest context window in tokens (none when it does not say).

    `differs` has what a server does not take or give for it, by name, and `in_words` the same in sentences; `warnings` are of
    what spoils replies without a word. `thinks` says whether it can think before it answers; None where nobody says.
    """

    name: str
    digest: str
    context_length: int | None
    differs: Mapping[str, Any] = field(default_factory=dict)
    in_words: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    thinks: bool | None = None


class Server(Protocol):
    """Who answers requests in their one canonical form, Ollama's chat payload, whatever it speaks itself."""

    kind: str
    """What it is, in words: `Ollama`, or what else it speaks."""
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


async def introduced(server: Server) -> dict[str, Any]:
    """A server as run.json names it: address, version, and its kind where that is not Ollama's; raises what `version` does."""
    kind = {} if server.kind == OLLAMA else {"api": server.kind}
    return {"host": server.host, "version": await server.version(), **kind}


class Asking:
    """How a server is asked: once, or for as long as the patience lasts.

    Args:
        host: the server's address as it may be shown.
        fault_of: our fault for a foreign error of a request to this model (no name where none was asked).
        cause_of: why a request did not come to an answer.
        unreachable: our error when nobody answers, for the reason.
        jitter: random numbers for the backoff; they decide no reply.
        on_fault: told each passing fault with the seconds until the next try.
    """

    def __init__(
        self,
        host: str,
        config: ServerConfig,
        fault_of: Callable[[Exception, str], Fault],
        cause_of: Callable[[Exception], Cause],
        unreachable: Callable[[Cause], ServerError],
        *,
        jitter: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_fault: Callable[[Fault, float], None] | None = None,
    ) -> None:
        self._host = host
        self._config = config
        self._fault_of = fault_of
        self._cause_of = cause_of
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
        return await self._again(ask, model, foreign, lambda _, fault: fault.passing)

    async def once(self, ask: Callable[[], Awaitable[T]], foreign: tuple[type[Exception], ...]) -> T:
        """What `ask` gives, or its error at once; ServerError where nothing comes.

        Connecting may take the connect timeout and the answer much longer: a list of models on a slow disk takes its time. Only
        a server that says that it is busy, as one does that still loads its model, is asked again while the patience lasts.
        """
        limit = self._config.connect_timeout + min(self._config.timeout, max(_LIST, self._config.timeout / 5))

        async def soon() -> T:
            try:
                async with asyncio.timeout(limit):
                    return await ask()
            except (TimeoutError, httpx.ReadTimeout) as error:
                raise self._unreachable(self._silence(limit)) from error
            except (ConnectionError, *UNANSWERED) as error:
                raise self._unreachable(self._cause_of(error)) from error

        return await self._again(soon, "", foreign, lambda error, _: isinstance(error, Refused) and error.status in BUSY)

    def _silence(self, limit: float) -> Cause:
        todo = f"see its log, or raise server.timeout in the configuration (now {self._config.timeout:g} s), if it is only slow"
        return Cause(f"takes the connection and gives no answer within {limit:g} s", todo)

    async def _again(
        self,
        ask: Callable[[], Awaitable[T]],
        model: str,
        foreign: tuple[type[Exception], ...],
        passes: Callable[[Exception, Fault], bool],
    ) -> T:
        first_fault: float | None = None
        delay = self._config.backoff_first
        while True:
            try:
                answer = await ask()
            except foreign as error:
                fault, now = self._fault_of(error, model), self._clock()
                if not passes(error, fault):
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
            pause = min(max(pause, fault.after), self._config.patience - waited)
            if self._on_fault is not None:
                self._on_fault(fault, pause)
            await self._sleep(pause)
            delay *= 2


def refusal_fault(refused: Refused, host: str, endpoint: Endpoint) -> Fault | None:
    """Our error for an answer that says the same of every kind of server; None for others."""
    here = f"The server at {host}"
    if refused.moved:
        todo = "give that address with --base-url, if it is the server's, and ask past what stands before it, such as a login"
        return Fault(ServerError(f"{here} sends every request on to {refused.moved} ({refused.status}): {todo}."), False)
    if refused.status == 407:
        todo = "write them into that variable, or name the host in NO_PROXY"
        by = endpoint.route.named_by or "the environment"
        return Fault(ServerError(f"The proxy in {by}, which is asked for {host}, wants a name and a password: {todo}."), False)
    if refused.status == 400 and "https" in refused.said.lower() and "http " in refused.said.lower():
        return Fault(ServerError(f"{here} wants https ({refused.said}): write https:// in its address."), False)
    return None


def refused_thinking(status: int, said: str, model: str) -> str | None:
    """What to do where a server refuses what a request says of thinking; None where it refuses something else."""
    # A model's own name may speak of it.
    about = re.sub(rf"(?<!\w){re.escape(model.partition(':')[0])}(?!\w)", "", said, flags=re.IGNORECASE)
    if status not in (400, 422) or not _THINKING.search(about.lower()):
        return None
    return f"give `think` another value in the configuration for the roles that ask {model}: off, or unset to say nothing of it"


def connection_fault(error: Exception, host: str, example: str, cause_of: Callable[[Exception], Cause]) -> Fault:
    """Our error for what httpx and a reader of bodies raise; `example` is an address as it should be written."""
    if isinstance(error, httpx.UnsupportedProtocol):
        return Fault(no_address(host, example), False)
    here = f"The server at {host}"
    if isinstance(error, ConnectionError | httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        cause = cause_of(error)
        who = f"The {cause.who}, which is asked for {host}," if cause.who else here
        return Fault(ServerError(f"{who} {cause.why}{'; ' * bool(cause.todo)}{cause.todo}."), cause.passing)
    if isinstance(error, httpx.TimeoutException):
        return Fault(ServerError(f"{here} did not answer in time."), True)
    if isinstance(error, httpx.HTTPError):
        reason = str(error) or type(error).__name__
        return Fault(ServerError(f"The connection to {host} broke ({reason})."), True)
    return Fault(ServerError(f"{here} sent a body that is empty or broken."), True)
