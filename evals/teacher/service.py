"""What the simulated teacher answers to each path that the program uses of Ollama and of OpenAI's API, and what it counts."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from evals.teacher.config import CONTENT_FAULTS, TeacherConfig
from evals.teacher.loading import ModelMemory
from evals.teacher.logprobs import logprobs_of
from evals.teacher.replies import Teacher
from evals.teacher.sharing import SharedSpeed
from evals.teacher.wire import chat_reply, from_openai, parse, to_openai
from skills_dspy.model.server.names import same_model

SIMULATED_VERSION = "0.0.0-simulated"

_CONTEXT_LENGTH = 131072
_SIZE = 1_000_000_000
_AT_ONCE = {"429": "too many requests", "503": "server busy, please try again.  maximum pending requests exceeded"}


@dataclass(frozen=True, slots=True)
class Response:
    """A response."""

    body: bytes
    status: int = 200
    content_type: str = "application/json; charset=utf-8"


Handler = Callable[[Mapping[str, Any]], Coroutine[Any, Any, Response]]
"""Answers what a request's body asks for; that of a GET is empty."""


class Service:
    """The handlers by method and path, and what they share."""

    def __init__(self, config: TeacherConfig) -> None:
        self.routes: Mapping[tuple[str, str], Handler] = {
            ("GET", "/api/version"): self._version,
            ("GET", "/api/tags"): self._tags,
            ("GET", "/api/ps"): self._in_memory,
            ("POST", "/api/show"): self._show,
            ("POST", "/api/pull"): self._pull,
            ("POST", "/api/chat"): self._ollama_chat,
            ("GET", "/v1/models"): self._openai_models,
            ("POST", "/v1/chat/completions"): self._openai_chat,
            ("GET", "/teacher/stats"): self._stats,
        }
        self.memory = ModelMemory(config.holds, config.load_seconds)
        self.speed = SharedSpeed(config.speed) if config.speed else None
        self._config = config
        self._models = [_full_name(name) for name in config.models]
        self._slots = asyncio.Semaphore(config.slots)
        self._teacher = Teacher(config)
        self._to_fail = config.fail_first
        self._chats = self._busy = 0
        self._busy_seconds = self._since = 0.0
        self._first_request_at: float | None = None

    async def _version(self, _: Mapping[str, Any]) -> Response:
        return _json({"version": SIMULATED_VERSION})

    async def _tags(self, _: Mapping[str, Any]) -> Response:
        return _json({"models": [{"model": name, "digest": _digest(name), "size": _SIZE} for name in self._models]})

    async def _in_memory(self, _: Mapping[str, Any]) -> Response:
        return _json({"models": [{"model": name, "name": name} for name in reversed(self.memory.loaded)]})

    async def _openai_models(self, _: Mapping[str, Any]) -> Response:
        names = {name: [name.removesuffix(":latest")] for name in self._models}
        cards = [{"id": name, "aliases": others, "max_model_len": _CONTEXT_LENGTH} for name, others in names.items()]
        return _json({"data": cards})

    async def _show(self, data: Mapping[str, Any]) -> Response:
        name = data["model"]
        if not self._has(name):
            return _not_found(name)
        return _json({"model_info": {"general.architecture": "llama", "llama.context_length": _CONTEXT_LENGTH}})

    async def _pull(self, data: Mapping[str, Any]) -> Response:
        """The progress of pulling a model, which is there at the end."""
        name = data["model"]
        layer = {"status": f"pulling {_digest(name)[:12]}", "digest": f"sha256:{_digest(name)}", "total": _SIZE}
        self._models.append(_full_name(name))
        steps: list[dict[str, Any]] = [
            {"status": "pulling manifest"},
            layer,
            {**layer, "completed": _SIZE},
            {"status": "success"},
        ]
        return Response(b"".join(_line(step) + b"\n" for step in steps), content_type="application/x-ndjson")

    async def _stats(self, _: Mapping[str, Any]) -> Response:
        """What was counted since the start; the moment of the first request is in seconds since the epoch."""
        self._change_busy(0)
        counts = {"chat": self._chats, "busy_seconds": self._busy_seconds, "first_request_at": self._first_request_at}
        return _json(counts)

    async def _openai_chat(self, data: Mapping[str, Any]) -> Response:
        return await self._chat(from_openai(data), to_openai)

    async def _ollama_chat(self, data: Mapping[str, Any]) -> Response:
        return await self._chat(data, dict)

    async def _chat(self, data: Mapping[str, Any], spoken: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
        self._first_request_at = self._first_request_at or time.time()
        self._chats += 1
        if not self._has(data["model"]):
            return _not_found(data["model"])
        arrived, asked = _now(), parse(data)
        if self._to_fail:
            self._to_fail -= 1
            fault: str | None = "503"
        else:
            fault = self._teacher.choose_fault(asked)
        if fault in _AT_ONCE:
            return _error(int(fault), _AT_ONCE[fault])
        reply = self._teacher.reply(asked, fault if fault in CONTENT_FAULTS else None)
        async with self.memory.use(_full_name(asked.model)) as loading, self._slots:
            started = _now()
            self._change_busy(+1)
            try:
                await asyncio.sleep(self._config.latency + self._config.latency_per_token * reply.tokens)
                if self.speed is not None:
                    await self.speed.write(reply.tokens)
            finally:
                self._change_busy(-1)
        if fault == "500":
            return _error(500, "a simulated fault")
        now = _now()
        whole = _line(spoken(chat_reply(asked, reply, (now - arrived, now - started), loading)))
        if self._config.logprobs and data.get("logprobs"):
            whole = whole[:-1] + b',"logprobs":' + logprobs_of(reply.text, self._config.logprobs) + b"}"
        kept = {"empty": 0, "broken": len(whole) // 2}.get(fault or "", len(whole))
        return Response(whole[:kept])

    def _has(self, name: str) -> bool:
        return any(same_model(name, model) for model in self._models)

    def _change_busy(self, by: int) -> None:
        now = _now()
        self._busy_seconds += self._busy * (now - self._since)
        self._since, self._busy = now, self._busy + by


def _now() -> float:
    """By the clock of the loop, so that all of it may be played in virtual time."""
    return asyncio.get_running_loop().time()


def _full_name(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _digest(name: str) -> str:
    """What stands for a model's digest: the hash of words that say what it is."""
    return hashlib.sha256(f"simulated teacher {_full_name(name)}".encode()).hexdigest()


def _not_found(name: str) -> Response:
    return _error(404, f"model '{name}' not found")


def _error(status: int, message: str) -> Response:
    return _json({"error": message}, status)


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(_line(value), status)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
