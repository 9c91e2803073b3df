"""The simulated teacher over HTTP: the endpoints that the program uses of Ollama and of OpenAI's API, and a count."""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from evals.teacher.config import CONTENT_FAULTS, TeacherConfig
from evals.teacher.logprobs import logprobs_of
from evals.teacher.replies import Teacher
from evals.teacher.sharing import SharedSpeed
from evals.teacher.wire import chat_reply, from_openai, parse, to_openai
from skills_dspy.model.server.names import same_model

SIMULATED_VERSION = "0.0.0-simulated"
SERVER = "simulated teacher (no language model)"
"""The header `Server` of every response."""
IMPROVABLE_SERVER = "simulated teacher of one improvable sentence (no language model)"
"""The same where replies depend on the prompt and nobody wrote them by hand."""

_CONTEXT_LENGTH = 131072
_SIZE = 1_000_000_000
_LARGEST_BODY = 64 << 20
_AT_ONCE = {"429": "too many requests", "503": "server busy, please try again.  maximum pending requests exceeded"}


def runner_of(app: web.Application) -> web.AppRunner:
    """Runs an application so that a client which leaves frees its slot at once."""
    return web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)


def make_app(config: TeacherConfig) -> web.Application:
    """The application."""
    service = _Service(config)
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.on_response_prepare.append(_signer(SERVER if config.improvable is None else IMPROVABLE_SERVER))
    app.add_routes(
        [
            web.get("/api/version", service.version),
            web.get("/api/tags", service.tags),
            web.post("/api/show", service.show),
            web.post("/api/pull", service.pull),
            web.post("/api/chat", service.chat),
            web.get("/v1/models", service.openai_models),
            web.post("/v1/chat/completions", service.openai_chat),
            web.get("/teacher/stats", service.stats),
        ]
    )
    return app


class _Service:
    """The handlers and what they share."""

    def __init__(self, config: TeacherConfig) -> None:
        self._config = config
        self._models = [_full_name(name) for name in config.models]
        self._slots = asyncio.Semaphore(config.slots)
        self._speed = SharedSpeed(config.speed) if config.speed else None
        self._teacher = Teacher(config)
        self._to_fail = config.fail_first
        self._chats = self._busy = 0
        self._busy_seconds, self._since = 0.0, time.monotonic()
        self._first_request_at: float | None = None

    async def version(self, _: web.Request) -> web.Response:
        return _json({"version": SIMULATED_VERSION})

    async def tags(self, _: web.Request) -> web.Response:
        return _json({"models": [{"model": name, "digest": _digest(name), "size": _SIZE} for name in self._models]})

    async def openai_models(self, _: web.Request) -> web.Response:
        names = {name: [name.removesuffix(":latest")] for name in self._models}
        cards = [{"id": name, "aliases": others, "max_model_len": _CONTEXT_LENGTH} for name, others in names.items()]
        return _json({"data": cards})

    async def show(self, request: web.Request) -> web.Response:
        name = (await request.json())["model"]
        if not self._has(name):
            return _not_found(name)
        return _json({"model_info": {"general.architecture": "llama", "llama.context_length": _CONTEXT_LENGTH}})

    async def pull(self, request: web.Request) -> web.Response:
        """The progress of pulling a model, which is there at the end."""
        name = (await request.json())["model"]
        layer = {"status": f"pulling {_digest(name)[:12]}", "digest": f"sha256:{_digest(name)}", "total": _SIZE}
        self._models.append(_full_name(name))
        steps: list[dict[str, Any]] = [
            {"status": "pulling manifest"},
            layer,
            {**layer, "completed": _SIZE},
            {"status": "success"},
        ]
        return web.Response(body=b"".join(_line(step) + b"\n" for step in steps), content_type="application/x-ndjson")

    async def stats(self, _: web.Request) -> web.Response:
        """What was counted since the start; the moment of the first request is in seconds since the epoch."""
        self._change_busy(0)
        counts = {"chat": self._chats, "busy_seconds": self._busy_seconds, "first_request_at": self._first_request_at}
        return _json(counts)

    async def openai_chat(self, request: web.Request) -> web.Response:
        return await self._chat(from_openai(await request.json()), to_openai)

    async def chat(self, request: web.Request) -> web.Response:
        return await self._chat(await request.json(), dict)

    async def _chat(self, data: Mapping[str, Any], spoken: Callable[[dict[str, Any]], dict[str, Any]]) -> web.Response:
        self._first_request_at = self._first_request_at or time.time()
        self._chats += 1
        if not self._has(data["model"]):
            return _not_found(data["model"])
        arrived, asked = time.monotonic(), parse(data)
        if self._to_fail:
            self._to_fail -= 1
            fault: str | None = "503"
        else:
            fault = self._teacher.choose_fault(asked)
        if fault in _AT_ONCE:
            return _error(int(fault), _AT_ONCE[fault])
        reply = self._teacher.reply(asked, fault if fault in CONTENT_FAULTS else None)
        async with self._slots:
            started = time.monotonic()
            self._change_busy(+1)
            try:
                await asyncio.sleep(self._config.latency + self._config.latency_per_token * reply.tokens)
                if self._speed is not None:
                    await self._speed.write(reply.tokens)
            finally:
                self._change_busy(-1)
        if fault == "500":
            return _error(500, "a simulated fault")
        now = time.monotonic()
        whole = _line(spoken(chat_reply(asked, reply, (now - arrived, now - started))))
        if self._config.logprobs and data.get("logprobs"):
            whole = whole[:-1] + b',"logprobs":' + logprobs_of(reply.text, self._config.logprobs) + b"}"
        kept = {"empty": 0, "broken": len(whole) // 2}.get(fault or "", len(whole))
        return web.Response(body=whole[:kept], content_type="application/json", charset="utf-8")

    def _has(self, name: str) -> bool:
        return any(same_model(name, model) for model in self._models)

    def _change_busy(self, by: int) -> None:
        now = time.monotonic()
        self._busy_seconds += self._busy * (now - self._since)
        self._since, self._busy = now, self._busy + by


def _full_name(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _digest(name: str) -> str:
    """What stands for a model's digest: the hash of words that say what it is."""
    return hashlib.sha256(f"simulated teacher {_full_name(name)}".encode()).hexdigest()


def _signer(name: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Every response says who made it."""

    async def sign(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = name

    return sign


def _not_found(name: str) -> web.Response:
    return _error(404, f"model '{name}' not found")


def _error(status: int, message: str) -> web.Response:
    return _json({"error": message}, status)


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=_line(value), status=status, content_type="application/json", charset="utf-8")


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
