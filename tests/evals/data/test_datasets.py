"""What is scored as one: a run, all runs below a folder, or a file; what belongs side by side; what is refused."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evals.data.datasets import Dataset, paired, read_datasets, with_seeds
from evals.data.material import gather
from evals.data.score import score
from skills_dspy.base.errors import FileError, RequestError, RunDirError, SkillsError
from skills_dspy.commands.export.export import FORMATS, SUFFIX, ExportRequest, Format, write_export
from skills_dspy.commands.export.split import Split
from tests.helpers.exporting import some_records, sources
from tests.helpers.exporting import write_run as write_whole_run
from tests.helpers.scored import HASH, a_line, a_run, a_seed, english, write_run

SEEDS = (a_seed("What is a fox?", "An animal."), a_seed("Who runs?", "The fox.", "The fox runs."))
LINES = [a_line("What is a jay?"), a_line("Who sings?", context="The jay sings.")]


def a_dataset(name: str, path: str, *, of_run: bool = True) -> Dataset:
    """Without rows."""
    return Dataset(name, Path(path), (), (), a_run() if of_run else None)


# ---- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_knows_its_task_its_seeds_and_its_funnel(tmp_path: Path) -> None:
    """From run.json, beside the rows."""
    paths = write_run(tmp_path / "foxes", LINES, SEEDS)
    (found,) = read_datasets(paths.folder)
    assert (found.name, found.path) == ("test/foxes", paths.folder)
    assert [row.question for row in found.rows] == ["What is a jay?", "Who sings?"]
    assert found.seeds == SEEDS
    assert found.run is not None
    assert (found.run.status, found.run.answered_by, found.run.embedder) == ("complete", "Ollama 0.0.0", HASH.name)
    assert found.run.funnel is not None
    assert (found.run.funnel.candidates, found.run.funnel.rejected) == (4, Counter({("dedup", "duplicate"): 2}))
    assert found.run.journal == paths.journal


def test_the_rows_of_a_run_stand_for_the_run(tmp_path: Path) -> None:
    """Whoever names data.jsonl means what it is from; another file of the folder is a file."""
    paths = write_run(tmp_path / "foxes", LINES, SEEDS)
    assert read_datasets(paths.data) == read_datasets(paths.folder)
    copied = paths.folder / "copied.jsonl"
    copied.write_bytes(paths.data.read_bytes())
    (found,) = read_datasets(copied)
    assert (found.name, found.seeds, found.run) == (str(copied), (), None)


def test_a_folder_gives_all_runs_below_it_by_path(tmp_path: Path) -> None:
    """But not those that were set aside."""
    for name in ("b", "a/c", "a/b"):
        write_run(tmp_path / name, LINES, name=name)
    write_run(tmp_path / "a" / "b.old-20260101-000000", LINES, name="old")
    assert [found.name for found in read_datasets(tmp_path)] == ["a/b", "a/c", "b"]


def test_a_run_under_way_is_scored_as_far_as_it_is(tmp_path: Path) -> None:
    """No funnel yet, a torn last line, or no rows at all; a note says what answers where no language model does."""
    paths = write_run(
        tmp_path, LINES, changes={"status": "running", "result": None, "server": {"version": "replay", "note": "a simulation"}}
    )
    with paths.data.open("a", encoding="utf-8") as file:
        file.write('{"instruction": "half')
    (found,) = read_datasets(tmp_path)
    assert len(found.rows) == 2
    assert found.run is not None
    assert (found.run.funnel, found.run.status, found.run.answered_by) == (None, "running", "a simulation")
    paths.data.unlink()
    assert read_datasets(tmp_path)[0].rows == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"task": None},
        {"task": {"task_name": "a"}},
        {"task": {"task_name": "a", "seed_examples": [{"question": 7}]}},
        {"server": {}},
        {"embedder": "hash"},
        {"result": {"funnel": {"candidates": 5, "accepted": 2, "rejected": []}}},
        {"result": {"funnel": {"candidates": 3, "accepted": 2, "rejected": [{"stage": "x", "reason": "y", "count": 1}]}}},
        {"result": {}},
    ],
)
def test_a_broken_run_json_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    """One sentence that names the file."""
    paths = write_run(tmp_path, LINES, changes=changes)
    with pytest.raises(RunDirError) as caught:
        read_datasets(tmp_path)
    assert str(caught.value) == f"{paths.run_json}: this is not what a run writes there; restore the file"


def test_broken_rows_of_a_run_are_refused_with_their_line(tmp_path: Path) -> None:
    """They are no torn end."""
    paths = write_run(tmp_path, [*LINES, {"instruction": "a"}])
    with pytest.raises(FileError, match=r"data\.jsonl:3: there is `instruction` but no `response`"):
        read_datasets(tmp_path)
    paths.data.write_text("{}}\n", "utf-8")
    with pytest.raises(RunDirError, match=r"data\.jsonl:1: this line is not a JSON object"):
        read_datasets(tmp_path)


def test_a_run_that_has_not_begun_is_refused(tmp_path: Path) -> None:
    """There is a journal and nothing else."""
    write_run(tmp_path, LINES).run_json.unlink()
    with pytest.raises(RunDirError, match=r"either this run has not begun yet"):
        read_datasets(tmp_path)


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("split", [None, Split(0.4, 0)])
def test_all_that_an_export_writes_is_read(tmp_path: Path, layout: Format, split: Split | None) -> None:
    """Files and folders, with a test side or without; every row once, whatever lies beside."""
    write_whole_run(tmp_path / "runs")
    out = tmp_path / f"out{SUFFIX.get(layout, '.jsonl')}"
    write_export(ExportRequest(sources(tmp_path / "runs"), layout, out, "2026-01-31T10_00_00", split=split))
    (found,) = read_datasets(out)
    assert (found.name, found.run, found.left_out) == (str(out), None, 0)
    assert sorted(row.answer for row in found.rows) == sorted(record.response for record in some_records())


ROW = json.dumps({"question": "a", "answer": "b"}) + "\n"
OLD = json.dumps({"system": "s", "user": "a", "assistant": "b"}) + "\n"
CHAT = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}) + "\n"


@pytest.mark.parametrize(
    ("files", "rows"),
    [
        ({"train_m_1.jsonl": OLD, "test_m_1.jsonl": OLD, "messages_m_1.jsonl": CHAT, "generated_m_1.json": "[]"}, 1),
        (
            {
                "1/skills_train_msgs_1.jsonl": CHAT * 2,
                "1/knowledge_train_msgs_1.jsonl": CHAT,
                "1/node_datasets_1/leaf.jsonl": CHAT,
                "1/train_1.jsonl": OLD,
                "1/skills_recipe_1.yaml": "datasets: []",
            },
            3,
        ),
        ({"README.md": "# A card", "data/train.jsonl": ROW, "data/test.jsonl": ROW, "dataset_info.json": "{}"}, 2),
        ({"a.csv": "question,answer\na,b\nc,d\n", "notes.txt": "x"}, 2),
        ({".cache/old.jsonl": ROW, "data.json": f"[{ROW.strip()}]"}, 1),
    ],
)
def test_the_files_of_a_folder_are_one_dataset(tmp_path: Path, files: dict[str, str], rows: int) -> None:
    """InstructLab's have the same rows in several files, and the seeds in `test_*`; others' are told by their kind."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (found,) = read_datasets(tmp_path)
    assert len(found.rows) == rows


