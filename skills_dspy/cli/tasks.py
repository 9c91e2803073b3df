"""`tasks`: lists tasks and what is wrong with them, for people, for programs, or for GitHub."""

import json
import sys
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skills_dspy.base.config import load_config
from skills_dspy.cli.arguments import TasksOptions
from skills_dspy.cli.run import changes_since, default_paths
from skills_dspy.commands.check.task_report import Report, make_report
from skills_dspy.tasks.files import nothing_changed
from skills_dspy.tasks.lint import RULES, Finding

FINE, FAULTY = 0, 1
_STYLES = {"error": "red", "warning": "yellow", "note": "cyan"}
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_HEADINGS = ("task", "kind", "seeds", "longest seed", "longest prompt", "window")


def tasks_command(options: TasksOptions) -> int:
    """List and lint; returns the exit code: 1 when there is an error or, if strict, a warning."""
    if options.as_json and options.layout not in (None, "json"):
        raise click.UsageError(f"--json and --format {options.layout} exclude one another")
    if options.rules:
        return rules_command()
    layout = "json" if options.as_json else options.layout or "text"
    config = load_config(options.config)
    paths = options.paths or default_paths()
    changes = changes_since(options.taxonomy_base, paths)
    report = make_report(paths, config, changes)
    if layout == "json":
        click.echo(as_json(report))
    elif layout == "github":
        for line in github_lines(report):
            click.echo(line)
    elif sys.stdout.isatty():
        show(report, Console(highlight=False, emoji=False))
    else:
        for line in plain_lines(report):
            click.echo(line)
    if changes is not None and not report.files:
        click.echo(nothing_changed(changes), err=True)
    return FAULTY if report.count("error") or (options.strict and report.count("warning")) else FINE


def rules_command() -> int:
    """List the rules; returns the exit code."""
    width = max(len(rule.name) for rule in RULES)
    for rule in RULES:
        click.echo(f"{rule.name:<{width}}  {rule.severity:<7}  {rule.about}")
    return FINE


def as_json(report: Report) -> str:
    """The report for a program."""
    counts = {severity: report.count(severity) for severity in _STYLES}
    return json.dumps({**report.model_dump(mode="json"), "counts": counts}, ensure_ascii=False, indent=2)


def github_lines(report: Report) -> list[str]:
    """The findings as workflow commands of GitHub Actions, which shows them at their lines of a pull request.

    The form and its escapes are GitHub's (actions/toolkit, packages/core/src/command.ts).
    """
    lines = [_annotation(found) for found in report.findings]
    for skipped in report.skipped:
        path = _escaped(str(skipped.path), ",:")
        lines.append(f"::notice file={path},line={skipped.line},title=skipped::{_escaped(skipped.message)}")
    return [*lines, summary_line(report)]


def _annotation(found: Finding) -> str:
    where = f"file={_escaped(found.path, ',:')},line={found.line},title={_escaped(found.rule, ',:')}"
    return f"::{_COMMANDS[found.severity]} {where}::{_escaped(found.message)}"


def _escaped(text: str, also: str = "") -> str:
    """A text as a workflow command takes it; `also` for the properties, which commas and colons end."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for character in also:
        escaped = escaped.replace(character, f"%{ord(character):02X}")
    return escaped


def plain_lines(report: Report) -> list[str]:
    """The report for a file or a pipe: a table, then a line for each finding as compilers write them."""
    lines = _aligned([_HEADINGS, *_rows(report)]) if report.tasks else []
    lines += ["", *map(str, report.skipped)] if report.skipped else []
    if report.findings:
        lines += ["", *(f"{f.path}:{f.line}: {f.severity}: {f.message} [{f.rule}]" for f in report.findings)]
    return [*lines, *([""] if lines else []), summary_line(report)]


def _rows(report: Report) -> Iterable[tuple[str, ...]]:
    for row in report.tasks:
        sizes = (row.seeds, row.longest_seed, row.longest_prompt, row.window)
        yield (row.task_name, row.kind, *map(str, sizes))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def show(report: Report, out: Console) -> None:
    """The report for a terminal: a table, then the findings file by file."""
    if report.tasks:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for place, heading in enumerate(_HEADINGS):
            table.add_column(heading, justify="left" if place < 2 else "right", no_wrap=place > 0, overflow="fold")
        for cells in _rows(report):
            table.add_row(*(Text(cell) for cell in cells))
        out.print(table)
    for skipped in report.skipped:
        out.print(Text(str(skipped), style="dim"), soft_wrap=True)
    path = None
    for found in report.findings:
        if found.path != path:
            path = found.path
            out.print(Text(f"\n{path}", style="bold"), soft_wrap=True)
        line = Text(f"{found.line:>5}  ")
        line.append(f"{found.severity:<7}", style=_STYLES[found.severity])
        line.append(f"  {found.message}  ").append(found.rule, style="dim")
        out.print(line, soft_wrap=True)
    out.print(Text(f"\n{summary_line(report)}"), soft_wrap=True)


def summary_line(report: Report) -> str:
    """How many of everything."""
    counts = [(report.files, "file"), (len(report.tasks), "task")]
    counts += [(report.count(severity), severity) for severity in _STYLES]
    said = [f"{number} {name}{'' if number == 1 else 's'}" for number, name in counts]
    skipped = f", {len(report.skipped)} skipped" if report.skipped else ""
    return f"{said[0]}{skipped}, {said[1]}: {', '.join(said[2:])}"
