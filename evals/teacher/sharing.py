"""The speed of a server that computes its requests together: they share it, and it grows with their number.

A step writes one token of every request. It reads the weights of the model once, whatever the number of requests, and computes
for each of them. So n requests get n / (_READING + _OWN * n) times the tokens of one alone. What a `check --concurrency 4` saw
of one real server fixes both: 1.8 times at four. Beyond that it is this formula's word: 2.1 times at eight, 2.3 at 32.
"""

import asyncio

_OWN = (4 / 1.8 - 1) / 3
"""The part of a request's own in the time of a step, of one request alone; 0.41."""
_READING = 1 - _OWN
"""The part that all requests of a step share."""

_NONE = 1e-6
"""So few tokens are none: they are what rounding leaves."""


def gain(requests: int) -> float:
    """How many times as many tokens come in a second with so many requests at once, 1 or more, as with one alone."""
    return requests / (_READING + _OWN * requests)


class SharedSpeed:
    """What the requests of a running event loop share: `alone` tokens a second, above 0, of one that is alone.

    `written` counts the tokens so far, those of requests that were given up included.
    """

    def __init__(self, alone: float) -> None:
        self.written = 0.0
        self._alone = alone
        self._each = 0.0  # the tokens of a request that has been here from the start
        self._since = 0.0
        self._ends: dict[asyncio.Future[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def write(self, tokens: float) -> None:
        """Take as long as it takes to write so many tokens beside what else is written in the meantime."""
        self._advance()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ends[done] = self._each + tokens
        self._wait()
        try:
            await done
        finally:
            if self._ends.pop(done, None) is not None:  # it was given up
                self._advance(left=1)
                self._wait()

    def _advance(self, left: int = 0) -> None:
        """Write until now; `left` of those that wrote have just been taken out."""
        now, requests = asyncio.get_running_loop().time(), len(self._ends) + left
        if requests:
            more = (now - self._since) * self._alone * gain(requests) / requests
            self._each += more
            self.written += more * requests
        self._since = now

    def _wait(self) -> None:
        """Come back when the next one has all its tokens."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._ends:
            left = max(0.0, min(self._ends.values()) - self._each)
            seconds = left * len(self._ends) / (self._alone * gain(len(self._ends)))
            self._timer = asyncio.get_running_loop().call_later(seconds, self._finish)

    def _finish(self) -> None:
        self._advance()
        for done in [done for done, end in self._ends.items() if end <= self._each + _NONE]:
            del self._ends[done]
            if not done.done():
                done.set_result(None)
        self._wait()
