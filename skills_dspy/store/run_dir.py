"""One task's directory: where its files lie, who may write there, and finding rows in it.

Everything here raises StorageError when a file is in the way, or the disk is full or refuses.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from filelock import FileLock, Timeout

from skills_dspy.base.errors import RunDirError
from skills_dspy.store.aside import aside_name, write_json
from skills_dspy.store.files import locked, make_folder, read_rows, storage_errors

_LEFT_OUT = re.compile(r"\.old-\d{8}-\d{6}(-\d+)?$|-decided-[0-9a-f]{8}$|^\..*\.tmp$")
"""Folders below another that are no runs of their own: set aside, decided anew, or not finished."""
JUDGES_REPORTS = ("judges.json", "judges.md")
"""What `eval judges` reports, beside its journal or, where it asked nobody, without one."""
_SHORTEST_PREFIX = 6
_LISTED = 5  # rows named when an id is ambiguous


class _File:
    """A file of a run, by its name in the run's folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, paths: "RunPaths", owner: type["RunPaths"]) -> Path:
        return paths.folder / self._name


@dataclass(frozen=True, slots=True, order=True)
class RunPaths:
    """Where the files of a run lie; reading them needs no lock.

    `data` and `rejected` are its rows, `pairs`, in a dataset that `decide` made, first and second answers. `run_json` says what
    it was made with and how it went, `journal` has every reply. `lock` is locked by the run that writes here, and `running`
    says who that is; only to be believed while it is locked. `reviews` has what people said of the rows, and `reviews_lock` is
    locked by who adds to it.
    """

    folder: Path

    data = _File("data.jsonl")
    rejected = _File("rejected.jsonl")
    pairs = _File("pairs.jsonl")
    run_json = _File("run.json")
    journal = _File("journal.sqlite")
    lock = _File(".lock")
    running = _File("running.json")
    reviews = _File("reviews.jsonl")
    reviews_lock = _File(".reviews.lock")

    def in_use(self) -> bool:
        """Whether a run is writing here now; no file is made to find out, and False where that cannot be told."""
        try:
            if self.lock.exists():
                with FileLock(self.lock, timeout=0):
                    pass
        except Timeout:
            return True
        except OSError:
            return False  # one that we may not lock
        return False

    def holds_run(self) -> bool:
        """Whether a run was begun here."""
        with storage_errors("read", self.folder):
            return self.run_json.exists() or self.journal.exists()

    def report_folders(self, task_name: str, usual: str) -> tuple[Path, Path, Path]:
        """Where reports about a run may lie: with it, in the folder of all runs, and in the folder `usual` beside that."""
        folder = self.folder.absolute()
        root = folder.parents[min(len(PurePosixPath(task_name).parts), len(folder.parents)) - 1]
        return folder, root, root.parent / usual


@contextmanager
def taken(root: Path, task_name: str) -> Iterator[RunPaths]:
    """A task's directory below an output directory, both made where they are missing, with the right to write there.

    A lock that a killed process left behind does not count.

    Raises:
        RunDirError: another run is using it, it holds files that are not a run's, or the name is no folder's name.
    """
    paths = _paths(root, task_name)
    make_folder(paths.folder)
    _refuse_foreign(paths)
    with _locked(paths):
        write_json(paths.running, {"pid": os.getpid()}, lasting=False)  # a loss of power ends the process, too
        try:
            yield paths
        finally:
            with storage_errors("remove", paths.running):
                paths.running.unlink(missing_ok=True)


def refuse_busy(paths: RunPaths) -> None:
    """RunDirError where a run is writing. Where none ever left its mark nothing is touched: the directory may be read-only."""
    with storage_errors("read", paths.folder):
        marked = paths.running.exists()
    if marked:
        with _locked(paths):
            pass


def set_aside(root: Path, task_name: str, now: datetime) -> Path | None:
    """Rename a task's directory as `aside_name` says and return the new path; None when no run was begun there.

    Raises:
        RunDirError: a run is using it, or it holds files that are not a run's.
    """
    paths = _paths(root, task_name)
    if not paths.holds_run():
        if paths.folder.exists():
            _refuse_foreign(paths)
        return None
    with _locked(paths):  # the lock goes with the folder, so no run can begin in it before it has its new name
        target = aside_name(paths.folder, now)
        with storage_errors("rename", paths.folder):
            paths.folder.rename(target)
    return target


