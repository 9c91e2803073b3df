"""What the command line says on stderr goes to the logger `skills_dspy` from Python, and nowhere else."""

import logging
from collections.abc import Iterator, Mapping
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import pytest

from skills_dspy import SkillsError, check, export, run
from skills_dspy.base.errors import ContextTooLong
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.exporting import a_record, some_records, write_run
from tests.helpers.fake_server import FakeServer
from tests.helpers.terminal import TASK, Terminal


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[list[logging.LogRecord]]:
    """What is logged; nothing is printed beside it."""
    logger, kept = logging.getLogger("skills_dspy"), BufferingHandler(1000)
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(kept)
    try:
        yield kept.buffer
    finally:
        logger.removeHandler(kept)
        logger.setLevel(before)
    assert capsys.readouterr() == ("", "")


def told(logged: list[logging.LogRecord], level: int = logging.WARNING) -> list[str]:
    """The lines of a level."""
    return [record.getMessage() for record in logged if record.levelno == level]


@pytest.fixture
def folder(terminal: Terminal) -> Path:
    """Of a task that can be used and is odd, one that is broken, and a file that holds no skill."""
    tasks = terminal.folder / "tasks"
    (tasks / "knowledge").mkdir(parents=True)
    odd = TASK.format(name="test/foxes").replace("What is a jay?", "What is a pike?")
    (tasks / "foxes.yaml").write_text(odd, "utf-8")
    (tasks / "broken.yaml").write_text("task_name: test/broken\nseed_examples: []\n", "utf-8")
    (tasks / "knowledge" / "qna.yaml").write_text("version: 3\n", "utf-8")
    return tasks


@pytest.mark.parametrize("ask", [run, check])
def test_what_is_odd_about_task_files_is_logged(ask: object, folder: Path, logged: list[logging.LogRecord]) -> None:
    """A broken file, one that is left alone, and seeds that are like each other; the others are used."""
    assert callable(ask)
    ask(folder, n=1)
    for part in ("broken.yaml", "knowledge/qna.yaml", "foxes.yaml"):
        assert [line for line in told(logged) if part in line], part


def test_what_an_export_leaves_out_is_logged(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, logged: list[logging.LogRecord]
) -> None:
    """A run that still writes, rows that another run has, and rows with what a machine left in them."""
    records = [*some_records(2), a_record("f" * 16, "What is a jay?", "A bird.<|im_end|>")]
    for name in ("a", "b"):
        write_run(terminal.folder / "runs" / name, records)
    monkeypatch.setattr(RunPaths, "in_use", lambda paths: "a" in paths.folder.parts)
    done = export(terminal.folder / "runs", terminal.folder / "out.jsonl")
    assert (done.repeated, len(done.left_out)) == (2, 2)
    running, repeated, left_out, first, second = told(logged)
    assert running.startswith("a run is still writing in ")
    assert repeated == "2 rows left out: another of the runs has a row with the same id"
    assert left_out.startswith("2 rows left out for what a machine left in them")
    assert (first.strip(), second.strip()) == done.left_out


def test_a_report_of_judges_that_is_not_used_is_logged(terminal: Terminal, logged: list[logging.LogRecord]) -> None:
    """With its path and the reason, as the command line says it; one that was named is an error with the option's name."""
    write_run(terminal.folder / "a", some_records(2))
    report = terminal.write("a/judges.json", "{}")
    export(terminal.folder / "a", terminal.folder / "out", format="kto")
    assert [line for line in told(logged, logging.INFO) if line.startswith(f"{report} was not used: ")]
    with pytest.raises(SkillsError, match=r"^--judge-report is told by the card of a dataset; use --format hf instead of"):
        export(terminal.folder / "a", terminal.folder / "rates", format="alpaca", judge_report=report)


@pytest.mark.usefixtures("folder")
def test_what_is_odd_about_a_run_is_logged(terminal: Terminal, logged: list[logging.LogRecord]) -> None:
    """Evaluation questions that were left out, and a task that fails while the others go on."""

    class Small(FakeServer):
        async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
            """A reply, but to what is about jays."""
            if "Knowing jays." in str(payload["messages"]):
                raise ContextTooLong("The prompt is too long.")
            return await super().chat(payload)

    terminal.make_server = Small
    questions = terminal.write("evals.jsonl", '{"question": "What is a wren, and where does it nest?"}\n{"question": ""}\n')
    jays = terminal.write("jays.yaml", TASK.format(name="test/jays").replace("Knowing foxes.", "Knowing jays."))
    foxes, failed = run([terminal.task(), jays], n=1, decontaminate=questions)
    assert (foxes.status, failed.status) == ("complete", "failed: The prompt is too long.")
    assert [line for line in told(logged) if "evals.jsonl" in line]
    assert "test/jays: failed: The prompt is too long." in told(logged)
