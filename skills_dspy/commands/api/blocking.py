"""How one function does its work on an event loop or without one, and ends it where that is interrupted, as in a notebook."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_GLANCE = 0.2
"""Seconds after which a thread that waits sees that it was interrupted: Windows does not wake it, nor always others."""


class OtherLoop:
    """`asyncio.run` for another thread, which this one can end, also before it begins, and between one time and the next."""

    def __init__(self) -> None:
        self._cancelled = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What it gives; CancelledError where it is ended."""

        async def watched() -> T:
            task = asyncio.current_task()
            assert task is not None
            self._running = asyncio.get_running_loop(), task
            try:
                self.go_on()
                return await work
            finally:
                work.close()

        return asyncio.run(watched())

    def go_on(self) -> None:
        """CancelledError where it is ended."""
        if self._cancelled:
            raise asyncio.CancelledError

    def cancel(self) -> None:
        """End what it does, and what it would do."""
        self._cancelled = True
        if self._running is not None:
            loop, task = self._running
            with suppress(RuntimeError):  # the loop is closed: it has just ended
                loop.call_soon_threadsafe(task.cancel)


def synchronous(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """The same function, called `aname` there and `name` here, which returns when the work is done."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(work(*args, **kwargs))
        # Somebody else's loop runs in this thread, and cannot go on before this returns: the work gets another thread.
        other = OtherLoop()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="skills_dspy") as thread:
            try:
                done = thread.submit(copy_context().run, other.run, work(*args, **kwargs))
                while not done.done():
                    wait((done,), _GLANCE)
                return done.result()
            except KeyboardInterrupt:
                other.cancel()
                raise

    return _named(call, work, work.__name__.removeprefix("a"))


def asynchronous(work: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same function, called `name` there and `aname` here, which does its work in a thread of its own."""

    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(work, *args, **kwargs)

    return _named(call, work, f"a{work.__name__}")


def _named(call: Callable[P, Any], work: Callable[P, Any], name: str) -> Callable[P, Any]:
    named = wraps(work)(call)
    named.__name__ = named.__qualname__ = name
    return named
