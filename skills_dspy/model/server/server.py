"""What a server is to everybody who asks one, whatever its kind: its face, its faults."""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import httpx

from skills_dspy.base.errors import MachineError, ServerError
from skills_dspy.model.server.connections import Endpoint, Refused, no_address
from skills_dspy.model.server.faults import Cause

T = TypeVar("T")
_LONGEST = 200
"""Characters of a licence that are kept."""
_THINKING = re.compile(r"think|reasoning")
_ROLES = re.compile(
    r"system (?:role|message|prompt)s? (?:(?:is|are) )?not supported|not support (?:a |the )?system (?:role|message|prompt)"
    r"|roles? must alternate|unsupported (?:chat )?role|only (?:user|supports? user) and assistant roles",
    re.IGNORECASE,
)
"""What chat templates say that take no system message."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong with one request: our error, whether asking again may help, and after how many seconds at least.

    `silent` says that nobody answered.
    """

    error: MachineError
    passing: bool
    after: float = 0.0
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the server has: its name, digest and largest context window in tokens (none when it does not say).

    `differs` has what a server does not take or give for it, by name, and `in_words` the same in sentences; `warnings` are of
    what spoils replies without a word. `thinks` says whether it can think before it answers; None where nobody says. `licence`
    is its own, in a line, as server or file tell it; None where they tell none. `weights` has what a server without digests
    tells of the model's, by name.
    """

    name: str
    digest: str
    context_length: int | None
    differs: Mapping[str, Any] = field(default_factory=dict)
    in_words: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    thinks: bool | None = None
    licence: str | None = None
    weights: Mapping[str, Any] = field(default_factory=dict)


def licence_in_words(*told: object) -> str | None:
    """The first of these texts that says something, by its first two lines; None where none does.

    A server may tell the whole licence, whose title, with the version, stands there.
    """
    for text in told:
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()] if isinstance(text, str) else []
        if lines:
            return ", ".join(lines[:2])[:_LONGEST]
    return None


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
            Unanswered: it answers others, and this one never.
        """

    async def version(self) -> str:
        """What it says of itself, asked once; ServerError within the connect timeout when nobody answers."""

    async def models(self) -> tuple[Model, ...]:
        """All models that it has, by name."""

    async def model(self, name: str) -> Model:
        """One model with its window; ModelMissing, with what to do, when it is not there."""

    async def loaded(self) -> tuple[str, ...] | None:
        """The models that it has in memory, by name; None where it does not say."""

    async def close(self) -> None:
        """Close all connections; it can be asked again, also on another event loop."""


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
    if _ROLES.search(refused.said):
        todo = "take another model, or give it a chat template that takes a system message before the user's"
        return Fault(
            ServerError(f"The chat template of a model at {host} refuses our prompts ({refused.said}): {todo}."), False
        )
    return None


def refused_thinking(status: int, said: str, model: str) -> str | None:
    """What to do where a server refuses what a request says of thinking; None where it refuses something else."""
    # A model's own name may speak of it.
    about = re.sub(rf"(?<!\w){re.escape(model.partition(':')[0])}(?!\w)", "", said, flags=re.IGNORECASE)
    if status not in (400, 422) or not _THINKING.search(about.lower()):
        return None
    others = "unset to say nothing of it, or another of off, on, low, medium and high"
    return f"give `think` another value in the configuration for the roles that ask {model}: {others}"


def connection_fault(error: Exception, host: str, example: str, cause_of: Callable[[Exception], Cause]) -> Fault:
    """Our error for what httpx and a reader of bodies raise; `example` is an address as it should be written."""
    if isinstance(error, httpx.UnsupportedProtocol):
        return Fault(no_address(host, example), False)
    here = f"The server at {host}"
    if isinstance(error, ConnectionError | ssl.SSLError | httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        cause = cause_of(error)
        who = f"The {cause.who}, which is asked for {host}," if cause.who else here
        return Fault(ServerError(f"{who} {cause.why}{'; ' * bool(cause.todo)}{cause.todo}."), cause.passing, silent=True)
    if isinstance(error, httpx.TimeoutException):
        todo = "raise server.timeout in the configuration, if it is only slow"
        return Fault(ServerError(f"{here} did not answer in time; {todo}."), True, silent=True)
    if isinstance(error, httpx.HTTPError):
        reason = str(error) or type(error).__name__
        return Fault(ServerError(f"The connection to {host} broke ({reason})."), True, silent=True)
    return Fault(ServerError(f"{here} sent a body that is empty or broken."), True)
