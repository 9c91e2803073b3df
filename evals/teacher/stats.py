"""What the simulated server counts: requests, statuses, steps, and the time its slots were busy."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from evals.teacher.slots import Occupancy


def steady_clock() -> Callable[[], float]:
    """Seconds since the epoch that never go back, whatever is done to the machine's clock."""
    offset = time.time() - time.perf_counter()
    return lambda: offset + time.perf_counter()


class Stats:
    """Counters since the start or the last reset; they take no more memory however many requests come.

    Args:
        clock: seconds since the epoch, never going back.
        slots: how many slots there are.
    """

    def __init__(self, clock: Callable[[], float], slots: int) -> None:
        self._clock = clock
        self._slots = slots
        self._in_flight = 0
        self.occupancy = Occupancy(clock)
        self.reset()

    def reset(self) -> None:
        """Back to zero; what is under way stays under way."""
        self.occupancy.reset()
        self._requests = 0
        self._chat = 0
        self._max_in_flight = self._in_flight
        self._first_request_at: float | None = None
        self._last_done_at: float | None = None
        self._by_status: Counter[str] = Counter()
        self._steps: Counter[str] = Counter()

    def answered(self, status: str) -> None:
        """A request under /api ended with an HTTP status, or as `reset` (by us) or `disconnected` (by the client)."""
        self._requests += 1
        self._by_status[status] += 1

    def opened(self, moment: float, *, chat: bool) -> None:
        """A request for a reply came."""
        self._chat += chat
        self._in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self._in_flight)
        if self._first_request_at is None:
            self._first_request_at = moment

    def asked(self, step: str) -> None:
        """A request for a reply was understood as one of this step."""
        self._steps[step] += 1

    def closed(self) -> None:
        """A request for a reply is done with, well or not."""
        self._in_flight -= 1
        self._last_done_at = self._clock()

    def report(self, start: float | None = None, end: float | None = None) -> dict[str, Any]:
        """All counters.

        Args:
            start: of the window that busy_seconds is for, in seconds since the epoch; none for the last reset.
            end: of that window; none for now.
        """
        return {
            "requests": self._requests,
            "chat": self._chat,
            "busy_seconds": self.occupancy.seconds(start, end),
            "slots": self._slots,
            "max_busy": self.occupancy.most_busy,
            "by_status": dict(sorted(self._by_status.items())),
            "in_flight": self._in_flight,
            "max_in_flight": self._max_in_flight,
            "first_request_at": self._first_request_at,
            "last_done_at": self._last_done_at,
            "steps": dict(sorted(self._steps.items())),
        }
