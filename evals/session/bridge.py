"""The way from DSPy's threads into a session's loop, and what DSPy must not take for a bad score of one example."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import Any, TypeVar

from dspy import lm15

from skills_dspy.base.errors import ReplyError, SkillsError
from skills_dspy.model.engine import AsyncOllamaEngine, Engine

T = TypeVar("T")


class Halt(BaseException):
    """An error that concerns the whole evaluation, or a mistake of ours, inside of DSPy.

    No Exception on purpose: DSPy's tools take every Exception for a bad score of one example and go on, so that a server
    which went away would pass for a prompt that is bad.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Bridge:
    """The way from DSPy's threads into the session's loop, which ends when the session does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._closed: Future[None] = Future()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work in the loop gives; blocking, in any thread but the loop's.

        Raises:
            ReplyError: one reply cannot be used.
            Halt: anything else of ours went wrong, or the session is over.
        """
        over = SkillsError("the session is over")
        try:
            if self._closed.done():
                raise RuntimeError("the session is closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # also the loop's, when it was closed just now
            work.close()
            raise Halt(over) from None
        either: tuple[Future[Any], ...] = (future, self._closed)
        wait(either, return_when=FIRST_COMPLETED)
        if not future.done():
            # Work that reached the loop in its last moment is never begun; nobody must wait for it for ever.
            future.cancel()
            raise Halt(over)
        try:
            return future.result()
        except CancelledError:
            raise Halt(over) from None
        except ReplyError:
            raise
        except SkillsError as error:
            raise Halt(error) from error

    def close(self) -> None:
        """Let nothing more through."""
        self._closed.set_result(None)


class HaltingEngine(Engine):
    """The synchronous face of an engine, whose errors that concern the whole evaluation DSPy cannot swallow."""

    def __init__(self, engine: AsyncOllamaEngine, bridge: Bridge) -> None:
        self._engine = engine
        self._bridge = bridge

    def complete(self, request: lm15.Request) -> lm15.Response:
        """Return one reply."""
        return self._bridge.run(self._engine.complete(request))

    def __deepcopy__(self, memo: dict[int, Any]) -> "HaltingEngine":
        return self  # DSPy copies its models; the session stays the one
