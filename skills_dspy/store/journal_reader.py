"""The file that a journal lives in: its tables, reading it, and packing it into one file to ship."""

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from skills_dspy.base.errors import DiskFull, RunDirError, StorageError
from skills_dspy.store.aside import written_aside
from skills_dspy.store.files import storage_errors

APPLICATION_ID = 0x736B6473
"""What SQLite keeps in the header of our files: the letters "skds"."""

JOURNAL_VERSION = 1
"""The version of the tables; files of a newer one are refused."""

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE replies (digest TEXT PRIMARY KEY, step TEXT NOT NULL, arrived REAL NOT NULL, seconds REAL NOT NULL,"
    " prompt_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, reply TEXT NOT NULL, request BLOB NOT NULL)",
    "CREATE TABLE vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {JOURNAL_VERSION}",
)
"""What makes an empty database a journal."""

SELECT_REPLY = "SELECT reply FROM replies WHERE digest = ?"

_SELECT_FULL = "SELECT request, reply, step, arrived, seconds FROM replies WHERE digest = ?"
_SELECT_USAGE = (
    "SELECT step, COUNT(*), SUM(prompt_tokens), SUM(output_tokens), SUM(seconds) FROM replies GROUP BY step ORDER BY step"
)
_SELECT_HOSTS = (
    "SELECT json_extract(reply, '$.host') AS host, COUNT(*), SUM(prompt_tokens), SUM(output_tokens) FROM replies"
    " WHERE host IS NOT NULL GROUP BY host ORDER BY host"
)
_COSTS = ("calls", "prompt_tokens", "output_tokens", "seconds")
_CACHE_KIB = 96
_ADVICE = {
    "SQLITE_FULL": "free some space and run the same command again: what was written before is kept",
    "SQLITE_READONLY": "check the permissions or choose another --output-dir",
    "SQLITE_CANTOPEN": "check the path and its permissions or choose another --output-dir",
    "SQLITE_BUSY": "wait for the other process that uses it",
    "SQLITE_CORRUPT": "restore it from a copy, or use --restart",
}


@dataclass(frozen=True, slots=True)
class JournaledReply:
    """One reply with the request that it answers.

    Attributes:
        digest: what `request_digest` says of the request.
        reply: the server's whole response body.
        step: what the call was for, e.g. `judge_question_freeform`.
        arrived: in seconds since 1970.
        seconds: how long the call took on the clock.
    """

    digest: str
    request: dict[str, Any]
    reply: dict[str, Any]
    step: str
    arrived: float
    seconds: float


