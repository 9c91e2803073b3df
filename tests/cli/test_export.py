"""`export` and `run --export` as they are typed: what is said where, exit codes, and what stays behind."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evals.record.answering import CHECKOUT
from skills_dspy.base.records import Record
from skills_dspy.cli.export import export_run
from skills_dspy.store.journal import Journal
from skills_dspy.store.run_dir import taken
from tests.helpers.exporting import a_record, files_below, some_records, write_run
from tests.helpers.terminal import Terminal

Type = Callable[..., tuple[int, str, str]]
TWO = ("test/foxes", "test/jays")


@pytest.fixture
def typed(terminal: Terminal) -> Type:
    """Types a command; gives the exit code and what was printed."""
    return terminal.type


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs of three rows each."""
    write_run(tmp_path / "runs")
    write_run(tmp_path / "runs", some_records(task="test/jays"), task="test/jays")
    return tmp_path / "runs"


def test_an_export_says_what_it_wrote(runs: Path, tmp_path: Path, typed: Type) -> None:
    """Rows, runs, layout and place on stdout, and what answered."""
    out = tmp_path / "new" / "m.jsonl"
    assert typed("export", runs, "--format", "messages", "--out", out) == (
        0,
        f"6 rows of 2 runs as messages: {out}\nAnswered by: Ollama 0.9.9\n",
        "",
    )
    code, said, _ = typed("export", runs, "--format", "alpaca", "--out", tmp_path / "a", "--test-share", "0.34", "--seed", 3)
    assert (code, said.splitlines()[0]) == (0, f"6 rows of 2 runs as alpaca (train 4, test 2): {tmp_path / 'a'}")


def test_preferences_are_exported_as_they_are_typed(runs: Path, tmp_path: Path, typed: Type) -> None:
    """How many are true and false, what to do where none is, which report tells of the judges; others have no card for it."""
    (runs / "judges.json").write_text("{}", "utf-8")
    code, out, err = typed("export", runs, "--format", "kto", "--out", tmp_path / "kto")
    assert (code, err) == (0, "")
    assert out.startswith(
        f"6 rows of 2 runs as kto: {tmp_path / 'kto'}\nLabels: 6 true, 0 false\nNothing was rejected for its "
    )
    assert f"{runs / 'judges.json'} was not used: it is no report of `eval judges`" in out
    code, _, err = typed("export", runs, "--format", "alpaca", "--out", "a", "--judge-report", runs / "judges.json")
    assert (code, err[:46]) == (2, "error: --judge-report is told by the card of a")
    code, _, err = typed("export", runs, "--format", "dpo", "--out", "d")
    assert code == 2
    assert "decide RUN --pairs K" in err
    code, out, err = typed("export", runs, "--format", "kto", "--out", tmp_path / "read", "--json")
    assert (code, json.loads(out)["labels"], json.loads(out)["reviews"]) == (0, {"true": 6, "false": 0}, {})
    assert "was not used" in err


def test_what_was_written_can_be_read_by_a_program(runs: Path, tmp_path: Path, typed: Type) -> None:
    """Alone on stdout: rows by side, runs, who answered, what was left out; a person reads the rest on stderr."""
    out = tmp_path / "a"
    code, said, beside = typed(
        "export", runs, "--format", "alpaca", "--out", out, "--test-share", "0.34", "--seed", 3, "--json"
    )
    content = json.loads(said)
    assert (code, content["out"], content["rows"]) == (0, str(out), {"train": 4, "test": 2})
    assert (content["answered_by"], content["left_out"], content["uploaded"]) == (["Ollama 0.9.9"], [], None)
    assert len(content["runs"]) == 2
    assert beside.startswith("6 rows of 2 runs as alpaca")


def test_an_export_says_how_many_rows_have_thoughts(runs: Path, tmp_path: Path, typed: Type) -> None:
    """And where to look when none has."""
    for task in TWO:
        Journal.open(runs / task / "journal.sqlite").close()
    code, said, _ = typed("export", runs, "--format", "alpaca", "--out", tmp_path / "a", "--thoughts")
    assert code == 0
    assert "0 of 6 rows have thoughts; `think` in the configuration of a run says whether the generator has any\n" in said


