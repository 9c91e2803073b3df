"""The queue for the server's slots: as many holders at once as there are slots, the smallest rank first.

A waiter whose rank is LATER gets none, even if one is free.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from skills_dspy.model.hosts.call import LATER, Rank


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
        """Hold a slot; `rank` is asked anew whenever one becomes free, and by `look_again`."""
        if self._free and rank() != LATER:
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

    def look_again(self) -> None:
        """Give what is free to those who wait: a rank is no longer LATER."""
        while self._free and self._serve():
            self._free -= 1

    def _pass_on(self) -> None:
        self._free += not self._serve()

    def _serve(self) -> bool:
        """Give a slot to the next in the queue; False where nobody takes it."""
        while self._waiting:
            rank, best = min(((rank(), future) for future, rank in self._waiting.items()), key=lambda one: one[0])
            if rank == LATER:
                return False
            del self._waiting[best]
            if not best.done():  # a waiter that is being cancelled takes no slot
                best.set_result(None)
                return True
        return False


class Share:
    """One task's part in the slots: of what is equally far, the task goes first that holds the fewest."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.held = 0

    @asynccontextmanager
    async def take(self, rank: Callable[[], Rank]) -> AsyncIterator[None]:
        """Hold a slot; see `Slots.take`. The first number of the rank stays the first."""

        def among_all() -> Rank:
            first, *rest = mine = rank()
            return mine if mine == LATER else (first, self.held, *rest)

        async with self._slots.take(among_all):
            self.held += 1
            try:
                yield
            finally:
                self.held -= 1
