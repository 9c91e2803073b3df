"""What is shown while a run goes on: a live table in a terminal, a plain line now and then elsewhere (layer 6)."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from skills_dspy.funnel import STAGES, Funnel
from skills_dspy.run import RunningTask
from skills_dspy.slots import Slots

_LINE_EVERY = 15.0
"""Seconds between two plain lines."""
_WIDE = 90
"""From how many columns on there is room for a bar."""
_FUNNELS = 6
"""How many tasks' funnels a terminal has room for."""
_SHORT = {
    "write_context": "context",
    "write_questions": "questions",
    "dedup": "dedup",
    "decontamination": "contaminated",
    "judge_question": "question judge",
    "instruction_quality": "instruction",
    "write_answer": "answer",
    "answer_decontamination": "contaminated answer",
    "judge_pair": "pair judge",
    "sample_quality": "sample",
    "difficulty": "difficulty",
    "category": "category",
}


class Display(Protocol):
    """A watcher of a run with a place to show it."""

    tasks: Sequence[RunningTask]

    def started(self, tasks: Sequence[RunningTask], slots: Slots) -> None:
        """All tasks are about to run."""

    def changed(self) -> None:
        """A candidate has settled."""

    def fault(self, message: str, pause: float) -> None:
        """A request failed and will be asked again after `pause` seconds."""

    def stop(self) -> None:
        """Nothing more will be shown."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class Silent:
    """Shows nothing; base of the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.tasks: Sequence[RunningTask] = ()
        self.slots: Slots | None = None
        self.clock = clock
        self.began = clock()
        self.last_fault = ""

    def started(self, tasks: Sequence[RunningTask], slots: Slots) -> None:
        """All tasks are about to run."""
        self.tasks, self.slots, self.began = tasks, slots, self.clock()

    def changed(self) -> None:
        """A candidate has settled."""

    def fault(self, message: str, pause: float) -> None:
        """A request failed and will be asked again after `pause` seconds."""
        self.last_fault = f"{message} Asking again in {pause:.0f} s."

    def stop(self) -> None:
        """Nothing more will be shown."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()


class PlainDisplay(Silent):
    """One line now and then, for a log file."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._stream = stream
        self._printed = self.began
        self._complained = -_LINE_EVERY

    def changed(self) -> None:
        """Print a line if the last one is some time ago."""
        if self.clock() - self._printed >= _LINE_EVERY:
            self._printed = self.clock()
            for task in self.tasks:
                if task.status == "running" and not task.run.done:
                    print(task_line(task, self.slots, self.clock() - self.began), file=self._stream, flush=True)

    def fault(self, message: str, pause: float) -> None:
        """Print the fault, but a repeated one only now and then."""
        super().fault(message, pause)
        if self.clock() - self._complained >= _LINE_EVERY:
            self._complained = self.clock()
            print(self.last_fault, file=self._stream, flush=True)


class TerminalDisplay(Silent):
    """A table that is drawn anew a few times a second."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._console = console or Console(stderr=True)
        self._live = Live(
            console=self._console, get_renderable=self._picture, refresh_per_second=4, transient=True, screen=False
        )

    def stop(self) -> None:
        """Take the table away."""
        self._live.stop()

    def fault(self, message: str, pause: float) -> None:
        """Show the fault below the table until a reply comes."""
        super().fault(message, pause)

    def changed(self) -> None:
        """A reply came: the server is well again."""
        self.last_fault = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def _picture(self) -> Group | Text:
        if not self.tasks:
            return Text("asking the server ...")
        seconds = self.clock() - self.began
        table = Table(box=None, padding=(0, 2, 0, 0))
        wide = self._console.width >= _WIDE
        table.add_column("task", no_wrap=True, overflow="ellipsis")
        for heading in ("accepted", *([""] if wide else []), "calls", "tokens/s", "time left"):
            table.add_column(heading, no_wrap=True, min_width=len(heading))
        for task in self.tasks:
            funnel = task.run.funnel
            table.add_row(
                Text(task.spec.task_name.removeprefix("instructlab/skills/")),
                f"{funnel.accepted} of {task.wanted}",
                *([ProgressBar(total=task.wanted, completed=funnel.accepted, width=20)] if wide else []),
                str(task.meter.live + task.meter.remembered),
                f"{task.meter.output_tokens / seconds:.0f}" if seconds > 1 else "",
                time_left(task, seconds),
            )
        lines: list[Table | Text] = [table]
        for task in self.tasks[:_FUNNELS]:
            name = task.spec.task_name.rsplit("/", 1)[-1]
            lines.append(Text(f"  {name}: {funnel_line(task.run.funnel)}", style="dim", overflow="ellipsis", no_wrap=True))
        if self.slots is not None:
            lines.append(Text(f"in flight {self.slots.held} of {self.slots.count}, waiting {self.slots.waiting}"))
        if self.last_fault:
            lines.append(Text(self.last_fault, style="yellow"))
        return Group(*lines)


def task_line(task: RunningTask, slots: Slots | None, seconds: float) -> str:
    """Everything about a task in one line."""
    funnel, meter = task.run.funnel, task.meter
    rate = meter.output_tokens / seconds if seconds > 0 else 0.0
    flight = "" if slots is None else f", {slots.held} in flight"
    left = time_left(task, seconds)
    return (
        f"{task.spec.task_name}: {funnel.accepted} of {task.wanted} accepted, {meter.live + meter.remembered} calls, "
        f"{rate:.0f} tokens/s{flight}{', ' + left + ' left' if left else ''} [{funnel_line(funnel)}]"
    )


def funnel_line(funnel: Funnel) -> str:
    """How many candidates settled, and how many each stage rejected."""
    rejected = [f"{_SHORT[stage]} -{funnel.rejections(stage)}" for stage in STAGES if funnel.rejections(stage)]
    return ", ".join([f"{funnel.candidates} candidates", *rejected, f"accepted {funnel.accepted}"])


def time_left(task: RunningTask, seconds: float) -> str:
    """By the calls that a pair has taken so far and the seconds that a live call takes; empty while either is unknown."""
    accepted, missing = task.run.funnel.accepted, task.wanted - task.run.funnel.accepted
    live, remembered = task.meter.live, task.meter.remembered
    if not accepted or not live or not missing:
        return ""
    return duration(seconds / live * (live + remembered) / accepted * missing)


def duration(seconds: float) -> str:
    """Seconds in words for a person: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
