"""The slots that requests are worked on in, and the exact time that they were busy."""

import asyncio
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable

_MOST_POINTS = 1 << 17
"""Points that the curve of busy time keeps: 2 MB."""


class Occupancy:
    """Busy slots, integrated over time.

    The curve of slot-seconds is straight between two changes, so that keeping its bends keeps everything. When there
    are more than `most_points`, every second one is forgotten: the total stays exact, old windows blur a little.

    Args:
        clock: seconds since the epoch, never going back.
        most_points: how many bends are kept.
    """

    def __init__(self, clock: Callable[[], float], most_points: int = _MOST_POINTS) -> None:
        self._clock = clock
        self._most_points = most_points
        self.busy = 0
        self.reset()

    def reset(self) -> None:
        """Forget all busy time; slots that are busy now stay busy."""
        self.most_busy = self.busy
        self._total = 0.0
        self._since = self._clock()
        self._times = array("d", [self._since])
        self._totals = array("d", [0.0])

    def change(self, by: int) -> None:
        """So many slots more (or fewer, when negative) are busy from now on."""
        now = self._clock()
        self._total += self.busy * (now - self._since)
        self._since = now
        self.busy += by
        self.most_busy = max(self.most_busy, self.busy)
        self._times.append(now)
        self._totals.append(self._total)
        if len(self._times) > self._most_points:
            del self._times[1:-1:2]
            del self._totals[1:-1:2]

    def seconds(self, start: float | None = None, end: float | None = None) -> float:
        """Slot-seconds between two moments (seconds since the epoch); since the reset and until now where not given."""
        now = self._clock()
        since = 0.0 if start is None else self._until(min(start, now))
        return max(0.0, self._until(now if end is None else min(end, now)) - since)

    def _until(self, moment: float) -> float:
        if moment >= self._since:
            return self._total + self.busy * (moment - self._since)
        after = bisect_right(self._times, moment)
        if after == 0:
            return 0.0
        (left, right), (low, high) = self._times[after - 1 : after + 1], self._totals[after - 1 : after + 1]
        return low + (high - low) * (moment - left) / (right - left)


class QueueFull(Exception):
    """More requests wait than may."""


class Slots:
    """A fixed number of slots with a queue, first come first served.

    Args:
        count: how many there are.
        max_queue: how many may wait.
        occupancy: is told when a slot becomes busy or free.
    """

    def __init__(self, count: int, max_queue: int, occupancy: Occupancy) -> None:
        self._free = count
        self._max_queue = max_queue
        self._occupancy = occupancy
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Wait for a slot.

        Raises:
            QueueFull: too many wait already.
        """
        if self._free:
            self._free -= 1
            self._occupancy.change(+1)
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
        self._free += 1
        self._occupancy.change(-1)
