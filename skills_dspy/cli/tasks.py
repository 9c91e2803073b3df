"""`tasks`: lists tasks and what is wrong with them, for people, for programs, or for GitHub."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.table import Table

from skills_dspy.base.config import load_config
from skills_dspy.base.errors import SkillsError
from skills_dspy.base.visible import visible
from skills_dspy.cli.run import changes_since, default_paths
from skills_dspy.cli.shared.arguments import TasksOptions
from skills_dspy.cli.terminal.consoles import make_console, unmarked
from skills_dspy.cli.terminal.streams import echo
from skills_dspy.commands.check.task_report import (
    HEADINGS,
    TaskReport,
    github_error,
    github_lines,
    make_report,
    plain_lines,
    rows,
    summary_line,
    task_report_json,
)
from skills_dspy.tasks.files import nothing_changed
from skills_dspy.tasks.lint import RULES

FINE, FAULTY = 0, 1
_STYLES = {"error": "red", "warning": "yellow", "note": "cyan"}


def tasks_command(options: TasksOptions) -> int:
    """List and lint; returns the exit code: 1 when there is an error or, if strict, a warning."""
    if options.as_json and options.layout not in (None, "json"):
        raise click.UsageError(f"--json and --format {options.layout} exclude one another")
    if options.rules:
        width = max(len(rule.name) for rule in RULES)
        for rule in RULES:
            echo(f"{rule.name:<{width}}  {rule.severity:<7}  {rule.about}")
        return FINE
    layout = "json" if options.as_json else options.layout or "text"
    paths = options.paths or default_paths()
    with _annotated(layout):
        config = load_config(options.config)
        changes = changes_since(options.taxonomy_base, paths)
        report = make_report(paths, config, changes)
    _print_report(report, layout)
    if changes is not None and not report.files:
        echo(nothing_changed(changes), err=True)
    return FAULTY if report.count("error") or (options.strict and report.count("warning")) else FINE


@contextmanager
def _annotated(layout: str) -> Iterator[None]:
    """Say what ends the command on stdout, too, where GitHub makes an annotation of it."""
    try:
        yield
    except SkillsError as error:
        if layout == "github":
            echo(github_error(str(error)))
        raise


def _print_report(report: TaskReport, layout: str) -> None:
    if layout == "json":
        echo(task_report_json(report))
    elif layout == "github":
        for line in github_lines(report):
            echo(line)
    elif sys.stdout.isatty():
        show(report, make_console())
    else:
        for line in plain_lines(report):
            echo(line)


def show(report: TaskReport, out: Console) -> None:
    """The report for a terminal: a table, then the findings file by file."""
    if report.tasks:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for place, heading in enumerate(HEADINGS):
            table.add_column(heading, justify="left" if place < 2 else "right", no_wrap=place > 0, overflow="fold")
        for cells in rows(report):
            table.add_row(*(unmarked(cell) for cell in cells))
        out.print(table)
    for skipped in report.skipped:
        out.print(unmarked(str(skipped), style="dim"), soft_wrap=True)
    path = None
    for found in report.findings:
        if found.path != path:
            path = found.path
            out.print(unmarked(f"\n{path}", style="bold"), soft_wrap=True)
        line = unmarked(f"{found.line:>5}  ")
        line.append(f"{found.severity:<7}", style=_STYLES[found.severity])
        line.append(visible(f"  {found.message}  ")).append(found.rule, style="dim")
        out.print(line, soft_wrap=True)
    out.print(unmarked(f"\n{summary_line(report)}"), soft_wrap=True)
