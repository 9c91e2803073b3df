"""What a worker of a cluster tells of its tasks, small enough to be sent every second, and what it makes of views elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skills_dspy.base.errors import SkillsError
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.server.server import Fault
from skills_dspy.run.runner import Watcher
from skills_dspy.run.task import Standstill, TaskView
from skills_dspy.screens.decontamination import Notices

_TOLD = ("meter", "answered_by", "usage", "soft_ratings", "status", "error", "description", "variety", "unplanned")
"""The attributes of a view that the worker knows; the others stand in what was asked for."""


@dataclass(frozen=True, slots=True)
class News:
    """What is new since the last time.

    Attributes:
        tasks: what `show_told` needs of each task that has changed, by its name.
        slots: requests in flight, the most there may be, and how many wait.
        lines: what was said, each with its kind: `say`, `warn`, or `fault` and the seconds until the next try.
    """

    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    slots: tuple[int, int, int] = (0, 0, 0)
    lines: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class BatchEnd:
    """How a batch of tasks has ended: the last news, and an error where one ended it."""

    news: News
    error: SkillsError | None = None


class Reporter(Watcher, Notices):
    """Hears of the run of a worker, and gathers it as news."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str, float]] = []
        self._known: dict[str, tuple[object, ...]] = {}

    def say(self, line: str) -> None:
        """Something takes its time."""
        self._lines.append(("say", line, 0.0))

    def warn(self, line: str) -> None:
        """Something is odd."""
        self._lines.append(("warn", line, 0.0))

    def fault(self, fault: Fault, pause: float) -> None:
        """A request failed, and is repeated after so many seconds. Only the last one is told."""
        self._lines = [line for line in self._lines if line[0] != "fault"]
        self._lines.append(("fault", str(fault.error), pause))

    def news(self) -> News:
        """What is new since this was asked for the last time."""
        changed = [view for view in self.tasks if self._has_changed(view)]
        lines, self._lines = tuple(self._lines), []
        slots = self.slots
        return News(
            {view.spec.task_name: told_of(view) for view in changed},
            (0, 0, 0) if slots is None else (slots.held, slots.count, slots.waiting),
            lines,
        )

    def _has_changed(self, view: TaskView) -> bool:
        name, run, meter = view.spec.task_name, view.run, view.meter
        known = (view.status, run.funnel.candidates, run.draws, meter.live, meter.remembered, meter.lost, view.description)
        if self._known.get(name) == known:
            return False
        self._known[name] = known
        return True


def told_of(view: TaskView) -> dict[str, Any]:
    """All that a view elsewhere lacks."""
    run = view.run
    still = Standstill(run.funnel, run.done, run.stopped, run.draws)
    return {"run": still, **{name: getattr(view, name) for name in _TOLD}}


def show_told(view: TaskView, told: Mapping[str, Any]) -> None:
    """Let a view show what was told."""
    for name in ("run", *_TOLD):
        setattr(view, name, told[name])


class AllSlots(Slots):
    """The slots of all workers together, as they told of them last."""

    def __init__(self) -> None:
        super().__init__(())
        self._told: dict[int, tuple[int, int, int]] = {}

    def tell(self, worker: int, slots: tuple[int, int, int] | None) -> None:
        """What a worker says; None when it has ended."""
        if slots is None:
            self._told.pop(worker, None)
        else:
            self._told[worker] = slots

    @property
    def count(self) -> int:
        """How many slots there are."""
        return sum(count for _, count, _ in self._told.values())

    @property
    def held(self) -> int:
        """How many slots are taken."""
        return sum(held for held, _, _ in self._told.values())

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return sum(waiting for _, _, waiting in self._told.values())
