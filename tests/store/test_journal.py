"""The journal: what was put is on the disk, the first reply stays, and a recording replays from anywhere."""

import asyncio
import hashlib
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skills_dspy.base.errors import RunDirError, SkillsError, StorageError
from skills_dspy.store import journal_reader as recording_module
from skills_dspy.store.journal import Journal, JournaledReply, JournalReader, pack, request_digest
from tests.helpers.disk import files_end_at, names_in

REQUEST: dict[str, Any] = {
    "model": "mistral-small3.2",
    "messages": [{"role": "user", "content": "Schreib eine Frage über Füchse."}],
    "options": {"num_ctx": 8192, "seed": 7, "temperature": 0.7},
    "format": {"type": "object"},
    "keep_alive": "30m",
    "stream": False,
}
PUT_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from skills_dspy.store.journal import Journal, JournaledReply

async def put(journal, number):
    await journal.put(JournaledReply(f"{number:064}", {"n": number}, {"said": "x" * number}, "step", 0.0, 1.0))
    print(number, flush=True)

async def main():
    journal = Journal.open(Path(sys.argv[1]))
    journal.set_meta("seed", "7")
    for start in range(0, 10**6, 4):
        await asyncio.gather(*(put(journal, start + n) for n in range(4)))

asyncio.run(main())
"""


def entry(number: int, body: dict[str, Any] | None = None, step: str = "judge_question_freeform") -> JournaledReply:
    """A reply to the request of this number."""
    request = {**REQUEST, "options": {"seed": number}}
    reply = {"message": {"content": f"reply {number}"}, "prompt_eval_count": 100, "eval_count": 10}
    return JournaledReply(request_digest(request), request, body or reply, step, 1.5e9 + number, 0.25)


def put_all(journal: Journal, entries: list[JournaledReply]) -> list[dict[str, Any] | BaseException]:
    """Put many at once; what each put returned or raised."""

    async def main() -> list[dict[str, Any] | BaseException]:
        return await asyncio.gather(*(journal.put(each) for each in entries), return_exceptions=True)

    return asyncio.run(main())


def write_journal(path: Path, entries: list[JournaledReply]) -> None:
    """A whole journal, closed."""
    with Journal.open(path) as journal:
        assert put_all(journal, entries) == [each.reply for each in entries]


def connect_with(monkeypatch: pytest.MonkeyPatch, change: Callable[[sqlite3.Connection], object]) -> None:
    """Do something to every connection that is opened from now on."""
    real = recording_module.connect

    def connect(path: Path, mode: str) -> sqlite3.Connection:
        connection = real(path, mode)
        change(connection)
        return connection

    monkeypatch.setattr("skills_dspy.store.journal_reader.connect", connect)
    monkeypatch.setattr("skills_dspy.store.journal.connect", connect)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a run's journal lies."""
    return tmp_path / "journal.sqlite"


def test_the_digest_is_sha256_of_canonical_json() -> None:
    """Anyone can compute it: what never decides left out, keys sorted at any depth, no spaces, UTF-8."""
    text = (
        '{"format":{"type":"object"},"messages":[{"content":"Schreib eine Frage über Füchse.","role":"user"}],'
        '"model":"mistral-small3.2","options":{"seed":7,"temperature":0.7}}'
    )
    turned = {key: dict(reversed(value.items())) if key == "options" else value for key, value in reversed(REQUEST.items())}
    for request in (REQUEST, turned, {**json.loads(text), "keep_alive": None, "stream": [1]}):
        assert request_digest(request) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"model": "mistral-small3.1"},
        {"messages": []},
        {"messages": [{"role": "system", "content": "Schreib eine Frage über Füchse."}]},
        {"options": {"seed": 8, "temperature": 0.7}},
        {"options": {"seed": 7, "temperature": 0.7, "num_predict": 5}},
        {"options": {"seed": 7, "temperature": 1}},
        {"options": None},
        {"format": None},
        {"think": False},
        {"num_ctx": 8192},
        {"messages": [*REQUEST["messages"], {"keep_alive": "30m"}]},
    ],
)
def test_each_part_of_a_request_has_a_say(change: dict[str, Any]) -> None:
    """Model, messages, options, schema and anything new change the digest; the names left out count elsewhere."""
    assert request_digest({**REQUEST, **change}) != request_digest(REQUEST)


