"""What a student learned stands on the card of exactly the rows that it was taught."""

from pathlib import Path

from skills_dspy.commands.export.students import students_of, students_section
from tests.helpers.exporting import sources, write_run
from tests.helpers.learned import SAID, digest_of
from tests.helpers.learned import learned as report


def test_the_card_ends_with_what_a_student_learned(tmp_path: Path) -> None:
    """By the report beside the folder of runs; without one the card is what it was."""
    folder = write_run(tmp_path / "output")
    assert students_of(sources(folder)) == ((), [])
    assert students_section(()) == ""
    (tmp_path / "output-student").mkdir()
    (tmp_path / "output-student" / "student.json").write_text(report(folder), "utf-8")
    found, said = students_of(sources(folder))
    assert (found, said) == ((f"small.gguf: {SAID}",), [])
    assert students_section(found).endswith(f"\n- small.gguf: {SAID}\n")


def test_a_report_about_other_rows_is_not_used(tmp_path: Path) -> None:
    """Rows that came since, and a file that is no report: it is said, and the card says nothing."""
    folder = write_run(tmp_path / "output")
    (folder / "student.json").write_text(report(folder), "utf-8")
    with (folder / "data.jsonl").open("ab") as rows:
        rows.write((folder / "data.jsonl").read_bytes().splitlines(keepends=True)[0])
    found, said = students_of(sources(folder))
    assert (found, len(said)) == ((), 1)
    assert "it is about other rows than those of test/foxes now" in said[0]
    (folder / "student.json").write_text("[]", "utf-8")
    assert "it is no report of `eval student`" in students_of(sources(folder))[1][0]
    (folder / "student.json").write_text(report(folder).replace("3.0", "NaN"), "utf-8")
    assert "it is no report of `eval student`" in students_of(sources(folder))[1][0]


def test_a_report_about_other_tasks_is_nothing_to_be_said(tmp_path: Path) -> None:
    """Of the tasks of a folder one was taught; of two runs of one task each has its report."""
    folder, other = write_run(tmp_path / "output"), write_run(tmp_path / "output", task="test/jays")
    (tmp_path / "output" / "student.json").write_text(report(folder), "utf-8")
    assert students_of(sources(other)) == ((), [])
    named = report(folder, runs={"test/foxes": "", f"test/jays ({other})": digest_of(other)})
    (tmp_path / "output" / "student.json").write_text(named, "utf-8")
    assert students_of(sources(other))[0] == (f"small.gguf, taught foxes and jays together: {SAID}",)
    assert "other rows than those of test/foxes now" in students_of(sources(folder))[1][0]


def test_what_else_was_taught_is_named(tmp_path: Path) -> None:
    """A card of one run does not say of its rows what they and others have taught; where these lie is nobody's matter."""
    folder = write_run(tmp_path / "output")
    for data, told in ((["output"], ""), (["out/foxes", "my/a.jsonl", "b"], ", taught foxes, a.jsonl and b together")):
        (folder / "student.json").write_text(report(folder, data=data), "utf-8")
        assert students_of(sources(folder))[0] == (f"small.gguf{told}: {SAID}",)


def test_each_skill_may_have_its_report_in_a_folder_of_the_usual_place(tmp_path: Path) -> None:
    """For the next skill's would take the place of the first one's."""
    folder, place = write_run(tmp_path / "output"), tmp_path / "output-student" / "foxes"
    place.mkdir(parents=True)
    (place / "student.json").write_text(report(folder), "utf-8")
    assert students_of(sources(folder)) == ((f"small.gguf: {SAID}",), [])
