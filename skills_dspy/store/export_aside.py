"""Files and folders that are written aside and appear at once, in place of an old one only when that is wanted."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from skills_dspy.base.errors import ExportError
from skills_dspy.store.files import make_folder, storage_errors

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def check_free(out: Path, *, folder: bool, overwrite: bool, ours: Callable[[str], bool]) -> None:
    """Refuse a target that is taken, or that is not an earlier export.

    Args:
        out: the target.
        folder: whether it will be a folder.
        overwrite: whether an earlier export may be replaced.
        ours: whether an export writes a file of this path, with slashes, into a target that is a folder.

    Raises:
        ExportError: it is taken.
        StorageError: it cannot be looked at.
    """
    with storage_errors("read", out):
        if not os.path.lexists(out):
            return
        if not overwrite:
            raise ExportError(f"{out} exists already; choose another --out, or replace it with --overwrite")
        if out.is_dir() != folder or out.is_symlink():
            what = "a link" if out.is_symlink() else "a folder" if out.is_dir() else "a file"
            wanted = "a folder" if folder else "a file"
            raise ExportError(
                f"{out} is {what}, and this export is {wanted}: --overwrite cannot replace it; choose another --out"
            )
        if not folder and not out.is_file():
            raise ExportError(f"{out} is no ordinary file, so --overwrite cannot replace it; choose another --out")
        foreign = sorted(name for name in _names_below(out) if not ours(name)) if folder else []
    if foreign:
        raise ExportError(f"{out} holds {foreign[0]}, which no export of this format wrote; choose another --out")


def _names_below(out: Path) -> Iterator[str]:
    """The paths of all files below a folder; a link counts as a file, and so does an empty folder."""
    for folder, folders, files in os.walk(out):
        place = Path(folder)
        links = [name for name in folders if (place / name).is_symlink()]
        yield from ((place / name).relative_to(out).as_posix() for name in (*files, *links))
        if not folders and not files and place != out:
            yield place.relative_to(out).as_posix()


@contextmanager
def written_aside(out: Path, *, folder: bool, overwrite: bool, ours: Callable[[str], bool]) -> Iterator[Path]:
    """Give a place beside `out` to write to; when the block ends well it takes `out`'s name, else it is removed.

    A kill leaves `out` as it was. What replaces an old file or folder does so at once; only where the system cannot exchange
    two folders is there a moment without either, and the old one then stands beside it as `.NAME.PID.old`.

    Args:
        out, folder, overwrite, ours: as for `check_free`, which is asked at the beginning and again at the end.

    Raises:
        ExportError: `out` is taken.
        StorageError: the disk is full or refuses; nothing is left behind.
    """
    check_free(out, folder=folder, overwrite=overwrite, ours=ours)
    make_folder(out.parent)
    place = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    with storage_errors("write", out):
        remove(place)
        try:
            if folder:
                place.mkdir()
            yield place
            see_to_disk(place)
            check_free(out, folder=folder, overwrite=overwrite, ours=ours)
            _take_place(place, out)
        except BaseException:
            remove(place)
            raise
        see_to_disk(out.parent, below=False)


def left_behind(out: Path) -> list[Path]:
    """What exports to the same target that were killed have left beside it."""
    with storage_errors("read", out.parent):
        if not out.parent.is_dir():
            return []
        return sorted(p for p in out.parent.glob(f".{_literal(out.name)}.*.tmp*") if p.name != f".{out.name}.{os.getpid()}.tmp")


def _literal(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def remove(place: Path) -> None:
    """Remove a file or a folder with all that is in it; nothing where there is none. Links are not followed."""
    if place.is_dir() and not place.is_symlink():
        for folder, folders, files in os.walk(place, topdown=False):
            for name in files:
                Path(folder, name).unlink()
            for name in folders:
                below = Path(folder, name)
                if below.is_symlink():
                    below.unlink()
                else:
                    below.rmdir()
        place.rmdir()
    else:
        place.unlink(missing_ok=True)


def see_to_disk(place: Path, *, below: bool = True) -> None:
    """See a file, or a folder with all that is in it, to the disk."""
    if below and place.is_dir():
        for folder, _, files in os.walk(place):
            for name in files:
                _sync(Path(folder, name))
            _sync(Path(folder))
    else:
        _sync(place)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take_place(place: Path, out: Path) -> None:
    if not out.is_dir():
        place.replace(out)
        return
    if not _exchange(place, out):
        old = out.with_name(f".{out.name}.{os.getpid()}.old")
        out.rename(old)
        try:
            place.rename(out)
        except BaseException:
            old.rename(out)
            raise
        place = old
    remove(place)  # the old one now


def _exchange(a: Path, b: Path) -> bool:
    """Let two names change places at once, where the system can: Linux's renameat2."""
    if not sys.platform.startswith("linux"):
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return call is not None and call(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0
