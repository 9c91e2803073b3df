"""Coroutines in tests: on an event loop of their own, in real time or in none."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from evals.bench import virtual_time
from skills_dspy.model.server.server import Server

P = ParamSpec("P")
T = TypeVar("T")

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


def answered(server: Server, answer: Coroutine[Any, Any, T]) -> T:
    """What a server answers to one question; it is closed after that."""

    async def once() -> T:
        try:
            return await answer
        finally:
            await server.close()

    return asyncio.run(once())
