"""Who may open the next draw: the places for open draws, shared by all tasks of a run.

Open draws are what a run keeps in memory, and what keeps the slots busy. So there are as many places as keep the slots full
and no more, however many tasks there are. A task below its equal share of the places takes one at once; what is left over goes
to the task that has the fewest draws open, then to the one that has opened the fewest. A task that is alone has all places.
"""

import asyncio
from collections.abc import Callable

_DRAWS_PER_SLOT = 2
"""An open draw has at least one request in flight or waiting, but for the moments in which its questions are embedded."""


def most_open(window: int, slots: int) -> int:
    """How many draws all tasks together may have open: what one task alone may have, and enough to keep every slot busy."""
    return max(window, _DRAWS_PER_SLOT * slots)


class Admission:
    """The places for open draws.

    Args:
        most: how many there are, 1 or more.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = 0
        self._members = 0
        self._waiting: dict[Place, int] = {}  # an ordered set: of two equal ones the first to come is the first to go
        self._due = False

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken

    def join(self) -> "Place":
        """A task's own door; a task that has joined has a share until it leaves."""
        self._members += 1
        return Place(self)

    def ask(self, place: "Place") -> bool:
        """Whether the task may open a draw now; if not, it will be told."""
        if self._taken < self.most and place.held < self.most // self._members:
            self._give(place)
            return True
        self._waiting[place] = 0
        self._soon()
        return False

    def free(self, count: int) -> None:
        """So many places are free again."""
        self._taken -= count
        self._soon()

    def left(self, place: "Place") -> None:
        """A task has gone for good."""
        self._members -= 1
        self._waiting.pop(place, None)
        self.free(place.held)

    def _give(self, place: "Place") -> None:
        self._taken += 1
        place.held += 1
        place.opened += 1
        self._waiting.pop(place, None)

    def _soon(self) -> None:
        """Share out what is left over, but only when everybody who is about to ask has asked."""
        if self._waiting and self._taken < self.most and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._share_out)

    def _share_out(self) -> None:
        self._due = False
        while self._waiting and self._taken < self.most:
            neediest = min(self._waiting, key=lambda place: (place.held, place.opened))
            self._give(neediest)
            neediest.promise()


class Place:
    """One task's door to the places.

    Attributes:
        held: how many it has.
        opened: how many it ever had.
    """

    def __init__(self, admission: Admission) -> None:
        self.held = 0
        self.opened = 0
        self._admission = admission
        self._promised = 0
        self._told = asyncio.Event()
        self._gone = False

    def enter(self) -> bool:
        """Take a place for one draw; False when there is none for now: `watch` goes on when there is."""
        if self._promised:
            self._promised -= 1
            return True
        return self._admission.ask(self)

    def settled(self) -> None:
        """A draw has settled, and its place is free."""
        self.held -= 1
        self._admission.free(1)

    def promise(self) -> None:
        """A place that was asked for is there."""
        self._promised += 1
        self._told.set()

    async def watch(self, use: Callable[[], None]) -> None:
        """Call `use` whenever a place has come that was asked for; what it does not take goes to others. Never ends."""
        while True:
            await self._told.wait()
            self._told.clear()
            use()
            self.held -= self._promised
            self.opened -= self._promised
            promised, self._promised = self._promised, 0
            if promised:
                self._admission.free(promised)

    def leave(self) -> None:
        """Give everything back; a second call does nothing."""
        if not self._gone:
            self._gone = True
            self._admission.left(self)
            self.held = 0
