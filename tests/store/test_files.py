"""Plain files: whole or not at all, and logs that come out the same however often they are begun again."""

import asyncio
import errno
import json
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skills_dspy.base.errors import RunDirError, StorageError
from skills_dspy.base.records import Neighbour
from skills_dspy.store.aside import write_json, write_text
from skills_dspy.store.files import AppendLog, count_rows, read_rows, storage_errors, to_its_end, typed_rows
from tests.helpers.disk import files_end_at, no_space

ROWS = st.lists(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=20), max_size=3), max_size=6)


def line_of(row: dict[str, Any]) -> bytes:
    """How a row stands in a log."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def fill(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a whole log."""
    with AppendLog.open(path) as log:
        for row in rows:
            log.append(row)
        log.finish()


def rows_in(path: Path) -> list[dict[str, Any]]:
    """What a reader gets."""
    return [row for _, row in read_rows(path)]


def test_text_replaces_the_old_text_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """After a write there is one file with the new text."""
    write_text(tmp_path / "a.md", "a much longer old text")
    write_text(tmp_path / "a.md", "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.md", "new")]


def test_half_a_surrogate_pair_is_written_as_its_escape(tmp_path: Path) -> None:
    """A string that UTF-8 cannot hold comes back as it was from JSON."""
    data = {"text": "a\ud800b\udfff"}
    write_json(tmp_path / "x.json", data)
    fill(tmp_path / "x.jsonl", [data])
    assert json.loads((tmp_path / "x.json").read_bytes()) == data
    assert rows_in(tmp_path / "x.jsonl") == [data]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """Whatever step fails, the old file stands, nothing lies beside it, and one sentence says what to do."""
    path = tmp_path / "run.json"
    write_json(path, {"old": 1})
    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", no_space)
    else:
        monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(StorageError, match=r"^cannot write .*run\.json: No space left on device; free some space"):
        write_json(path, {"new": 1})
    assert [(file.name, json.loads(file.read_bytes())) for file in tmp_path.iterdir()] == [("run.json", {"old": 1})]


def test_what_json_cannot_say_is_refused(tmp_path: Path) -> None:
    """NaN never gets into a file."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"score": float("nan")})
    with AppendLog.open(tmp_path / "x.jsonl") as log, pytest.raises(ValueError, match="not JSON compliant"):
        log.append({"score": float("inf")})
    assert [file.name for file in tmp_path.iterdir()] == ["x.jsonl"]
    assert (tmp_path / "x.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EDQUOT, "free some space"),
        (errno.EACCES, "check the permissions"),
        (errno.EROFS, "check the permissions"),
        (errno.ENOTDIR, "a file is in the way"),
        (errno.EIO, "check the disk"),
        (None, "check the disk"),
    ],
)
def test_each_kind_of_refusal_has_its_advice(number: int | None, advice: str) -> None:
    """The sentence names the path, the error's own words and what helps, also where the error is not the system's."""
    error = OSError("strange") if number is None else OSError(number, os.strerror(number))
    with pytest.raises(StorageError) as caught, storage_errors("read", Path("out/x")):
        raise error
    assert str(caught.value).startswith(f"cannot read out/x: {error.strerror or 'strange'}; {advice}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("use", [AppendLog.open, lambda path: write_text(path, ""), lambda path: list(read_rows(path))])
def test_a_path_that_cannot_be_used_is_named(tmp_path: Path, use: Callable[[Path], object]) -> None:
    """A missing folder, a file as a folder, a folder as a file: a StorageError that names the path."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "missing" / "x", tmp_path / "file" / "x", tmp_path / "folder"):
        with pytest.raises(StorageError, match=str(path)):
            use(path)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, cut=st.integers(0), junk=st.binary(max_size=8))
