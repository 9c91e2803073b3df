"""A request that waits while the server answers others: told once, and never of one that is only slow."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from skills_dspy.model.hosts.call import CURRENT_CALL, Call
from skills_dspy.model.hosts.waiting import Waiting, WatchedServer, left_waiting
from tests.helpers.fake_server import FakeServer
from tests.helpers.loops import on_a_loop


@pytest.mark.parametrize(
    ("seconds", "overtaken", "last", "left"),
    [
        (61.0, 8, [2.0, 12.0], True),
        (60.0, 8, [2.0, 12.0], False),  # a minute is nothing
        (61.0, 7, [2.0, 12.0], False),  # chance may let some go before
        (61.0, 8, [2.0, 12.2], False),  # the server is slow to all
        (3600.0, 0, [], False),  # it answers nobody: that is another trouble
    ],
)
def test_waiting_is_told_from_slowness(seconds: float, overtaken: int, last: Sequence[float], left: bool) -> None:
    """Long, much longer than the others took, and overtaken by two rounds of them; here four are in flight at once."""
    assert left_waiting(seconds, overtaken, last, 4) is left


class Choosy(FakeServer):
    """Answers at once, 10 seconds later by the clock, but lets the first request wait until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.asked_for, self.let_go = 0.0, 0, asyncio.Event()

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A reply."""
        self.asked_for += 1
        if self.asked_for == 1:
            await self.let_go.wait()
        else:
            self.now += 10
        return {**payload}


@on_a_loop
async def test_it_is_told_once_with_step_time_and_number() -> None:
    """When the server has answered two rounds of two that were sent after it, and it has waited over a minute."""
    told: list[tuple[str, float, int]] = []
    server = Choosy()
    watched = WatchedServer(server, 2, lambda w, seconds: told.append((w.step, seconds, w.overtaken)), lambda: server.now)
    CURRENT_CALL.set(Call("judge_pair_freeform", lambda: (0,)))
    first = asyncio.ensure_future(watched.chat({"number": 0}))
    await asyncio.sleep(0)
    CURRENT_CALL.set(Call("write_answer_freeform", lambda: (0,)))
    for number in range(1, 12):
        assert await watched.chat({"number": number}) == {"number": number}
    server.let_go.set()
    assert (await first) == {"number": 0}
    assert told == [("judge_pair_freeform", 70.0, 7)]


def test_a_request_that_is_sent_again_waits_from_then_on() -> None:
    """While it failed and paused the server did not have it; what was asked before a run is no request of a step."""
    told: list[tuple[float, int]] = []

    class Failing(Choosy):
        async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
            if payload["number"] == 0:
                await failed.wait()
                watched.again(30.0)
            return await super().chat(payload)

    async def main() -> None:
        watched.again(1.0)
        first = asyncio.ensure_future(watched.chat({"number": 0}))
        await asyncio.sleep(0)
        server.asked_for = 1
        for number in range(1, 4):
            await watched.chat({"number": number})
        server.asked_for = 0
        failed.set()
        await asyncio.sleep(0)
        for number in range(4, 16):
            await watched.chat({"number": number})
        server.let_go.set()
        await first

    server, failed = Failing(), asyncio.Event()
    watched = WatchedServer(server, 2, lambda waiting, seconds: told.append((seconds, waiting.overtaken)), lambda: server.now)
    asyncio.run(main())
    # Sent at 0, failed at 30, sent again at 60; the first that is sent after that is answered at 70.
    assert told == [(70.0, 7)]


@on_a_loop
async def test_whoever_was_sent_later_overtakes_nobody_before() -> None:
    """Of requests that are answered in their order none is left waiting, however long all take."""
    told: list[Waiting] = []
    server = Choosy()
    server.asked_for = 1
    watched = WatchedServer(server, 1, lambda waiting, _: told.append(waiting), lambda: server.now)
    await asyncio.gather(*(watched.chat({"number": number}) for number in range(40)))
    assert told == []
