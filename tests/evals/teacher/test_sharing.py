"""A server that shares its speed: how long replies take alone, together, and when one is given up."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from evals.bench import virtual_time
from evals.teacher.sharing import SharedSpeed, gain


def ends(jobs: Sequence[tuple[float, float]], leaves: float | None = None) -> tuple[list[float], float]:
    """When each of some (begin, tokens) is written at 10 tokens a second, and what was; the first one's client may leave."""

    async def main() -> tuple[list[float], float]:
        speed, loop = SharedSpeed(10.0), asyncio.get_running_loop()

        async def job(begin: float, tokens: float) -> float:
            await asyncio.sleep(begin)
            await speed.write(tokens)
            return loop.time()

        tasks = [loop.create_task(job(*one)) for one in jobs]
        if leaves is not None:
            loop.call_later(leaves, tasks[0].cancel)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        return [end for end in ended if isinstance(end, float)], speed.written

    return virtual_time.play(main())


def test_the_total_speed_grows_with_the_requests_and_flattens() -> None:
    """It goes through what was measured, and each more brings less than the one before."""
    assert [gain(1), gain(4)] == pytest.approx([1.0, 1.8])
    steps = [gain(n + 1) - gain(n) for n in range(1, 64)]
    assert all(0 < more < before for before, more in pairwise(steps))
    assert gain(10**6) < 2.5


def test_requests_share_the_speed() -> None:
    """Four of 90 tokens take 360 / 18 s; one alone 9 s; of two unequal ones the longer is alone in the end."""
    assert ends([(0, 90)])[0] == pytest.approx([9.0])
    assert ends([(0, 90)] * 4)[0] == pytest.approx([20.0] * 4)
    short, long = ends([(0, 30), (0, 90)])[0]
    assert short == pytest.approx(60 / (10 * gain(2)))
    assert long == pytest.approx(short + 6.0)


def test_one_that_comes_later_slows_down_the_others_from_then_on() -> None:
    """The first has 50 of its tokens when the second comes."""
    first, second = ends([(0, 90), (5, 90)])[0]
    both = 80 / (10 * gain(2))
    assert first == pytest.approx(5 + both)
    assert second == pytest.approx(first + 5.0)


def test_one_that_is_given_up_leaves_its_part_to_the_others() -> None:
    """And what it had written is counted."""
    (other,), written = ends([(0, 1000), (0, 90)], leaves=4.0)
    had = 4.0 * 10 * gain(2) / 2
    assert other == pytest.approx(4.0 + (90 - had) / 10)
    assert written == pytest.approx(90 + had)