def test_a_folder_with_the_same_rows_in_several_formats_is_refused(tmp_path: Path) -> None:
    """`run --export` fills such folders; none is counted twice, and none is chosen silently."""
    for name in ("messages", "alpaca"):
        (tmp_path / f"{name}.jsonl").write_text(CHAT)
    with pytest.raises(RequestError, match=r"holds alpaca.jsonl, messages.jsonl, each with the same rows in another format"):
        read_datasets(tmp_path)


def test_rows_that_are_left_out_are_counted(tmp_path: Path) -> None:
    """And a file of nothing else is refused."""
    path = tmp_path / "rows.jsonl"
    path.write_text(ROW + '{"question": "a", "answer": null}\nnull\n')
    assert [(len(found.rows), found.left_out) for found in read_datasets(path)] == [(1, 2)]
    path.write_text("null\n")
    with pytest.raises(FileError, match="in no row are both question and answer more than null or blank"):
        read_datasets(path)


PROMPT = '"prompt": [{"role": "user", "content": "a"}], '
KTO = f'{{{PROMPT}"completion": [{{"role": "assistant", "content": "b"}}], "label": %s}}\n'
DPO = (
    f'{{{PROMPT}"chosen": [{{"role": "assistant", "content": "b"}}], "rejected": [{{"role": "assistant", "content": "c"}}]}}\n'
)


