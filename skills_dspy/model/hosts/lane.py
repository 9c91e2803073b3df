"""One host as the queue sees it: its slots, how fast it answers, what it has loaded, and whether it is well."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from skills_dspy.base.errors import ServerError
from skills_dspy.model.hosts.call import Call
from skills_dspy.store.said import counted

_WEIGHT = 0.2
"""What the last reply counts in the mean time of replies."""


class Host(Protocol):
    """What answers: a `Server`."""

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply's body."""


class HandedOver(Exception):
    """A request failed at one host and is to be asked of another, which is well."""


@dataclass(slots=True, eq=False)
class Lane:
    """One host's slots.

    Attributes:
        count: requests that it may have at once, 1 or more.
        host: who is asked; None for a recording, or where who asks knows.
        name: its address as it may be shown.
        serves: whether it answers the requests of a step.
        limit: how many it may have now: 0 while it is away, 1 while it is tried again, else `count`.
        loaded: the models that it has in memory, as far as is known, the last used one last.
        room: how many of them it holds at once; None as long as it has not been seen to drop one.
        why: why it gets nothing now, in words; empty where it is well.
        left_out: what is told who could be served here alone, once it gets nothing for good; else None.
        calls, prompt_tokens, output_tokens, faults: what it has done since the start, and how often it failed.
        read: step to how many of its replies could be read, and how many not.
        on_read: hears of each reply that could not.
    """

    count: int
    host: Host | None = None
    name: str = ""
    serves: Callable[[str], bool] = lambda _: True
    limit: int = -1
    loaded: list[str] = field(default_factory=list)
    room: int | None = None
    why: str = ""
    left_out: ServerError | None = None
    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    faults: int = 0
    read: dict[str, list[int]] = field(default_factory=dict)
    on_read: Callable[["Lane"], None] | None = None
    _flying: dict[int, tuple[Call, float]] = field(default_factory=dict)
    _warm: deque[str] = field(default_factory=deque)
    _mean: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limit = self.count if self.limit < 0 else self.limit
        self._warm = deque(maxlen=self.count)

    @property
    def held(self) -> int:
        """How many of its slots are taken."""
        return len(self._flying)

    def ready(self, call: Call) -> bool:
        """Whether the model is loaded, or can be beside what is."""
        return self.room is None or not call.model or call.model in self.loaded or len(self.loaded) < self.room

    def warm(self, call: Call) -> bool:
        """Whether a free slot last answered a request of this step, whose prompts begin alike."""
        return call.step in self._warm

    @property
    def well(self) -> bool:
        """Whether it may be asked."""
        return self.limit > 0 and self.left_out is None

    def own_seconds(self, step: str) -> float | None:
        """The mean time of a reply to this step; None before the first."""
        return self._mean.get(step) if step else None

    def seconds(self, step: str) -> float | None:
        """The mean time of a reply to this step, as measured, else to any; None before the first reply."""
        return self._mean.get(step, self._mean.get(""))

    def enter(self, call: Call, now: float) -> None:
        """It gets this request."""
        self._flying[id(call)] = call, now
        if call.step in self._warm:
            self._warm.remove(call.step)
        elif len(self._warm) > self.count - self.held:
            self._warm.popleft()
        if call.model:
            self.use(call.model)

    def use(self, model: str) -> None:
        """It loads this model, and drops what it has no room for."""
        if model in self.loaded:
            self.loaded.remove(model)
        self.loaded.append(model)
        if self.room is not None:
            del self.loaded[: -self.room]

    def leave(self, call: Call) -> None:
        """The request has left it."""
        del self._flying[id(call)]
        self._warm.append(call.step)

    def answered(self, call: Call, body: Mapping[str, Any], now: float) -> None:
        """It gave a reply to this request, which it still has; one that failed in between says nothing of its speed."""
        self.calls += 1
        self.prompt_tokens += counted(body, "prompt_eval_count")
        self.output_tokens += counted(body, "eval_count")
        seconds = now - self._flying[id(call)][1]
        for name in () if call.faults else dict.fromkeys((call.step, "")):
            before = self._mean.get(name, seconds)
            self._mean[name] = before + _WEIGHT * (seconds - before)

    def heard(self, step: str, *, readable: bool) -> None:
        """A reply of it to this step could be read, or not."""
        self.read.setdefault(step, [0, 0])[not readable] += 1
        if not readable and self.on_read is not None:
            self.on_read(self)

    def next_free(self, ahead: int, now: float) -> float:
        """In about how many seconds it has a slot for a request, when so many are to come before it.

        What takes longer than expected is expected to take as long again: it may never end.
        """
        left = sorted(abs((self.seconds(call.step) or 0.0) - (now - began)) for call, began in self._flying.values())
        if not left:
            return 0.0
        return left[ahead % len(left)] + ahead // len(left) * self._mean.get("", 0.0)
