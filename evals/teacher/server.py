"""The simulated teacher over HTTP."""

import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from evals.teacher.config import TeacherConfig
from evals.teacher.service import Handler, Service

SERVER = "simulated teacher (no language model)"
"""The header `Server` of every response."""
IMPROVABLE_SERVER = "simulated teacher of one improvable sentence (no language model)"
"""The same where replies depend on the prompt and nobody wrote them by hand."""

_LARGEST_BODY = 64 << 20


def runner_of(app: web.Application) -> web.AppRunner:
    """Runs an application so that a client which leaves frees its slot at once."""
    return web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)


def serve_teacher(config: TeacherConfig, bound: socket.socket) -> None:
    """Serve on a listening socket until SIGTERM or SIGINT."""
    web.run_app(make_app(config), sock=bound, handler_cancellation=True, access_log=None, shutdown_timeout=0.1, print=None)


def make_app(config: TeacherConfig, service: Service | None = None) -> web.Application:
    """The application; `service` answers its requests, one of its own where none is given."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.on_response_prepare.append(_signer(SERVER if config.improvable is None else IMPROVABLE_SERVER))
    routes = (service or Service(config)).routes
    app.add_routes([web.route(method, path, _over_http(told)) for (method, path), told in routes.items()])
    return app


def _over_http(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        told = await handler(await request.json() if request.method == "POST" else {})
        return web.Response(body=told.body, status=told.status, headers={"Content-Type": told.content_type})

    return handle


def _signer(name: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Every response says who made it."""

    async def sign(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = name

    return sign
