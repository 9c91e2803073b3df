"""The result of `eval student` in a terminal."""

import hashlib
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evals.data.datasets import read_datasets
from evals.data.rows import Row
from evals.figures.tables import print_sections
from evals.student.examination import digests_of
from evals.student.keeping import card_of
from evals.student.lessons import AS_MANY, Fit
from evals.student.outcome import outcome_of
from evals.student.report import StudentReport
from evals.student.training import TrainingSettings
from evals.student.trial import SeedTrial, Training
from skills_dspy.store.student_report import ALL
from tests.evals.student.test_outcome import losses, trial
from tests.helpers.exporting import some_records, write_run


def test_each_run_of_the_data_is_named_with_its_rows(tmp_path: Path) -> None:
    """Also two of one task, so that a card and a page of either find the report."""
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two", some_records(2))
    found = digests_of([*read_datasets(one), *read_datasets(two)])
    shas = [hashlib.sha256((run / "data.jsonl").read_bytes()).hexdigest() for run in (one, two)]
    assert found == {"test/foxes": shas[0], f"test/foxes ({two})": shas[1]}


def test_eighty_columns_hold_every_figure_of_it() -> None:
    """With the longest names, several random seeds and many rows nothing is cut off or broken into two lines."""
    usual = trial(all=0.5, half=0.3, quarter=0.1, shuffled=-0.2, other=0.2)
    many = Training(AS_MANY, 0, 123_456, 12_345_678, losses(0.4))
    outcome = outcome_of(SeedTrial(usual.before, (*usual.trainings, many), 0), 0)
    fits = {"the data": Fit((), 1, 2)}
    report = StudentReport("m", ("d",), {"t": 6}, fits, TrainingSettings(), 512, "cpu", 0, 2, outcome)
    out = StringIO()
    print_sections(report.sections(), Console(file=out, width=80))
    told = out.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in told
    rows = [line.split() for line in told.splitlines() if line.startswith(AS_MANY)]
    assert rows[0] == [*AS_MANY.split(), "123456", "12345678", "2.767", "-0.400", "-0.413", "to", "-0.387"]
    assert [len(row) - len(AS_MANY.split()) for row in rows] == [7, 4]
    assert ["all", "rows", "2.567", "2.667"] in [line.split() for line in told.splitlines()]


def test_a_card_does_not_vouch_for_rows_of_which_nobody_knows_what_they_were_made_from() -> None:
    """A file of rows that does not say may have been made from the seeds that are measured."""
    for unsaid, told in (({}, "on seeds that nobody showed:"), ({ALL: ["a/d.jsonl"]}, "from (nothing in d.jsonl says):")):
        outcome = outcome_of(trial(all=0.5), 0, unsaid)
        report = StudentReport("m", ("a/d.jsonl",), {"t": 6}, {}, TrainingSettings(), 512, "cpu", 0, 2, outcome)
        assert told in card_of(report)
        assert report.as_json()["unsaid"] == unsaid


@pytest.mark.parametrize("student", ["hub/small", "{folder}/small", "small"])
def test_a_card_names_its_base_on_the_hub_and_no_folder_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, student: str
) -> None:
    """Whoever gets the student can have the base, too, where it is a name on the Hub; folders are nothing to them."""
    monkeypatch.chdir(tmp_path)
    if student != "hub/small":
        (tmp_path / "small").mkdir()
    given, data = student.format(folder=tmp_path), (str(tmp_path / "rows.jsonl"), "out/run")
    outcome, notes = outcome_of(trial(all=0.5), 0), (f"Broken, and left out: {tmp_path}/a.yaml: in writing/freeform/b",)
    report = StudentReport(given, data, {"t": 6}, {}, TrainingSettings(), 512, "cpu", 0, 2, outcome, notes)
    card = card_of(report)
    assert ("base_model: hub/small\n" in card.split("---")[1]) == (student == "hub/small")
    assert "rows of rows.jsonl, out/run," in card
    assert "left out: a.yaml: in writing/freeform/b" in card
    assert str(tmp_path) not in card


def test_rows_that_are_none_or_are_there_twice_are_counted() -> None:
    """In words where there are any, in the file always."""
    row = Row("What is a hen?", "A bird.")
    for fit, told in (
        (Fit((row,), 1, 2), "1 may be taught, 1 near a held-out seed left out, 2 longer than the window left out"),
        (
            Fit((row, row, Row("What is a cat?", "A cat.")), empty=6),
            "3 may be taught, of which 1 repeats another, 0 near a held-out seed left out, 0 longer than the window left out, "
            "6 blank or labelled false left out",
        ),
    ):
        outcome = outcome_of(trial(all=0.5), 0)
        report = StudentReport("m", ("d",), {"t": 6}, {"the data": fit}, TrainingSettings(), 512, "cpu", 0, 2, outcome)
        assert f"Rows of the data: {told}" in report.sections()[0].notes
        counts = report.as_json()["rows"]["the data"]
        assert (counts["empty"], counts["repeated"]) == (fit.empty, len(fit.rows) - len(set(map(repr, fit.rows))))
