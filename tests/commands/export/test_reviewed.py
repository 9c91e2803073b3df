"""Exports of runs that a person has looked at: rejected rows are out, edited ones in as edited, and the card says how many."""

import json
from pathlib import Path

import pytest
from pyarrow.parquet import read_table

from skills_dspy.base.errors import NothingToExport
from skills_dspy.commands.export.split import Split
from tests.commands.export.test_preferences import rejected
from tests.helpers.exporting import exported, json_rows, say, some_records, write_run
from tests.helpers.terminal import Terminal

ROWS = some_records(5)
EDITED = {"instruction": "Edited?", "response": "Edited."}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Five rows: accepted, edited, rejected, skipped, not looked at."""
    folder = write_run(tmp_path / "runs", ROWS)
    say(folder, ROWS[0], "accept")
    say(folder, ROWS[1], "edit", **EDITED)
    say(folder, ROWS[2], "reject", about="answer", reason="wrong fact")
    say(folder, ROWS[3], "skip")
    return tmp_path / "runs"


def answers(path: Path) -> list[str]:
    """What the assistant says in each row."""
    return [row["messages"][-1]["content"] for row in json_rows(path)]


def test_rejected_rows_are_out_and_edited_ones_in(runs: Path, tmp_path: Path) -> None:
    """And with `reviewed_only` what nobody looked at is out, too."""
    done = exported(runs, tmp_path / "m.jsonl")
    assert answers(tmp_path / "m.jsonl") == [ROWS[0].response, "Edited.", ROWS[3].response, ROWS[4].response]
    assert done.looked_at == {"accept": 1, "edit": 1, "reject": 1, "none": 2}
    exported(runs, tmp_path / "r.jsonl", reviewed_only=True)
    assert answers(tmp_path / "r.jsonl") == [ROWS[0].response, "Edited."]


def test_both_texts_stand_in_the_provenance(runs: Path, tmp_path: Path) -> None:
    """In the typed columns as in InstructLab's metadata; a run that nobody looked at has no such column."""
    exported(runs, tmp_path / "rows.parquet", "parquet")
    found = [row["provenance"]["reviewed"] for row in read_table(tmp_path / "rows.parquet").to_pylist()]
    texts = {
        "question_before": ROWS[1].instruction,
        "question_after": "Edited?",
        "answer_before": ROWS[1].response,
        "answer_after": "Edited.",
    }
    assert found == [{"verdict": "accept", **dict.fromkeys(texts)}, {"verdict": "edit", **texts}, None, None]
    exported(runs, tmp_path / "lab", "instructlab")
    (path,) = (tmp_path / "lab").glob("skills_train_msgs_*.jsonl")
    noted = [json.loads(row["metadata"])["provenance"].get("reviewed") for row in json_rows(path)]
    assert noted == found
    write_run(tmp_path / "unread", ROWS)
    exported(tmp_path / "unread", tmp_path / "unread.parquet", "parquet")
    assert "reviewed" not in str(read_table(tmp_path / "unread.parquet").schema)


def test_the_card_says_how_many_were_looked_at(runs: Path, tmp_path: Path) -> None:
    """And no longer that nobody did."""
    exported(runs, tmp_path / "h", "hf")
    card = (tmp_path / "h" / "README.md").read_text()
    assert (
        "A person looked at 3 of 5 rows: 1 accepted, 1 edited, 1 rejected and left out. `provenance.reviewed` has both" in card
    )
    assert "- A person has read 2 of these 4 rows, and nobody the others. The judges are models too" in card
    exported(runs, tmp_path / "all", "hf", reviewed_only=True)
    assert "- A person has read each of these rows." in (tmp_path / "all" / "README.md").read_text()
    write_run(tmp_path / "unread", ROWS)
    exported(tmp_path / "unread", tmp_path / "u", "hf")
    assert "- Nobody has read these rows one by one." in (tmp_path / "u" / "README.md").read_text()


