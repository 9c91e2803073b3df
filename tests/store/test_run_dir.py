"""A run's directory: one writer at a time, nobody else's files, nothing deleted, rows found by their ids."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from skills_dspy.base.errors import RunDirError, StorageError
from skills_dspy.store.files import AppendLog
from skills_dspy.store.run_dir import JUDGES_REPORTS, RunPaths, find_row, find_runs, set_aside, taken
from tests.helpers.disk import denied, names_in, no_space

NOW = datetime(2026, 11, 22, 14, 3, 5, tzinfo=UTC)
HOLD_THE_LOCK = """
import sys
from pathlib import Path
from skills_dspy.store.run_dir import taken
with taken(Path(sys.argv[1]), "debate") as paths:
    paths.run_json.write_text('{"by": "child"}')
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the directory of the task `debate` until it is killed."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"locked\n"
            yield process
        finally:
            process.kill()


def take(root: Path, task_name: str) -> None:
    """Take a task's directory and leave it again."""
    with taken(root, task_name):
        pass


def a_run(root: Path, task_name: str, accepted: list[str], rejected: list[str]) -> Path:
    """A finished run with rows of these ids."""
    with taken(root, task_name) as paths:
        paths.run_json.write_text(json.dumps({"task": task_name}))
        for path, ids in ((paths.data, accepted), (paths.rejected, rejected)):
            with AppendLog.open(path) as log:
                for row_id in ids:
                    log.append({"id": row_id, "task_name": task_name})
                log.finish()
        return paths.folder


def test_opening_creates_the_folders_and_says_where_the_files_lie(tmp_path: Path) -> None:
    """A task's directory is below the output directory, with slashes as folders."""
    with taken(tmp_path / "out", "writing/debate") as paths:
        folder = tmp_path / "out" / "writing" / "debate"
        assert folder.is_dir()
        assert [paths.data, paths.rejected, paths.run_json, paths.journal] == [
            folder / name for name in ("data.jsonl", "rejected.jsonl", "run.json", "journal.sqlite")
        ]
        assert json.loads(paths.running.read_bytes()) == {"pid": os.getpid()}


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/../../x", "/etc"])
def test_a_task_cannot_leave_the_output_directory(tmp_path: Path, name: str) -> None:
    """A task's name must name a folder below the output directory."""
    with pytest.raises(RunDirError, match=re.escape(repr(name))):
        take(tmp_path, name)
    assert names_in(tmp_path) == set()


def test_a_second_run_in_the_same_process_is_refused(tmp_path: Path) -> None:
    """The sentence says who is using the directory and since when; once it is closed anyone may open it."""
    with taken(tmp_path, "debate") as paths:
        os.utime(paths.running, (NOW.timestamp(), NOW.timestamp()))
        with pytest.raises(RunDirError) as caught:
            take(tmp_path, "debate")
        assert str(caught.value) == (
            f"another run (pid {os.getpid()}, since {NOW.astimezone():%Y-%m-%d %H:%M:%S}) is using {tmp_path / 'debate'};"
            " wait for it or choose another --output-dir"
        )
    take(tmp_path, "debate")
    assert names_in(tmp_path / "debate") == {".lock"}


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"{"])
def test_a_holder_that_has_not_said_who_it_is_yet(tmp_path: Path, content: bytes | None) -> None:
    """Between taking the lock and saying so, the sentence does without the process."""
    with taken(tmp_path, "debate") as paths:
        paths.running.unlink()
        if content is not None:
            paths.running.write_bytes(content)
        with pytest.raises(RunDirError, match=f"^another run is using {tmp_path}"):
            take(tmp_path, "debate")


def test_another_process_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    """While a run lives nobody else may write or set it aside; SIGKILL frees the directory and its files stay."""
    with another_process(tmp_path) as process:
        with pytest.raises(RunDirError, match=rf"another run \(pid {process.pid}, since "):
            take(tmp_path, "debate")
        with pytest.raises(RunDirError, match=rf"another run \(pid {process.pid}, since "):
            set_aside(tmp_path, "debate", NOW)
    assert names_in(tmp_path) == {"debate"}
    with taken(tmp_path, "debate") as paths:
        assert json.loads(paths.run_json.read_bytes()) == {"by": "child"}


