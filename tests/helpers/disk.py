"""Disks that refuse, and what lies in a folder or a journal."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skills_dspy.store.journal import JournalReader


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let the kernel refuse to make any file longer than this, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def no_space(*_: object) -> int:
    """What a system call does on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def denied(*_: object, **__: object) -> None:
    """What a system call does where permissions lack."""
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def names_in(folder: Path) -> set[str]:
    """What lies in a folder."""
    return {path.name for path in folder.iterdir()}


def journaled(journal: Path) -> set[str]:
    """The digests of all replies in a journal."""
    with JournalReader.open(journal) as recording:
        return {row[0] for row in recording._connection.execute("SELECT digest FROM replies")}
