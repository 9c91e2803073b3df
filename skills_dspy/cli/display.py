"""What is shown while a run goes on: a live table in a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from skills_dspy.cli.progress import FEW, funnel_line, task_line, time_left, total_line, total_of, worst_tasks
from skills_dspy.model.slots import Slots
from skills_dspy.run.runner import RunningTask

_LINE_EVERY = 15.0
"""Seconds between two plain lines."""
_WORST_LINES = 3
"""How many of many tasks get a plain line of their own."""
_WORST_ROWS = 8
"""How many of many tasks get a row of the table: with all else it fits into 24 lines."""
_WIDE = 90
"""From how many columns on there is room for a bar."""


class Display(Protocol):
    """A watcher of a run with a place to show it."""

    tasks: Sequence[RunningTask]

    def started(self, tasks: Sequence[RunningTask], slots: Slots) -> None:
        """All tasks are about to run."""

    def changed(self) -> None:
        """A candidate has settled."""

    def failed(self, task: RunningTask) -> None:
        """A task has failed for itself, and the others go on."""

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

    def failed(self, task: RunningTask) -> None:
        """A task has failed for itself, and the others go on."""

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

    def started(self, tasks: Sequence[RunningTask], slots: Slots) -> None:
        """Say what has failed already."""
        super().started(tasks, slots)
        for task in tasks:
            if task.error is not None:
                self.failed(task)

    def changed(self) -> None:
        """Print lines if the last ones are some time ago: one for each task, or of many the total and the worst."""
        if self.clock() - self._printed >= _LINE_EVERY:
            self._printed = self.clock()
            seconds, many = self.clock() - self.began, len(self.tasks) > FEW
            if many:
                self._print(total_line(total_of(self.tasks), self.slots, seconds))
            for task in worst_tasks(self.tasks, _WORST_LINES) if many else self.tasks:
                if task.status == "running" and not task.run.done:
                    self._print(task_line(task, None if many else self.slots, seconds))

    def failed(self, task: RunningTask) -> None:
        """Print it at once."""
        self._print(f"{task.spec.task_name}: {task.status}")

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def fault(self, message: str, pause: float) -> None:
        """Print the fault, but a repeated one only now and then."""
        super().fault(message, pause)
        if self.clock() - self._complained >= _LINE_EVERY:
            self._complained = self.clock()
            self._print(self.last_fault)


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

    def started(self, tasks: Sequence[RunningTask], slots: Slots) -> None:
        """Say what has failed already, and show the others."""
        super().started(tasks, slots)
        for task in tasks:
            if task.error is not None:
                self.failed(task)

    def failed(self, task: RunningTask) -> None:
        """Leave a line above the table."""
        self._live.console.print(Text(f"{task.spec.task_name}: {task.status}", style="red"), soft_wrap=True)

    def _picture(self) -> Group | Text:
        if not self.tasks:
            return Text("asking the server ...")
        seconds = self.clock() - self.began
        many = len(self.tasks) > FEW
        total = total_of(self.tasks)
        shown = worst_tasks(self.tasks, _WORST_ROWS) if many else self.tasks
        table = Table(box=None, padding=(0, 2, 0, 0))
        wide = self._console.width >= _WIDE
        table.add_column("task", no_wrap=True, overflow="ellipsis")
        for heading in ("accepted", *([""] if wide else []), "calls", "tokens/s", "time left"):
            table.add_column(heading, no_wrap=True, min_width=len(heading))
        for tally in ([total] if many else []) + [total_of([task]) for task in shown]:
            table.add_row(
                Text(tally.name),
                f"{tally.accepted} of {tally.wanted}",
                *([ProgressBar(total=tally.wanted, completed=tally.accepted, width=20)] if wide else []),
                str(tally.live + tally.remembered),
                f"{tally.output_tokens / seconds:.0f}" if seconds > 1 else "",
                time_left(tally, seconds),
            )
        lines: list[Table | Text] = [table]
        if many:
            lines.append(
                Text(f"{total.counted()}; shown: the {len(shown)} that are farthest behind" if shown else total.counted())
            )
        for task in () if many else self.tasks:
            name = task.spec.task_name.rsplit("/", 1)[-1]
            lines.append(Text(f"  {name}: {funnel_line(task.run.funnel)}", style="dim", overflow="ellipsis", no_wrap=True))
        if self.slots is not None:
            lines.append(Text(f"in flight {self.slots.held} of {self.slots.count}, waiting {self.slots.waiting}"))
        if self.last_fault:
            lines.append(Text(self.last_fault, style="yellow"))
        return Group(*lines)
