"""The HTTP side of the simulated teacher: Ollama's endpoints, and two of its own under /teacher."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from evals.teacher import replies, wire
from evals.teacher.config import TeacherConfig
from evals.teacher.faults import Faults
from evals.teacher.playing import ScriptError
from evals.teacher.shelf import Shelf
from evals.teacher.slots import QueueFull, Slots
from evals.teacher.stats import Stats, steady_clock

VERSION = "0.0.0-simulated"
_SERVER = "simulated teacher (no language model)"
_HEEDING_SERVER = "simulated teacher that heeds prompts (no language model)"
_BUSY = "server busy, please try again.  maximum pending requests exceeded"
_LARGEST_BODY = 64 << 20
_AT_ONCE = {"429": "too many requests", "503": _BUSY}
_COUNTED_AS = "counted as"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(config: TeacherConfig) -> web.Application:
    """The application. Its runner needs handler_cancellation=True, or a client that leaves frees its slot too late."""
    service = _Service(config)
    app = web.Application(middlewares=[service.counted], client_max_size=_LARGEST_BODY)
    app.on_response_prepare.append(_signer(_SERVER if config.heeding is None else _HEEDING_SERVER))
    app.add_routes(
        [
            web.get("/", service.root),
            web.get("/api/version", service.version),
            web.get("/api/tags", service.tags),
            web.get("/api/ps", service.running),
            web.post("/api/show", service.show),
            web.post("/api/pull", service.pull),
            web.post("/api/chat", service.chat),
            web.post("/api/generate", service.generate),
            web.get("/teacher/stats", service.stats),
            web.post("/teacher/reset", service.reset),
        ]
    )
    return app


class _Service:
    """The handlers and what they share."""

    def __init__(self, config: TeacherConfig) -> None:
        self._config = config
        self._clock = steady_clock()
        self._stats = Stats(self._clock, config.slots)
        self._slots = Slots(config.slots, config.max_queue, self._stats.occupancy)
        self._shelf = Shelf(config.models, config.context_length)
        self._faults = Faults(config.seed, config.faults)
        self._teacher = replies.Teacher(config)
        self._to_fail = config.fail_first

    @web.middleware
    async def counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn what is refused into Ollama's errors, and count how requests under /api end."""
        if not request.path.startswith("/api/"):
            return await handler(request)
        try:
            response = await handler(request)
        except wire.Refused as refused:
            response = _json({"error": refused.message}, refused.status)
        except web.HTTPException as error:
            self._stats.answered(str(error.status))
            raise
        except (asyncio.CancelledError, ConnectionError):
            self._stats.answered("disconnected")
            raise
        except Exception:
            self._stats.answered("500")  # a mistake of ours, or a schema that is none: aiohttp logs it
            raise
        self._stats.answered(response.get(_COUNTED_AS, str(response.status)))
        return response

    async def root(self, _: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def version(self, _: web.Request) -> web.Response:
        return _json({"version": VERSION})

    async def tags(self, _: web.Request) -> web.Response:
        return _json(self._shelf.tags())

    async def running(self, _: web.Request) -> web.Response:
        return _json(self._shelf.running(self._clock()))

    async def show(self, request: web.Request) -> web.Response:
        data = wire.parse_body(await request.read())
        return _json(self._shelf.show(self._pulled(data.get("model") or data.get("name"))))

    async def pull(self, request: web.Request) -> web.Response:
        data = wire.parse_body(await request.read())
        name = data.get("model") or data.get("name")
        if not isinstance(name, str):
            raise wire.Refused(400, "model is required")
        told = list(self._shelf.pull(name))
        return _json(told[-1]) if data.get("stream") is False else _lines(told)

    async def stats(self, request: web.Request) -> web.Response:
        try:
            window = [float(request.query[name]) if name in request.query else None for name in ("from", "to")]
        except ValueError:
            return _json({"error": "from and to are seconds since the epoch"}, 400)
        return _json(self._stats.report(*window))

    async def reset(self, _: web.Request) -> web.Response:
        self._stats.reset()
        return _json({})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        return await self._ask(request, chat=True)

    async def generate(self, request: web.Request) -> web.StreamResponse:
        return await self._ask(request, chat=False)

    async def _ask(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        arrived = self._clock()
        self._stats.opened(arrived, chat=chat)
        try:
            asked = self._understood(await request.read(), chat=chat)
            self._shelf.touch(asked.model, arrived, asked.num_ctx)
            return await self._answer(request, asked, arrived) if asked.messages else self._loaded(asked)
        finally:
            self._stats.closed()

    def _understood(self, body: bytes, *, chat: bool) -> wire.Asked:
        data = wire.parse_body(body)
        self._pulled(data.get("model"))
        config = self._config
        return wire.parse(data, chat=chat, default_num_ctx=config.default_num_ctx, most_num_ctx=config.context_length)

    def _pulled(self, name: Any) -> str:
        if not isinstance(name, str) or not name:
            raise wire.Refused(400, "model is required")
        found = self._shelf.find(name)
        if found is None:
            raise wire.Refused(404, f"model '{name}' not found")
        return found

    def _loaded(self, asked: wire.Asked) -> web.Response:
        if asked.keep_alive_zero:
            self._shelf.unload(asked.model)
        return _json(wire.ending(asked, "", "unload" if asked.keep_alive_zero else "load", 0, (0.0, 0.0)))

    async def _answer(self, request: web.Request, asked: wire.Asked, arrived: float) -> web.StreamResponse:
        prompt = replies.read(asked)
        self._stats.asked(prompt.step)
        fault = self._fault(asked)
        if fault in _AT_ONCE:
            raise wire.Refused(int(fault), _AT_ONCE[fault])
        try:
            reply = self._teacher.reply(asked, prompt, fault if fault in replies.CONTENT_FAULTS else None)
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

    def _fault(self, asked: wire.Asked) -> str | None:
        if asked.chat and self._to_fail:
            self._to_fail -= 1
            return "503"
        return self._faults.choose(asked.digest)

    async def _work(
        self, request: web.Request, asked: wire.Asked, reply: replies.Reply, fault: str | None, arrived: float
    ) -> web.StreamResponse:
        """All that happens while a slot is busy."""
        started = self._clock()
        config = self._config
        writing = config.latency_per_token * reply.tokens
        streamed = asked.stream and fault not in ("reset", "hang", "500", "empty", "broken")
        await _pass(config.latency if streamed else config.latency + writing)
        if streamed:
            return await self._stream(request, asked, reply, arrived, writing)
        if fault == "reset":
            return _aborted(request)
        if fault == "hang":
            await asyncio.Event().wait()  # ends when the client leaves
        if fault == "500":
            raise wire.Refused(500, "a simulated fault")
        now = self._clock()
        seconds = (now - arrived, now - started)
        whole = wire.line(wire.ending(asked, reply.text, reply.done_reason, reply.tokens, seconds, reply.logprobs))
        kept = {"empty": 0, "broken": len(whole) // 2}.get(fault or "", len(whole))
        return web.Response(body=whole[:kept], content_type="application/json", charset="utf-8")

    async def _stream(
        self, request: web.Request, asked: wire.Asked, reply: replies.Reply, arrived: float, writing: float
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        started = self._clock()
        parts = wire.pieces(reply.text)
        lines = [wire.line(wire.part(asked, text)) + b"\n" for text in parts]
        if writing:
            for line in lines:
                await _pass(writing / len(lines))
                await response.write(line)
            lines = []
        now = self._clock()
        seconds = (now - arrived, now - started)
        last = wire.ending(asked, "", reply.done_reason, reply.tokens, seconds, reply.logprobs)
        await response.write(b"".join(lines) + wire.line(last) + b"\n")
        await response.write_eof()
        return response


async def _pass(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


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


def _lines(values: list[dict[str, Any]]) -> web.Response:
    return web.Response(body=b"".join(wire.line(v) + b"\n" for v in values), content_type="application/x-ndjson")
