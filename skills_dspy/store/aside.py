"""Files and folders written aside and put in their place at once, whatever ends the program.

Everything here raises StorageError when the disk is full or refuses; what stood in the place before is then untouched.
"""

import ctypes
import filecmp
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from skills_dspy.base.errors import ExportError
from skills_dspy.store.files import make_folder, storage_errors, sync

_LOG = logging.getLogger(__name__)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def place_beside(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """A place beside `target` to write to: a new folder, or a file to come; what is still there afterwards is removed."""
    # The process id keeps two processes apart; what a killed one with the same number has left is removed.
    place = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with storage_errors("write", target):
        _remove(place)
        if folder:
            place.mkdir()
    try:
        yield place
    finally:
        with storage_errors("remove", place):
            _remove(place)


@contextmanager
def written_aside(
    target: Path, *, folder: bool = False, put: Callable[[Path, Path], object] | None = None, lasting: bool = True
) -> Iterator[Path]:
    """A place beside `target` that takes its name when the block ends well; a kill leaves the old one or the new one.

    `put` puts the first in place of the second; None for a file, which replaces an old one. Nobody waits for the disk where it
    is not `lasting`: a loss of power may take that.
    """
    with storage_errors("write", target), place_beside(target, folder=folder) as place:
        yield place
        if lasting:
            _sync_all(place)
        (put or Path.replace)(place, target)
        if lasting:
            sync(target.parent)  # a file's name, not only its content


def write_text(path: Path, text: str, *, lasting: bool = True) -> None:
    """Put a text into a file, all of it or nothing; a lone surrogate, which UTF-8 cannot hold, as its escape `\\udXXX`."""
    with written_aside(path, lasting=lasting) as place:
        place.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, data: object, *, lasting: bool = True) -> None:
    """Put data into a file as indented JSON with a final newline, all of it or nothing.

    Raises:
        ValueError: the data holds NaN or an infinity, which JSON has no word for.
    """
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", lasting=lasting)


def aside_name(folder: Path, now: datetime) -> Path:
    """Where a directory may be set aside: `<name>.old-YYYYmmdd-HHMMSS`, with -2, -3 ... if that is taken."""
    suffix = f".old-{now:%Y%m%d-%H%M%S}"
    target, number = folder.with_name(folder.name + suffix), 1
    while target.exists():
        number += 1
        target = folder.with_name(f"{folder.name}{suffix}-{number}")
    return target


def put_dataset(place: Path, target: Path, now: datetime) -> Path | None:
    """Give a folder its name; what lay there is set aside, and where it is now is returned.

    An older folder whose files hold the same bytes stays, and so does the place.
    """
    old = None
    with storage_errors("write", target):
        if target.is_dir() and any(target.iterdir()):
            pairs = [(file, target / file.name) for file in place.iterdir() if not file.is_symlink()]
            if all(other.is_file() and filecmp.cmp(file, other, shallow=False) for file, other in pairs):
                return None
            old = aside_name(target, now)
            target.rename(old)
        place.rename(target)
    return old


def way_to(path: Path, folder: Path) -> str:
    """The relative path that leads to something from within a folder, which need not be there yet."""
    return os.path.relpath(path.resolve(), folder.parent.resolve() / folder.name)


def link(path: Path, target: Path) -> None:
    """Let a path lead to a journal elsewhere, relatively, so that both may be moved together.

    No copy, which may be gigabytes, and no hard link: SQLite finds the log that belongs to a journal by the file's name, so a
    second name would show the journal without the replies that wait in its log. SQLite follows a symbolic link first.
    """
    with storage_errors("link the journal to", path):
        path.symlink_to(way_to(target, path.parent))


@dataclass(frozen=True, slots=True)
class Known:
    """What tells an earlier export from other people's files.

    Attributes:
        path: whether an export writes a file of this path, with slashes, into a target that is a folder.
        begins: whether one that is a file has these first bytes, up to 4096 of them.
    """

    path: Callable[[str], bool]
    begins: Callable[[bytes], bool]


def check_writable(target: Path) -> None:
    """Find out before long work whether a file can be written here after it; StorageError where it cannot."""
    with storage_errors("write", target), place_beside(target) as place:
        place.touch()


def check_free(out: Path, *, folder: bool, overwrite: bool, ours: Known) -> None:
    """Refuse an export's target that is taken, or that is not an earlier export.

    Raises:
        ExportError: it is taken.
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
        if not folder and not ours.begins(_head(out)):
            raise ExportError(
                f"{out} is nothing that this command wrote, which alone --overwrite replaces; choose another --out"
            )
        foreign = sorted(name for name in _names_below(out) if not ours.path(name)) if folder else []
    if foreign:
        raise ExportError(f"{out} holds {foreign[0]}, which no export of this format wrote; choose another --out")


@contextmanager
def replacing(out: Path, *, folder: bool, overwrite: bool, ours: Known) -> Iterator[Path]:
    """A place beside an export's target that takes its name when the block ends well; `check_free` looks before and after.

    What replaces an old folder does so at once; only where the system cannot exchange two folders is there a moment without
    either, and the old one then stands beside it as `.NAME.PID.old`.
    """

    def put(place: Path, out: Path) -> None:
        check_free(out, folder=folder, overwrite=overwrite, ours=ours)
        _exchange_folders(place, out) if out.is_dir() else place.replace(out)
        _LOG.info("has written %s", out)

    check_free(out, folder=folder, overwrite=overwrite, ours=ours)
    make_folder(out.parent)
    with written_aside(out, folder=folder, put=put) as place:
        yield place


def left_behind(out: Path) -> list[Path]:
    """What exports to the same target that were killed have left beside it."""
    own, name = f".{out.name}.{os.getpid()}.tmp", "".join(f"[{char}]" if char in "*?[" else char for char in out.name)
    with storage_errors("read", out.parent):
        return sorted(path for path in out.parent.glob(f".{name}.*.tmp*") if path.name != own)


def _remove(place: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing where there is none. Links are not followed."""
    if place.is_dir() and not place.is_symlink():
        for path in sorted(place.rglob("*"), reverse=True):  # what is in a folder before the folder
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        place.rmdir()
    else:
        place.unlink(missing_ok=True)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


def _names_below(out: Path) -> Iterator[str]:
    """The paths of all files below a folder; a link counts as a file, and so does an empty folder."""
    for path in out.rglob("*"):
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
            yield path.relative_to(out).as_posix()


def _sync_all(place: Path) -> None:
    """See a file, or a folder with all that is in it, to the disk."""
    sync(place)
    for folder, folders, files in os.walk(place):
        for name in (*files, *folders):
            sync(Path(folder, name))


def _exchange_folders(place: Path, out: Path) -> None:
    """Give a new folder the name of an old one; the old one is then at the place, or removed."""
    if _exchange(place, out):
        return
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    out.rename(old)
    try:
        place.rename(out)
    except BaseException:
        old.rename(out)
        raise
    _remove(old)


def _exchange(a: Path, b: Path) -> bool:
    """Let two names change places at once, where the system can: Linux's renameat2."""
    if not sys.platform.startswith("linux"):
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return call is not None and call(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0
