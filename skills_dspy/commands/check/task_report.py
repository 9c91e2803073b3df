"""What `tasks` finds out: each task with its seeds and their size, and what the rules say of each file."""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import Frozen, SeedExample
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.commands.check.vectors import unread_seeds
from skills_dspy.model.context_window import needs
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.steps import STEPS
from skills_dspy.tasks.files import Changes, clashing, read_files
from skills_dspy.tasks.lint import Finding, finding, lint
from skills_dspy.tasks.spec import ParsedTask, SpecWarning, TaskFile
from skills_dspy.tasks.taxonomy import is_task_file

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
"""What GitHub calls the severities."""

HEADINGS = ("task", "kind", "seeds", "longest seed", "longest prompt", "window")


class TaskRow(Frozen):
    """One task.

    Attributes:
        kind: freeform, grounded, or mixed when it has seeds of both kinds.
        longest_seed: estimated tokens of the longest seed, which begins in `longest_line`.
        longest_prompt: the most tokens, estimated, that a prompt and its reply may take in a run.
        window: the context window that they have to fit into, in tokens, by the configuration.
    """

    path: str
    line: int
    task_name: str
    kind: str
    seeds: int
    licence: str | None
    longest_seed: int
    longest_line: int
    longest_prompt: int
    window: int


class TaskReport(Frozen):
    """What was found: files looked at, tasks and findings in the order of the files, and the lines about skipped files."""

    files: int
    tasks: tuple[TaskRow, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[SpecWarning, ...]

    def count(self, severity: str) -> int:
        """How many findings are that severe."""
        return sum(found.severity == severity for found in self.findings)


def make_report(paths: Sequence[Path], config: RunConfig, changes: Changes | None = None) -> TaskReport:
    """Look at all files below some paths, with `changes` only at those; SpecError when a path does not exist."""
    if missing := next((path for path in paths if not path.exists()), None):
        raise SpecError("there is no such file or folder; check the path", missing)
    desk = _Desk(config)
    files = tuple(read_files(paths, changes))
    looked = [desk.look(file) for file in files if file.skipped is None]
    return TaskReport(
        files=sum(file.kind != "no file" for file in files),
        tasks=tuple(row for rows, _ in looked for row in rows),
        findings=tuple(found for _, findings in looked for found in findings),
        skipped=tuple(file.skipped for file in files if file.skipped is not None),
    )


class _Desk:
    """Looks at one file after the other."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._program = cache(SkillsProgram)
        self._tasks: list[ParsedTask] = []

    def look(self, file: TaskFile) -> tuple[list[TaskRow], list[Finding]]:
        """A file's tasks and its findings."""
        path = str(file.path)
        if file.error is not None and file.kind in ("no file", "unreadable"):
            rule = "nothing-there" if file.kind == "no file" else "unreadable"
            return [], [finding(rule, path, file.error.line, file.error.message)]
        findings = [] if file.misnamed is None else [finding("file-name", path, 1, file.misnamed)]
        findings += lint(file)
        # What the schema has said of a line need not be said again.
        if file.error is not None and file.error.line not in {one.line for one in findings if one.severity == "error"}:
            foreign = not is_task_file(file.root) and "seed_examples" in file.root.fields
            rule = "file-name" if foreign and file.kind == "task" else "unusable"
            findings.append(finding(rule, path, file.error.line, file.error.message))
        rows = []
        for task in file.tasks:
            if (clash := clashing(task, self._tasks)) is not None:
                findings.append(finding("task-name", path, clash.line, clash.message))
            self._tasks.append(task)
            row, too_long = self._sized(task, path)
            rows.append(row)
            findings += too_long
            if (said := unread_seeds(task.spec, self._config.embedder.model)) is not None:
                findings.append(finding("unread-seeds", path, task.line, said))
        return rows, sorted(findings, key=lambda found: found.line)

    def _sized(self, task: ParsedTask, path: str) -> tuple[TaskRow, list[Finding]]:
        """A task's row, and a finding when its longest prompt does not fit."""
        spec, config = task.spec, self._config
        longest = max(spec.seed_examples, key=_tokens)
        all_needs = needs(spec, config, self._program(spec.num_questions_to_generate_per_prompt))
        windows = {step: config.role(STEPS[step].role).num_ctx or config.max_num_ctx for step in all_needs}
        step, need = max(all_needs.items(), key=lambda pair: pair[1].total / windows[pair[0]])
        kinds = sorted({seed.kind for seed in spec.seed_examples})
        row = TaskRow(
            path=path,
            line=task.line,
            task_name=spec.task_name,
            kind=kinds[0] if len(kinds) == 1 else "mixed",
            seeds=len(spec.seed_examples),
            licence=spec.licence,
            longest_seed=_tokens(longest),
            longest_line=longest.line,
            longest_prompt=need.total,
            window=windows[step],
        )
        if need.total <= row.window:
            return row, []
        said = f"the longest seed has about {row.longest_seed} tokens; with it a prompt of {need.step} may take {need.prompt}"
        limit = "max_num_ctx" if row.window == config.max_num_ctx else f"{STEPS[need.step].role}.num_ctx"
        said = f"{said} and its reply {need.reply}, but {limit} is {row.window}"
        return row, [finding("context-window", path, longest.line, said)]


def _tokens(seed: SeedExample) -> int:
    return sum(estimate_tokens(text) for text in (seed.question, seed.answer, seed.context or ""))


def task_report_json(report: TaskReport) -> str:
    """The report for a program."""
    counts = {severity: report.count(severity) for severity in _COMMANDS}
    return json.dumps({**report.model_dump(mode="json"), "counts": counts}, ensure_ascii=False, indent=2)


def github_lines(report: TaskReport) -> list[str]:
    """The findings as GitHub's workflow commands, with its escapes (actions/toolkit, packages/core/src/command.ts)."""
    lines = [_annotation(found) for found in report.findings]
    for skipped in report.skipped:
        path = _escaped(str(skipped.path), ",:")
        lines.append(f"::notice file={path},line={skipped.line},title=skipped::{_escaped(skipped.message)}")
    return [*lines, summary_line(report)]


def github_error(message: str) -> str:
    """What ends the command, as an annotation that is of no file."""
    return f"::error::{_escaped(message)}"


def _annotation(found: Finding) -> str:
    where = f"file={_escaped(found.path, ',:')},line={found.line},title={_escaped(found.rule, ',:')}"
    return f"::{_COMMANDS[found.severity]} {where}::{_escaped(found.message)}"


def _escaped(text: str, also: str = "") -> str:
    """A text as a workflow command takes it; `also` for the properties, which commas and colons end."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for character in also:
        escaped = escaped.replace(character, f"%{ord(character):02X}")
    return escaped


def plain_lines(report: TaskReport) -> list[str]:
    """The report for a file or a pipe: a table, then a line for each finding as compilers write them."""
    lines = _aligned([HEADINGS, *rows(report)]) if report.tasks else []
    lines += ["", *map(str, report.skipped)] if report.skipped else []
    if report.findings:
        lines += ["", *(f"{f.path}:{f.line}: {f.severity}: {f.message} [{f.rule}]" for f in report.findings)]
    return [*lines, *([""] if lines else []), summary_line(report)]


def rows(report: TaskReport) -> Iterable[tuple[str, ...]]:
    """The cells of each task, below HEADINGS."""
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


def summary_line(report: TaskReport) -> str:
    """How many of everything."""
    counts = [(report.files, "file"), (len(report.tasks), "task")]
    counts += [(report.count(severity), severity) for severity in _COMMANDS]
    said = [f"{number} {name}{'' if number == 1 else 's'}" for number, name in counts]
    skipped = f", {len(report.skipped)} skipped" if report.skipped else ""
    return f"{said[0]}{skipped}, {said[1]}: {', '.join(said[2:])}"
