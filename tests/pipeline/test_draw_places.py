"""The places for open draws: how many there are, and whose is the next."""

import asyncio
import functools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from evals.bench import virtual_time
from skills_dspy.pipeline.draw_places import DrawPlaces, Place, most_open
from tests.helpers.making import idle


def test_one_task_alone_may_have_its_whole_window_and_every_slot_its_work() -> None:
    """Whichever is more: so a task that is alone never waits for a place."""
    assert most_open(16, 1) == 16
    assert most_open(16, 8) == 16
    assert most_open(16, 32) == 64


def test_a_task_alone_gets_every_place_at_once() -> None:
    """Until there is none, and then when one of its draws has settled."""

    async def main() -> None:
        places_of_all = DrawPlaces(3)
        place = places_of_all.join()
        assert [place.enter() for _ in range(4)] == [True, True, True, False]
        got = await watching(place, place.free)
        assert got == 1
        assert places_of_all.taken == 3

    virtual_time.play(main())


async def watching(place: Place, then: Callable[[], None]) -> int:
    """How many places came that were asked for, after something happened."""
    got = 0

    def use() -> None:
        nonlocal got
        got += place.enter()

    task = asyncio.create_task(place.watch(use))
    then()
    await idle()
    task.cancel()
    await asyncio.wait([task])
    return got


async def while_all_want(places: list[Place], then: Callable[[], None] = lambda: None) -> None:
    """Let tasks that always want one more take what there is, after something happened."""

    def use(place: Place) -> None:
        while place.enter():
            pass

    tasks = [asyncio.create_task(place.watch(functools.partial(use, place))) for place in places]
    then()
    await idle()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def test_nobody_takes_more_than_its_share_before_the_others_have_asked() -> None:
    """The first of three may not take all; what is left over goes out when everybody had a say."""

    async def main() -> None:
        all_places = DrawPlaces(7)
        places = [all_places.join() for _ in range(3)]
        assert [[place.enter() for _ in range(4)] for place in places] == [[True, True, False, False]] * 3
        await while_all_want(places)
        assert [place.held for place in places] == [3, 2, 2]

    virtual_time.play(main())


def test_a_place_that_is_not_wanted_any_more_goes_to_somebody_else() -> None:
    """A task may be done by the time that its turn comes."""

    async def main() -> None:
        all_places = DrawPlaces(2)
        first, second, third = (all_places.join() for _ in range(3))
        assert [first.enter(), second.enter(), third.enter()] == [False, False, False]
        unwilling = asyncio.create_task(first.watch(lambda: None))
        await while_all_want([second, third])
        assert (first.held, second.held, third.held) == (0, 1, 1)
        unwilling.cancel()
        await asyncio.wait([unwilling])

    virtual_time.play(main())


def test_who_leaves_gives_everything_back_once() -> None:
    """Its share is the others'."""

    async def main() -> None:
        all_places = DrawPlaces(4)
        going, staying = all_places.join(), all_places.join()
        assert [going.enter(), going.enter(), staying.enter(), staying.enter(), staying.enter()] == [True] * 4 + [False]
        going.leave()
        going.leave()
        assert all_places.taken == 2
        await while_all_want([staying])
        assert (going.held, staying.held, all_places.taken) == (0, 4, 4)

    virtual_time.play(main())


def test_two_hundred_tasks_keep_their_share() -> None:
    """With 16 places and draws that take unequal times, no task falls more than one draw behind another."""

    async def main() -> None:
        all_places = DrawPlaces(16)
        places = [all_places.join() for _ in range(200)]
        under_way: list[Place] = []

        def want(place: Place) -> None:
            while place.enter():
                under_way.append(place)

        tasks = [asyncio.create_task(place.watch(functools.partial(want, place))) for place in places]
        for place in places:
            want(place)
        for round_ in range(1000):
            await idle(3)
            assert len(under_way) == 16
            under_way.pop(0 if round_ % 3 else 7).free()
        assert max(place.opened for place in places) - min(place.opened for place in places) <= 1
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    virtual_time.play(main())


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=200), st.integers(1, 9))
def test_never_more_than_there_are_and_equal_turns(acts: list[tuple[int, bool]], most: int) -> None:
    """Whatever tasks ask for and give back in whatever order; of those that always ask nobody is left behind."""

    async def main() -> None:
        places_of_all = DrawPlaces(most)
        places = [places_of_all.join() for _ in range(6)]
        for who, asks in acts:
            if asks:
                places[who].enter()
            elif places[who].held:
                places[who].free()
            await asyncio.sleep(0)
            assert places_of_all.taken == sum(place.held for place in places) <= most
        for place in places:
            place.leave()
        assert places_of_all.taken == 0

    virtual_time.play(main())