def test_half_a_surrogate_pair_has_a_digest_and_comes_back(path: Path) -> None:
    """Text that UTF-8 cannot hold is no reason to fail."""
    odd = JournaledReply(request_digest({"a": "\ud800"}), {"a": "\ud800"}, {"b": "x\udfff"}, "s", 0.0, 0.0)
    assert odd.digest != request_digest({"a": "\\ud800"})
    with Journal.open(path) as journal:
        put_all(journal, [odd])
        assert journal.full(odd.digest) == odd


def test_what_was_put_is_there_for_everyone_when_put_returns(path: Path) -> None:
    """Through the journal, through another connection, and after it is opened again."""

    async def main(journal: Journal) -> None:
        assert journal.get(entry(1).digest) is None
        assert await journal.put(entry(1)) == entry(1).reply
        assert journal.get(entry(1).digest) == entry(1).reply
        with JournalReader.open(path) as other:
            assert other.full(entry(1).digest) == entry(1)

    with Journal.open(path) as journal:
        asyncio.run(main(journal))
    with Journal.open(path) as journal:
        assert journal.full(entry(1).digest) == entry(1)
        assert journal.full(entry(2).digest) is None
        assert put_all(journal, [entry(2)]) == [entry(2).reply]


@settings(max_examples=25, deadline=None)
@given(rounds=st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=6), max_size=5))
def test_the_first_reply_to_a_request_stays(rounds: list[list[tuple[int, int]]]) -> None:
    """In any interleaving of puts and gets, across reopening, all see the first reply and only that."""
    first: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        for puts in rounds:
            entries = [entry(number, {"said": said}) for number, said in puts]
            with Journal.open(path) as journal:
                returned = put_all(journal, entries)
                for each in entries:
                    first.setdefault(each.digest, each.reply)
                assert returned == [first[each.digest] for each in entries]
                for number in range(6):
                    digest = entry(number).digest
                    assert journal.get(digest) == first.get(digest)
                assert journal.usage()["calls"] == len(first)


def test_many_puts_share_one_commit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits while the disk is busy is written in one transaction, so slots do not wait for a sync each."""
    statements: list[str] = []
    connect_with(monkeypatch, lambda connection: connection.set_trace_callback(statements.append))
    with Journal.open(path) as journal:
        before = statements.count("COMMIT")
        put_all(journal, [entry(number) for number in range(300)])
        assert journal.usage()["calls"] == 300
    assert 1 <= statements.count("COMMIT") - before < 100


def test_each_commit_waits_for_the_disk(path: Path) -> None:
    """Promised is what survives a power cut: a write-ahead log, synced at every commit."""
    with Journal.open(path) as journal:
        assert journal._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert journal._writer.execute("PRAGMA synchronous").fetchone() == (2,)


def usage(calls: int, prompt_tokens: int, output_tokens: int, seconds: float) -> dict[str, float]:
    """What calls have cost."""
    return {"calls": calls, "prompt_tokens": prompt_tokens, "output_tokens": output_tokens, "seconds": seconds}


def test_usage_adds_up_all_and_by_step(path: Path) -> None:
    """Calls, tokens and seconds; a count that the server left out or botched is nothing."""
    odd: list[dict[str, Any]] = [
        {"x": 1},
        {"eval_count": -1},
        {"eval_count": "5"},
        {"eval_count": 2**70},
        {"eval_count": 7},
    ]
    with Journal.open(path) as journal:
        assert json.dumps(journal.usage()) == json.dumps({**usage(0, 0, 0, 0.0), "by_step": {}})
        put_all(journal, [entry(number, step="write") for number in range(3)])
        put_all(journal, [entry(10 + number, body, step="judge") for number, body in enumerate(odd)])
        by_step = {"judge": usage(5, 0, 7, 1.25), "write": usage(3, 300, 30, 0.75)}
        assert journal.usage() == {**usage(8, 300, 37, 2.0), "by_step": by_step}
        put_all(journal, [replace(entry(20, step="write"), seconds=0.12345)])
        assert (journal.usage()["seconds"], journal.usage()["by_step"]["write"]["seconds"]) == (2.123, 0.873)


def test_facts_about_the_run_are_noted_and_replaced(path: Path) -> None:
    """Meta is a small table of texts by name."""
    with Journal.open(path) as journal:
        journal.set_meta("seed", "7")
        journal.set_meta("model", "été")
        journal.set_meta("seed", "8")
        assert journal.meta() == {"model": "été", "seed": "8"}
    with JournalReader.open(path) as recording:
        assert recording.meta() == {"model": "été", "seed": "8"}


def test_a_closed_journal_is_one_file_and_takes_nothing_more(path: Path) -> None:
    """Close folds the log in, may be called twice, and later calls say that the journal is closed."""
    journal = Journal.open(path)
    put_all(journal, [entry(1)])
    journal.close()
    journal.close()
    assert names_in(path.parent) == {path.name}
    (refusal,) = put_all(journal, [entry(2)])
    assert isinstance(refusal, StorageError)
    with pytest.raises(StorageError, match=r"the journal .* is closed"):
        journal.set_meta("a", "b")
    with pytest.raises(StorageError, match=r"cannot use .*: Cannot operate on a closed database"):
        journal.get("x")


def test_a_cancelled_put_is_written_all_the_same(path: Path) -> None:
    """A reply that was paid for is kept, whether its event loop goes on or is gone."""

    async def cancelled(journal: Journal, number: int) -> None:
        task = asyncio.ensure_future(journal.put(entry(number)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def and_another(journal: Journal, blocker: sqlite3.Connection) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await cancelled(journal, 1)
        blocker.execute("ROLLBACK")
        await journal.put(entry(2))

    complaints: list[object] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker, Journal.open(path) as journal:
        blocker.execute("BEGIN IMMEDIATE")  # keeps the writer from getting done too early
        asyncio.run(and_another(journal, blocker))
        blocker.execute("BEGIN IMMEDIATE")
        asyncio.run(cancelled(journal, 3))
        blocker.execute("ROLLBACK")
    assert complaints == []
    with JournalReader.open(path) as recording:
        assert [recording.get(entry(number).digest) for number in (1, 2, 3)] == [entry(n).reply for n in (1, 2, 3)]


def test_kill_9_loses_nothing_that_was_put(path: Path) -> None:
    """Every reply whose put had returned is there after SIGKILL, for a reader and for the resumed run."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PUT_UNTIL_KILLED, str(path)]
    for enough in (3, 150, 400):
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(enough)]
            process.kill()
            lines += process.stdout.readlines()
        done = [int(line) for line in lines if line.endswith(b"\n")]
        for opened in (JournalReader.open(path), Journal.open(path)):
            with opened:
                assert len(done) >= enough
                assert all(opened.get(f"{number:064}") == {"said": "x" * number} for number in done)
                assert opened.meta() == {"seed": "7"}


