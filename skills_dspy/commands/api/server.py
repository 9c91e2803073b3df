"""The hosts that a run, a check or an evaluation asks: from addresses, or a model file, to what answers."""

import logging
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from skills_dspy.base.config import ROLES, Api, RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.validation import require, require_whole
from skills_dspy.model.embedding.weights import ServerKind
from skills_dspy.model.hosts.addresses import Address, read_addresses
from skills_dspy.model.hosts.hosts import Hosts
from skills_dspy.model.hosts.lane import Lane
from skills_dspy.model.hosts.member import Member, OnFault
from skills_dspy.model.hosts.waiting import Waiting, WatchedServer
from skills_dspy.model.served_embedder import VectorServer
from skills_dspy.model.server.connections import is_address, place_of, without_secrets
from skills_dspy.model.server.gguf import read_model_file
from skills_dspy.model.server.llamacpp import LlamaCppServer
from skills_dspy.model.server.names import spelled_alike
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.openai import API_KEYS, OpenAIServer
from skills_dspy.model.server.probe import Thinking
from skills_dspy.model.server.server import Fault, Server
from skills_dspy.model.steps import STEPS
from skills_dspy.store.measured import kept_in

_LOG = logging.getLogger(__name__)
_LOCAL = "http://127.0.0.1:11434"