def test_a_run_that_goes_on_is_exported_with_a_warning(runs: Path, tmp_path: Path, typed: Type) -> None:
    """What it has now."""
    with taken(runs, "test/foxes"):
        code, _, said = typed("export", runs / "test" / "foxes", "--format", "messages", "--out", tmp_path / "m.jsonl")
    assert code == 0
    assert said == f"warning: a run is still writing in {runs / 'test' / 'foxes'}; exported is what it has now\n"


def test_rows_that_are_left_out_or_changed_are_spoken_of(tmp_path: Path, typed: Type) -> None:
    """On stderr."""
    write_run(tmp_path / "one", [a_record(answer="half \ud83e")])
    write_run(tmp_path / "two", [a_record()])
    words = ("--format", "messages", "--out", tmp_path / "m.jsonl")
    assert typed("export", tmp_path / "one", tmp_path / "two", *words)[2].splitlines() == [
        "1 rows left out: another of the runs has a row with the same id",
        "1 rows held half a character, which UTF-8 cannot write: it became U+FFFD",
    ]


def test_rows_with_a_machines_residue_are_left_out_and_named(tmp_path: Path, typed: Type) -> None:
    """Whatever let them in; not where the seeds or the question speak of such things, and not where they are wanted."""
    left = [a_record(f"{n:016x}", f"Q{n}?", f"<think>Hm.</think>A{n}") for n in range(7)]
    fit = [a_record("f" * 16, "What does `<|im_end|>` do?", "<|im_end|> ends a turn."), a_record("e" * 16, "Why?", "So.")]
    place = write_run(tmp_path / "runs", [fit[0], *left, fit[1]]) / "data.jsonl"
    words = ("export", tmp_path / "runs", "--format", "messages", "--overwrite", "--out", tmp_path / "m.jsonl")
    code, said, noted = typed(*words)
    assert (code, said.splitlines()[0]) == (0, f"2 rows of 1 run as messages: {tmp_path / 'm.jsonl'}")
    assert noted.splitlines() == [
        "7 rows left out for what a machine left in them; --keep-residue keeps them:",
        *(f"  {place}:{n}: its answer has a block of thinking: <think>" for n in range(2, 7)),
        "  and 2 more",
    ]
    assert typed(*words, "--keep-residue")[1].startswith("9 rows")
    write_run(tmp_path / "all", left)
    code, _, noted = typed("export", tmp_path / "all", *words[2:])
    assert (code, len((tmp_path / "m.jsonl").read_text().splitlines())) == (2, 9)
    assert noted.startswith(
        "error: every row (7 in all) holds what a machine leaves behind, so nothing is left to export; the first is "
    )


def test_both_sides_of_an_export_are_without_residue(tmp_path: Path, typed: Type) -> None:
    """What is set apart for testing is no exception, and a neighbour that is left out keeps nobody with it."""
    rows = [(f"q{n}a q{n}b?", f"r{n}a r{n}b" + "</s>" * (n == 1), ("0" * 15 + "1", 0.1) if n == 2 else None) for n in range(4)]
    near = [a_record(f"{n:016x}", question, answer, neighbour=by) for n, (question, answer, by) in enumerate(rows)]
    write_run(tmp_path / "runs", near)
    code, said, _ = typed("export", tmp_path / "runs", "--format", "hf", "--out", tmp_path / "h", "--test-share", "0.4")
    assert (code, said.split(":")[0]) == (0, "3 rows of 1 run as hf (train 2, test 1)")
    assert "1 rows were left out because they hold what a machine leaves behind." in (tmp_path / "h" / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("runs --format hf --out runs --overwrite", "would take the place of the run in runs/test/foxes"),
        ("runs --format messages --out taken", "taken exists already; choose another --out, or replace it with --overwrite"),
        ("runs --format messages --out /proc/m", "cannot write /proc/m"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    runs: Path, tmp_path: Path, typed: Type, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    """Exit code 2, nothing on stdout, no file changed or made."""
    assert runs.is_dir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").write_text("mine")
    before = files_below(tmp_path)
    code, out, err = typed("export", *words.split())
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if "rror" in line]) == 1
    assert files_below(tmp_path) == before


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose export takes a while; nobody changes it."""
    return write_run(tmp_path_factory.mktemp("large"), some_records(300) * 100)


@contextmanager
def exporting(run: Path, out: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that exports a run, from when on something has been written beside what was there."""
    there = len(list(out.parent.iterdir()))
    command = [sys.executable, "-m", "skills_dspy", "export", str(run), "--out", str(out), *words]
    with subprocess.Popen(command, cwd=CHECKOUT) as process:
        while len(list(out.parent.iterdir())) == there:
            assert process.poll() is None
            time.sleep(0.001)
        yield process


