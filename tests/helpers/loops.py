"""Tests that are coroutines: on an event loop of their own, in real time or in none."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

from evals.bench import virtual_time

P = ParamSpec("P")

Scene = Callable[P, Coroutine[Any, Any, None]]


def on_a_loop(scene: Scene[P]) -> Callable[P, None]:
    """A test that waits as long as what it waits for takes."""

    @wraps(scene)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(scene(*args, **kwargs))

    return test


def in_virtual_time(scene: Scene[P]) -> Callable[P, None]:
    """A test whose clock jumps from one thing to the next: an hour passes at once."""

    @wraps(scene)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        virtual_time.play(scene(*args, **kwargs))

    return test