class JournalReader:
    """A journal to read from: for a replay, for `explain`, for thresholds that are decided anew.

    Every method raises StorageError when the file cannot be read.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> "JournalReader":
        """Open a journal that nobody writes to, in a folder that may be read-only; nothing is written there.

        Only what a killed run left behind (a write-ahead log) and a run that is still writing need a folder that can be
        written to: SQLite keeps its index of the log there.

        Raises:
            RunDirError: there is no such file, or it is not a journal, or a newer one.
        """
        if not path.is_file():
            raise RunDirError(f"there is no recording at {path}; give the path of a run's journal.sqlite")
        with journal_errors(path):
            connection = connect(path, _read_mode(path))
            try:
                if not holds_journal(path, connection):
                    raise _not_ours(path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def get(self, digest: str) -> dict[str, Any] | None:
        """The reply's body, or None when the journal lacks it."""
        with self._reading() as connection:
            row = connection.execute(SELECT_REPLY, (digest,)).fetchone()
            return None if row is None else json.loads(row[0])

    def full(self, digest: str) -> JournaledReply | None:
        """The reply with its request, or None when the journal lacks it."""
        with self._reading() as connection:
            row = connection.execute(_SELECT_FULL, (digest,)).fetchone()
            if row is None:
                return None
            packed, reply, step, arrived, seconds = row
            return JournaledReply(digest, json.loads(zlib.decompress(packed)), json.loads(reply), step, arrived, seconds)

    def vector(self, key: str) -> bytes | None:
        """What `Journal.put_vectors` has kept under a key, or None."""
        with self._reading() as connection:
            row = connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
            return None if row is None else bytes(row[0])

    def meta(self) -> dict[str, str]:
        """All that `Journal.set_meta` has noted, in the order of the keys."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT key, value FROM meta ORDER BY key").fetchall())

    def usage(self) -> dict[str, Any]:
        """Calls, tokens by the server's count and seconds, in all and `by_step`; it reads the whole table."""
        with self._reading() as connection:
            rows = connection.execute(_SELECT_USAGE).fetchall()
        by_step = {step: dict(zip(_COSTS, numbers, strict=True)) for step, *numbers in rows}
        overall = {name: sum(used[name] for used in by_step.values()) for name in _COSTS}
        for used in (overall, *by_step.values()):
            used["seconds"] = round(float(used["seconds"]), 3)
        return {**overall, "by_step": by_step}

    def usage_by_host(self) -> dict[str, dict[str, int]]:
        """Calls and tokens of each of several hosts, for replies that say which; it parses every reply."""
        with self._reading() as connection:
            rows = connection.execute(_SELECT_HOSTS).fetchall()
        return {host: dict(zip(_COSTS, numbers, strict=False)) for host, *numbers in rows}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The connection to read by for the block, whose errors become ours."""
        with journal_errors(self._path):
            yield self._connection

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def journal_at(path: Path) -> AbstractContextManager[JournalReader | None]:
    """The journal there, closed in the end; None where there is no such file. It raises what `JournalReader.open` does."""
    with storage_errors("read", path):
        there = path.is_file()
    return JournalReader.open(path) if there else nullcontext()


def pack(source: Path, target: Path) -> None:
    """Copy a journal into one new file without a write-ahead log, to ship with a package.

    Rows are copied in the order of their digests, so journals with the same rows give the same bytes under one version
    of SQLite, in whatever order the replies arrived.

    Raises:
        RunDirError: the source is missing or not a journal, or the target exists.
    """
    JournalReader.open(source).close()
    if target.exists():
        raise RunDirError(f"{target} exists already; remove it or choose another name")
    with journal_errors(target), written_aside(target) as place, closing(connect(place, "mode=rwc")) as connection:
        connection.execute("ATTACH ? AS source", (_uri(source, _read_mode(source)),))
        create_tables(connection)
        connection.execute("BEGIN")
        connection.execute("INSERT INTO meta SELECT * FROM source.meta ORDER BY key")
        connection.execute("INSERT INTO replies SELECT * FROM source.replies ORDER BY digest")
        connection.execute("INSERT INTO vectors SELECT * FROM source.vectors ORDER BY key")
        connection.execute("COMMIT")


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database in autocommit mode, for any thread, one at a time; `mode` is SQLite's URI, such as `mode=ro`."""
    connection = sqlite3.connect(_uri(path, mode), uri=True, isolation_level=None, check_same_thread=False)
    try:
        # SQLite would keep 2 MB of pages for each connection, and there are two for each of perhaps hundreds of tasks.
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def create_tables(connection: sqlite3.Connection) -> None:
    """Make an empty database a journal, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute("COMMIT")


def holds_journal(path: Path, connection: sqlite3.Connection) -> bool:
    """Whether the file is a journal; False when it is empty and could become one.

    Raises:
        RunDirError: it is something else, or a journal of a newer version.
    """
    application, version, tables = connection.execute(
        "SELECT application_id, user_version, (SELECT COUNT(*) FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application == 0 and tables == 0:
        return False
    if application != APPLICATION_ID:
        raise _not_ours(path)
    if version > JOURNAL_VERSION:
        raise RunDirError(
            f"{path} was written by a newer skills_dspy (its format is {version}, this one reads {JOURNAL_VERSION});"
            " update the program or choose another --output-dir"
        )
    return True


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Turn every error of SQLite in the block, and every sign of damage, into ours."""
    try:
        yield
    except (sqlite3.Error, ValueError, zlib.error, MemoryError) as error:
        name = str(getattr(error, "sqlite_errorname", ""))  # such as SQLITE_IOERR_WRITE; Python's own errors have none
        if name == "SQLITE_NOTADB":
            raise _not_ours(path) from error
        what = str(error) or type(error).__name__
        advice = _ADVICE.get("_".join(name.split("_")[:2]), "check the disk and the file, then run the same command again")
        kind = DiskFull if name.startswith("SQLITE_FULL") else StorageError
        raise kind(f"cannot use {path}: {what}; {advice}") from error


def _not_ours(path: Path) -> RunDirError:
    return RunDirError(f"{path} is not a journal of skills_dspy; move it away or choose another --output-dir")


def _read_mode(path: Path) -> str:
    """How to open a journal for reading.

    A journal in WAL mode cannot be opened in a read-only folder, unless SQLite is told that nobody will change it. That
    is only true when no write-ahead log with replies lies next to it.
    """
    real = path.resolve()  # SQLite keeps the log beside the file itself, not beside a link to it
    log = real.with_name(real.name + "-wal")
    return "mode=ro" if log.is_file() and log.stat().st_size else "mode=ro&immutable=1"


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?{mode}"
