"""Who may open the next draw: the places for open draws, shared by all tasks of a run.

Open draws are what a run keeps in memory, and what keeps the slots busy: there are as many places as keep the slots full and no
more. A task below its equal share takes one at once; what is left over goes, one by one, to the task that has the fewest
draws open, then to the one that has opened the fewest. A task that is alone has all places.
"""

import asyncio
from collections.abc import Callable

_DRAWS_PER_SLOT = 2
"""An open draw has at least one request in flight or waiting, but for the moments in which its questions are embedded."""


def most_open(window: int, slots: int) -> int:
    """How many draws all tasks together may have open: what one task alone may have, and enough to keep every slot busy."""
    return max(window, _DRAWS_PER_SLOT * slots)


class DrawPlaces:
    """The places for open draws: `most` of them, 1 or more."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self.tasks: list[Place] = []
        self.waiting: dict[Place, None] = {}  # an ordered set: of two equal ones the first to come is the first to go

    def join(self) -> "Place":
        """A task's own door; a task that has joined has a share until it leaves."""
        self.tasks.append(Place(self))
        return self.tasks[-1]

    def share_out(self) -> None:
        """Call the neediest of those who wait, when everybody who is about to ask has asked."""
        if self.waiting and self.taken < self.most:
            asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        if self.waiting and self.taken < self.most:
            neediest = min(self.waiting, key=lambda place: (place.held, place.opened))
            del self.waiting[neediest]
            neediest.called.set()


class Place:
    """One task's door to the places: how many it holds, how many it ever opened, and whether it is its turn."""

    def __init__(self, places: DrawPlaces) -> None:
        self.held = 0
        self.opened = 0
        self.called = asyncio.Event()
        self._places = places

    def enter(self) -> bool:
        """Take a place for one draw; False when there is none for now: `watch` goes on when there is."""
        places = self._places
        below_share = self.held < places.most // max(1, len(places.tasks))
        if places.taken < places.most and (self.called.is_set() or below_share):
            self.called.clear()
            places.taken, self.held, self.opened = places.taken + 1, self.held + 1, self.opened + 1
            places.waiting.pop(self, None)
            return True
        places.waiting[self] = None
        places.share_out()
        return False

    def free(self) -> None:
        """A draw has settled, and its place is free."""
        self.held -= 1
        self._places.taken -= 1
        self._places.share_out()

    async def watch(self, use: Callable[[], None]) -> None:
        """Call `use` whenever it is this task's turn; what it does not take goes to others. Never ends."""
        while True:
            await self.called.wait()
            use()
            self.called.clear()
            self._places.share_out()

    def leave(self) -> None:
        """Give everything back; a second call does nothing."""
        if self in self._places.tasks:
            self._places.tasks.remove(self)
            self._places.waiting.pop(self, None)
            self._places.taken -= self.held
            self.held = 0
            self._places.share_out()