def test_a_copy_of_a_run_brings_nothing_back(runs: Path, tmp_path: Path) -> None:
    """What was rejected in one of two copies is out, whichever comes first; another text of the same id was not looked at."""
    for name in ("a", "z"):
        write_run(tmp_path / "runs" / name, ROWS)
    done = exported(runs, tmp_path / "m.jsonl")
    assert answers(tmp_path / "m.jsonl") == [ROWS[0].response, "Edited.", ROWS[3].response, ROWS[4].response]
    assert (done.looked_at, done.repeated) == ({"accept": 1, "edit": 1, "reject": 1, "none": 2}, 8)
    other = [row.model_copy(update={"response": f"New {number}."}) for number, row in enumerate(ROWS)]
    (runs / "test" / "foxes" / "data.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in other))
    done = exported(runs / "test", tmp_path / "n.jsonl")
    assert len(answers(tmp_path / "n.jsonl")) == 5
    assert (done.looked_at, done.elsewhere) == ({"none": 5}, {None: 2})


def test_nothing_left_is_said(tmp_path: Path) -> None:
    """Whatever left it out."""
    folder = write_run(tmp_path / "runs", ROWS[:2])
    for split in (None, Split(0.5, 0)):
        with pytest.raises(NothingToExport, match="none of the rows is left to export: --reviewed-only leaves out"):
            exported(folder, tmp_path / "m", reviewed_only=True, split=split)
    for row in ROWS[:2]:
        say(folder, row, "reject", about="question", reason="unsafe")
    with pytest.raises(NothingToExport, match="none of the rows is left to export: a person has rejected them"):
        exported(folder, tmp_path / "m.jsonl")


def test_a_machines_residue_in_an_edit_is_left_out(tmp_path: Path) -> None:
    """As everywhere; and an edit that takes it out lets the row in."""
    spoilt = [row.model_copy(update={"response": row.response + "</s>"}) for row in ROWS[:2]]
    folder = write_run(tmp_path / "runs", [*spoilt, ROWS[2]])
    say(folder, spoilt[0], "edit", **EDITED)
    say(folder, ROWS[2], "edit", instruction="Q?", response="<think>Hm.</think>A")
    done = exported(folder, tmp_path / "m.jsonl")
    assert answers(tmp_path / "m.jsonl") == ["Edited."]
    assert len(done.left_over) == 2


def test_the_command_says_what_was_looked_at(runs: Path, tmp_path: Path, terminal: Terminal) -> None:
    """On stdout; and what stopped those that are not in it, with advice only where that helps."""
    folder = runs / "test" / "foxes"
    stopped = [rejected(name, "write_answer", "copy") for name in "13"] + [rejected("2", "dedup", "duplicate")]
    say(folder, ROWS[4].model_copy(update={"id": "f" * 16}), "accept")
    for row in stopped:
        say(folder, row, "accept")
    (folder / "rejected.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in stopped))
    said = terminal.type("export", runs, "--format", "messages", "--out", tmp_path / "m.jsonl", "--reviewed-only")
    assert said.code == 0
    assert said.out.splitlines()[0].startswith("2 rows of 1 run as messages")
    assert said.out.splitlines()[-1] == "A person looked at 3 of 5 rows: 1 accepted, 1 edited, 1 rejected and left out"
    assert said.err.splitlines()[0] == (
        "4 of the rows that a person accepted or edited are not among the accepted ones of these runs: 2 rejected by "
        "write_answer (copy), 1 by dedup (duplicate), 1 gone or with another text"
    )
    judged = rejected("4", "judge_pair", "judged bad")
    say(folder, judged, "edit", instruction="Q?", response="A.")
    (folder / "rejected.jsonl").write_text(judged.model_dump_json() + "\n")
    said = terminal.type("export", runs, "--format", "alpaca", "--out", tmp_path / "a.jsonl")
    assert "1 rejected by judge_pair (judged bad), 4 gone or" in said.err
    assert "; `decide` with other thresholds can let in what the judges rejected" in said.err
    good = write_run(tmp_path / "good", ROWS[:2])
    for record, end in ((ROWS[0], "; `decide` with stricter thresholds moves the border"), (ROWS[1], "")):
        say(good, record, "accept")
        said = terminal.type("export", good, "--format", "kto", "--out", tmp_path / record.id)
        assert f"so no row is false{end}\n" in said.out