def test_a_full_disk_fails_all_puts_from_then_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait and those that come later get one sentence; what was put before is whole."""
    with monkeypatch.context() as patch:
        connect_with(patch, lambda connection: connection.execute("PRAGMA max_page_count = 12"))
        journal = Journal.open(path)
    kept = []
    with journal:
        for number in range(200):
            (outcome,) = put_all(journal, [entry(number, {"said": random.Random(number).randbytes(500).hex()})])
            if isinstance(outcome, BaseException):
                break
            kept.append(number)
        for later in put_all(journal, [entry(number) for number in range(1000, 1010)]):
            assert isinstance(later, StorageError)
            assert str(later) == f"cannot use {path}: database or disk is full; " + (
                "free some space and run the same command again: what was written before is kept"
            )
        with pytest.raises(StorageError, match="disk is full"):
            journal.set_meta("a", "b")
        assert 0 < len(kept) < 200
        assert all(journal.get(entry(number).digest) for number in kept)
    with Journal.open(path) as again:
        assert [number for number in range(2000) if again.get(entry(number).digest)] == kept
        assert put_all(again, [entry(5000)]) == [entry(5000).reply]


def test_all_that_waits_fails_with_the_write_that_failed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one batch nobody is told that it is written unless all of it is."""
    connect_with(monkeypatch, lambda connection: connection.execute("PRAGMA max_page_count = 20"))
    with Journal.open(path) as journal:
        outcomes = put_all(journal, [entry(number, {"said": str(number) * 900}) for number in range(200)])
        failed = [isinstance(outcome, StorageError) for outcome in outcomes]
        assert any(failed)
        assert failed == sorted(failed)  # after the first failure there is no success
        assert [journal.get(entry(number).digest) is None for number in range(200)] == failed


