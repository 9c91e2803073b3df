"""The slots that requests are worked on in, first come first served, and how long they were busy."""

import asyncio
import time
from collections import deque
from collections.abc import Callable


class QueueFull(Exception):
    """More requests wait than may."""


class Slots:
    """A fixed number of slots with a queue.

    Args:
        count: how many there are.
        max_queue: how many may wait.
        clock: seconds that never go back.

    Attributes:
        busy: how many are worked in.
        most_busy: how many were at most.
    """

    def __init__(self, count: int, max_queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.busy = self.most_busy = 0
        self._count = count
        self._max_queue = max_queue
        self._clock = clock
        self._seconds, self._since = 0.0, clock()
        self._waiting: deque[asyncio.Future[None]] = deque()

    def busy_seconds(self) -> float:
        """The seconds that all slots together were busy so far."""
        return self._seconds + self.busy * (self._clock() - self._since)

    async def acquire(self) -> None:
        """Wait for a slot.

        Raises:
            QueueFull: too many wait already.
        """
        if self.busy < self._count:
            self._change(+1)
            return
        if len(self._waiting) >= self._max_queue:
            raise QueueFull
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # the slot was handed over in the same moment
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Hand the slot to whoever waits longest, or let it be free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the slot stays busy
                return
        self._change(-1)

    def _change(self, by: int) -> None:
        self._seconds, self._since = self.busy_seconds(), self._clock()
        self.busy += by
        self.most_busy = max(self.most_busy, self.busy)
