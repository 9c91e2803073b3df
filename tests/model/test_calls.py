"""What rides beside a request: each task has its own."""

import asyncio

from skills_dspy.model.calls import CURRENT_CALL, Call


def test_a_call_starts_empty_and_its_rank_may_change() -> None:
    """Nothing is known of the reply yet; the place in the queue is asked anew each time."""
    places = iter([(3,), (1,)])
    call = Call("judge_pair_freeform", lambda: next(places))
    assert (call.digest, call.raw, call.soft, call.error) == ("", "", {}, None)
    assert [call.rank(), call.rank()] == [(3,), (1,)]


def test_every_task_has_its_own_call() -> None:
    """Two requests under way at once do not see each other's call, and outside of both there is none."""

    async def ask(name: str) -> str:
        CURRENT_CALL.set(Call(name, lambda: (0,)))
        await asyncio.sleep(0)
        return CURRENT_CALL.get().step

    async def both() -> list[str]:
        return list(await asyncio.gather(ask("one"), ask("two")))

    assert asyncio.run(both()) == ["one", "two"]
    assert CURRENT_CALL.get(None) is None
