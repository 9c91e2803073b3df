"""The queue for the server's slots: as many holders at once as there are slots, the smallest rank first."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from skills_dspy.model.ask import Rank


class Slots:
    """A semaphore for `count` holders, 1 or more, whose waiters have ranks that may change while they wait."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._waiting: dict[asyncio.Future[None], Callable[[], Rank]] = {}

    @property
    def held(self) -> int:
        """How many slots are taken."""
        return self.count - self._free

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    @asynccontextmanager
    async def take(self, rank: Callable[[], Rank]) -> AsyncIterator[None]:
        """Hold a slot; `rank` is asked anew whenever one becomes free."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(rank)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, rank: Callable[[], Rank]) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = rank
        try:
            await future
        except asyncio.CancelledError:
            self._waiting.pop(future, None)
            if not future.cancelled():  # it was given a slot in the moment in which it was cancelled
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            best = min(self._waiting, key=lambda f: self._waiting[f]())
            del self._waiting[best]
            if not best.done():  # a waiter that is being cancelled takes no slot
                best.set_result(None)
                return
        self._free += 1


class Share:
    """One task's part in the slots: of what is equally far, the task goes first that holds the fewest."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.held = 0

    @asynccontextmanager
    async def take(self, rank: Callable[[], Rank]) -> AsyncIterator[None]:
        """Hold a slot; see `Slots.take`. The first number of the rank stays the first."""

        def among_all() -> Rank:
            first, *rest = rank()
            return (first, self.held, *rest)

        async with self._slots.take(among_all):
            self.held += 1
            try:
                yield
            finally:
                self.held -= 1