def test_a_fact_that_cannot_be_noted_fails_later_puts_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a write has failed nothing more is written."""
    connect_with(monkeypatch, lambda connection: connection.execute("PRAGMA max_page_count = 20"))
    with Journal.open(path) as journal:
        with pytest.raises(StorageError, match="disk is full"):
            journal.set_meta("big", "x" * 10**6)
        (outcome,) = put_all(journal, [entry(1)])
        assert isinstance(outcome, StorageError)


def test_a_refusing_kernel_at_close_loses_nothing(path: Path) -> None:
    """If the log cannot be folded into the file it stays beside it, the error says so, and all is there next time."""
    journal = Journal.open(path)
    put_all(journal, [entry(number) for number in range(50)])
    with files_end_at(5000), pytest.raises(StorageError, match=r"^cannot use .*: disk I/O error; check the disk"):
        journal.close()
    with Journal.open(path) as again:
        assert all(again.get(entry(number).digest) for number in range(50))


def test_a_row_that_breaks_the_table_is_an_error_not_a_loss(path: Path) -> None:
    """A wrong value is never dropped without a word."""
    broken = JournaledReply("d" * 64, {}, {}, "step", float("nan"), 0.0)
    with Journal.open(path) as journal:
        (outcome,) = put_all(journal, [broken])
    assert isinstance(outcome, StorageError)
    assert "NOT NULL constraint failed: replies.arrived" in str(outcome)


@pytest.mark.parametrize("use", [Journal.open, JournalReader.open])
@pytest.mark.parametrize("content", [b"hello", b"x" * 5000, "CREATE TABLE replies (a)", "PRAGMA application_id = 5"])
def test_a_file_of_something_else_is_refused_and_kept(path: Path, content: bytes | str, use: Callable[[Path], object]) -> None:
    """No database, or one of something else: a table of the same name does not make it ours."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(content)
            connection.commit()
    before = path.read_bytes()
    with pytest.raises(RunDirError, match=r"journal\.sqlite is not a journal of skills_dspy; move it away or choose"):
        use(path)
    assert path.read_bytes() == before
    assert names_in(path.parent) == {path.name}


