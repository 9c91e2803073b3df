"""Replies that are asked for once, however many ask at a time, and no more often than is allowed."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from skills_dspy.base.errors import SkillsError
from skills_dspy.commands.check.speed import Counts, counts_of
from skills_dspy.model.ask import Call
from skills_dspy.model.replies import Host, Meter, Replies
from skills_dspy.model.slots import Slots
from skills_dspy.store.journal import Journal, Recording, request_digest

_TIMED = 64
"""Live replies whose speed is looked at: the first ones."""


class CallsSpent(SkillsError):
    """As many calls were made as were allowed."""

    exit_code = 1


class OnceReplies(Replies):
    """Replies that are asked for once, however many ask at a time: DSPy's tools send a slow call again.

    Args:
        most_calls: no more live calls than this; None for no limit.
    """

    def __init__(
        self, journal: Journal, source: Host | Recording, slots: Slots, meter: Meter, most_calls: int | None = None
    ) -> None:
        super().__init__(journal, source, slots, meter)
        self._kept = journal
        self._begun = 0
        self._most = None if isinstance(source, Recording) else most_calls
        self._asked: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self.counts: list[Counts] = []
        self.made: set[str] = set()

    async def fetch(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """The body of the reply, as `Replies.fetch` gives it.

        Raises:
            CallsSpent: it would be one live call too many.
        """
        call.digest = digest = request_digest(payload)
        self.made.add(digest)
        task = self._asked.get(digest)
        if task is None:
            if self._most is not None and self._kept.get(digest) is None:
                if self._begun >= self._most:
                    # What is on its way was counted and paid for: it is kept, so that nobody asks for it again.
                    await asyncio.gather(*self._asked.values(), return_exceptions=True)
                    raise CallsSpent(
                        f"the {self._most} calls that were allowed are spent; every reply is kept: "
                        "the same command goes on where this one stopped"
                    )
                self._begun += 1
            task = self._asked[digest] = asyncio.ensure_future(self._timed(payload, call))
            task.add_done_callback(lambda _: self._asked.pop(digest, None))
        return await asyncio.shield(task)

    async def _timed(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        live, began = self._meter.live, time.monotonic()
        body = await super().fetch(payload, call)
        if self._meter.live > live and len(self.counts) < _TIMED:
            self.counts.append(counts_of(body, time.monotonic() - began))
        return body

    async def drop(self) -> None:
        """Give up what is still on its way, when the session ends."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
