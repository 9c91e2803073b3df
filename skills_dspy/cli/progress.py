"""What goes on, on stderr: in a terminal a picture that is drawn anew, elsewhere a plain line now and then."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from skills_dspy.base.visible import visible
from skills_dspy.cli.terminal.consoles import make_console, unmarked
from skills_dspy.cli.terminal.streams import echo
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.run.headway import (
    FEW,
    Headway,
    duration,
    funnel_line,
    headway_of,
    host_line,
    hosts_shown,
    numbers_line,
    time_left,
    worst_tasks,
)
from skills_dspy.run.runner import Watcher
from skills_dspy.run.task import TaskView

_LINE_EVERY = 15.0
"""Seconds between two plain lines."""
_TIMED = 3
"""Steps of a training after the first one that tell how long the others will take."""
_WORST_LINES = 3
"""How many of many tasks get a plain line of their own."""
_WORST_ROWS = 8
"""How many of many tasks get a row of the table: with all else it fits into 24 lines."""
_WIDE = 90
"""From how many columns on there is room for a bar."""


class Progress:
    """One text about what goes on, with a bar where it is known how much there is to do.

    Entered, it shows the picture in a terminal; left, the picture goes away, and the lines that were said stay. The stream
    is the stderr of now, unless given: DSPy's optimizers put another in its place meanwhile.
    """

    doing, counted = "asking", "answered"

    def __init__(
        self, *, quiet: bool = False, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.began = clock()
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._clock = clock
        self._printed = self.began
        self._complained = -math.inf
        self._complaint = ""
        self._text = ""
        self._done = self._total = 0
        self._spinner = Spinner("dots")
        self._live: Live | None = None
        console = make_console(stream=self._stream)
        if not quiet and self._stream.isatty() and console.is_interactive:  # a dumb one cannot draw over what is there
            self._live = Live(self, console=console, refresh_per_second=4, transient=True)

    def say(self, line: str, style: str = "") -> None:
        """Show a line that stays."""
        if self._live is not None:
            self._live.console.print(unmarked(line, style=style), soft_wrap=True)
        elif not self._quiet:
            echo(line, stream=self._stream)

    def fault(self, message: str, pause: float) -> None:
        """Show that a request failed and is repeated after `pause` seconds: until the next tick, or not too often."""
        self._complaint = f"{message} Asking again in {pause:.0f} s."
        if self._live is None and self._clock() - self._complained >= _LINE_EVERY:
            self._complained = self._clock()
            self.say(self._complaint)

    def update(self, text: str) -> None:
        """Change the text."""
        self._text = text
        self.tick()

    @contextmanager
    def counting(self, total: int) -> Iterator[Callable[[], None]]:
        """Count the answers to so many questions; gives what counts one more."""
        self.began, self._done, self._total = self._clock(), 0, total
        with self if total else nullcontext():
            yield self._count

    def _count(self) -> None:
        self._done += 1
        self.update(f"{self._done} of {self._total} {self.counted}")

    def tick(self) -> None:
        """Something has changed: print lines if the last ones are some time ago."""
        self._complaint = ""
        if self._live is None and not self._quiet and self._clock() - self._printed >= _LINE_EVERY:
            self._printed = self._clock()
            for line in self.lines():
                self.say(line)

    def lines(self) -> Iterable[str]:
        """What is printed where there is no terminal."""
        return [self._text]

    def picture(self, width: int) -> Iterable[RenderableType]:
        """What is drawn in a terminal of so many columns."""
        if not self._total:
            self._spinner.update(text=unmarked(self._text))
            return [self._spinner]
        left = f"  {told}" if (told := self._left()) else ""
        row = Table.grid(padding=(0, 1))
        row.add_row(self.doing, ProgressBar(self._total, self._done, width=width // 3), f"{self._done}/{self._total}{left}")
        return [row]

    def _left(self) -> str:
        """How long it will take, at the pace so far; empty while nobody can tell."""
        if not self._done:
            return ""
        return f"{duration((self._clock() - self.began) / self._done * (self._total - self._done))} left"

    def stop(self) -> None:
        """Take the picture away."""
        if self._live is not None:
            self._live.stop()

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        yield from self.picture(options.max_width)
        if self._complaint:
            yield unmarked(self._complaint, style="yellow")

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class TrainingProgress(Progress):
    """How many steps of all trainings are done, and how long the others will take."""

    doing, counted = "training", "steps done"

    def _count(self) -> None:
        if not self._done:
            self._first = self._clock()  # the first step waits for libraries and data, and tells nothing of the others
        super()._count()

    def lines(self) -> Iterable[str]:
        """The text, with the time that is left once some steps were timed."""
        return [", ".join(filter(None, (self._text, self._left())))]

    def _left(self) -> str:
        if self._done <= _TIMED:
            return ""
        return f"{duration((self._clock() - self._first) / (self._done - 1) * (self._total - self._done))} left"


class RunProgress(Progress, Watcher):
    """How far the tasks of a run are: each of a few with all its numbers; of many, the total and the worst."""

    def started(self, tasks: Sequence[TaskView], slots: Slots) -> None:
        """Say what has failed already, and show the others."""
        super().started(tasks, slots)
        self.began = self._clock()
        for task in tasks:
            if task.error is not None:
                self.failed(task)

    def changed(self) -> None:
        """Print lines if the last ones are some time ago; a reply came, so the server is well again."""
        self.tick()

    def failed(self, task: TaskView) -> None:
        """Say it at once."""
        self.say(f"{task.spec.task_name}: {task.status}", "red")

    def lines(self) -> Iterable[str]:
        """One for each task, or of many the total and the worst."""
        seconds, many = self._clock() - self.began, len(self.tasks) > FEW
        if many:
            yield f"total: {headway_of(self.tasks).counted()}, {numbers_line(headway_of(self.tasks), self.slots, seconds)}"
        for task in worst_tasks(self.tasks, _WORST_LINES) if many else self.tasks:
            if task.status == "running" and not task.run.done:
                numbers = numbers_line(headway_of([task]), None if many else self.slots, seconds)
                yield f"{task.spec.task_name}: {numbers} [{funnel_line(task.run.funnel)}]"
        yield from self._hosts(seconds)

    def picture(self, width: int) -> Iterable[RenderableType]:
        """A table of the tasks, then their funnels or what has become of them, then the requests in flight."""
        if not self.tasks:
            yield unmarked("asking the server ...")
            return
        many = len(self.tasks) > FEW
        total = headway_of(self.tasks)
        rows = worst_tasks(self.tasks, _WORST_ROWS) if many else self.tasks
        yield self._table([*([total] if many else []), *(headway_of([task]) for task in rows)], wide=width >= _WIDE)
        if many:
            yield unmarked(f"{total.counted()}; shown: the {len(rows)} that are farthest behind" if rows else total.counted())
        for task in () if many else self.tasks:
            name = task.spec.task_name.rsplit("/", 1)[-1]
            yield Text(visible(f"  {name}: {funnel_line(task.run.funnel)}"), style="dim", overflow="ellipsis", no_wrap=True)
        for line in self._hosts(self._clock() - self.began):
            yield Text(visible(line), overflow="ellipsis", no_wrap=True)
        if self.slots is not None:
            yield unmarked(f"in flight {self.slots.held} of {self.slots.count}, waiting {self.slots.waiting}")

    def _hosts(self, seconds: float) -> Iterator[str]:
        lanes, more = hosts_shown(self.slots, _WORST_ROWS)
        yield from (host_line(lane, seconds) for lane in lanes)
        if more:
            yield f"and {more} other hosts"

    def _table(self, rows: Iterable[Headway], *, wide: bool) -> Table:
        seconds = self._clock() - self.began
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("task", no_wrap=True, overflow="ellipsis")
        for heading in ("accepted", *([""] if wide else []), "calls", "tokens/s", "time left"):
            table.add_column(heading, no_wrap=True, min_width=len(heading))
        for row in rows:
            table.add_row(
                unmarked(row.name),
                f"{row.accepted} of {row.wanted}",
                *([ProgressBar(total=row.wanted, completed=row.accepted, width=20)] if wide else []),
                str(row.live + row.remembered),
                f"{row.output_tokens / seconds:.0f}" if seconds > 1 else "",
                time_left(row, seconds),
            )
        return table
