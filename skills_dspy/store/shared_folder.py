"""Whether two machines see one folder: a locked token of one, which the other looks for."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from skills_dspy.base.errors import NotShared
from skills_dspy.store.files import make_folder, storage_errors


@contextmanager
def marked(folder: Path) -> Iterator[str]:
    """Leave a locked token in the folder, which is made where it is missing, while the block runs; gives the token's name.

    StorageError where that cannot be written. A token that a kill leaves behind is an empty file, and in nobody's way.
    """
    make_folder(folder)
    path = folder / f".shared-{secrets.token_hex(8)}.tmp"
    lock = FileLock(path, timeout=0, thread_local=False)
    with storage_errors("lock", path):
        lock.acquire()
    try:
        yield path.name
    finally:
        lock.release()
        with storage_errors("remove", path):
            path.unlink(missing_ok=True)


def look_for(folder: Path, token: str, where: str) -> None:
    """NotShared where the token, or its lock, is not to be seen from here, which is `where` in words; StorageError."""
    path = folder / token
    with storage_errors("read", path):
        if not path.exists():
            raise NotShared(
                f"{where} does not see the folder {folder} of this machine: give an --output-dir that is on storage which all "
                "machines of the cluster have at the same path"
            )
        try:
            FileLock(path, timeout=0).acquire().lock.release()
        except Timeout:
            return
    raise NotShared(
        f"{where} sees the folder {folder}, but not the locks that another machine holds there, so two workers could write "
        "one run: mount it with locks that hold between machines (as NFS 4 has them)"
    )
