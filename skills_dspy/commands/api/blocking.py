"""A function that waits for what an asynchronous one does, also where an event loop is running, as in a notebook."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def synchronous(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """The same function, called `aname` there and `name` here, which returns when the work is done."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(work(*args, **kwargs))
        # Somebody else's loop runs in this thread, and cannot go on before this returns: the work gets another thread.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="skills_dspy") as thread:
            return thread.submit(copy_context().run, lambda: asyncio.run(work(*args, **kwargs))).result()

    call.__name__ = call.__qualname__ = work.__name__.removeprefix("a")
    call.__doc__ = work.__doc__
    call.__module__ = work.__module__
    call.__wrapped__ = work  # type: ignore[attr-defined] # for `help` and inspect, which show its parameters
    return call