@pytest.mark.parametrize("use", [Journal.open, JournalReader.open])
def test_a_journal_of_a_newer_version_is_refused(path: Path, use: Callable[[Path], object]) -> None:
    """The sentence says which format it is and what to do."""
    write_journal(path, [entry(1)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(RunDirError, match=r"newer skills_dspy \(its format is 2, this one reads 1\); update the prog"):
        use(path)


def test_a_journal_that_was_killed_at_its_birth_is_begun_again(path: Path) -> None:
    """An empty file, or a database without tables, becomes a journal; a recording it is not."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with pytest.raises(RunDirError, match="is not a journal"):
        JournalReader.open(path)
    write_journal(path, [entry(1)])
    path.write_bytes(b"")
    write_journal(path, [entry(2)])
    with JournalReader.open(path) as recording:
        assert recording.get(entry(1).digest) is None
        assert recording.get(entry(2).digest) == entry(2).reply


@pytest.mark.parametrize("place", ["missing/journal.sqlite", "file/journal.sqlite", "folder"])
def test_a_place_that_cannot_hold_a_journal_is_one_sentence(tmp_path: Path, place: str) -> None:
    """No folder, a file as a folder, a folder as the file."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=rf"^cannot use {tmp_path / place}: unable to open database file; check the"):
        Journal.open(tmp_path / place)
    with pytest.raises(RunDirError, match=rf"there is no recording at {tmp_path / place}"):
        JournalReader.open(tmp_path / place)


def test_a_file_system_without_shared_memory_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLite cannot keep a write-ahead log, the loop would wait for the disk: say so at the start."""
    real = recording_module.connect
    monkeypatch.setattr("skills_dspy.store.journal.connect", lambda path, mode: real(path, f"{mode}&vfs=unix-dotfile"))
    with pytest.raises(StorageError, match="cannot hold a write-ahead log; choose another --output-dir"):
        Journal.open(path)


def test_a_damaged_journal_is_told(path: Path) -> None:
    """Flipped bytes, in the pages or in a reply, are an error that says what to do, never a wrong reply."""
    write_journal(path, [entry(number) for number in range(200)])
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with JournalReader.open(path) as recording:
        reads: list[Callable[[], object]] = [recording.usage, lambda: recording.get(entry(1).digest)]
        for read in reads:
            with pytest.raises(StorageError, match=r"cannot use .*: database disk image is malformed; restore it"):
                read()
    path.write_bytes(whole.replace(b'{"message":', b'["message":'))
    with JournalReader.open(path) as recording, pytest.raises(StorageError, match=r"cannot use .*; check the disk"):
        recording.get(entry(1).digest)
    path.write_bytes(whole.replace(b"\x78\x9c", b"\x78\x00"))
    with JournalReader.open(path) as recording, pytest.raises(StorageError, match=r"cannot use .*; check the disk"):
        recording.full(entry(1).digest)


def test_a_lack_of_memory_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever when the writer fails for want of memory."""

    def no_memory(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr("skills_dspy.store.journal.zlib.compress", no_memory)
    with Journal.open(path) as journal:
        (outcome,) = put_all(journal, [entry(1)])
    assert str(outcome).startswith(f"cannot use {path}: MemoryError; ")


def test_a_recording_is_read_without_a_trace(tmp_path: Path) -> None:
    """From a read-only folder with an odd name, as in site-packages; nothing is put beside it."""
    folder = tmp_path / "a b?c#d%20é"
    folder.mkdir()
    write_journal(folder / "demo.sqlite", [entry(1)])
    folder.chmod(0o555)
    before = (folder / "demo.sqlite").read_bytes()
    assert before[18:20] == b"\x02\x02"  # a database in WAL mode
    with JournalReader.open(folder / "demo.sqlite") as recording:
        assert recording.full(entry(1).digest) == entry(1)
        assert recording.get("0" * 64) is None
        assert recording.full("0" * 64) is None
        assert names_in(folder) == {"demo.sqlite"}
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            recording._connection.execute("DELETE FROM replies")
    assert (folder / "demo.sqlite").read_bytes() == before
    folder.chmod(0o755)


def test_a_recording_reads_along_while_the_run_writes(path: Path) -> None:
    """With a log beside the file its replies are seen too."""
    with Journal.open(path) as journal, JournalReader.open(path) as recording:
        for number in range(3):
            put_all(journal, [entry(number)])
            assert recording.get(entry(number).digest) == entry(number).reply


def test_packing_gives_one_file_and_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    """The order in which replies arrived does not show; the content is all there, also of a run that still writes."""
    entries = [entry(number) for number in range(60)]
    targets = []
    for name, order in (("one", entries), ("two", entries[::-1])):
        (tmp_path / name).mkdir()
        source, target = tmp_path / name / "journal.sqlite", tmp_path / name / "demo.sqlite"
        with Journal.open(source) as journal:
            for key in ("b", "a") if name == "one" else ("a", "b"):
                journal.set_meta(key, "x")
            for each in order:
                put_all(journal, [each])
            if name == "one":
                pack(source, target)
        if name == "two":
            pack(source, target)
        assert names_in(tmp_path / name) == {"journal.sqlite", "demo.sqlite"}
        targets.append(target.read_bytes())
    assert targets[0] == targets[1]
    assert targets[0][18:20] == b"\x01\x01"  # not in WAL mode
    with JournalReader.open(tmp_path / "one" / "demo.sqlite") as recording:
        assert [recording.full(each.digest) for each in entries] == entries
        assert recording.meta() == {"a": "x", "b": "x"}


def test_packing_overwrites_nothing_and_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An existing target, a missing source, a full disk: an error, and the folder as it was."""
    write_journal(tmp_path / "a", [entry(number) for number in range(60)])
    before = (tmp_path / "a").read_bytes()

    def refused(source: str, target: str, kind: type[SkillsError], words: str) -> None:
        with pytest.raises(kind, match=re.escape(words)):
            pack(tmp_path / source, tmp_path / target)
        assert names_in(tmp_path) == {"a"}
        assert (tmp_path / "a").read_bytes() == before

    refused("a", "a", RunDirError, "exists already; remove it or choose another name")
    refused("missing", "b", RunDirError, "there is no recording at")
    refused("a", "missing/b", StorageError, "unable to open database file")
    with monkeypatch.context() as patch:
        connect_with(patch, lambda connection: connection.execute("PRAGMA max_page_count = 10"))
        refused("a", "b", StorageError, "database or disk is full")
    with files_end_at(5000):
        refused("a", "b", StorageError, "disk I/O error")


def test_a_journal_takes_no_thread_before_its_first_reply(tmp_path: Path) -> None:
    """Hundreds of tasks are open at once, and many have nothing to write yet."""

    def writing() -> int:
        return sum(thread.name == "journal" for thread in threading.enumerate())

    before = writing()
    with Journal.open(tmp_path / "j.sqlite") as journal:
        journal.set_meta("seed", "7")
        assert (journal.get(entry(1).digest), journal.meta(), writing()) == (None, {"seed": "7"}, before)
        asyncio.run(journal.put(entry(1)))
        assert writing() == before + 1
    assert writing() == before


def test_reading_never_waits_for_what_is_being_written(tmp_path: Path) -> None:
    """While a thread writes, a second connection reads what was there before."""
    with Journal.open(tmp_path / "j.sqlite") as journal:
        asyncio.run(journal.put(entry(1)))
        with journal._lock:
            assert journal.get(entry(1).digest) == entry(1).reply
            assert journal.get(entry(2).digest) is None
        asyncio.run(journal.put(entry(2)))
        assert journal.get(entry(2).digest) == entry(2).reply
