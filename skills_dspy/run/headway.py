"""How far tasks are, in numbers and lines: one task, several together, and the worst of many."""

from collections.abc import Sequence
from dataclasses import dataclass

from skills_dspy.model.hosts.lane import Lane
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.pipeline.funnel import LABELS, STAGES, Funnel
from skills_dspy.run.task import TaskView

FEW = 6
"""Up to so many tasks each one is shown with all its numbers; of more, the total and the worst."""


@dataclass(frozen=True, slots=True)
class Headway:
    """The numbers of one task, or of several together under the name `total`.

    `missing` is how many pairs the tasks that still run want more; calls and tokens are those since the start.
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


def headway_of(tasks: Sequence[TaskView]) -> Headway:
    """The numbers of tasks, added up; one or more."""
    funnels = [task.run.funnel for task in tasks]
    return Headway(
        name=short_name(tasks[0]) if len(tasks) == 1 else "total",
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


def worst_tasks(tasks: Sequence[TaskView], most: int) -> list[TaskView]:
    """Of the tasks that still run those with the smallest share of what is wanted, then with the lowest yield."""
    going = [task for task in tasks if task.status == "running" and not task.run.done]
    return sorted(going, key=lambda task: (task.run.funnel.accepted / task.wanted, -task.run.funnel.candidates))[:most]


def short_name(task: TaskView) -> str:
    """A task's name without what all of InstructLab's have in common."""
    return task.spec.task_name.removeprefix("instructlab/skills/")


def numbers_line(headway: Headway, slots: Slots | None, seconds: float) -> str:
    """Pairs, calls, speed, requests in flight and the time left, in one line."""
    rate = headway.output_tokens / seconds if seconds > 0 else 0.0
    flight = "" if slots is None else f", {slots.held} in flight"
    left = time_left(headway, seconds)
    return (
        f"{headway.accepted} of {headway.wanted} accepted, {headway.live + headway.remembered} calls, "
        f"{rate:.0f} tokens/s{flight}{', ' + left + ' left' if left else ''}"
    )


def host_line(lane: Lane, seconds: float) -> str:
    """One of several hosts: requests in flight of its slots, calls, speed, or why it gets nothing."""
    rate = lane.output_tokens / seconds if seconds > 0 else 0.0
    why = f"; gets nothing now: {lane.why}" if lane.why else ""
    return f"{lane.name}: {lane.held} of {lane.count} in flight, {lane.calls} calls, {rate:.0f} tokens/s{why}"


def hosts_shown(slots: Slots | None, most: int) -> tuple[list[Lane], int]:
    """Of several hosts as many as are shown, those first that get nothing, and how many are not; none of one alone."""
    lanes = [] if slots is None or len(slots.lanes) == 1 else sorted(slots.lanes, key=lambda lane: not lane.why)
    return lanes[:most], len(lanes[most:])


def funnel_line(funnel: Funnel) -> str:
    """How many candidates settled, and how many each stage rejected."""
    rejected = [f"{LABELS[stage]} -{funnel.rejections(stage)}" for stage in STAGES if funnel.rejections(stage)]
    return ", ".join([f"{funnel.candidates} candidates", *rejected, f"accepted {funnel.accepted}"])


def time_left(headway: Headway, seconds: float) -> str:
    """By the calls that a pair has taken so far and the seconds that a live call takes; empty while either is unknown."""
    if not headway.accepted or not headway.live or not headway.missing:
        return ""
    return duration(seconds / headway.live * (headway.live + headway.remembered) / headway.accepted * headway.missing)


def duration(seconds: float) -> str:
    """Seconds in words for a person: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def rate_of(tokens: float) -> str:
    """Tokens a second for a person: a slow model's with one decimal."""
    return f"{tokens:.0f}" if tokens >= 10 else f"{tokens:.1f}"
