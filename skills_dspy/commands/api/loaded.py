"""A run as it lies on the disk: its rows, its rejections, and what run.json says of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from skills_dspy.base.errors import RunDirError
from skills_dspy.base.records import Record, Rejection
from skills_dspy.store.files import typed_rows
from skills_dspy.store.run_dir import RunPaths, find_runs
from skills_dspy.store.run_json import FunnelCounts, read_run_json

AnyPath = str | PathLike[str]


def paths_of(given: AnyPath | Sequence[AnyPath]) -> tuple[Path, ...]:
    """One path, or several, as paths."""
    return (Path(given),) if isinstance(given, (str, PathLike)) else tuple(map(Path, given))


def path_of(given: AnyPath | None) -> Path | None:
    """A path, where there is one."""
    return None if given is None else Path(given)


@dataclass(frozen=True, slots=True)
class Run:
    """One task's run.

    Attributes:
        folder: the directory that holds its files.
        status: `complete`, `running`, `interrupted`, `stopped: why`, `failed: why`.
        wanted: accepted pairs that were asked for; 0 where nothing says it.
        funnel: how many candidates there were, were accepted, and were rejected by which stage for which reason; None before
            the run has ended once.
        content: all of run.json: settings, prompts, models with their digests, versions, calls and tokens.
    """

    folder: Path
    task_name: str
    status: str
    wanted: int
    funnel: FunnelCounts | None
    content: Mapping[str, Any]

    @property
    def complete(self) -> bool:
        """Whether it has all the pairs that were asked for."""
        return self.status == "complete"

    @property
    def rows(self) -> Iterator[Record]:
        """The accepted pairs in their order, read from the disk as they are taken; `list` of it has a length and places.

        RunDirError where one is broken.
        """
        return (row for _, row in typed_rows(RunPaths(self.folder).data, Record))

    @property
    def rejections(self) -> Iterator[Rejection]:
        """The rejected candidates in their order, as `rows`, each with its stage, its reason and the reply that decided."""
        return (row for _, row in typed_rows(RunPaths(self.folder).rejected, Rejection))


def load_run(path: AnyPath) -> Run:
    """The run in a directory, or the only one below it.

    Raises:
        RunDirError: there is none, or more than one, or its run.json is broken.
        StorageError: it cannot be read.
    """
    found = find_runs(Path(path))
    if len(found) != 1:
        what = f"holds {len(found)} runs, such as {found[0].folder}" if found else "holds no run"
        raise RunDirError(f"{path} {what}; give the directory of one, with its data.jsonl")
    return run_at(found[0])


def run_at(paths: RunPaths, status: str = "running", task_name: str = "") -> Run:
    """The run with these files; status and name are what is said where its run.json is not written yet."""
    told = read_run_json(paths)
    if told is None:
        return Run(paths.folder, task_name or paths.folder.name, status, 0, None, {})
    return Run(
        folder=paths.folder,
        task_name=(None if told.task is None else told.task.task_name) or task_name or paths.folder.name,
        status=told.status or status,
        wanted=told.wanted or 0,
        funnel=None if told.result is None else told.result.funnel,
        content=told.content,
    )
