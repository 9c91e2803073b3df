"""Runs as a report takes them in: what run.json says, and every row, accepted or rejected, in settled order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skills_dspy.base.records import Record, Rejection, SeedExample
from skills_dspy.store.files import typed_rows
from skills_dspy.store.run_dir import RunPaths, runs_at
from skills_dspy.store.run_json import RunJson, known_run, needed, run_json_errors
from skills_dspy.store.student_report import NotedStudent, student_reports

ShownRow = Record | Rejection
"""One candidate, as its run wrote it down."""


@dataclass(frozen=True, slots=True)
class ShownRun:
    """One run of a report.

    Attributes:
        seeds: the task's seed examples, as its run knew them.
        rows: accepted and rejected ones together, by draw and then by place in the draw.
        running: whether a run was writing there.
        students: the reports of `eval student` about these rows, and what is to be said of those that lie there and are not.
    """

    paths: RunPaths
    about: RunJson
    name: str
    seeds: tuple[SeedExample, ...]
    rows: tuple[ShownRow, ...]
    running: bool
    students: tuple[NotedStudent, ...]
    unused_students: tuple[str, ...]


def read_runs(places: Sequence[Path]) -> tuple[ShownRun, ...]:
    """The runs at and below these places, each once, in the order given and then by path; a torn last line is left out.

    Raises:
        RunDirError: a place holds no run, or a file of one is broken; file and line are named.
        StorageError: something cannot be read.
    """
    return tuple(map(_read, runs_at(places)))


def _read(paths: RunPaths) -> ShownRun:
    running = paths.in_use()
    about = known_run(paths)
    with run_json_errors(paths):
        task = needed(about.task, "task")
        name, seeds = needed(task.task_name, "task_name"), needed(task.seed_examples, "seed_examples")
    rows: list[ShownRow] = [row for _, row in typed_rows(paths.data, Record)]
    rows += (row for _, row in typed_rows(paths.rejected, Rejection))
    rows.sort(key=lambda row: (row.provenance.draw, row.provenance.index))
    return ShownRun(paths, about, name, seeds, tuple(rows), running, *student_reports(paths, name))