def test_files_of_something_else_are_not_touched(tmp_path: Path) -> None:
    """A directory with files but no run is refused, even one that holds a data.jsonl, and nothing is put there."""
    folder = tmp_path / "debate"
    folder.mkdir()
    (folder / "data.jsonl").write_text("mine\n")
    for use in (take, lambda root, task_name: set_aside(root, task_name, NOW)):
        with pytest.raises(RunDirError, match=r"holds files of something else \(data\.jsonl\); choose another"):
            use(tmp_path, "debate")
    assert names_in(folder) == {"data.jsonl"}
    assert names_in(tmp_path) == {"debate"}


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", "running.json", ".running.json.12.tmp"], [*JUDGES_REPORTS]])
def test_what_a_run_killed_at_its_start_leaves_is_no_hindrance(tmp_path: Path, left: list[str]) -> None:
    """An empty directory, or one with nothing but our own traces or reports of judges, is free."""
    (tmp_path / "debate").mkdir()
    for name in left:
        (tmp_path / "debate" / name).touch()
    assert set_aside(tmp_path, "debate", NOW) is None
    take(tmp_path, "debate")


@pytest.mark.parametrize("name", ["run.json", "journal.sqlite"])
def test_a_run_is_known_by_its_run_json_or_its_journal(tmp_path: Path, name: str) -> None:
    """Beside one of them, files of any name may lie: notes, exports."""
    (tmp_path / "debate").mkdir()
    (tmp_path / "debate" / name).touch()
    (tmp_path / "debate" / "notes.txt").touch()
    take(tmp_path, "debate")
    assert find_runs(tmp_path) == [RunPaths(tmp_path / "debate")]


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    """An output directory, or a task's, that is a file."""
    (tmp_path / "out").touch()
    for root, name in ((tmp_path / "out", "debate"), (tmp_path, "out")):
        with pytest.raises(StorageError, match=r"^cannot create .*; a file is in the way: choose another place$"):
            take(root, name)


@pytest.mark.parametrize(("function", "what"), [("mkdir", "create"), ("iterdir", "read"), ("exists", "read")])
def test_a_directory_that_may_not_be_used_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, what: str
) -> None:
    """Permissions that lack, at whichever step, end in a StorageError that says so."""
    monkeypatch.setattr(Path, function, denied)
    with pytest.raises(StorageError, match=rf"^cannot {what} .*debate: Permission denied; check the permissions"):
        take(tmp_path, "debate")


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """The lock file's own errors are told like all others."""
    (tmp_path / "debate" / ".lock").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"^cannot lock .*debate: Is a directory"):
        take(tmp_path, "debate")


def test_a_full_disk_at_the_start_leaves_the_directory_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that could not begin holds no lock."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_space)
        with pytest.raises(StorageError, match="No space left on device; free some space") as kept:
            take(tmp_path, "debate")
    take(tmp_path, "debate")
    assert kept.tb is not None  # it kept the lock's object alive, so garbage collection did not free the lock


def test_closing_frees_the_directory_even_if_a_file_cannot_be_removed(tmp_path: Path) -> None:
    """The lock is what counts."""
    with ExitStack() as held:
        paths = held.enter_context(taken(tmp_path, "debate"))
        paths.running.unlink()
        paths.running.mkdir()
        with pytest.raises(StorageError, match=r"cannot remove .*running\.json"):
            held.close()
    paths.running.rmdir()
    take(tmp_path, "debate")


def test_setting_aside_renames_and_keeps_everything(tmp_path: Path) -> None:
    """Each run set aside in the same second gets a name of its own, and the old place is free for a new run."""
    kept = []
    for number in range(3):
        a_run(tmp_path, "debate", [f"row-{number}"], [])
        kept.append(set_aside(tmp_path, "debate", NOW))
    stem = tmp_path / "debate.old-20261122-140305"
    assert kept == [stem, stem.with_name(stem.name + "-2"), stem.with_name(stem.name + "-3")]
    assert [json.loads((folder / "data.jsonl").read_bytes())["id"] for folder in kept if folder] == [
        "row-0",
        "row-1",
        "row-2",
    ]
    assert set_aside(tmp_path, "debate", NOW) is None
    assert names_in(tmp_path) == {folder.name for folder in kept if folder}


