"""How far tasks are, in numbers and lines: one task, all of them together, and the worst of many."""

from collections.abc import Sequence
from dataclasses import dataclass

from skills_dspy.model.slots import Slots
from skills_dspy.pipeline.funnel import LABELS, STAGES, Funnel
from skills_dspy.run.runner import RunningTask

FEW = 6
"""Up to so many tasks each one is shown with all its numbers; of more, the total and the worst."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of one task, or of several together.

    Attributes:
        name: of the task; `total` for several.
        tasks, done, failed: how many tasks, and what has become of them.
        candidates, accepted, wanted: pairs.
        missing: what the tasks that still run want more.
        live, remembered, output_tokens: of all calls since the start.
    """

    name: str
    tasks: int
    done: int
    failed: int
    candidates: int
    accepted: int
    wanted: int
    missing: int
    live: int
    remembered: int
    output_tokens: int

    def counted(self) -> str:
        """How many tasks there are and what has become of them, in words."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {self.tasks} tasks done{failed}"


def total_of(tasks: Sequence[RunningTask]) -> Tally:
    """The numbers of tasks, added up; one or more."""
    funnels = [task.run.funnel for task in tasks]
    return Tally(
        name=name_of(tasks[0]) if len(tasks) == 1 else "total",
        tasks=len(tasks),
        done=sum(task.run.done for task in tasks),
        failed=sum(task.error is not None for task in tasks),
        candidates=sum(funnel.candidates for funnel in funnels),
        accepted=sum(funnel.accepted for funnel in funnels),
        wanted=sum(task.wanted for task in tasks),
        missing=sum(task.wanted - task.run.funnel.accepted for task in tasks if task.status == "running"),
        live=sum(task.meter.live for task in tasks),
        remembered=sum(task.meter.remembered for task in tasks),
        output_tokens=sum(task.meter.output_tokens for task in tasks),
    )


def worst_tasks(tasks: Sequence[RunningTask], most: int) -> list[RunningTask]:
    """Of the tasks that still run those with the smallest share of what is wanted, then with the lowest yield."""
    going = [task for task in tasks if task.status == "running" and not task.run.done]
    return sorted(going, key=lambda task: (task.run.funnel.accepted / task.wanted, -task.run.funnel.candidates))[:most]


def name_of(task: RunningTask) -> str:
    """A task's name without what all of InstructLab's have in common."""
    return task.spec.task_name.removeprefix("instructlab/skills/")


def total_line(total: Tally, slots: Slots | None, seconds: float) -> str:
    """Everything about all tasks in one line."""
    return f"total: {total.counted()}, {_numbers(total, slots, seconds)}"


def task_line(task: RunningTask, slots: Slots | None, seconds: float) -> str:
    """Everything about a task in one line."""
    return f"{task.spec.task_name}: {_numbers(total_of([task]), slots, seconds)} [{funnel_line(task.run.funnel)}]"


def _numbers(tally: Tally, slots: Slots | None, seconds: float) -> str:
    rate = tally.output_tokens / seconds if seconds > 0 else 0.0
    flight = "" if slots is None else f", {slots.held} in flight"
    left = time_left(tally, seconds)
    return (
        f"{tally.accepted} of {tally.wanted} accepted, {tally.live + tally.remembered} calls, "
        f"{rate:.0f} tokens/s{flight}{', ' + left + ' left' if left else ''}"
    )


def funnel_line(funnel: Funnel) -> str:
    """How many candidates settled, and how many each stage rejected."""
    rejected = [f"{LABELS[stage]} -{funnel.rejections(stage)}" for stage in STAGES if funnel.rejections(stage)]
    return ", ".join([f"{funnel.candidates} candidates", *rejected, f"accepted {funnel.accepted}"])


def time_left(tally: Tally, seconds: float) -> str:
    """By the calls that a pair has taken so far and the seconds that a live call takes; empty while either is unknown."""
    if not tally.accepted or not tally.live or not tally.missing:
        return ""
    return duration(seconds / tally.live * (tally.live + tally.remembered) / tally.accepted * tally.missing)


def duration(seconds: float) -> str:
    """Seconds in words for a person: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