def test_sigterm_leaves_nothing_half_written(large: Path, tmp_path: Path) -> None:
    """A service manager's way of stopping is an interruption: exit code 130, and the folder is as it was."""
    with exporting(large, tmp_path / "ds", "--format", "hf", "--test-share", "0.1") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 130
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_the_old_export(large: Path, tmp_path: Path) -> None:
    """Whatever stood half-written beside it."""
    out, old = tmp_path / "m.jsonl", '{"messages": []}\n'
    out.write_text(old)
    with exporting(large, out, "--format", "messages", "--overwrite") as process:
        process.kill()
    assert out.read_text() == old


# ---- run --export ----------------------------------------------------------------------------------------------------


def test_a_run_exports_what_it_made(tmp_path: Path, terminal: Terminal, typed: Type) -> None:
    """All of its tasks together, in each of the formats, below the output directory; another run of it replaces them."""
    words = ["run", "--task-paths", *map(terminal.task, TWO), "--output-dir", tmp_path / "o", "--quiet"]
    code, out, _ = typed(*words, "-n", 1, "--export", "messages", "--export", "hf", "--export", "parquet")
    assert code == 0
    for name, layout in (("messages.jsonl", "messages"), ("hf", "hf"), ("parquet.parquet", "parquet")):
        assert f"2 rows of 2 runs as {layout}: {tmp_path / 'o' / 'exports' / name}\n" in out
        assert (tmp_path / "o" / "exports" / name).exists()
    code, out, err = typed(*words, "-n", 2, "--export", "messages", "--json")
    assert (code, len(json.loads(out)["tasks"])) == (0, 2)
    assert "4 rows of 2 runs as messages" in err
    assert len((tmp_path / "o" / "exports" / "messages.jsonl").read_text("utf-8").splitlines()) == 4


def test_a_run_that_stopped_short_exports_what_it_has(tmp_path: Path, terminal: Terminal, typed: Type) -> None:
    """And where there is not one pair, it says that there is nothing; the exit code stays the run's."""
    config = tmp_path / "c.yaml"
    config.write_text("draws: {max_draws: 4}\n")
    words = ["run", "--output-dir", tmp_path / "o", "--quiet", "--export", "sharegpt", "--task-paths", *map(terminal.task, TWO)]
    code, out, _ = typed(*words, "-n", 50, "--config", config)
    assert code == 1
    assert "rows of 2 runs as sharegpt" in out


@pytest.mark.parametrize(
    ("records", "why"),
    [([], "there is no accepted row in "), ([a_record(answer="So.</s>")], "every row (1 in all) holds what a machine leaves ")],
)
def test_export_of_a_run_that_has_no_row_for_it_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], records: list[Record], why: str
) -> None:
    """It has ended well, as it was told to; what `export` would say is said, and nothing is written."""
    export_run([write_run(tmp_path / "runs", records)], tmp_path, ["messages"], err=False)
    said = capsys.readouterr()
    assert (said.out, said.err.startswith(f"not exported: {why}")) == ("", True)
    assert not (tmp_path / "exports" / "messages.jsonl").exists()