def find_runs(root: Path) -> list[RunPaths]:
    """All runs below a directory, and the directory itself if it is a run's, by path.

    Left out are those below it that were set aside, and datasets that `decide` put beside the runs they hold the rows of.
    """
    found = []
    with storage_errors("read", root):
        for folder, below, _ in os.walk(root, onerror=_raise):
            below[:] = [name for name in below if not _LEFT_OUT.search(name)]
            found.append(RunPaths(Path(folder)))
        return sorted(paths for paths in found if paths.holds_run())


def runs_at(places: Iterable[Path], wanted: str = "a run's directory, or a folder of runs") -> list[RunPaths]:
    """The runs at and below these places, each once, in the order given and then by path.

    Raises:
        RunDirError: a place holds no run; it says that `wanted` is to be given.
    """
    found: dict[Path, RunPaths] = {}
    for place in places:
        with storage_errors("read", place):
            if not place.exists():
                raise RunDirError(f"there is no run at {place}; give {wanted}")
            if not place.is_dir():
                raise RunDirError(f"{place} is a file; give the run's directory, {place.parent}")
        if not (runs := find_runs(place)):
            raise RunDirError(f"there is no run at or below {place}; give {wanted}")
        for paths in runs:
            found.setdefault(paths.folder.resolve(), paths)
    return list(found.values())


class FoundRow(NamedTuple):
    """A row, the run that it belongs to and what became of it."""

    paths: RunPaths
    kind: Literal["accepted", "rejected"]
    row: dict[str, Any]


def find_row(root: Path, row_id: str) -> FoundRow | None:
    """The row with this id in any run below a directory, or None; six or more first characters of an id are enough.

    Raises:
        RunDirError: more than one row fits, or a file of rows is broken.
    """
    runs = find_runs(root)
    found = _some_rows(runs, lambda found_id: found_id == row_id)
    if not found and len(row_id) >= _SHORTEST_PREFIX:
        found = _some_rows(runs, lambda found_id: found_id.startswith(row_id))
    if len(found) > 1:
        listed = ", ".join(f"{hit.row['id']} in {hit.paths.folder}" for hit in found[:_LISTED])
        more = " and others" if len(found) > _LISTED else ""
        raise RunDirError(
            f"{row_id!r} fits more than one row: {listed}{more}; give more of the id, or the directory of one run"
        )
    return found[0] if found else None


def _some_rows(runs: list[RunPaths], fits: Callable[[str], bool]) -> list[FoundRow]:
    """The first few rows whose id fits: enough to tell one from many, however many there are."""
    hits = (hit for run in runs for hit in _rows(run) if isinstance(hit.row.get("id"), str) and fits(hit.row["id"]))
    return list(islice(hits, _LISTED + 1))


def _rows(paths: RunPaths) -> Iterator[FoundRow]:
    kinds: tuple[tuple[Path, Literal["accepted", "rejected"]], ...] = ((paths.data, "accepted"), (paths.rejected, "rejected"))
    for path, kind in kinds:
        if path.exists():
            for _, row in read_rows(path):
                yield FoundRow(paths, kind, row)


def _raise(error: OSError) -> None:
    raise error


def _paths(root: Path, task_name: str) -> RunPaths:
    name = PurePosixPath(task_name)
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise RunDirError(f"a task named {task_name!r} can have no directory below {root}; give it another name")
    return RunPaths(root / name)


def _refuse_foreign(paths: RunPaths) -> None:
    """Refuse a directory with files but no run: they are someone's, and a run would write over them."""
    if paths.holds_run():
        return
    own = {paths.lock.name, paths.running.name, *JUDGES_REPORTS}
    with storage_errors("read", paths.folder):
        foreign = sorted(file.name for file in paths.folder.iterdir() if file.name not in own)
    # What an interrupted write leaves behind is no reason to refuse.
    foreign = [name for name in foreign if not (name.startswith(".") and name.endswith(".tmp"))]
    if foreign:
        raise RunDirError(f"{paths.folder} holds files of something else ({foreign[0]}); choose another --output-dir")


def _locked(paths: RunPaths) -> AbstractContextManager[None]:
    """The operating system frees the lock when its process ends, however it ends."""
    advice = "wait for it or choose another --output-dir"
    return locked(paths.lock, paths.folder, lambda: f"another run{_who(paths)} is using {paths.folder}; {advice}")


def _who(paths: RunPaths) -> str:
    """Which process has the lock and since when, as far as it has said so yet."""
    try:
        pid = json.loads(paths.running.read_bytes())["pid"]
        since = datetime.fromtimestamp(paths.running.stat().st_mtime, UTC).astimezone()
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f" (pid {pid}, since {since:%Y-%m-%d %H:%M:%S})"
