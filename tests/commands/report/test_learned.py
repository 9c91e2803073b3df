"""What a student learned, in the report of exactly the rows that it was taught."""

from pathlib import Path

from tests.helpers.exporting import write_run
from tests.helpers.learned import SAID, learned
from tests.helpers.reporting import reported
from tests.helpers.terminal import Terminal


def test_a_page_has_what_a_student_learned_from_its_rows(tmp_path: Path) -> None:
    """By the report beside the folder of runs, for the run that it is about and for all together; not for the other one."""
    folder = write_run(tmp_path / "output")
    write_run(tmp_path / "output", task="test/jays")
    (tmp_path / "output-student").mkdir()
    (tmp_path / "output-student" / "student.json").write_text(learned(folder, judged={"in_words": "<b>Better.</b>"}), "utf-8")
    summary = reported(tmp_path / "r.html", tmp_path / "output").summary
    (told,) = summary["students"]
    assert (told["student"], told["runs"], told["names"]) == ("small.gguf", [0], ["test/foxes"])
    assert told["verdicts"] == [SAID, "More.", "<b>Better.</b>"]
    assert (told["before"], told["curve"]) == (3.0, [2, 1, 0])
    assert told["taught"][0] == {
        "lesson": "all rows",
        "rows": 8,
        "tokens": 80,
        "loss": 2.0,
        "spread": None,
        "change": {"value": -1.0, "low": -1.25, "high": -0.75},
        "all_rows_less_this": None,
    }
    assert not [remark for view in summary["views"] for remark in view["remarks"] if "student" in remark]


def test_a_report_about_other_rows_is_remarked_and_not_shown(terminal: Terminal) -> None:
    """Rows that came since; and where there is no report nothing is said."""
    folder = write_run(terminal.output)
    assert reported(terminal.folder / "none.html", folder).summary["students"] == []
    (folder / "student.json").write_text(learned(folder), "utf-8")
    with (folder / "data.jsonl").open("ab") as rows:
        rows.write((folder / "data.jsonl").read_bytes().splitlines(keepends=True)[0])
    assert reported(terminal.folder / "other.html", folder).summary["students"] == []
    said = terminal.type("report", folder, "--out", terminal.folder / "r.html")
    assert f"{folder / 'student.json'} was not used: it is about other rows than those of test/foxes now" in said.err


def test_a_page_names_all_that_was_taught_with_its_rows(tmp_path: Path) -> None:
    """A file of rows beside the run is no run's, and has its name all the same."""
    folder = write_run(tmp_path / "output")
    (folder / "student.json").write_text(learned(folder, data=["output/test/foxes", "my/more.jsonl"]), "utf-8")
    (told,) = reported(tmp_path / "r.html", folder).summary["students"]
    assert (told["runs"], told["names"]) == ([0], ["foxes", "more.jsonl"])
