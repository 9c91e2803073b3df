"""The patience with which a server is asked, and how a prompt that it cannot answer is told from a server that cannot answer.

Faults that pass (refused, reset, timeout, `PASSING`, an empty or broken body) are asked again with backoff and jitter, or
when the server says (Retry-After), for as long as the patience lasts; the others are errors at once where others meet them too.

A prompt that fails again and again may be what the server cannot do. So it is asked other things between its tries: where it
answers these, each time, and that prompt never, the prompt is given up, and nobody else is kept waiting. A server that is away
or starts answers them not, and nothing is given up. One that fails now at this and now at that is told by the share of these
that failed lately: the prompt is given up when that share makes its failures in a row less probable than `_CHANCE`.
"""

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypedDict, Unpack

import httpx

from skills_dspy.base.config import ServerConfig
from skills_dspy.base.errors import ContextTooLong, ServerError, Unanswered, Unreachable
from skills_dspy.model.server.connections import BUSY, FOREIGN, Refused
from skills_dspy.model.server.faults import UNANSWERED, Cause
from skills_dspy.model.server.server import Fault, T

_LOG = logging.getLogger(__name__)

Control = Callable[[int], Awaitable[object]]
"""Asks for something short, of the same model and in the same form, that a number tells apart from other times."""

_PLAIN = 3
"""So many times a prompt is just asked again before it is doubted; one that is refused for good is doubted at once."""
_WELL = 3
"""A server is well that answers so many other things, one after the other."""
_PROOF = 3
"""A prompt is given up that fails so many times in a row right after the server was found well..."""
_PROOF_OF_SLOW = 1
"""...and one whose tries take as long as a request may take, after so many."""
_CHANCE = 1e-6
"""...or, where others fail as well, so many times that chance does it as rarely: 20 where half of them fail, 62 at 80 %."""
_LATELY = 128
"""So many of the other things tell how many fail."""
_OF_WHO_ASKS = frozenset({401, 403, 407})
"""The statuses that are about a key or a password, of which what a server says may hold a part."""
_LIST = 60.0
"""Seconds in which a server has to say what it is and what it has, where a fifth of `server.timeout` is less."""


class Pace(TypedDict, total=False):
    """What the pauses between tries are made with: those of this machine where nothing else is named.

    `jitter` gives random numbers for the backoff, which decide no reply; `on_fault` is told each passing fault with the seconds
    until the next try.
    """

    jitter: random.Random
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    on_fault: Callable[[Fault, float], None] | None


