"""The simulated teacher behind an HTTP client without a socket, in real or virtual time; it may go and come back."""

import asyncio
import json

import httpx

from evals.teacher.service import Response, Service


class TeacherTransport(httpx.AsyncBaseTransport):
    """Carries requests to a service of this process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gone = False
        self._flying: set[asyncio.Task[Response]] = set()

    def go(self) -> None:
        """End, as a killed process does: what is asked breaks off, and nobody answers."""
        self._gone = True
        for answering in self._flying:
            answering.cancel()

    def come(self) -> None:
        """Response again."""
        self._gone = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One response; ConnectError while it is gone, ReadError for what it leaves."""
        if self._gone:
            raise httpx.ConnectError("All connection attempts failed", request=request)
        handler = self._service.routes[request.method, request.url.path]
        asked = json.loads(await request.aread() or "{}")
        mine = asyncio.current_task()
        assert mine is not None
        answering = asyncio.get_running_loop().create_task(handler(asked))
        self._flying.add(answering)
        try:
            answer = await answering
        except asyncio.CancelledError:
            if not self._gone or mine.cancelling():  # who asks has left
                raise
            raise httpx.ReadError("", request=request) from None
        finally:
            self._flying.discard(answering)
        return httpx.Response(answer.status, headers={"Content-Type": answer.content_type}, content=answer.body)
