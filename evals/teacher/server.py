"""The HTTP side of the simulated teacher: the endpoints of Ollama that the program uses, and its own count of them."""

import asyncio
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from evals.teacher import replies, wire
from evals.teacher.config import TeacherConfig
from evals.teacher.playing import ScriptError
from evals.teacher.slots import QueueFull, Slots

VERSION = "0.0.0-simulated"
SERVER = "simulated teacher (no language model)"
"""The header `Server` of every response."""
IMPROVABLE_SERVER = "simulated teacher of one improvable sentence (no language model)"
"""The same where replies depend on the prompt and nobody wrote them by hand."""
_BUSY = "server busy, please try again.  maximum pending requests exceeded"
_LARGEST_BODY = 64 << 20
_AT_ONCE = {"429": "too many requests", "503": _BUSY}
_COUNTED_AS = "counted as"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def start(config: TeacherConfig, port: int = 0) -> tuple[web.AppRunner, int]:
    """Serve on 127.0.0.1 until the runner's cleanup().

    Args:
        config: how the teacher behaves.
        port: 0 for any free one.

    Returns:
        The runner and the port.

    Raises:
        OSError: the port is taken.
    """
    runner = runner_of(make_app(config))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]


def runner_of(app: web.Application) -> web.AppRunner:
    """Runs an application so that a client which leaves frees its slot at once."""
    return web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)


def make_app(config: TeacherConfig) -> web.Application:
    """The application."""
    service = _Service(config)
    app = web.Application(middlewares=[service.counted], client_max_size=_LARGEST_BODY)
    app.on_response_prepare.append(_signer(SERVER if config.improvable is None else IMPROVABLE_SERVER))
    app.add_routes(
        [
            web.get("/api/version", service.version),
            web.get("/api/tags", service.tags),
            web.post("/api/show", service.show),
            web.post("/api/pull", service.pull),
            web.post("/api/chat", service.chat),
            web.get("/teacher/stats", service.stats),
        ]
    )
    return app


class _Service:
    """The handlers and what they share."""

    def __init__(self, config: TeacherConfig) -> None:
        self._config = config
        self._slots = Slots(config.slots, config.max_queue)
        self._shelf = wire.Shelf(config.models, config.context_length)
        self._faults = replies.Faults(config.seed, config.faults)
        self._teacher = replies.Teacher(config)
        self._to_fail = config.fail_first
        self._statuses: Counter[str] = Counter()
        self._chats = self._in_flight = self._most_in_flight = 0
        self._first_request_at: float | None = None

    @web.middleware
    async def counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn what is refused into Ollama's errors, and count how requests under /api end."""
        if not request.path.startswith("/api/"):
            return await handler(request)
        status = "500"  # a mistake of ours, or a schema that is none: aiohttp logs it
        try:
            response = await handler(request)
            status = response.get(_COUNTED_AS, str(response.status))
        except wire.Refused as refused:
            status = str(refused.status)
            return _json({"error": refused.message}, refused.status)
        except web.HTTPException as error:
            status = str(error.status)
            raise
        except (asyncio.CancelledError, ConnectionError):
            status = "disconnected"
            raise
        finally:
            self._statuses[status] += 1
        return response

    async def version(self, _: web.Request) -> web.Response:
        return _json({"version": VERSION})

    async def tags(self, _: web.Request) -> web.Response:
        return _json(self._shelf.tags())

    async def show(self, request: web.Request) -> web.Response:
        data = wire.parse_body(await request.read())
        return _json(self._shelf.show(self._pulled(data)))

    async def pull(self, request: web.Request) -> web.Response:
        lines = self._shelf.pull(_model(wire.parse_body(await request.read())))
        return web.Response(body=b"".join(wire.line(each) + b"\n" for each in lines), content_type="application/x-ndjson")

    async def stats(self, _: web.Request) -> web.Response:
        """What was counted since the start; the moment of the first request is in seconds since the epoch."""
        return _json(
            {
                "chat": self._chats,
                "by_status": dict(sorted(self._statuses.items())),
                "in_flight": self._in_flight,
                "max_in_flight": self._most_in_flight,
                "max_busy": self._slots.most_busy,
                "busy_seconds": self._slots.busy_seconds(),
                "first_request_at": self._first_request_at,
            }
        )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        arrived = time.time()
        self._first_request_at = self._first_request_at or arrived
        self._chats += 1
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        try:
            data = wire.parse_body(await request.read())
            self._pulled(data)
            config = self._config
            asked = wire.parse(data, default_num_ctx=config.default_num_ctx, most_num_ctx=config.context_length)
            return await self._answer(request, asked, time.monotonic())
        finally:
            self._in_flight -= 1

    def _pulled(self, data: dict[str, Any]) -> str:
        name = _model(data)
        if name not in self._shelf:
            raise wire.Refused(404, f"model '{name}' not found")
        return name

    async def _answer(self, request: web.Request, asked: wire.ChatRequest, arrived: float) -> web.StreamResponse:
        fault = self._fault(asked)
        if fault in _AT_ONCE:
            raise wire.Refused(int(fault), _AT_ONCE[fault])
        try:
            reply = self._teacher.reply(asked, fault if fault in replies.CONTENT_FAULTS else None)
        except ScriptError as error:
            raise wire.Refused(500, str(error)) from error
        try:
            await self._slots.acquire()
        except QueueFull:
            raise wire.Refused(503, _BUSY) from None
        try:
            return await self._work(request, asked, reply, fault, arrived)
        finally:
            self._slots.release()

    def _fault(self, asked: wire.ChatRequest) -> str | None:
        if self._to_fail:
            self._to_fail -= 1
            return "503"
        return self._faults.choose(asked.digest)

    async def _work(
        self, request: web.Request, asked: wire.ChatRequest, reply: replies.Reply, fault: str | None, arrived: float
    ) -> web.StreamResponse:
        """All that happens while a slot is busy."""
        started = time.monotonic()
        if (seconds := self._config.latency + self._config.latency_per_token * reply.tokens) > 0:
            await asyncio.sleep(seconds)
        if fault == "reset":
            return _aborted(request)
        if fault == "hang":
            await asyncio.Event().wait()  # ends when the client leaves
        if fault == "500":
            raise wire.Refused(500, "a simulated fault")
        now = time.monotonic()
        times = (now - arrived, now - started)
        whole = wire.line(wire.chat_reply(asked, reply.text, reply.done_reason, reply.tokens, times))
        kept = {"empty": 0, "broken": len(whole) // 2}.get(fault or "", len(whole))
        return web.Response(body=whole[:kept], content_type="application/json", charset="utf-8")


def _model(data: dict[str, Any]) -> str:
    name = data.get("model") or data.get("name")
    if not isinstance(name, str):
        raise wire.Refused(400, "model is required")
    return name


def _aborted(request: web.Request) -> web.Response:
    """Abort the connection so that the client sees a reset; what is returned goes nowhere."""
    if request.transport is not None:
        raw = request.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    response = web.Response()
    response[_COUNTED_AS] = "reset"
    return response


def _signer(name: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Every response says who made it."""

    async def sign(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = name

    return sign


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=wire.line(value), status=status, content_type="application/json", charset="utf-8")
