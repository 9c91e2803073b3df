"""Which seeds a student is measured on, and what is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pytest

from evals.data.datasets import Dataset, read_datasets
from evals.data.rows import Row
from evals.student.unseen import unseen_seeds
from skills_dspy.base.errors import RequestError
from skills_dspy.model.compiled import compiled_content
from skills_dspy.model.program import SkillsProgram
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.terminal import Terminal

ROW = '{"instruction": "What is a hen?", "response": "A bird that lays."}\n'


def made(terminal: Terminal, *words: object) -> tuple[Dataset, ...]:
    """The rows of a run with these options."""
    assert terminal.run("--task-paths", terminal.task(), "-n", 2, *words).code == 0
    return read_datasets(terminal.output)


def test_seeds_that_stayed_out_of_the_run_are_measured(terminal: Terminal) -> None:
    """By the task's file or by the run, whose other seeds are what was there before; and with new seeds in the file."""
    data = made(terminal, "--hold-out", 2)
    by_file, by_run = (unseen_seeds([place], data) for place in (terminal.task(), terminal.output))
    assert by_file.measured == by_run.measured
    assert (len(by_file.measured), len(by_file.taught), by_file.tasks) == (2, 3, {"test/foxes": 2})
    assert not [row for row in by_file.measured if row in by_file.taught]
    more = terminal.task().read_text("utf-8") + "  - question: What is a hen?\n    answer: It lays.\n"
    assert Row("What is a hen?", "It lays.") in unseen_seeds([terminal.write("more.yaml", more)], data).measured


def test_data_made_from_the_same_seeds_is_refused_with_what_to_do(terminal: Terminal) -> None:
    """A run that held nothing out leaves nothing to measure on, and one seed is not enough."""
    data = made(terminal)
    with pytest.raises(RequestError, match=r"was made from all 5 of these seeds, .* make it anew with `run --hold-out K`"):
        unseen_seeds([terminal.task()], data)
    with pytest.raises(RequestError, match=r"no seed was held out of this run; make it anew with `run --hold-out K`"):
        unseen_seeds([terminal.output], data)
    other = [Dataset("jays", Path("jays"), (), data[0].seeds)]
    data = made(terminal, "--hold-out", 2, "--restart")
    with pytest.raises(RequestError, match=re.escape(f"{data[0].path}, jays were made from all 5 of these seeds, ")):
        unseen_seeds([terminal.task()], data, other)  # the control is at fault, and is named
    data = made(terminal, "--hold-out", 1, "--restart")
    with pytest.raises(RequestError, match=r"1 seed is unseen by the rows, and 2 or more are needed; hold out more"):
        unseen_seeds([terminal.task()], data)


def test_rows_of_unknown_seeds_are_taken_with_a_note_or_refused(terminal: Terminal, tmp_path: Path) -> None:
    """A file of somebody's is said to know none of the seeds; one whose rows name seeds of ours has to come with its run."""
    (tmp_path / "rows.jsonl").write_text(ROW, "utf-8")
    found = unseen_seeds([terminal.task()], read_datasets(tmp_path / "rows.jsonl"))
    assert (len(found.measured), found.taught) == (5, ())
    assert found.notes == (
        "rows.jsonl does not say which seeds it was made from: it is taken to know none of those measured.",
        "No lesson with the seeds alone: nothing says which seeds the rows were made from.",
    )
    data = made(terminal, "--hold-out", 2)
    lost = [Dataset("rows", Path("rows.jsonl"), data[0].rows)]
    with pytest.raises(RequestError, match=re.escape("rows.jsonl: its rows were made from seeds that the file does not name")):
        unseen_seeds([terminal.task()], lost)
    assert len(unseen_seeds([terminal.output], lost).measured) == 2
    assert unseen_seeds([terminal.output], lost).notes == ()
    others = [Dataset("rows", Path("others.jsonl"), tuple(replace(row, answer="Else.") for row in data[0].rows))]
    with pytest.raises(
        RequestError, match=re.escape("others.jsonl: its rows were made from seeds that the file does not name")
    ):
        unseen_seeds([terminal.output], data, others)  # the run of some rows does not know those of others
    stranger = unseen_seeds([terminal.output], data, read_datasets(tmp_path / "rows.jsonl"))
    assert "does not say which seeds it was made from" in stranger.notes[0]