def test_a_directory_that_cannot_be_renamed_stays_and_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed rename is told, and the run can go on."""
    a_run(tmp_path, "debate", ["row-1"], [])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", denied)
        with pytest.raises(StorageError, match=r"cannot rename .*debate: Permission denied") as kept:
            set_aside(tmp_path, "debate", NOW)
    with taken(tmp_path, "debate") as paths:
        assert json.loads(paths.run_json.read_bytes()) == {"task": "debate"}
    assert kept.tb is not None  # it kept the lock's object alive, so garbage collection did not free the lock


def test_runs_are_found_below_a_directory_but_not_those_set_aside(tmp_path: Path) -> None:
    """Sorted by path; a run's own directory finds itself, and so does one that was set aside when it is named."""
    for name in ("b", "a/deep/er", "a/other"):
        a_run(tmp_path, name, [], [])
    aside = set_aside(tmp_path, "b", NOW)
    a_run(tmp_path, "b", [], [])
    (tmp_path / "no-run").mkdir()
    assert [run.folder.relative_to(tmp_path).as_posix() for run in find_runs(tmp_path)] == ["a/deep/er", "a/other", "b"]
    assert find_runs(tmp_path / "b") == [RunPaths(tmp_path / "b")]
    assert aside is not None
    assert find_runs(aside) == [RunPaths(aside)]


def test_looking_for_runs_where_nothing_is_is_told(tmp_path: Path) -> None:
    """A mistyped directory is not the same as one without runs."""
    with pytest.raises(StorageError, match=r"cannot read .*missing: No such file or directory; check the path"):
        find_runs(tmp_path / "missing")
    assert find_runs(tmp_path) == []


def test_a_row_is_found_by_its_id_or_enough_of_it(tmp_path: Path) -> None:
    """Accepted and rejected rows of all runs, from the output directory or from one run's."""
    debate = a_run(tmp_path, "debate", ["aaaaaaaa1", "bbbbbbbb1"], ["cccccccc1"])
    poem = a_run(tmp_path, "poem", ["dddddddd1"], [])
    accepted = find_row(tmp_path, "bbbbbbbb1")
    assert accepted == (RunPaths(debate), "accepted", {"id": "bbbbbbbb1", "task_name": "debate"})
    assert find_row(tmp_path, "bbbbbb") == accepted
    rejected = find_row(debate, "cccccccc")
    assert rejected is not None
    assert (rejected.paths, rejected.kind, rejected.row["id"]) == (RunPaths(debate), "rejected", "cccccccc1")
    elsewhere = find_row(tmp_path, "dddddd")
    assert elsewhere is not None
    assert elsewhere.paths.folder == poem
    assert find_row(debate, "dddddddd1") is None


@pytest.mark.parametrize("row_id", ["", "bbbbb", "bbbbbbbb12", "zzzzzzzz"])
def test_too_little_of_an_id_or_a_wrong_one_finds_nothing(tmp_path: Path, row_id: str) -> None:
    """Five characters are too few to be meant."""
    a_run(tmp_path, "debate", ["bbbbbbbb1"], [])
    assert find_row(tmp_path, row_id) is None


def test_a_whole_short_id_is_found_and_goes_before_longer_ones(tmp_path: Path) -> None:
    """An id that is also the beginning of another is not ambiguous."""
    a_run(tmp_path, "debate", ["row-10", "row-1", "abcdef", "abcdefg"], [])
    for row_id in ("row-1", "abcdef"):
        found = find_row(tmp_path, row_id)
        assert found is not None
        assert found.row["id"] == row_id


def test_an_ambiguous_id_lists_what_it_fits(tmp_path: Path) -> None:
    """The rows and their runs are named, a few of them if there are many."""
    one = a_run(tmp_path, "one", ["same-row-1"], [])
    two = a_run(tmp_path, "two", [], ["same-row-1", "same-row-2"])
    with pytest.raises(RunDirError, match=f"same-row-1 in {one}, same-row-1 in {two}; give more of the id"):
        find_row(tmp_path, "same-row-1")
    a_run(tmp_path, "many", [f"many-row-{number}" for number in range(20)], [])
    with pytest.raises(RunDirError) as caught:
        find_row(tmp_path, "many-row")
    assert str(caught.value).count("many-row-") == 5
    assert "many-row-4" in str(caught.value)
    assert " and others; " in str(caught.value)


def test_rows_without_an_id_or_files_that_are_missing_do_not_disturb(tmp_path: Path) -> None:
    """A run that was killed early may have no rows; a row without an id is nobody's."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "journal.sqlite").touch()
    folder = a_run(tmp_path, "late", [], [])
    (folder / "data.jsonl").write_text('{"x":1}\n{"id":7}\n')
    assert find_row(tmp_path, "None") is None
    assert find_row(tmp_path, "7") is None


def test_taking_a_directory_waits_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark of a running run need not outlive a loss of power, and hundreds of tasks leave one each before they begin."""
    monkeypatch.setattr(os, "fsync", no_space)
    with taken(tmp_path, "debate") as paths:
        assert json.loads(paths.running.read_text("utf-8")) == {"pid": os.getpid()}
