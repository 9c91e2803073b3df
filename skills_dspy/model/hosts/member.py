"""One of the hosts: it is asked, its work is counted, and while it is away it is tried again until it is back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from typing import Any

from skills_dspy.base.config import Role, ServerConfig
from skills_dspy.base.errors import ContextTooLong, MachineError, ServerError
from skills_dspy.model.hosts.call import CURRENT_CALL, Call
from skills_dspy.model.hosts.lane import HandedOver, Lane
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.hosts.waiting import LONG
from skills_dspy.model.server.names import same_model
from skills_dspy.model.server.server import Fault, Server

_LOG = logging.getLogger(__name__)

OnFault = Callable[[Fault, float], None]
"""Gets what went wrong, and the seconds until the next try."""
_PS = 60.0
"""Seconds in which a server that says what it has loaded says it."""
_AT_MOST = 5.0
"""Seconds between two looks whether a host is back: to ask for a version costs nobody anything."""
_HANGS = 10
"""A host may hang that takes so many times as long as it usually does, and longer than LONG."""
_ROUNDS = 3
"""So often a request may go round all hosts; then one of them has to find out whether it can be answered at all."""
_FAILED = 2
"""So many requests in a row that a host answers with an error of its own, and it is left alone for a while."""


class Member:
    """One host: its server, its lane, the roles that ask it. `Hosts` gives it its place among the others.

    Args:
        make: its server, which tells its faults to what it is given.
        lane: its slots; this becomes its host.
        roles, models: those that ask it, and theirs.
        on_fault: hears of faults that no other host can help with.
    """

    slots: Slots
    """The queue of all hosts."""
    back: Callable[["Member"], Awaitable[bool]]
    """Whether it may be asked again, now that it answers."""
    tell: Callable[[str], None]
    """Hears when it goes, comes back or is left out."""

    def __init__(
        self,
        make: Callable[[OnFault], Server],
        lane: Lane,
        roles: tuple[Role, ...],
        models: frozenset[str],
        config: ServerConfig,
        on_fault: OnFault | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.lane, self.roles, self.models = lane, roles, models
        self.server = make(self._failed)
        self.name = self.server.host
        self._config, self._on_fault, self._sleep = config, on_fault, sleep
        self._delay, self._in_a_row, self._told = config.backoff_first, 0, False
        self._seen: set[str] = set()
        self._trying: asyncio.Task[None] | None = None
        lane.host, lane.name = self, self.name

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply; see `Server.chat`. HandedOver where it fails and another host may be asked."""
        try:
            body = await self._answered_in_time(payload)
        except ContextTooLong:
            raise
        except MachineError as error:  # it does not pass
            if not self._others(again=True):
                raise
            self.leave_out(str(error))
            raise HandedOver from error
        self._delay, self._in_a_row = self._config.backoff_first, 0
        if self.lane.limit != self.lane.count:
            self.lane.limit, self.lane.why = self.lane.count, ""
            self.slots.look_again()
        if (model := str(payload.get("model", ""))) not in self._seen and len(self.models) > 1:
            self._seen.add(model)
            await self._see_what_is_loaded()
        return body if len(self.slots.lanes) == 1 else {**body, "host": self.name}

    async def _answered_in_time(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply; HandedOver where it takes so much longer than others that the host may hang, and another may be asked."""
        call = CURRENT_CALL.get(None)
        if call is None or len(self.slots.lanes) == 1:
            return await self.server.chat(payload)
        asked = asyncio.ensure_future(self.server.chat(payload))
        try:
            while not (await asyncio.wait({asked}, timeout=(limit := self._longest(call.step))))[0]:
                if not self._may_hand_over(call, again=True):
                    continue  # it may be slow, and nobody is quicker
                said = f"The server at {self.name} has not answered a request of {call.step or 'predict'} for {limit:.0f} s."
                self._failed(Fault(ServerError(said), True, silent=True), 0.0)
            return asked.result()
        finally:
            asked.cancel()

    def _longest(self, step: str) -> float:
        """Seconds after which a request is given to another host, if there is one.

        What other steps take says nothing of this one: while no reply to it is known, it may take as long as any request.
        """
        known = [mean for lane in (self.lane, *self.slots.lanes) if (mean := lane.own_seconds(step)) is not None]
        return max(LONG, _HANGS * known[0]) if known else self._config.timeout * self.lane.count

    def leave_out(self, why: str) -> None:
        """Ask it nothing from now on, for a reason that is told."""
        if self.lane.left_out is not None:
            return
        self.lane.limit, self.lane.why = 0, why
        why = why.rstrip(".")
        self.lane.left_out = ServerError(
            f"{self.name} was left out ({why}), and no other host has its part: set it right and run the same command again "
            "(without --restart): it goes on where it stopped."
        )
        self.tell(f"{self.name} is left out from now on: {why}.")
        self.slots.look_again()

    def away(self, why: str, *, told: bool = True) -> None:
        """Ask it nothing until it answers again; that is told, unless it is only busy."""
        self.lane.limit, self.lane.why, self._told = 0, why, told
        if told:
            self.tell(f"{why} Its work goes to the others, and it is tried again.")
        if self._trying is None or self._trying.done():
            self._trying = asyncio.get_running_loop().create_task(self._try(), context=Context())  # no request of a run

    async def close(self) -> None:
        """Close its server, and try no more."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
        await self.server.close()

    def _failed(self, fault: Fault, pause: float) -> None:
        """Hand the request over if another host can take it, and see whether this one is away."""
        self.lane.faults += 1
        call = CURRENT_CALL.get(None)
        if call is not None:
            call.faults[self.name] += 1
        # Where it failed before is better than where nobody answers; but it may be the prompt that ends what a host does.
        others = self._others(again=fault.silent)
        if call is None or not self._may_hand_over(call, again=fault.silent):
            if self._on_fault is not None:
                self._on_fault(fault, pause)
            return
        call.failed_at = [lane for lane in call.failed_at if lane not in others]
        if not fault.silent or call.faults[self.name] > 1:  # else it is the host that is away, and not the prompt
            call.failed_at.append(self.lane)
        call.handed_over += 1
        self._in_a_row += 1
        if self.lane.limit and (self._in_a_row >= _FAILED or fault.silent):
            self.away(str(fault.error), told=fault.silent)
        raise HandedOver

    def _may_hand_over(self, call: Call, *, again: bool) -> bool:
        """Whether a request may go to another host once more."""
        return call.handed_over < _ROUNDS * len(self.slots.lanes) and bool(self._others(again=again))

    def _others(self, *, again: bool = False) -> list[Lane]:
        """The other hosts that may be asked what is asked now; see `Slots.others`."""
        call = CURRENT_CALL.get(None)
        return [] if call is None else self.slots.others(self.lane, call, again=again)

    async def _try(self) -> None:
        """Wait until it answers, longer each time."""
        while True:
            await self._sleep(self._delay)
            self._delay = min(2 * self._delay, self._config.backoff_max, _AT_MOST)
            try:
                await self.server.version()
                back = await self.back(self)
            except MachineError as error:
                _LOG.info("%s is still away: %s", self.name, error)
                continue
            if back and self.lane.left_out is None:
                # One at first, beside those that it may still have from before.
                self.lane.limit, self.lane.why = min(self.lane.count, self.lane.held + 1), ""
                if self._told:
                    self.tell(f"{self.name} answers again.")
                self.slots.look_again()
            return

    async def _see_what_is_loaded(self) -> None:
        """Learn from the server, if it says so, whether it dropped a model to load another."""
        asking = asyncio.get_running_loop().create_task(self.server.loaded(), context=Context())  # no request of a run
        try:
            loaded = await asyncio.wait_for(asking, _PS)
        except TimeoutError:
            loaded = None
        if loaded is None:
            return
        answered = [model for model in self.lane.loaded if model in self._seen]
        there = [model for model in answered if any(same_model(model, other) for other in loaded)]
        if len(there) < len(answered):
            self.lane.room = max(1, len(there))
            self.lane.loaded = there
            _LOG.info("%s holds %d of its models at once", self.name, self.lane.room)
