"""An event loop on virtual time: sleeping costs nothing, and a deadlock is an error at once instead of a hang."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(AssertionError):
    """Every task waits and no timer is left that could wake one."""


class _Selector(selectors.DefaultSelector):
    """Moves the clock instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; when nothing is, the time that the loop would have waited is simply past."""
        events = super().select(0)
        if not events and timeout is None:
            raise Deadlock("every task waits and no timer is left")
        if not events and timeout:
            self.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while anything is ready to run."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._virtual.now


def play(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on virtual time, which also sees to it that no task is left behind, however `main` ends.

    Nothing in it may wait for a thread or a socket.
    """

    async def alone() -> T:
        try:
            return await main
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(alone())