class Asking:
    """How a server is asked: once, or for as long as the patience lasts. Its faults are what is in `FOREIGN`.

    Args:
        host: the server's address as it may be shown.
        fault_of: our fault for a foreign error of a request to this model (no name where none was asked).
        cause_of: why a request did not come to an answer.
        unreachable: our error when nobody answers, for the reason.
    """

    def __init__(
        self,
        host: str,
        config: ServerConfig,
        fault_of: Callable[[Exception, str], Fault],
        cause_of: Callable[[Exception], Cause],
        unreachable: Callable[[Cause], ServerError],
        **pace: Unpack[Pace],
    ) -> None:
        self._host = host
        self._config = config
        self._fault_of = fault_of
        self._cause_of = cause_of
        self._unreachable = unreachable
        self._jitter = pace.get("jitter", random.Random(0))
        self._clock = pace.get("clock", time.monotonic)
        self._sleep = pace.get("sleep", asyncio.sleep)
        self._on_fault = pace.get("on_fault")
        self._answered = -math.inf  # when anything was, and by model, when something was that a run asks for
        self._replied: dict[str, float] = {}
        self._numbers = count(1)
        self._others = deque[bool](maxlen=_LATELY)  # whether each was answered, of those asked just after one that was
        self._lock: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    async def patiently(self, ask: Callable[[], Awaitable[T]], model: str, control: Control | None = None) -> T:
        """What `ask` gives, asked again while its faults pass.

        Raises the error of a fault that does not pass; ServerError where no request at all succeeded for the whole patience;
        with a `control`, Unanswered where that is answered, and this never.
        """
        return await self._again(ask, lambda _, fault: fault.passing, _Doubt(model, control, self._config.backoff_first))

    async def once(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives, or its error at once; ServerError where nothing comes.

        Connecting may take the connect timeout and the answer much longer: a list of models on a slow disk takes its time. Only
        a server that says that it is busy, as one does that still loads its model, is asked again while the patience lasts.
        """
        limit = min(self._config.timeout, max(_LIST, self._config.timeout / 5))

        async def soon() -> T:
            try:
                async with asyncio.timeout(self._config.connect_timeout + limit):
                    return await ask()
            except (TimeoutError, httpx.ReadTimeout) as error:
                raise self._unreachable(self._silence(limit)) from error
            except (ConnectionError, *UNANSWERED) as error:
                raise self._unreachable(self._cause_of(error)) from error

        return await self._again(soon, lambda error, _: _busy(error), _Doubt("", None, self._config.backoff_first))

    def _silence(self, limit: float) -> Cause:
        todo = f"see its log, or raise server.timeout in the configuration (now {self._config.timeout:g} s), if it is only slow"
        return Cause(f"takes the connection and gives no answer within {limit:g} s", todo)

    async def _again(self, ask: Callable[[], Awaitable[T]], passes: Callable[[Exception, Fault], bool], doubt: "_Doubt") -> T:
        while True:
            try:
                # Alone among those that are doubted: one of them may end what the server does for the others.
                async with self._turn() if doubt.strikes else nullcontext():
                    answer = await ask()
            except FOREIGN as error:
                fault = self._fault_of(error, doubt.model)
                doubt.note(self._clock())
                if self._given_up(error, fault, doubt):
                    raise Unanswered(self._in_words(error, fault), "") from fault.error
                await (self._pause if passes(error, fault) else self._refused)(error, fault, doubt)
            else:
                self._answered = self._replied[doubt.model] = self._clock()
                return answer

    def _given_up(self, error: Exception, fault: Fault, doubt: "_Doubt") -> bool:
        """Whether it is the prompt that the server fails at, and not the server that fails."""
        if doubt.control is None:
            return False
        if not fault.passing:
            return doubt.strikes > 0
        if failed := self._others.count(False):  # at a share with which they fail a little more often than was seen
            return ((failed + 1) / (len(self._others) + 2)) ** doubt.strikes < _CHANCE
        return doubt.strikes >= (_PROOF_OF_SLOW if isinstance(error, httpx.TimeoutException) else _PROOF)

    async def _refused(self, error: Exception, fault: Fault, doubt: "_Doubt") -> None:
        """Return where a prompt that is refused for good is to be asked once more, because the server takes others."""
        refused = isinstance(error, Refused)  # by whatever status: gateways and guards have many for what is in a prompt
        if not refused or not (await self._others_answered(doubt) or await self._others_answered(doubt)):
            raise fault.error from error
        doubt.others_answered = True
        alone = ServerError(_of_one(error, fault))
        await self._wait(replace(fault, error=alone), doubt, self._config.backoff_first)

    async def _pause(self, error: Exception, fault: Fault, doubt: "_Doubt") -> None:
        """Return when it may be asked again; where it is doubted, when the server has answered others.

        Raises ServerError where it answered nobody for the whole patience.
        """
        patience, silent, busy = self._config.patience, 0, _busy(error)
        while True:
            # A server that answers others is well: its patience is spent only while nobody gets an answer.
            waited = self._clock() - max(doubt.first, self._answered)
            over = waited >= patience
            if over and (doubt.control is None or silent > 1):  # once it may be the other thing that it cannot do
                raise Unreachable(
                    f"{fault.error} The server at {self._host} kept failing for {waited:.0f} s; "
                    "look at its log, then run the same command again (without --restart): it goes on where it stopped."
                ) from error
            if not over:
                await self._wait(fault, doubt, patience - waited)
            long = over or self._clock() - doubt.first >= patience
            if doubt.control is None or not (long or (doubt.failed >= _PLAIN and not busy)):
                return
            answered = await self._others_answered(doubt)
            silent += not answered
            if long and not busy and self._replied.get(doubt.model, -math.inf) > doubt.last:
                doubt.others_answered = True
            if doubt.others_answered:
                return

    async def _wait(self, fault: Fault, doubt: "_Doubt", most: float) -> None:
        # From half of the pause to all of it, so that requests that failed together do not come back together.
        pause = min(doubt.delay, self._config.backoff_max) * self._jitter.uniform(0.5, 1.0)
        pause = min(max(pause, fault.after), most)
        _LOG.info("%s Again in %.1f s.", fault.error, pause)
        if self._on_fault is not None:
            self._on_fault(fault, pause)
        await self._sleep(pause)
        doubt.delay *= 1 if doubt.strikes else 2

    async def _others_answered(self, doubt: "_Doubt") -> int:
        """How many other things in a row the server answers now, `_WELL` at most; notes whether it answers any.

        After the first one may fail: it may be what the server cannot do, too.
        """
        answered = failed = 0
        while doubt.control is not None and answered < _WELL and failed <= (1 if answered else 0):
            try:
                await doubt.control(next(self._numbers))
                well = True
            except FOREIGN:  # in what way is no matter here
                well = False
            if answered:  # before, it may be away
                self._others.append(well)
            if well:
                self._answered = self._clock()
            answered, failed = answered + well, failed + (not well)
        doubt.others_answered = answered > 0
        return answered

    def _turn(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._lock is None or self._lock[0] is not loop:
            self._lock = loop, asyncio.Lock()
        return self._lock[1]

    def _in_words(self, error: Exception, fault: Fault) -> str:
        """What is kept of a prompt that is given up; without the address, which is another for the same server tomorrow."""
        said = _of_one(error, fault).replace(f" at {self._host}", "").replace(f" to {self._host}", "")
        return f"{said} It answers others, and this never."


@dataclass(slots=True)
class _Doubt:
    """One request that may be what the server cannot do.

    `strikes` counts how often in a row it failed right after others were answered.
    """

    model: str
    control: Control | None
    delay: float
    first: float = math.inf
    last: float = -math.inf
    failed: int = 0
    strikes: int = 0
    others_answered: bool = False

    def note(self, now: float) -> None:
        """It failed."""
        self.first, self.last = min(self.first, now), now
        self.failed += 1
        self.strikes += self.others_answered
        self.others_answered = False


def control_of(payload: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A request like this one but for what is asked, which is short, and short to answer; the roles are the same."""
    *before, last = payload["messages"]
    asked = {**last, "content": f"Say the number {number}, and nothing more."}
    return {**payload, "messages": [*({**message, "content": "Be brief."} for message in before), asked]}


def _of_one(error: Exception, fault: Fault) -> str:
    """A fault that others do not meet: it is not about the key, the address or the model, whatever it would mean of all."""
    if not isinstance(error, Refused) or fault.passing or isinstance(fault.error, ContextTooLong):
        return str(fault.error)
    told = "" if error.moved or error.status in _OF_WHO_ASKS else f": {error.said}"
    return f"The server answered {error.answered}{told}."


def _busy(error: Exception) -> bool:
    return isinstance(error, Refused) and error.status in BUSY
