"""Logs of JSON rows that only ever hold whole lines, and the sentences for a disk that fails.

Everything here raises StorageError when a file cannot be opened, read or written.
"""

import asyncio
import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, Self, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from skills_dspy.base.columns import from_columns, whole
from skills_dspy.base.errors import DiskFull, RunDirError, StorageError

_Row = TypeVar("_Row", bound=BaseModel)

_FULL = "free some space and run the same command again: what was written before is kept"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_DENIED = "check the permissions or choose another place"
_IN_THE_WAY = "a file is in the way: choose another place"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: _DENIED,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.ENOENT: "check the path",
}


@contextmanager
def storage_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn any OSError of the block into a StorageError of one sentence: "cannot <doing> <path>: ..."."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, "check the disk or choose another place")
        kind = DiskFull if error.errno in _NO_ROOM else StorageError
        raise kind(f"cannot {doing} {path}: {why}; {advice}") from error
    except UnicodeEncodeError as error:
        name = str(path).encode("ascii", "backslashreplace").decode()
        why = "this machine's locale cannot write that name"
        raise StorageError(f"cannot {doing} {name}: {why}; set LC_ALL=C.UTF-8") from error


def make_folder(path: Path) -> None:
    """Create a folder with those above it; nothing where it is there already."""
    with storage_errors("create", path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def locked(lock: Path, of: Path, busy: Callable[[], str], patience: float = 0.0) -> Iterator[None]:
    """Hold a lock file, which is a part of what `of` names in errors.

    Raises:
        RunDirError: another process holds it for longer than so many seconds; `busy` has the sentence.
    """
    held = FileLock(lock, timeout=patience, thread_local=False)
    with storage_errors("lock", of):
        try:
            held.acquire()
        except Timeout as error:
            raise RunDirError(busy()) from error
    try:
        yield
    finally:
        held.release()


class AppendLog:
    """A file of JSON rows, one a line, that a resumed run writes again from its first row.

    While an appended row equals the old line at its place nothing is written; at the first difference the old rest is
    cut off. So a valid beginning is never rewritten, and a finished log is the same bytes however often the run that
    wrote it was killed. Rows are in the system's hands when `append` returns, and on the disk after `finish`.
    """

    def __init__(self, path: Path, file: FileIO) -> None:
        self._path = path
        self._file = file
        self._end = 0  # bytes that are confirmed or written
        self._rest = True  # whether old bytes may follow
        self._failure: StorageError | None = None

    @classmethod
    def open(cls, path: Path) -> "AppendLog":
        """Open the log at its first row, creating the file when there is none."""
        with storage_errors("open", path):
            # Unbuffered and in append mode: a row is one write at the end of the file.
            return cls(path, path.open("a+b", buffering=0))

    def append(self, row: Mapping[str, Any]) -> None:
        """Confirm the row that stands next in the file, or write it in its place.

        After a StorageError the file ends with its last whole line, and every later call fails as well: no row is left out.

        Raises:
            ValueError: the row holds NaN or an infinity.
        """
        text = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        with self._lasting_failure():
            # As many bytes as the new line has are enough to compare, and a line without end cannot fill the memory.
            if not self._rest or os.pread(self._file.fileno(), len(line), self._end) != line:
                self._cut_rest()
                write_whole(self._file, line, self._end)
        self._end += len(line)

    def finish(self) -> None:
        """Cut off old rows that were not appended again, see the file to the disk and close it."""
        with self._lasting_failure():
            self._cut_rest()
            os.fsync(self._file.fileno())
            sync(self._path.parent)
        self.close()

    def close(self) -> None:
        """Close the file and leave old rows that were not reached in place; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _lasting_failure(self) -> Iterator[None]:
        """Storage errors, remembered: after a row that could not be written no other may follow."""
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))
        try:
            with storage_errors("write", self._path):
                yield
        except StorageError as error:
            self._failure = type(error)(str(error))  # without its traceback, which would keep what it saw
            raise

    def _cut_rest(self) -> None:
        if self._rest:
            self._file.truncate(self._end)
            self._rest = False


def write_whole(file: FileIO, line: bytes, end: int, *, lasting: bool = False) -> None:
    """Add a line to a file of `end` bytes, and see it to the disk where it is to be `lasting`; else the file ends as before."""
    try:
        if os.write(file.fileno(), line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if lasting:
            os.fsync(file.fileno())
    except OSError:
        file.truncate(end)
        raise


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a log, as records are dumped, with their 1-based line numbers, one at a time; a torn last line is left out.

    Raises:
        RunDirError: a whole line is not a JSON object, or not as a run writes it.
    """
    with storage_errors("read", path), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise RunDirError(f"{path}:{number}: this line is not a JSON object; restore the file, or use --restart")
            try:
                yield number, from_columns(row)
            except ValueError as error:
                raise RunDirError(f"{path}:{number}: this is no row of a run: {error}; restore the file") from error


def typed_rows(path: Path, kind: type[_Row], *, mended: bool = False) -> Iterator[tuple[int, _Row]]:
    """The rows of a run's log as records, with their line numbers, one at a time; none where there is no such file.

    Where they are to be `mended`, halves of characters, which older versions wrote, are replaced.

    Raises:
        RunDirError: a row is none of that kind; file and line are named.
    """
    with storage_errors("read", path):
        if not path.exists():
            return
    for number, content in read_rows(path):
        try:
            yield number, kind.model_validate(whole(content) if mended else content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            what = f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}"
            raise RunDirError(f"{path}:{number}: this is no row of a run: {what}; restore the file") from error


def count_rows(path: Path) -> int:
    """The whole lines of a log, 0 when there is no such file; the rows are not looked at."""
    with storage_errors("read", path):
        if not path.exists():
            return 0
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def last_line(path: Path) -> bytes:
    """The last whole line of a log; empty when there is none, or no such file."""
    last = b""
    with storage_errors("read", path):
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    last = line if line.endswith(b"\n") else last
    return last


def sync(path: Path) -> None:
    """See a file's content, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def to_its_end(write: Callable[[], object]) -> None:
    """Write in a thread, while the event loop goes on; who is cancelled waits, so that nothing is written when it has ended."""
    writing = asyncio.ensure_future(asyncio.to_thread(write))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.gather(writing, return_exceptions=True)  # what went wrong is no matter any more
        raise
