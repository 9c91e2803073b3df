"""The journal: every reply of the model by the digest of its request, on disk before it is used, and vectors."""

import asyncio
import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from skills_dspy.base.errors import SkillsError, StorageError
from skills_dspy.store.journal_reader import (
    SELECT_REPLY,
    JournaledReply,
    JournalReader,
    connect,
    create_tables,
    holds_journal,
    journal_errors,
    pack,
)
from skills_dspy.store.said import counted

__all__ = ["Journal", "JournalReader", "JournaledReply", "pack", "request_digest"]

# Not "OR IGNORE", which would drop a broken row without a word.
_INSERT = "INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING"
_NEVER_DECIDES = ("keep_alive", "stream")


def request_digest(payload: Mapping[str, Any]) -> str:
    """The SHA-256 (64 hex digits) of everything in a chat request that can change the reply.

    Left out are `keep_alive` and `stream`, and from `options` the window size `num_ctx`: a prompt that does not fit is
    refused before it is sent, so the window never decides a reply. The order of keys does not matter; 1 and 1.0 differ.
    """
    decides = {key: value for key, value in payload.items() if key not in _NEVER_DECIDES}
    if isinstance(options := decides.get("options"), Mapping):
        decides["options"] = {key: value for key, value in options.items() if key != "num_ctx"}
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(_utf8(text)).hexdigest()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A reply on its way to the disk, and who waits for it."""

    digest: str
    columns: tuple[object, ...]  # all but the request
    request: bytes
    body: dict[str, Any]
    future: "asyncio.Future[dict[str, Any]]"


class Journal(JournalReader):
    """The journal of one run, to read and to add to; one writer at a time, which the run directory's lock sees to.

    A thread of its own writes: all replies that wait at a time share one transaction and one sync of the disk, and the
    event loop never waits for either. Opened with `Journal.open` and used from one thread. Every method raises StorageError
    when the disk is full or refuses, now or at an earlier write, or the journal is closed.
    """

    def __init__(self, path: Path, writer: sqlite3.Connection) -> None:
        super().__init__(path, writer)
        self._writer = writer
        self._lock = threading.Lock()  # around every use of the writer's connection
        self._beside: sqlite3.Connection | None = None
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()  # None is the end
        self._failure: SkillsError | None = None
        self._closed = False
        # A daemon: a program that dies without closing must not hang; what was promised is on disk already.
        self._thread = threading.Thread(target=self._write_until_closed, name="journal", daemon=True)

    @classmethod
    def open(cls, path: Path) -> "Journal":
        """Open a run's journal, or begin one when the file is missing or empty; a kill has cost nothing that was put.

        Raises:
            RunDirError: the file is not a journal, or was written by a newer version.
        """
        with journal_errors(path):
            writer = connect(path, "mode=rwc")
            try:
                _prepare(path, writer)
                return cls(path, writer)
            except BaseException:
                writer.close()
                raise

    async def put(self, entry: JournaledReply) -> dict[str, Any]:
        """Add a reply and return once it is on the disk, with the body that stands for its digest.

        The first reply for a digest stays: if there was one before, that one is returned, and is the one to use. A put
        that is cancelled is written all the same: the reply was paid for.
        """
        self._refuse_if_unusable()
        if self._thread.ident is None:  # not before: a run may have hundreds of journals, and each thread its stack
            self._thread.start()
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        reply = _utf8(_dumps(entry.reply)).decode()
        tokens = counted(entry.reply, "prompt_eval_count"), counted(entry.reply, "eval_count")
        columns = (entry.digest, entry.step, entry.arrived, entry.seconds, *tokens, reply)
        self._queue.put(_Waiting(entry.digest, columns, _utf8(_dumps(entry.request)), entry.reply, future))
        return await future

    def set_meta(self, key: str, value: str) -> None:
        """Note a fact about the run, in place of an earlier one of that name; it waits for the disk, so not per call."""
        self._refuse_if_unusable()
        with self._lasting_failure():
            self._writer.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def put_vectors(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """Keep keys with their vectors; the first for a key stays. It waits for the disk, so not in an event loop's thread."""
        self._refuse_if_unusable()
        with self._lasting_failure():
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany("INSERT INTO vectors VALUES (?, ?) ON CONFLICT (key) DO NOTHING", rows)
            self._writer.execute("COMMIT")

    def close(self) -> None:
        """Write what waits, fold the write-ahead log into the file and end the thread; a second call does nothing.

        After a StorageError the log stays beside the file, and nothing is lost.
        """
        if self._closed:
            return
        self._closed = True
        if self._thread.ident is not None:
            self._queue.put(None)
            self._thread.join()
        if self._beside is not None:
            self._beside.close()
        with self._lock, closing(self._writer), journal_errors(self._path):  # a thread may still be at `put_vectors`
            if self._failure is None:
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The writer's connection, or while that writes one of its own: most of many tasks' journals never need a second."""
        if self._lock.acquire(blocking=False):
            try:
                with super()._reading() as connection:
                    yield connection
            finally:
                self._lock.release()
            return
        with journal_errors(self._path):
            if self._beside is None:
                self._beside = connect(self._path, "mode=ro")
            yield self._beside

    def _refuse_if_unusable(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))
        if self._closed:
            raise StorageError(f"the journal {self._path} is closed; start the run again to go on")

    @contextmanager
    def _lasting_failure(self) -> Iterator[None]:
        """The writer's connection for the block; what fails once fails ever after, so that no reply can be left out."""
        try:
            with self._lock, journal_errors(self._path):
                yield
        except SkillsError as error:
            self._failure = type(error)(str(error))  # without its traceback, which would keep what it saw
            raise

    def _write_until_closed(self) -> None:
        """What the thread does: take all that waits, write it, wake those who wait for it."""
        last = False
        while not last:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            last = batch[-1] is None
            waiting = [item for item in batch if item is not None]
            for item, outcome in zip(waiting, self._try_to_commit(waiting), strict=True):
                with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                    item.future.get_loop().call_soon_threadsafe(_settle, item.future, outcome)

    def _try_to_commit(self, batch: Sequence[_Waiting]) -> Sequence[dict[str, Any] | SkillsError]:
        """For each reply the body that stands, or the error that says why it could not be written."""
        if self._failure is not None:
            return [self._failure] * len(batch)
        try:
            with self._lasting_failure():
                return self._commit(batch)
        except SkillsError as error:
            return [error] * len(batch)

    def _commit(self, batch: Sequence[_Waiting]) -> list[dict[str, Any]]:
        rows = [(*item.columns, zlib.compress(item.request, 6)) for item in batch]
        self._writer.execute("BEGIN IMMEDIATE")
        added = [self._writer.execute(_INSERT, row).rowcount == 1 for row in rows]
        self._writer.execute("COMMIT")
        return [
            item.body if new else json.loads(self._writer.execute(SELECT_REPLY, (item.digest,)).fetchone()[0])
            for item, new in zip(batch, added, strict=True)
        ]


def _prepare(path: Path, writer: sqlite3.Connection) -> None:
    begun = holds_journal(path, writer)
    if writer.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise StorageError(f"the file system of {path} cannot hold a write-ahead log; choose another --output-dir")
    writer.execute("PRAGMA synchronous = FULL")
    if not begun:
        create_tables(writer)


def _settle(future: "asyncio.Future[dict[str, Any]]", outcome: dict[str, Any] | SkillsError) -> None:
    """Wake who waits, in its own event loop; a cancelled put waits no more."""
    if future.done():
        return
    if isinstance(outcome, SkillsError):
        future.set_exception(type(outcome)(str(outcome)))
    else:
        future.set_result(outcome)


def _dumps(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _utf8(text: str) -> bytes:
    # Half a surrogate pair, which UTF-8 cannot hold, becomes its JSON escape and so comes back as it was.
    return text.encode("utf-8", "backslashreplace")
