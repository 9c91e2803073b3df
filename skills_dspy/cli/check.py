"""`check`: tries everything that a run needs, a line for each as it is done, and an exit code."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from skills_dspy.base.errors import StorageError
from skills_dspy.cli.run import load_specs
from skills_dspy.cli.shared.arguments import CheckOptions
from skills_dspy.cli.shared.sessions import complainer, fault_teller
from skills_dspy.cli.summary import command
from skills_dspy.cli.terminal.consoles import make_console, make_table
from skills_dspy.cli.terminal.streams import echo_json
from skills_dspy.commands.api.check import checks_of
from skills_dspy.commands.api.server import measured_file
from skills_dspy.commands.check.forecast import StepCost
from skills_dspy.commands.check.hosts import HostSpeed
from skills_dspy.commands.check.lines import Line
from skills_dspy.commands.check.report import CheckReport, CheckRequest, Hearer
from skills_dspy.commands.check.seeds import RatedSeeds, closing_line
from skills_dspy.store.measured import keep_measured

READY, SEEDS_FAIL, NOT_READY = 0, 1, 2
_MARKS = {"ok": "[green]ok[/green]  ", "warn": "[yellow]warn[/yellow]", "FAIL": "[red]FAIL[/red]"}


def check_command(options: CheckOptions) -> int:
    """Check what was asked for; returns the exit code: 0 when everything needed is there, 2 when something is not.

    Of seeds: 0 when all pass, 1 when one does not.
    """
    config = options.server.over(options.models.load(options.embedder))
    specs = load_specs(options.task_paths, options.taxonomy_base).specs
    out = make_console(err=options.as_json, soft_wrap=True)
    wanted, concurrency = options.wanted, options.server.concurrency
    request = CheckRequest(specs, config, wanted, concurrency, options.output_dir, options.pull, command())
    checks = checks_of(request, options.server.connection, ShownChecks(out), fault_teller(complainer(sys.stderr)))
    if options.seeds:
        return closed_seeds(checks.rate_seeds(), out, as_json=options.as_json)
    report = checks.run()
    if report.hosts:
        out.print(escape(_kept(report.hosts)))
    return closed(report, out, as_json=options.as_json)


def _kept(hosts: Sequence[HostSpeed]) -> str:
    """Keep what was measured of several hosts for `run`, and say so."""
    path, today = measured_file(), datetime.now(UTC).date()
    if path is None:
        return "\nNot kept for `run`, because neither XDG_CACHE_HOME nor HOME says a folder."
    try:
        keep_measured(path, [host.measured(today) for host in hosts])
    except StorageError as error:
        return f"\nNot kept for `run`: {error}"
    return f"\nKept for `run` in {path}: " + ", ".join(f"{host.slots} slots at {host.host.name}" for host in hosts)


def closed(report: CheckReport, out: Console, *, as_json: bool) -> int:
    """Say what it comes to; returns the exit code."""
    if as_json:
        echo_json(report.as_json())
    if not report.ready:
        out.print(f"\nNot ready, {report.count('FAIL')} FAIL above: a run needs what is missing there.")
        return NOT_READY
    warned = report.count("warn")
    out.print(f"\nEverything needed is there{f', with {warned} warn above' if warned else ''}.")
    return READY


def closed_seeds(rated: Sequence[RatedSeeds] | CheckReport, out: Console, *, as_json: bool) -> int:
    """Say what the judges said of the seeds; returns the exit code."""
    if isinstance(rated, CheckReport):
        if as_json:
            echo_json(rated.as_json())
        return NOT_READY
    closing = closing_line(rated)
    if as_json:
        echo_json({"tasks": [task.as_json() for task in rated], "said": closing})
    else:
        for line in [line for task in rated for line in task.lines()]:
            out.print(escape(line))
        out.print(f"\n{closing}")
    return READY if all(task.count(True) == len(task.spec.seed_examples) for task in rated) else SEEDS_FAIL


class ShownChecks(Hearer):
    """Shows on a console what is found and what is being done."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def said(self, line: Line) -> None:
        """Print its line."""
        self._out.print(f"{_MARKS[line.state]}  {line.name:<10}  {escape(line.text)}")

    def costs(self, costs: Sequence[StepCost]) -> None:
        """Print the table."""
        self._out.print(costs_table(costs))

    def doing(self, text: str) -> AbstractContextManager[object]:
        """Show that somebody has to wait."""
        return self._out.status(text)

    def pulling(self, name: str, done: Iterable[tuple[str, int, int]]) -> None:
        """Show a bar for each part."""
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        bars: dict[str, TaskID] = {}
        with Progress(TextColumn("{task.description}"), *columns, console=self._out) as progress:
            for doing, bytes_done, total in done:
                if total:
                    if doing not in bars:
                        bars[doing] = progress.add_task(f"{escape(name)}: {escape(doing)}", total=total)
                    progress.update(bars[doing], completed=bytes_done)


def costs_table(costs: Sequence[StepCost]) -> Table:
    """Step by step: calls for each accepted pair, tokens of a call."""
    numbers = ("calls per pair", "prompt tokens", "reply tokens")
    table = make_table("step", *numbers, numbers=numbers)
    for cost in costs:
        table.add_row(cost.step, f"{cost.calls:.2f}", f"{cost.prompt:.0f}", f"{cost.output:.0f}")
    calls = sum(cost.calls for cost in costs)
    prompt, output = sum(cost.calls * cost.prompt for cost in costs), sum(cost.calls * cost.output for cost in costs)
    table.add_row("each accepted pair", f"{calls:.2f}", f"{prompt:.0f}", f"{output:.0f}")
    return table
