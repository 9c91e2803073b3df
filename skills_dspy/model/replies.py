"""Where a reply comes from: this run's journal, else a recording, else the server, and then into the journal."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from skills_dspy.base.errors import ContextTooLong, MissingReply, Unanswered
from skills_dspy.model.hosts.call import CURRENT_CALL, Call
from skills_dspy.model.hosts.lane import HandedOver, Host
from skills_dspy.model.hosts.slots import Share, Slots
from skills_dspy.model.soft import trimmed
from skills_dspy.store.journal import JournaledReply, JournalReader, request_digest
from skills_dspy.store.said import counted

_LOG = logging.getLogger(__name__)

NO_REPLY = "unanswered"
"""The key of a journaled reply that is none: why the server cannot answer this request, however often it is asked."""

RESIDUE = "residue"
"""What the journal of a run that asks again where a reply has residue notes that under; older ones say nothing."""


@dataclass(slots=True)
class Meter:
    """What was asked for since the run started, for the progress display.

    `live` are replies that the server gave now, with their tokens and counts by step; `remembered` those of a journal; `lost`
    how many it could not give, though it answered others. `faults` counts, of several hosts, by address how often each failed.
    """

    live: int = 0
    lost: int = 0
    remembered: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    by_step: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def count(self, step: str, body: Mapping[str, Any]) -> None:
        """Add one live reply."""
        self.live += 1
        self.prompt_tokens += counted(body, "prompt_eval_count")
        self.output_tokens += counted(body, "eval_count")
        self.by_step[step] += 1


class Memory(Protocol):
    """What keeps replies: the journal of a run, or a trial's own list."""

    def get(self, digest: str) -> dict[str, Any] | None:
        """The reply to this request, or None."""

    async def put(self, entry: JournaledReply) -> dict[str, Any]:
        """Keep a reply; returns the body that stands for its digest."""


class Replies:
    """The replies of one task.

    Args:
        journal: this run's; what it has is never asked for again. None where the recording is all that there is.
        source: the server, or the recording of a replay.
        slots: the queue for the server, which all tasks share.
        clock: epoch seconds.
    """

    def __init__(
        self,
        journal: Memory | None,
        source: Host | JournalReader,
        slots: Slots | Share,
        meter: Meter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._source = source
        self._slots = slots
        self._meter = meter
        self._clock = clock

    async def fetch(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """The body of the reply; it is in the journal before this returns, and it is the one that stands there.

        Of the probabilities that a server gives beside its reply only what ratings are read from is kept, see soft.py. Where
        the server answers others and never this, that is kept like a reply, under `NO_REPLY` in a body without a text. Raises
        MissingReply where a recording lacks it, ContextTooLong where the prompt may have been cut, or what the server raises.
        """
        call.digest = digest = request_digest(payload)
        if self._journal is not None and (body := self._journal.get(digest)) is not None:
            self._meter.remembered += 1
            return body
        started = self._clock()
        if isinstance(self._source, JournalReader):
            async with self._slots.take(call.rank):
                body = self._source.get(digest)
            if body is None:
                raise MissingReply(
                    f"The recording has no reply to a request of {call.step}: either more is asked for than it holds (pairs, "
                    "cases, samples), or the task, the configuration, the seed or a prompt is not the one it was recorded "
                    "with.",
                    call.step,
                    insists=RESIDUE in self._source.meta(),
                )
            self._meter.remembered += 1
        else:
            call.model = str(payload["model"])
            token = CURRENT_CALL.set(call)  # hosts look who asks
            try:
                started, body = await self._live(self._source, payload, call)
            finally:
                CURRENT_CALL.reset(token)
                self._meter.faults.update(call.faults)
        if self._journal is None:
            return body
        now = self._clock()
        _LOG.debug("%s: %s of %s in %.1f s", call.step, _tokens(body), payload["model"], now - started)
        # Of two equal requests in flight the first reply stays: a resumed run would find that one.
        return await self._journal.put(JournaledReply(digest, dict(payload), body, call.step, now, now - started))

    async def _live(self, server: Host, payload: Mapping[str, Any], call: Call) -> tuple[float, dict[str, Any]]:
        """When it was sent, and the body; a host that fails hands it over to another."""
        while True:
            async with self._slots.take(call.rank, call) as lane:
                started = self._clock()
                call.lane = lane
                try:
                    body = trimmed(await (lane.host or server).chat(payload), payload)
                except HandedOver:
                    continue
                except Unanswered as error:
                    self._meter.lost += 1
                    # As a body that those who read replies take for an empty one, versions from before it among them.
                    empty = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "error"}
                    return started, {"model": payload["model"], **empty, NO_REPLY: str(error)}
                lane.answered(call, body, asyncio.get_running_loop().time())
            self._meter.count(call.step, body)
            check_window(payload, body, call.step)  # before it is kept: the answer to half a prompt must not be found again
            return started, body


def _tokens(body: Mapping[str, Any]) -> str:
    """How long a reply is, in words."""
    if NO_REPLY in body:
        return "no answer"
    return f"{body.get('eval_count') or '?'} tokens for {body.get('prompt_eval_count') or '?'}"


def check_window(payload: Mapping[str, Any], body: Mapping[str, Any], step: str) -> None:
    """Refuse a reply to a prompt that may have been cut: Ollama cuts without a word what exceeds the window.

    ContextTooLong where the server's count of the prompt leaves no room for the reply that was asked for.
    """
    options = payload["options"]
    window, room = options.get("num_ctx"), int(options.get("num_predict") or 0)
    prompt = counted(body, "prompt_eval_count")
    if window is not None and prompt + room > window:
        raise ContextTooLong(
            f"A prompt of {step} took {prompt} tokens, which leaves no room for its reply of {room} in a window of {window}: "
            f"set num_ctx to {2 * window} for the model {payload['model']} in the configuration and run the command again."
        )