OnWaiting = Callable[[Waiting, float], None]
"""Gets a request that a host leaves waiting, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where models answer, and how much is asked of them at once.

    Attributes:
        api: what the server speaks, `ollama` or `openai`; None for what the settings say.
        base_url: addresses, see `read_addresses`; none for those of the settings, else OLLAMA_HOST, else Ollama's own.
        concurrency: requests in flight at a host that is not said to have another number of slots, 1 to 1024.
        llamacpp: instead of a server a model file, with which llama.cpp is started.
        usual: what OLLAMA_HOST said, where a command has taken it out of the environment; empty to look there.
        measured: host and model to the slots that `check` has found best, of those in `wants_slots`.
        key: of the server, where the environment of this machine does not say it.
    """

    api: str | None = None
    base_url: tuple[str, ...] = ()
    concurrency: int = 8
    llamacpp: Path | None = None
    usual: str = ""
    measured: Mapping[tuple[str, str], int] = field(default_factory=dict)
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """RequestError where it cannot be."""
        require(self.api in (None, *get_args(Api)), "--api", self.api, " or ".join(get_args(Api)))
        require_whole("--concurrency", self.concurrency, 1, 1024)

    def addresses(self, config: RunConfig) -> tuple[Address, ...]:
        """The hosts, each with its slots: those in its address, else the measured ones, else `concurrency`.

        RequestError where one is written wrongly, or OLLAMA_HOST is no address.
        """
        return tuple(
            replace(address, slots=address.slots or self.measured.get(measured_as(address, config)) or self.concurrency)
            for address in self.told(config)
        )

    def wants_slots(self, config: RunConfig) -> list[tuple[str, str]]:
        """Of several hosts those without a number of slots in their address, as `check` notes what it measures of them."""
        told = () if self.llamacpp is not None else self.told(config)
        return [measured_as(address, config) for address in told if address.slots is None and len(told) > 1]

    def told(self, config: RunConfig) -> tuple[Address, ...]:
        """The hosts as they are written; raises what `addresses` does."""
        if self.base_url or config.server.base_url:
            where = "--base-url" if self.base_url else "server.base_url in the configuration"
            return read_addresses(self.base_url or config.server.base_url, where)
        host = (self.usual or os.environ.get("OLLAMA_HOST", "")).strip("\"' \t\r\n") or _LOCAL
        if not is_address(host):
            raise RequestError(f"OLLAMA_HOST in the environment is no address of a server; write it like {_LOCAL}.")
        return (Address(host),)

    def in_flight(self, config: RunConfig) -> int:
        """How many requests all hosts together may have at once."""
        return self.concurrency if self.llamacpp is not None else sum(a.slots or 0 for a in self.addresses(config))

    def over(self, config: RunConfig, model: str | None = None) -> RunConfig:
        """The settings with what this says of the server, and of the model where that is a file.

        `model` is the one that was asked for beside the settings.

        Raises:
            RequestError: a model file is given, and is none, or a server is given too, or another model.
        """
        if self.llamacpp is not None:
            return self._with_model_file(config, self.llamacpp, model)
        if self.api is not None:
            config = config.model_copy(update={"server": config.server.model_copy(update={"api": self.api})})
        return spelled_alike(config)

    def _with_model_file(self, config: RunConfig, path: Path, model: str | None) -> RunConfig:
        for flag, given in (("--base-url", self.base_url), ("--api", self.api)):
            if given:
                raise RequestError(
                    f"--llamacpp starts a server of its own, and {flag} is about another; leave out one of the two"
                )
        file = read_model_file(path)
        wanted = [model, *(config.role(role).model for role in ROLES if role != "generator")]
        if other := next((name for name in wanted if name is not None and not file.is_called(name)), None):
            raise RequestError(
                f"--llamacpp {path} is one file, and so one model, {file.name}, but {other} is wanted too; leave that model "
                "out of the command and of the configuration, or start a server that has both"
            )
        named = [role for role in ROLES if role == "generator" or config.role(role).model is not None]
        return config.model_copy(update={role: config.role(role).model_copy(update={"model": file.name}) for role in named})

    def open(
        self,
        config: RunConfig,
        on_fault: OnFault | None = None,
        tell: Callable[[str], None] = _LOG.warning,
        on_waiting: OnWaiting | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Hosts:
        """The hosts, or llama.cpp with its model file; nobody is asked yet.

        `on_fault` hears of faults that no other host helps with, `tell` of hosts that go and come, `on_waiting` of requests
        that one leaves waiting.
        """

        def watched(make: Callable[[OnFault], Server], slots: int, heard: OnFault) -> Server:
            def again(fault: Fault, pause: float) -> None:
                heard(fault, pause)
                server.again(pause)

            server = WatchedServer(make(again), slots, on_waiting or (lambda *_: None), clock)
            return server

        members = []
        for address, make in self._makers(config):
            slots = address.slots or self.concurrency
            lane = Lane(slots, serves=_serves(address))
            models = frozenset(map(config.model_for, address.roles))
            members.append(Member(partial(watched, make, slots), lane, address.roles, models, config.server, on_fault))
        return Hosts(members, tell)

    def each(self, config: RunConfig, on_fault: OnFault | None = None) -> list[tuple[Address, Server]]:
        """The hosts, each for itself, or llama.cpp with its model file; nobody is asked yet."""
        return [(address, make(on_fault)) for address, make in self._makers(config)]

    def _makers(self, config: RunConfig) -> list[tuple[Address, Callable[[OnFault | None], Server]]]:
        if self.llamacpp is None:
            return [(address, partial(self._host, address, config)) for address in self.addresses(config)]
        file = read_model_file(self.llamacpp)

        def start(on_fault: OnFault | None) -> Server:
            return LlamaCppServer(
                file,
                lambda url, key: OpenAIServer(
                    url, config.server, key=key, thinking=_thinking(config), **self._asked(self.concurrency, on_fault)
                ),
                slots=self.concurrency,
                on_fault=on_fault,
            )

        return [(Address("llama.cpp", self.concurrency), start)]

    def vectors(self, config: RunConfig, kind: ServerKind) -> VectorServer:
        """The server for its embedding model, the first host, which is asked for one text at a time."""
        first = self.addresses(config)[0]
        url = first.url.rstrip("/").removesuffix("/v1") if kind == "ollama" else first.url
        asked = replace(self, api=kind, base_url=(url,), llamacpp=None, concurrency=1)
        return asked._host(Address(url, 1), asked.over(config), None)

    def _host(self, address: Address, config: RunConfig, on_fault: OnFault | None) -> OllamaServer | OpenAIServer:
        asked = self._asked(address.slots or self.concurrency, on_fault)
        if config.server.api == "openai":
            return OpenAIServer(address.url, config.server, key=self.key or api_key(), thinking=_thinking(config), **asked)
        return OllamaServer(address.url, config.server, **asked)

    def _asked(self, concurrency: int, on_fault: OnFault | None) -> dict[str, Any]:
        jitter = random.Random(os.getpid())
        return {"concurrency": concurrency, "environment": os.environ, "jitter": jitter, "on_fault": on_fault}


def addresses_in(given: str | Sequence[str]) -> tuple[str, ...]:
    """What is given of addresses, one by one."""
    return (given,) if isinstance(given, str) else tuple(given)


def measured_file() -> Path | None:
    """Where what `check` measures of hosts is kept; None where the environment says no folder for it."""
    return kept_in(os.environ)


def measured_as(address: Address, config: RunConfig) -> tuple[str, str]:
    """A host, without a password, and the model of its first role: what is measured there."""
    return place_of(without_secrets(address.url)), config.model_for(address.roles[0])


def _serves(address: Address) -> Callable[[str], bool]:
    """Whether a host answers a step: those of its roles, and whatever is no step of the flow."""
    others = {name for name, step in STEPS.items() if step.role not in address.roles}
    return lambda step: step not in others


def _thinking(config: RunConfig) -> Callable[[str], Thinking]:
    """How models are asked about thinking."""

    def ask(model: str) -> Thinking:
        role = config.asker_of(model)
        return Thinking(role.think, role.thoughts)

    return ask


def api_key() -> str | None:
    """The key of a server of OpenAI's API, which stands in the environment and nowhere else."""
    return next((value for value in map(os.environ.get, API_KEYS) if value), None)
