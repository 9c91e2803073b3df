"""The queue for slots: never too many holders, the smallest rank first, and no slot is ever lost."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skills_dspy.model.hosts.call import LATER
from skills_dspy.model.hosts.slots import Share, Slots
from tests.helpers.loops import on_a_loop
from tests.helpers.making import idle


@dataclass
class Guests:
    """Tasks that want a slot, and who has one."""

    slots: Slots
    inside: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    most: int = 0
    leave: dict[str, asyncio.Event] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def come(self, name: str, rank: Callable[[], tuple[int, ...]]) -> None:
        """Start a task that takes a slot and keeps it until it is told to leave."""
        self.leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, rank), name=name)

    async def _stay(self, name: str, rank: Callable[[], tuple[int, ...]]) -> None:
        async with self.slots.take(rank):
            self.inside.append(name)
            self.order.append(name)
            self.most = max(self.most, len(self.inside))
            try:
                await self.leave[name].wait()
            finally:
                self.inside.remove(name)

    async def end(self) -> None:
        """All leave; then every slot is free again."""
        for event in self.leave.values():
            event.set()
        await asyncio.wait_for(asyncio.gather(*self.tasks.values(), return_exceptions=True), 5)
        assert (self.slots.held, self.slots.waiting) == (0, 0)


def fixed(*place: int) -> Callable[[], tuple[int, ...]]:
    """A rank that stays."""
    return lambda: place


@on_a_loop
async def test_the_smallest_rank_goes_first() -> None:
    """Whoever came earlier waits if its rank is larger; among equals the earlier goes first."""
    guests = Guests(Slots(1))
    guests.come("holder", fixed(9))
    await idle()
    for name, rank in (("c", fixed(2, 0)), ("b", fixed(1, 7)), ("d", fixed(2, 0)), ("a", fixed(1))):
        guests.come(name, rank)
    await idle()
    await guests.end()
    assert guests.order == ["holder", "a", "b", "c", "d"]


@on_a_loop
async def test_ranks_are_asked_anew() -> None:
    """A rank that changes while its owner waits counts as it is when a slot becomes free."""
    guests = Guests(Slots(1))
    ranks = {"a": (1,), "b": (2,), "c": (3,)}
    guests.come("holder", fixed(0))
    await idle()
    guests.come("a", lambda: ranks["a"])
    guests.come("b", lambda: ranks["b"])
    guests.come("c", lambda: ranks["c"])
    await idle()
    ranks["c"] = (0,)
    guests.leave["holder"].set()
    await idle()
    assert guests.inside == ["c"]
    ranks["a"] = (5,)
    guests.leave["c"].set()
    await idle()
    assert guests.inside == ["b"]
    await guests.end()


@on_a_loop
async def test_who_may_wait_takes_no_slot_until_that_has_changed() -> None:
    """Neither a free one nor one that is handed on, in whatever company; then it goes by its rank."""
    slots = Slots(2)
    guests, ranks = Guests(slots), {"a": LATER, "b": LATER}
    share = Share(slots)
    guests.come("a", lambda: ranks["a"])
    guests.come("b", lambda: ranks["b"])
    guests.come("c", fixed(7))
    await idle()
    guests.leave["c"].set()
    await idle()
    slots.look_again()
    await idle()
    assert (guests.inside, slots.held, slots.waiting) == ([], 0, 2)
    ranks["b"] = (3,)
    slots.look_again()
    await idle()
    assert guests.inside == ["b"]
    waiting = asyncio.ensure_future(_hold(share, lambda: LATER))
    await idle()
    assert (slots.held, share.held) == (1, 0)
    waiting.cancel()
    ranks["a"] = (3,)
    slots.look_again()
    await guests.end()
    assert guests.order == ["c", "b", "a"]


async def _hold(share: Share, rank: Callable[[], tuple[int, ...]]) -> None:
    async with share.take(rank):
        pass


@on_a_loop
async def test_an_error_inside_gives_the_slot_back() -> None:
    """Whatever ends the holder, the next one goes on."""
    slots = Slots(1)

    async def fail() -> None:
        async with slots.take(fixed(0)):
            assert slots.held == 1
            raise RuntimeError("lost")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="lost"):
            await fail()
        assert slots.held == 0


@pytest.mark.parametrize("others", [0, 1])
@on_a_loop
async def test_cancelled_in_the_moment_of_being_served(others: int) -> None:
    """The slot was handed over, then the waiter was cancelled before it ran: the slot goes to the next, or is free."""
    slots = Slots(1)
    guests = Guests(slots)
    async with slots.take(fixed(0)):
        guests.come("a", fixed(1))
        for number in range(others):
            guests.come(f"other {number}", fixed(2))
        await idle()
    guests.tasks["a"].cancel()  # it has the slot and does not know yet
    await idle()
    assert guests.tasks["a"].cancelled()
    assert guests.inside == ["other 0"][:others]
    assert slots.held == others
    await guests.end()


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["come", "leave", "cancel", "idle"]), st.integers(0, 7)),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3), ACTIONS)
def test_no_order_of_events_loses_a_slot(count: int, actions: list[tuple[str, int]]) -> None:
    """Coming, leaving and being cancelled in any order and at any moment: never too many, and in the end all are free."""

    async def scene() -> None:
        guests = Guests(Slots(count))
        for number, (action, which) in enumerate(actions):
            names = list(guests.tasks)
            name = names[which % len(names)] if names else None
            if action == "come":
                guests.come(str(number), fixed(which))
            elif action == "idle":
                await idle(which % 3 + 1)
            elif name is not None:
                guests.tasks[name].cancel() if action == "cancel" else guests.leave[name].set()
            assert len(guests.inside) <= guests.slots.held <= count
        await idle()
        waiting = [n for n, t in guests.tasks.items() if not t.done() and n not in guests.inside]
        assert not waiting or guests.slots.held == count
        await guests.end()
        assert guests.most <= count

    asyncio.run(scene())
