"""The queue for several hosts: each gets what it serves, the fastest first, and swaps models as seldom as can be."""

import asyncio
from collections.abc import Callable

import pytest

from skills_dspy.model.hosts.call import Call
from skills_dspy.model.hosts.lane import Lane
from skills_dspy.model.hosts.slots import Slots
from tests.helpers.loops import in_virtual_time


def a_call(step: str = "write", place: int = 0, model: str = "") -> Call:
    """A call of a step with its place in the queue."""
    return Call(step, lambda: (place,), model=model)


class Work:
    """Requests that take their time at the lane that they get; `at` has where each went, in order."""

    def __init__(self, slots: Slots, seconds: Callable[[Lane, Call], float]) -> None:
        self.slots, self.seconds = slots, seconds
        self.at: list[tuple[str, str]] = []

    async def ask(self, call: Call) -> None:
        """One request."""
        async with self.slots.take(call.rank, call) as lane:
            self.at.append((lane.name, call.step))
            await asyncio.sleep(self.seconds(lane, call))
            lane.answered(call, {}, asyncio.get_running_loop().time())

    async def all(self, *calls: Call) -> float:
        """All at once; returns when the last is done, in seconds from now."""
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*map(self.ask, calls))
        return asyncio.get_running_loop().time() - began


@in_virtual_time
async def test_a_host_gets_only_the_steps_of_its_roles() -> None:
    """And others go on while one that serves a step has no slot free."""
    judge = Lane(1, name="judge", serves=lambda step: step == "judge")
    writer = Lane(1, name="writer", serves=lambda step: step == "write")
    work = Work(Slots([judge, writer]), lambda *_: 1.0)
    assert await work.all(a_call("judge"), a_call("judge"), a_call("write"), a_call("write")) == 2
    assert sorted(work.at) == [("judge", "judge")] * 2 + [("writer", "write")] * 2


@in_virtual_time
async def test_unequal_hosts_do_what_each_does_alone_together() -> None:
    """One is three times as fast: of 400 requests it does three quarters, and both are busy to the end."""
    fast, slow = Lane(2, name="fast"), Lane(2, name="slow")
    work = Work(Slots([slow, fast]), lambda lane, _: 1.0 if lane is fast else 3.0)
    seconds = await work.all(*(a_call(place=n) for n in range(400)))
    assert seconds <= 400 / (2 + 2 / 3) / 0.98
    assert 295 <= sum(name == "fast" for name, _ in work.at) <= 305


@in_virtual_time
async def test_the_last_requests_wait_for_the_faster_host() -> None:
    """When it will have them done before the slower one, which is free, would."""
    fast, slow = Lane(1, name="fast"), Lane(1, name="slow")
    work = Work(Slots([slow, fast]), lambda lane, _: 1.0 if lane is fast else 10.0)
    await work.all(a_call(), a_call())  # it learns how fast they are
    work.at.clear()
    assert (await work.all(*(a_call(place=n) for n in range(4))), work.at) == (4, [("fast", "write")] * 4)


@in_virtual_time
async def test_a_step_goes_where_it_was_asked_last() -> None:
    """Of equal hosts the one is taken whose free slot answered the step last, because it remembers how its prompts begin."""
    work = Work(Slots([Lane(1, name="a"), Lane(1, name="b")]), lambda *_: 1.0)
    await work.all(a_call("write"), a_call("judge"))
    await work.all(a_call("judge"), a_call("write"))
    await work.all(a_call("write"), a_call("judge"))
    assert [set(pair) for pair in zip(*[iter(work.at)] * 2, strict=True)] == [{("a", "write"), ("b", "judge")}] * 3


@in_virtual_time
async def test_a_warm_step_overtakes_a_few_but_nobody_for_ever() -> None:
    """Of the next four the ones go first whose step was just asked, and nobody is overtaken more than four times."""
    work = Work(Slots([Lane(4)]), lambda *_: 1.0)
    steps = [*["write"] * 4, "hold", "judge", *["write"] * 12]
    await work.all(*(a_call(step, place) for place, step in enumerate(steps)))
    order = [step for _, step in work.at]
    assert order[4:8] == ["write"] * 4
    assert order[8] == "hold"
    assert order.index("judge") <= 13


@pytest.mark.parametrize("room", [1, 2])
@in_virtual_time
async def test_all_that_a_loaded_model_can_be_asked_comes_before_a_swap(room: int) -> None:
    """Thirty requests of three models in turn: a host that holds one is made to load three times, not thirty."""
    lane = Lane(4, name="one", room=room)
    work = Work(Slots([lane]), lambda *_: 1.0)
    loads: list[str] = []

    async def ask(call: Call) -> None:
        async with work.slots.take(call.rank, call):
            if not loads or loads[-1] != call.model:
                loads.append(call.model)
            await asyncio.sleep(1.0)

    await asyncio.gather(*(ask(a_call(f"step {n % 3}", n, f"model {n % 3}")) for n in range(30)))
    if room == 1:
        assert loads == ["model 0", "model 1", "model 2"]
    else:
        assert len(set(loads[: loads.index("model 2")])) == 2  # the two that fit, then the third


@in_virtual_time
async def test_the_model_that_most_wait_for_is_loaded_next() -> None:
    """When the host has no more to do for the one that it has."""
    lane = Lane(2, name="one", room=1)
    lane.use("A")
    work = Work(Slots([lane]), lambda *_: 1.0)
    await work.all(a_call("a", 0, "A"), a_call("b", 1, "B"), a_call("c", 2, "C"), a_call("c", 3, "C"))
    assert [step for _, step in work.at] == ["a", "c", "c", "b"]


@in_virtual_time
async def test_a_host_that_is_away_gets_nothing_while_another_is_well() -> None:
    """Where all are away each is asked as if it were well: that one is patient."""
    a, b = Lane(1, name="a"), Lane(1, name="b")
    work = Work(Slots([a, b]), lambda *_: 1.0)
    a.limit = 0
    await work.all(a_call(), a_call())
    one = {name for name, _ in work.at}
    b.limit = 0
    work.at.clear()
    await work.all(a_call(), a_call())
    assert (one, {name for name, _ in work.at}) == ({"b"}, {"a", "b"})


@in_virtual_time
async def test_a_request_goes_elsewhere_than_where_it_failed() -> None:
    """As long as there is another host for it; else it is asked there again."""
    a, b = Lane(1, name="a"), Lane(1, name="b", serves=lambda step: step == "write")
    work, names = Work(Slots([a, b]), lambda *_: 1.0), []
    for step in ("write", "judge"):
        call = a_call(step)
        call.failed_at.append(a)
        await work.ask(call)
        names.append(work.at[-1][0])
    assert names == ["b", "a"]
