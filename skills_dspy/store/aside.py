"""A dataset that is written aside and put in its place at once, with a link to the journal of another run."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from skills_dspy.base.errors import RunDirError
from skills_dspy.store.files import make_folder, storage_errors
from skills_dspy.store.run_dir import RunPaths, aside_name


def check_free(target: Path, replaceable: Callable[[RunPaths], bool]) -> None:
    """Refuse a target that holds something else than a dataset which may be replaced.

    Args:
        target: the folder that is to be written.
        replaceable: whether what lies there may be set aside.

    Raises:
        RunDirError: it may not.
        StorageError: it cannot be looked at.
    """
    with storage_errors("read", target):
        empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
        folder = target.is_dir()
    if not empty and not (folder and replaceable(RunPaths(target))):
        raise RunDirError(f"{target} exists and holds something else; choose another --out")


@contextmanager
def written_aside(target: Path) -> Iterator[RunPaths]:
    """A new folder beside `target` to write rows and run.json into; it is gone afterwards unless `put_in_place` took it.

    Raises:
        StorageError: the disk is full or refuses.
    """
    make_folder(target.parent)
    paths = RunPaths(target.with_name(f".{target.name}.{os.getpid()}.tmp"))
    with storage_errors("create", paths.folder):
        _remove(paths)  # of a process with the same number that was killed
        paths.folder.mkdir()
    try:
        yield paths
    finally:
        with storage_errors("remove", paths.folder):
            _remove(paths)


def way_to(path: Path, folder: Path) -> str:
    """The relative path that leads to something from within a folder, which need not be there yet."""
    return os.path.relpath(path.resolve(), folder.parent.resolve() / folder.name)


def link_journal(paths: RunPaths, journal: Path) -> None:
    """Let the folder find another run's journal, by a relative link: both may be moved together, and no reply lies twice.

    No copy, which may be gigabytes, and no hard link: SQLite finds the log that belongs to a journal by the file's name, so a
    second name would show the journal without the replies that wait in its log. SQLite follows a symbolic link first.

    Raises:
        StorageError: the file system has no links, or refuses.
    """
    with storage_errors("link the journal to", paths.journal):
        paths.journal.symlink_to(way_to(journal, paths.folder))


def put_in_place(paths: RunPaths, target: Path, now: datetime) -> Path | None:
    """Give a folder that was written aside its name; what lay there is set aside, as `--restart` does, never deleted.

    Returns:
        None, or where the older folder is now. When it holds the same bytes it stays, and the new one is not needed.

    Raises:
        StorageError: it cannot be renamed.
    """
    old = None
    with storage_errors("write", target):
        if target.is_dir() and any(target.iterdir()):
            if _same(paths, RunPaths(target)):
                return None
            old = aside_name(target, now)
            target.rename(old)
        paths.folder.rename(target)
    return old


def _same(one: RunPaths, other: RunPaths) -> bool:
    pairs = ((one.data, other.data), (one.rejected, other.rejected), (one.run_json, other.run_json))
    return all(b.is_file() and _equal(a, b) for a, b in pairs)


def _equal(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as a, other.open("rb") as b:
        return all(block == b.read(1 << 20) for block in iter(lambda: a.read(1 << 20), b""))


def _remove(paths: RunPaths) -> None:
    """Remove the folder with what was written into it; one that has its name by now is not there any more."""
    with suppress(FileNotFoundError):
        for file in list(paths.folder.iterdir()):
            file.unlink()
        paths.folder.rmdir()
