"""Runs as a report takes them in: what run.json says, and every row, accepted or rejected, in settled order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from skills_dspy.base.errors import RunDirError
from skills_dspy.base.records import Record, Rejection, SeedExample
from skills_dspy.store.files import read_rows, storage_errors
from skills_dspy.store.run_dir import RunPaths, find_runs
from skills_dspy.store.run_json import RunJson, needed, read_run_json, run_json_errors

ShownRow = Record | Rejection
"""One candidate, as its run wrote it down."""


@dataclass(frozen=True, slots=True)
class ShownRun:
    """One run of a report.

    Attributes:
        seeds: the task's seed examples, as its run knew them.
        rows: accepted and rejected ones together, by draw and then by place in the draw.
        running: whether a run was writing there.
    """

    paths: RunPaths
    about: RunJson
    name: str
    seeds: tuple[SeedExample, ...]
    rows: tuple[ShownRow, ...]
    running: bool


def read_runs(places: Sequence[Path]) -> tuple[ShownRun, ...]:
    """The runs at and below these places, each once, in the order given and then by path; a torn last line is left out.

    Raises:
        RunDirError: a place holds no run, or a file of one is broken; file and line are named.
        StorageError: something cannot be read.
    """
    found: dict[Path, RunPaths] = {}
    for place in places:
        with storage_errors("read", place):
            runs = find_runs(place) if place.is_dir() else []
        if not runs:
            raise RunDirError(f"there is no run at or below {place}; give a run's directory, or a folder of runs")
        for paths in runs:
            found.setdefault(paths.folder.resolve(), paths)
    return tuple(map(_read, found.values()))


def _read(paths: RunPaths) -> ShownRun:
    running = paths.in_use()
    about = read_run_json(paths)
    if about is None:
        raise RunDirError(f"{paths.run_json} is missing, so nothing is known of this run; restore the file")
    with run_json_errors(paths):
        task = needed(about.task, "task")
        name, seeds = needed(task.task_name, "task_name"), needed(task.seed_examples, "seed_examples")
    rows = [*_rows(paths.data, Record), *_rows(paths.rejected, Rejection)]
    rows.sort(key=lambda row: (row.provenance.draw, row.provenance.index))
    return ShownRun(paths, about, name, seeds, tuple(rows), running)


def _rows(path: Path, kind: type[Record] | type[Rejection]) -> list[ShownRow]:
    with storage_errors("read", path):
        if not path.exists():
            return []
    found: list[ShownRow] = []
    for number, content in read_rows(path):
        try:
            found.append(kind.model_validate(content))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise RunDirError(f"{path}:{number}: this is no row of a run: {where}: {first['msg']}; restore the file") from error
    return found