def test_an_export_was_made_from_the_seeds_of_the_runs_that_have_its_rows(terminal: Terminal, tmp_path: Path) -> None:
    """Also where text and question are in one, and other runs or task files are there to be measured on."""
    data = made(terminal, "--hold-out", 2)
    rows = [Row(f"{row.context or ''}\n\n{row.question}".strip(), row.answer) for row in data[0].rows]
    export = Dataset("rows", Path("rows.jsonl"), tuple(rows))
    other = tmp_path / "other"
    words = ("--task-paths", terminal.task(), "-n", 2, "--hold-out", 2, "--seed", 5)
    assert terminal.type("run", *words, "--output-dir", other).code == 0
    held = unseen_seeds([terminal.output], data)
    assert unseen_seeds([other], read_datasets(other)).taught != held.taught
    for places in ([terminal.output], [terminal.output, other], [terminal.output, terminal.task()]):
        found = unseen_seeds(places, [export])
        assert (set(map(repr, found.measured)), found.taught) == (set(map(repr, held.measured)), held.taught)
        assert (found.notes, found.unsaid) == ((), ())
    some = replace(export, rows=(*export.rows, Row("Another?", "Yes.")))
    found = unseen_seeds([terminal.output, terminal.task()], [some])
    assert (len(found.measured), found.unsaid) == (2, ("rows",))
    made(terminal, "--restart")
    beside = unseen_seeds([other, terminal.output], read_datasets(other))  # one has held out none, and the other has
    assert set(map(repr, beside.measured)) == set(map(repr, unseen_seeds([other], read_datasets(other)).measured))
    new = terminal.task().read_text("utf-8") + "".join(f"  - question: Q{n}?\n    answer: A{n}.\n" for n in range(2))
    files = [terminal.output, terminal.write("more.yaml", new)]
    assert len(unseen_seeds(files, [replace(export, rows=read_datasets(terminal.output)[0].rows)]).measured) == 2


def test_what_the_compiled_prompts_of_the_data_have_seen_is_not_measured(terminal: Terminal) -> None:
    """A run holds out none of it; of an older run, or a new task file, it is left out with a note, or what to do is said."""
    program = terminal.write("program.json", json.dumps(shown_in_prompts("What is a fox?", "What is a jay?")))
    data = made(terminal, "--hold-out", 3, "--program", program)
    prompts = "\n".join(terminal.servers[-1].prompts)
    assert "What is a fox?" in prompts
    found = unseen_seeds([terminal.output], data)
    assert (len(found.measured), found.notes) == (3, ())
    assert not [row.question for row in found.measured if row.question in prompts]
    assert terminal.run("--task-paths", terminal.task(), "--hold-out", 4, "--program", program).code == 2
    path = RunPaths(terminal.output / "test/foxes").run_json
    noted = json.loads(path.read_bytes())
    for known, left in ((1, 2), (2, 1)):
        asked = [seed["question"] for seed in noted["held_out"][:known]]
        path.write_text(json.dumps({**noted, "program": shown_in_prompts(*asked)}))
        if left > 1:
            assert unseen_seeds([terminal.output], data).notes == (
                "1 seed left out that the compiled prompts of the data have seen.",
            )
        else:
            with pytest.raises(
                RequestError, match=r"1 seed is unseen by the rows and their compiled prompts, which have seen 2"
            ):
                unseen_seeds([terminal.output], data)


def shown_in_prompts(*questions: str) -> dict[str, Any]:
    """The content of a program whose prompts hold these questions."""
    program = SkillsProgram(3)
    demo = {
        "augmented": True,
        "task_description": "Foxes.",
        "explanation": "So.",
        "rating": 3,
        "answer": "It is.",
        "examples": [],
    }
    program.predictor("judge_pair_freeform").demos = [dspy.Example(question=question, **demo) for question in questions]
    content: dict[str, Any] = compiled_content(program, ["judge_pair_freeform"], {"seen": []})
    return content


def test_only_the_tasks_of_the_runs_are_measured(terminal: Terminal) -> None:
    """A folder of task files has seeds of other skills, which nobody taught."""
    data = made(terminal, "--hold-out", 2)
    files = [terminal.task(), terminal.task("test/jays")]
    assert unseen_seeds(files, data).tasks == {"test/foxes": 2}