def test_a_log_cut_anywhere_comes_out_the_same(rows: list[dict[str, Any]], cut: int, junk: bytes) -> None:
    """However a kill or a crash left the file, the same rows give the same bytes, and it always holds whole lines."""
    whole = b"".join(map(line_of, rows))
    kept = cut % (len(whole) + 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.jsonl"
        path.write_bytes(whole[:kept] + junk)
        with AppendLog.open(path) as log:
            for number, row in enumerate(rows, start=1):
                log.append(row)
                done = b"".join(map(line_of, rows[:number]))
                assert path.read_bytes()[: len(done)] == done
            log.finish()
        assert path.read_bytes() == whole
        assert rows_in(path) == rows
        assert count_rows(path) == len(rows)


@settings(max_examples=25, deadline=None)
@given(old=ROWS, new=ROWS)
def test_a_finished_log_holds_what_was_appended_and_nothing_else(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """Old rows that are not appended again are gone after finish, and after the first difference."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.jsonl"
        fill(path, old)
        fill(path, new)
        assert path.read_bytes() == b"".join(map(line_of, new))


def test_rows_that_are_there_are_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Confirming a whole old log writes not one byte."""
    path, rows = tmp_path / "data.jsonl", [{"id": str(number)} for number in range(5)]
    fill(path, rows)
    os.utime(path, ns=(1, 1))
    monkeypatch.setattr(os, "write", no_space)
    with AppendLog.open(path) as log:
        for row in rows:
            log.append(row)
        assert path.stat().st_mtime_ns == 1


def test_close_keeps_the_rows_that_were_not_reached(tmp_path: Path) -> None:
    """A resumed run that is interrupted before it is where the last one was loses nothing."""
    path, rows = tmp_path / "data.jsonl", [{"n": number} for number in range(5)]
    fill(path, rows)
    log = AppendLog.open(path)
    log.append(rows[0])
    log.close()
    log.close()
    assert rows_in(path) == rows


@pytest.mark.parametrize("room", [0, 1, 39])
def test_a_row_that_fits_only_in_part_is_taken_back(tmp_path: Path, room: int) -> None:
    """On a full disk the log ends after a whole line, and no later row may be written with one missing."""
    path = tmp_path / "data.jsonl"
    rows: list[dict[str, Any]] = [{"n": 1}, {"text": "y" * 50}]
    with AppendLog.open(path) as log:
        log.append(rows[0])
        with files_end_at(8 + room), pytest.raises(StorageError, match=r"cannot write .*data\.jsonl: ") as first:
            log.append(rows[1])
        assert path.read_bytes() == b'{"n":1}\n'
        with pytest.raises(StorageError) as later:
            log.append({"n": 3})
        with pytest.raises(StorageError) as last:
            log.finish()
        assert str(first.value) == str(later.value) == str(last.value)
    fill(path, rows)
    assert rows_in(path) == rows


def test_a_failing_sync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log whose bytes cannot be seen to the disk is not finished."""
    with AppendLog.open(tmp_path / "data.jsonl") as log:
        log.append({"n": 1})
        monkeypatch.setattr(os, "fsync", no_space)
        with pytest.raises(StorageError, match="No space left"):
            log.finish()


def test_a_torn_last_line_is_no_row(tmp_path: Path) -> None:
    """A reader of a run that is writing, or was killed, sees whole rows only; there may be no log yet."""
    path = tmp_path / "data.jsonl"
    assert count_rows(path) == 0
    path.write_bytes(b'{"n":1}\n{"n":2}\n{"n":')
    assert list(read_rows(path)) == [(1, {"n": 1}), (2, {"n": 2})]
    assert count_rows(path) == 2


@pytest.mark.parametrize("broken", [b"{", b"[1]", b"\xff", b"", b"[" * 100_000, b'"' + b"\0" * 30])
def test_a_broken_line_is_named_by_its_number(tmp_path: Path, broken: bytes) -> None:
    """A whole line that is no row was not written by us: file and line are named."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"n":1}\n' + broken + b"\n" + b'{"n":3}\n')
    rows = read_rows(path)
    assert next(rows) == (1, {"n": 1})
    with pytest.raises(RunDirError, match=r"data\.jsonl:2: this line is not a JSON object"):
        next(rows)


def test_a_row_that_was_changed_by_hand_is_named_by_its_number(tmp_path: Path) -> None:
    """Its columns are not as they were written."""
    path = tmp_path / "data.jsonl"
    path.write_text('{"provenance":{"fitting":"","calls":[{"stage":"x"}]}}\n')
    with pytest.raises(RunDirError, match=r"data\.jsonl:1: this is no row of a run: a part is missing .*; restore the file"):
        list(read_rows(path))


def test_rows_are_read_as_what_they_are(tmp_path: Path) -> None:
    """None where there is no file; halves of characters are replaced where that is wanted; a row of another kind is named."""
    path = tmp_path / "data.jsonl"
    assert list(typed_rows(path, Neighbour)) == []
    path.write_text('{"id":"a\\ud83d","distance":0.5}\n{"id":"b"}\n')
    rows = typed_rows(path, Neighbour)
    assert next(rows) == (1, Neighbour(id="a\ud83d", distance=0.5))
    assert next(typed_rows(path, Neighbour, mended=True)) == (1, Neighbour(id="a\ufffd", distance=0.5))
    with pytest.raises(
        RunDirError, match=r"data\.jsonl:2: this is no row of a run: `distance`: Field required; restore the file$"
    ):
        next(rows)


def test_who_is_cancelled_while_a_thread_writes_waits_for_it() -> None:
    """What is written afterwards, such as how a run ended, is not overwritten; an error of the writing is told."""
    may_write, written = threading.Event(), list[str]()

    def write() -> None:
        may_write.wait(10)
        written.append("old")

    async def cancelled() -> None:
        writing = asyncio.create_task(to_its_end(write))
        await asyncio.sleep(0)
        writing.cancel()
        asyncio.get_running_loop().call_later(0.01, may_write.set)
        with pytest.raises(asyncio.CancelledError):
            await writing
        written.append("new")

    asyncio.run(cancelled())
    assert written == ["old", "new"]
    with pytest.raises(ZeroDivisionError):
        asyncio.run(to_its_end(lambda: 1 / 0))
