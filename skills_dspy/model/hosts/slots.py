"""The queue for the hosts' slots: who may ask next, and whom.

The smallest rank goes first; one whose rank is LATER gets no slot, even if one is free. A request goes to the host with a free
slot that is expected to have done it first, and waits for one that is so much faster that it is done there sooner still.
Among those that are equal it goes to where its step was asked last, because prompts of a step begin alike and a server
remembers beginnings; for the same reason a request may be overtaken by one of the next few whose step was just asked there.
A host that cannot hold two models at once is asked all that it can be asked of the loaded one before it has to load another.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from skills_dspy.model.hosts.call import LATER, Call, Rank
from skills_dspy.model.hosts.lane import Lane

_OVERTAKEN = 4
"""So often a request may be overtaken by one whose step was just asked."""
_EQUAL = 1.1
"""Hosts whose times differ by less than this factor are as fast as each other."""
_AGAIN = 1.0
"""After so many seconds it is seen whether who was passed over for a faster host still does best to wait."""
_SOONER = 0.4
"""It is worth waiting for a faster host when the request is done there within this share of the time, or less."""


@dataclass(slots=True, eq=False)
class _Waiter:
    rank: Callable[[], Rank]
    call: Call
    lane: asyncio.Future[Lane]
    overtaken: int = 0

    @property
    def given(self) -> bool:
        """Whether it has a slot."""
        return self.lane.done() and not self.lane.cancelled() and self.lane.exception() is None


class Slots:
    """A semaphore whose waiters have ranks that may change while they wait.

    `lanes` are the hosts' slots; a number stands for those of one host, 1 or more.
    """

    def __init__(self, lanes: int | Sequence[Lane]) -> None:
        self.lanes = (Lane(lanes),) if isinstance(lanes, int) else tuple(lanes)
        self._waiting: list[_Waiter] = []
        self._passed_over = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """How many slots there are."""
        return sum(lane.count for lane in self.lanes)

    @property
    def held(self) -> int:
        """How many slots are taken."""
        return sum(lane.held for lane in self.lanes)

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    @asynccontextmanager
    async def take(self, rank: Callable[[], Rank], call: Call | None = None) -> AsyncIterator[Lane]:
        """Hold a slot of a host that serves this call; `rank` is asked anew whenever one becomes free, and by `look_again`.

        ServerError where every host that serves it is left out for good.
        """
        loop = asyncio.get_running_loop()
        call = Call("", rank) if call is None else call
        waiter = _Waiter(rank, call, loop.create_future())
        self._waiting.append(waiter)
        self.look_again()
        try:
            yield await waiter.lane
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            if waiter.given:  # perhaps in the moment of being cancelled
                waiter.lane.result().leave(call)
                self.look_again()

    def others(self, lane: Lane, call: Call, *, again: bool = False) -> list[Lane]:
        """The other hosts that are well and may be asked this; `again` those that failed at it, too."""
        well = [other for other in self.lanes if other is not lane and other.well and other.serves(call.step)]
        return [other for other in well if again or other not in call.failed_at]

    def look_again(self) -> None:
        """Give what is free to those who wait: a slot is free, a rank no longer LATER, or a host is well again."""
        if any(lane.left_out is not None for lane in self.lanes):
            self._refuse_hopeless()
        while self._waiting and any(lane.held < lane.count for lane in self.lanes):
            chosen = self._choose()
            if chosen is None:
                if self._passed_over and self._timer is None:  # what they wait for may hang
                    self._timer = asyncio.get_running_loop().call_later(_AGAIN, self._look_later)
                return
            waiter, lane = chosen
            self._waiting.remove(waiter)
            if not waiter.lane.done():  # one that is being cancelled takes no slot
                lane.enter(waiter.call, asyncio.get_running_loop().time())
                waiter.lane.set_result(lane)

    def _look_later(self) -> None:
        self._timer = None
        self.look_again()

    def _refuse_hopeless(self) -> None:
        """Tell those who wait for a host that gets nothing for good, where there is no other."""
        for waiter in self._waiting:
            out = [lane.left_out for lane in self.lanes if lane.serves(waiter.call.step)]
            if out and None not in out and not waiter.lane.done():
                assert out[0] is not None
                waiter.lane.set_exception(out[0])

    def _choose(self) -> tuple[_Waiter, Lane] | None:
        """Who is next, and where."""
        ranked = sorted((waiter.rank(), number) for number, waiter in enumerate(self._waiting))
        order = [self._waiting[number] for rank, number in ranked if rank != LATER]
        now = asyncio.get_running_loop().time()
        limited = [lane for lane in self.lanes if lane.room is not None]
        swaps = {lane: _next_model(lane, [one for one in order if lane in self._open_to(one.call)]) for lane in limited}
        ahead: Counter[Lane] = Counter()
        for place, waiter in enumerate(order):
            mine = self._open_to(waiter.call)
            free = [lane for lane in mine if _has_place(lane, mine) and _takes(lane, waiter.call, swaps)]
            if not free:
                continue
            lane = _best(free, waiter.call)
            if (faster := _worth_waiting(lane, mine, waiter.call, ahead, now)) is not None:
                ahead[faster] += 1
                continue
            return self._warmest(order[place:], lane, swaps), lane
        self._passed_over = bool(ahead)
        return None

    def _open_to(self, call: Call) -> list[Lane]:
        """The hosts that may be asked this: those that are well and have not failed at it, if there is one."""
        serving = [lane for lane in self.lanes if lane.serves(call.step) and lane.left_out is None]
        for some in (
            [lane for lane in serving if lane.well and lane not in call.failed_at],
            [lane for lane in serving if lane.well],
        ):
            if some:
                return some
        return serving

    def _warmest(self, order: Sequence[_Waiter], lane: Lane, swaps: dict[Lane, str | None]) -> _Waiter:
        """The first of the order, or one that comes soon after it and whose step was just asked there."""
        first = order[0]
        if lane.warm(first.call) or first.overtaken >= _OVERTAKEN:
            return first
        for other in order[1 : lane.count]:
            if lane.warm(other.call) and _takes(lane, other.call, swaps) and lane in self._open_to(other.call):
                first.overtaken += 1
                return other
        return first


def _has_place(lane: Lane, mine: Sequence[Lane]) -> bool:
    """Whether it may get one more; of hosts that are all away each is asked as if it were well."""
    return lane.held < (lane.limit if any(other.well for other in mine) else lane.count)


def _takes(lane: Lane, call: Call, swaps: dict[Lane, str | None]) -> bool:
    """Whether the host has the model loaded, or may load it now."""
    return lane.ready(call) or (lane.held == 0 and swaps.get(lane) == call.model)


def _next_model(lane: Lane, order: Sequence[_Waiter]) -> str | None:
    """The model to load next when the host has nothing more to do: the one that most wait for; None while there is more."""
    wanted = Counter(waiter.call.model for waiter in order if waiter.call.model)
    if any(model in lane.loaded for model in wanted):
        return None
    return wanted.most_common(1)[0][0] if wanted else None


def _best(free: Iterable[Lane], call: Call) -> Lane:
    """The host that is expected to have it done first; of equal ones where it is warm, then where there is most room."""
    known = {lane: lane.seconds(call.step) for lane in free}
    least = min((seconds for seconds in known.values() if seconds is not None), default=0.0)

    def order(lane: Lane) -> tuple[bool, float, bool, float]:
        seconds = known[lane]
        slow = 0.0 if seconds is None or seconds <= least * _EQUAL else seconds
        return (not lane.ready(call), slow, not lane.warm(call), lane.held / lane.count)

    return min(known, key=order)


def _worth_waiting(lane: Lane, mine: Sequence[Lane], call: Call, ahead: Counter[Lane], now: float) -> Lane | None:
    """A host whose slots are all taken, and where the request is done sooner all the same."""
    here = lane.seconds(call.step)
    if here is None:
        return None
    for other in mine:
        there = other.seconds(call.step)
        if other is lane or there is None or there > _SOONER * here or other.held < other.limit or not other.ready(call):
            continue
        if other.next_free(ahead[other], now) + there <= _SOONER * here:
            return other
    return None


class Share:
    """One task's part in the slots: of what is equally far, the task goes first that holds the fewest."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.held = 0

    @asynccontextmanager
    async def take(self, rank: Callable[[], Rank], call: Call | None = None) -> AsyncIterator[Lane]:
        """Hold a slot; see `Slots.take`. The first number of the rank stays the first."""

        def among_all() -> Rank:
            first, *rest = mine = rank()
            return mine if mine == LATER else (first, self.held, *rest)

        async with self._slots.take(among_all, call) as lane:
            self.held += 1
            try:
                yield lane
            finally:
                self.held -= 1
