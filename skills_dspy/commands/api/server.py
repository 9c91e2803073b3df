"""The server that a run, a check or an evaluation asks: from an address, or a model file, to what answers."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from skills_dspy.base.config import ROLES, Api, RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.validation import require, require_whole
from skills_dspy.model.embedding.weights import ServerKind
from skills_dspy.model.served_embedder import VectorServer
from skills_dspy.model.server.connections import is_address
from skills_dspy.model.server.gguf import read_model_file
from skills_dspy.model.server.llamacpp import LlamaCppServer
from skills_dspy.model.server.names import spelled_alike
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.openai import API_KEYS, OpenAIServer
from skills_dspy.model.server.probe import Thinking
from skills_dspy.model.server.server import Fault, Server

_LOCAL = "http://127.0.0.1:11434"

OnFault = Callable[[Fault, float], None]
"""Gets what went wrong, and the seconds until the next try."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where models answer, and how much is asked of them at once.

    Attributes:
        api: what the server speaks, `ollama` or `openai`; None for what the settings say.
        base_url: its address; None for OLLAMA_HOST, else Ollama's own.
        concurrency: requests in flight, 1 to 1024.
        llamacpp: instead of a server a model file, with which llama.cpp is started.
    """

    api: str | None = None
    base_url: str | None = None
    concurrency: int = 8
    llamacpp: Path | None = None

    def __post_init__(self) -> None:
        """RequestError where it cannot be."""
        require(self.api in (None, *get_args(Api)), "--api", self.api, " or ".join(get_args(Api)))
        require_whole("--concurrency", self.concurrency, 1, 1024)

    @property
    def address(self) -> str:
        """The address of the server. RequestError where OLLAMA_HOST has to say it, and is none."""
        if self.base_url is not None:
            return self.base_url
        host = os.environ.get("OLLAMA_HOST", "").strip("\"' \t\r\n") or _LOCAL
        if not is_address(host):
            raise RequestError(f"OLLAMA_HOST in the environment is no address of a server; write it like {_LOCAL}.")
        return host

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
            if given is not None:
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

    def open(self, config: RunConfig, on_fault: OnFault | None = None) -> Server:
        """The server, or llama.cpp with its model file; nobody is asked yet."""
        if self.llamacpp is None:
            return self._host(config, on_fault)
        return LlamaCppServer(
            read_model_file(self.llamacpp),
            lambda address, key: OpenAIServer(
                address, config.server, key=key, thinking=_thinking(config), **self._asked(on_fault)
            ),
            slots=self.concurrency,
            on_fault=on_fault,
        )

    def vectors(self, config: RunConfig, kind: ServerKind) -> VectorServer:
        """The server for its embedding model, which is asked for one text at a time."""
        url = self.address.rstrip("/").removesuffix("/v1") if kind == "ollama" else self.address
        asked = replace(self, api=kind, base_url=url, llamacpp=None, concurrency=1)
        return asked._host(asked.over(config), None)

    def _host(self, config: RunConfig, on_fault: OnFault | None) -> OllamaServer | OpenAIServer:
        if config.server.api == "openai":
            asked = self._asked(on_fault)
            return OpenAIServer(self.address, config.server, key=api_key(), thinking=_thinking(config), **asked)
        return OllamaServer(self.address, config.server, **self._asked(on_fault))

    def _asked(self, on_fault: OnFault | None) -> dict[str, Any]:
        jitter = random.Random(os.getpid())
        return {"concurrency": self.concurrency, "environment": os.environ, "jitter": jitter, "on_fault": on_fault}


def _thinking(config: RunConfig) -> Callable[[str], Thinking]:
    """How models are asked about thinking."""

    def ask(model: str) -> Thinking:
        role = config.asker_of(model)
        return Thinking(role.think, role.thoughts)

    return ask


def api_key() -> str | None:
    """The key of a server of OpenAI's API, which stands in the environment and nowhere else."""
    return next((value for value in map(os.environ.get, API_KEYS) if value), None)