def test_answers_that_are_labelled_false_are_no_rows(tmp_path: Path) -> None:
    """They are counted; a file of nothing else is refused, and another's `label` beside other keys says nothing."""
    path = tmp_path / "kto.jsonl"
    path.write_text(KTO % "true" + 2 * (KTO % "false") + ROW.replace("{", '{"label": false, '))
    (found,) = read_datasets(path)
    assert (len(found.rows), found.labelled_false, found.left_out, found.chosen) == (2, 2, 0, 0)
    assert "2 rows labelled false, whose answer was rejected, are left out." in _notes_of(found)
    path.write_text(KTO % "false")
    with pytest.raises(FileError, match="every row has the label false"):
        read_datasets(path)


def test_of_pairs_of_answers_the_chosen_one_is_read(tmp_path: Path) -> None:
    """And that is said."""
    path = tmp_path / "dpo.jsonl"
    path.write_text(2 * DPO)
    (found,) = read_datasets(path)
    assert ([row.answer for row in found.rows], found.chosen, found.labelled_false) == (["b", "b"], 2, 0)
    assert "2 rows are of pairs of answers, of which `chosen` is read." in _notes_of(found)


def _notes_of(dataset: Dataset) -> tuple[str, ...]:
    return score(gather(dataset, None, 0, None, classify=english, progress=lambda *_: None)).notes


# ---- seeds and pairs -------------------------------------------------------------------------------------------------


def test_seeds_are_given_to_files_alone() -> None:
    """A run knows its own, and where there is no file they are for nothing."""
    run, file = a_dataset("a", "a"), a_dataset("b.jsonl", "b.jsonl", of_run=False)
    assert [found.seeds for found in with_seeds([run, file], SEEDS)] == [(), SEEDS]
    with pytest.raises(RequestError, match="--seeds is for a file"):
        with_seeds([run], SEEDS)


def test_one_and_one_belong_side_by_side_whatever_their_names() -> None:
    """Two files, a run and a file."""
    one, other = a_dataset("a", "a"), a_dataset("b", "b")
    assert paired([one], [other]) == [(one, other)]


def test_runs_of_one_name_belong_side_by_side() -> None:
    """In the order of the first."""
    first = [a_dataset(name, f"old/{name}") for name in "abc"]
    second = [a_dataset(name, f"new/{name}") for name in "cab"]
    assert [(one.path.name, other.path.name) for one, other in paired(first, second)] == [("a", "a"), ("b", "b"), ("c", "c")]


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("ab", "ac", "1/b holds b, which has no partner"),
        ("a", "ab", "2/b holds b, which has no partner"),
        ("ab", "a", "1/b holds b, which has no partner"),
        ("aab", "ab", "1/a is one of 2 runs of a on one side"),
        ("ab", "abb", "2/b is one of 2 runs of b on one side"),
        ("aa", "aa", "1/a is one of 2 runs of a on one side"),
    ],
)
def test_what_has_not_one_partner_is_refused(first: str, second: str, why: str) -> None:
    """None is left out and none is chosen silently."""
    sides = ([a_dataset(name, f"{place}/{name}") for name in names] for place, names in enumerate((first, second), start=1))
    with pytest.raises(SkillsError, match=why):
        paired(*sides)
