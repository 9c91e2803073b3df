"""A request that waits while the server answers others: told apart from a slow one, by when each was sent and answered.

A server may answer the models or windows that it has loaded and leave the request for another one waiting for ever.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Any

from skills_dspy.model.hosts.call import CURRENT_CALL
from skills_dspy.model.server.server import Model, Server

LONG = 60.0
"""Seconds that no request may be said to wait before they have passed."""
_TIMES, _ROUNDS = 5, 2


@dataclass(slots=True)
class Waiting:
    """A request in flight: the step that asks, when it was last sent, how many sent later were answered, and if it was told."""

    step: str
    sent: float
    overtaken: int = 0
    told: bool = False


_MINE: ContextVar[Waiting | None] = ContextVar("_MINE", default=None)
"""The request that is asked in this context."""


def left_waiting(seconds: float, overtaken: int, last: Sequence[float], concurrency: int) -> bool:
    """Whether a request that was sent so many seconds ago is not just slow.

    It is not when it has waited over a minute and over five times as long as the slowest of the `last` answers took, while
    the server has answered at least twice as many sent after it as there may be in flight at once.
    """
    return seconds > LONG and seconds > _TIMES * max(last, default=seconds) and overtaken >= _ROUNDS * concurrency


class WatchedServer:
    """A server, with an eye on what is in flight; `tell` hears once of each request that is left waiting, and its seconds.

    `concurrency` is how many requests may be in flight at once, 1 or more. It decides no reply.
    """

    def __init__(
        self,
        server: Server,
        concurrency: int,
        tell: Callable[[Waiting, float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind, self.host = server.kind, server.host
        self._server, self._concurrency, self._tell, self._clock = server, concurrency, tell, clock
        self._numbers = count()
        self._in_flight: dict[int, Waiting] = {}
        self._last = deque[float](maxlen=_ROUNDS * concurrency)

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply; see `Server.chat`."""
        call, number = CURRENT_CALL.get(None), next(self._numbers)
        mine = self._in_flight[number] = Waiting("predict" if call is None else call.step, self._clock())
        token = _MINE.set(mine)
        try:
            body = await self._server.chat(payload)
        finally:
            _MINE.reset(token)
            del self._in_flight[number]
        self._answered(number, mine)
        return body

    def again(self, pause: float) -> None:
        """Hear from the server's `on_fault` that the request of this context failed and is sent again after some seconds.

        From then on it waits anew: while it failed and paused the server did not have it.
        """
        mine = _MINE.get()
        if mine is not None:  # what is asked before a run is no request of a step
            mine.sent, mine.overtaken = self._clock() + pause, 0

    def _answered(self, number: int, mine: Waiting) -> None:
        now = self._clock()
        self._last.append(now - mine.sent)
        for other, waiting in self._in_flight.items():
            if (waiting.sent, other) > (mine.sent, number):
                continue  # it was sent later
            waiting.overtaken += 1
            seconds = now - waiting.sent
            if not waiting.told and left_waiting(seconds, waiting.overtaken, self._last, self._concurrency):
                waiting.told = True
                self._tell(waiting, seconds)

    async def version(self) -> str:
        """See `Server.version`."""
        return await self._server.version()

    async def models(self) -> tuple[Model, ...]:
        """See `Server.models`."""
        return await self._server.models()

    async def model(self, name: str) -> Model:
        """See `Server.model`."""
        return await self._server.model(name)

    async def loaded(self) -> tuple[str, ...] | None:
        """See `Server.loaded`."""
        return await self._server.loaded()

    async def close(self) -> None:
        """See `Server.close`."""
        await self._server.close()
