"""What a student learned stands on the card of exactly the rows that it was taught."""

import hashlib
import json
from pathlib import Path
from typing import Any

from skills_dspy.commands.export.source import find_sources
from skills_dspy.commands.export.students import students_of, students_section
from tests.helpers.exporting import write_run

SAID = (
    "The rows teach the skill: the loss per token on seeds that nobody showed falls from 3.0 to 2.0 (-1.0, 95 % -1.5 to -0.5)."
)


def report(of: Path, **changes: Any) -> str:
    """What `eval student` wrote about a run."""
    digest = hashlib.sha256((of / "data.jsonl").read_bytes()).hexdigest()
    return json.dumps({"student": "models/small.gguf", "runs": {"test/foxes": digest}, "verdicts": [SAID, "More."], **changes})


def test_the_card_ends_with_what_a_student_learned(tmp_path: Path) -> None:
    """By the report beside the folder of runs; without one the card is what it was."""
    folder = write_run(tmp_path / "output")
    assert students_of(find_sources([folder])) == ((), [])
    assert students_section(()) == ""
    (tmp_path / "output-student").mkdir()
    (tmp_path / "output-student" / "student.json").write_text(report(folder), "utf-8")
    learned, said = students_of(find_sources([folder]))
    assert (learned, said) == ((f"small.gguf: {SAID}",), [])
    assert students_section(learned).endswith(f"\n- small.gguf: {SAID}\n")


def test_a_report_about_other_rows_is_not_used(tmp_path: Path) -> None:
    """Rows that came since, and a file that is no report: it is said, and the card says nothing."""
    folder = write_run(tmp_path / "output")
    (folder / "student.json").write_text(report(folder), "utf-8")
    with (folder / "data.jsonl").open("ab") as rows:
        rows.write((folder / "data.jsonl").read_bytes().splitlines(keepends=True)[0])
    learned, said = students_of(find_sources([folder]))
    assert (learned, len(said)) == ((), 1)
    assert "it is about other rows than those of test/foxes now" in said[0]
    (folder / "student.json").write_text("[]", "utf-8")
    assert "it is no report of `eval student`" in students_of(find_sources([folder]))[1][0]
