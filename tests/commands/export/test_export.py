"""Exports as their consumers read them, and as they come to lie on the disk: whole or not at all, the same bytes each time."""

import asyncio
import os
import re
import resource
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow.parquet import read_table

from skills_dspy.base.errors import ExportError, RequestError, RunDirError, StorageError
from skills_dspy.base.records import Record
from skills_dspy.commands.export import parquet
from skills_dspy.commands.export.export import FORMATS, ExportRequest, Format, write_export
from skills_dspy.commands.export.layouts import INSTRUCTLAB_PROMPT
from skills_dspy.commands.export.source import ExportRows
from skills_dspy.commands.export.split import Split
from skills_dspy.store import aside
from skills_dspy.store.journal import Journal, JournaledReply
from skills_dspy.store.run_dir import taken
from tests.commands.export.test_layouts import back
from tests.helpers.exporting import (
    STAMP,
    a_record,
    a_run_json,
    exported,
    files_below,
    json_rows,
    some_records,
    sources,
    write_run,
)

SPLIT = Split(0.34, 7)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with one run of three rows."""
    write_run(tmp_path / "runs")
    return tmp_path / "runs"


# ---- in the consumers ------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_messages_pass_trls_check_and_its_chat_template(runs: Path, tmp_path: Path, load: Callable[..., Any]) -> None:
    """TRL takes the rows for conversations, and a template makes one text of each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tokenizers import Tokenizer, models
        from transformers import PreTrainedTokenizerFast
        from trl.data_utils import is_conversational, maybe_apply_chat_template
    exported(runs, tmp_path / "m.jsonl", system="Be brief.")
    rows = load("json", data_files=str(tmp_path / "m.jsonl"), split="train")
    assert rows.column_names == ["messages"]
    assert all(is_conversational(row) for row in rows)
    made: Any = PreTrainedTokenizerFast
    tokenizer = made(tokenizer_object=Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")))
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    text = maybe_apply_chat_template(rows[1], tokenizer)["text"]
    assert text == "<system>Be brief.<user>c1a c1b c1c\n\nq1a q1b q1c q1d?<assistant>r1a r1b: ünï “r1c”\nr1d"


def test_parquet_gives_back_every_record(runs: Path, tmp_path: Path) -> None:
    """Typed, nested, in order, and nothing lost: tags, verdicts, soft ratings, provenance."""
    import pyarrow.parquet as pq

    exported(runs, tmp_path / "rows.parquet", "parquet")
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.schema.equals(parquet.schema())
    assert [back(row) for row in table.to_pylist()] == some_records()


def remember(folder: Path, *replies: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
    """Put replies into a run's journal: digest, request, message."""

    async def put() -> None:
        with Journal.open(folder / "journal.sqlite") as journal:
            for digest, request, message in replies:
                await journal.put(JournaledReply(digest, request, {"message": message}, "write_answer_freeform", 0.0, 0.0))

    asyncio.run(put())


def answered_by(row_id: str, rewritten: str | None = None, **calls: tuple[str, ...]) -> Record:
    """An accepted pair whose answer took these calls."""
    record = a_record(row_id)
    source = record.provenance.model_copy(update={"calls": calls, "rewritten": rewritten})
    return record.model_copy(update={"provenance": source})


@pytest.fixture
def thoughtful(tmp_path: Path) -> Path:
    """A run of four rows: two with thoughts, in the two places where they may stand, one without, one without a reply."""
    rows = [
        answered_by("0" * 16, write_answer=("cut", "own")),
        answered_by("1" * 16, "too many begin so", write_answer=("own",), write_answer_again=("text",)),
        answered_by("2" * 16, write_answer=("none",)),
        answered_by("3" * 16, write_answer=("gone",)),
    ]
    folder = write_run(tmp_path / "thoughtful", rows)
    remember(
        folder,
        ("cut", {"think": True}, {"content": "", "thinking": "Too long."}),
        ("own", {"think": True}, {"content": "An animal.", "thinking": "A fox \ud83e barks.\n"}),
        ("text", {}, {"content": "<think>\nIt runs.\n</think>\nAn animal."}),
        ("none", {"think": False}, {"content": "<think>no</think>An animal."}),
    )
    return tmp_path / "thoughtful"


THOUGHTS = ["A fox \ufffd barks.", "It runs.", "", ""]


def test_thoughts_stand_beside_the_answer_where_they_are_asked_for(thoughtful: Path, tmp_path: Path) -> None:
    """Of the reply that became the answer, in each layout, as text in every row; without being asked for, nowhere."""
    found: dict[str, list[Any]] = {}
    places: dict[Format, str | None] = {"messages": "messages", "sharegpt": "conversations", "alpaca": None}
    for layout, place in places.items():
        assert exported(thoughtful, tmp_path / layout, layout, thoughts=True).thoughtful == 2
        rows = json_rows(tmp_path / layout)
        found[layout] = [(row if place is None else row[place][-1])["reasoning_content"] for row in rows]
        assert [len(row[place]) for row in rows if place] == ([2] * 4 if place else [])
    exported(thoughtful, tmp_path / "i", "instructlab", thoughts=True)
    for path in (f"skills_train_msgs_{STAMP}.jsonl", f"node_datasets_{STAMP}/test_foxes.jsonl"):
        found[path] = [row["messages"][-1]["reasoning_content"] for row in json_rows(tmp_path / "i" / path)]
    exported(thoughtful, tmp_path / "p", "parquet", thoughts=True)
    exported(thoughtful, tmp_path / "hf", "hf", thoughts=True)
    for path in ("p", "hf/data/train-00000-of-00001.parquet"):
        found[path] = read_table(tmp_path / path).column("reasoning_content").to_pylist()
    assert found == dict.fromkeys(found, THOUGHTS)
    assert "2 rows have what the generator thought before it answered" in (tmp_path / "hf" / "README.md").read_text()
    for layout in FORMATS:
        exported(thoughtful, tmp_path / f"{layout} without", layout)
        assert not any(b"reasoning_content" in content for content in files_below(tmp_path / f"{layout} without").values())


def test_thoughts_with_tokens_of_a_template_are_left_out(tmp_path: Path) -> None:
    """A trainer would take them for its own; that a person may write like a machine is no reason."""
    rows = [answered_by(f"{number}" * 16, write_answer=(f"{number}",)) for number in range(3)]
    folder = write_run(tmp_path / "spoilt", rows)
    thoughts = ("Hm.<|im_end|>\n<|im_start|>assistant", "A \x1b[31mfox.", "User: a fox.\n\nAssistant: yes, \\n\\n")
    remember(folder, *((str(n), {"think": True}, {"content": "So.", "thinking": t}) for n, t in enumerate(thoughts)))
    tally = exported(tmp_path / "spoilt", tmp_path / "a", "alpaca", thoughts=True)
    assert (tally.thoughtful, tally.spoilt) == (1, 2)
    assert [row["reasoning_content"] for row in json_rows(tmp_path / "a")] == ["", "", thoughts[2]]


def test_without_a_journal_there_are_no_thoughts_to_export(runs: Path, tmp_path: Path) -> None:
    """It is said which file is missing, and nothing is written."""
    with pytest.raises(ExportError, match=r"--thoughts: they stand in .*journal\.sqlite, which is not there; restore it"):
        exported(runs, tmp_path / "m", thoughts=True)
    assert not (tmp_path / "m").exists()


def test_an_hf_folder_loads_with_its_sides_and_its_card(runs: Path, tmp_path: Path, load: Callable[..., Any]) -> None:
    """`load_dataset(folder)` finds train and test by the card, and the Hub's own reader takes the card."""
    from huggingface_hub import DatasetCard

    done = exported(runs, tmp_path / "ds", "hf", split=SPLIT)
    loaded = load(str(tmp_path / "ds"))
    assert {side: len(rows) for side, rows in loaded.items()} == done.rows == {"train": 2, "test": 1}
    read = [back(row) for side in loaded.values() for row in side]
    assert sorted(read, key=lambda record: record.id) == some_records()
    card = DatasetCard.load(tmp_path / "ds" / "README.md")
    assert card.data.license == "unknown"
    assert card.data.size_categories == ["n<1K"]
    assert sorted(files_below(tmp_path / "ds")) == [
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    ]


def test_instructlabs_files_are_what_its_training_reads(tmp_path: Path, load: Callable[..., Any]) -> None:
    """The columns and types of datamixing.py, all rows once, leaves in the recipe relative to it, the seeds for testing."""
    import datasets
    import yaml

    many = [a_record(f"{n:016x}", f"question {n}?", f"answer {n}") for n in range(45)]
    write_run(tmp_path / "runs", many)
    write_run(tmp_path / "runs", some_records(task="test/jays"), task="test/jays")
    out = tmp_path / "ilab"
    exported(tmp_path / "runs", out, "instructlab")
    assert sorted(files_below(out)) == [
        f"node_datasets_{STAMP}/test_foxes.jsonl",
        f"node_datasets_{STAMP}/test_jays.jsonl",
        f"skills_recipe_{STAMP}.yaml",
        f"skills_train_msgs_{STAMP}.jsonl",
        f"test_{STAMP}.jsonl",
    ]
    rows = load("json", data_files=str(out / f"skills_train_msgs_{STAMP}.jsonl"), split="train")
    text = datasets.Value("string")
    assert rows.features == datasets.Features(
        messages=datasets.List({"role": text, "content": text}), metadata=text, id=text, unmask=datasets.Value("bool")
    )
    assert len(rows) == len(set(rows["id"])) == 48  # more than the 30 a leaf that InstructLab draws, and none twice
    assert rows["messages"][0][0] == {"role": "system", "content": INSTRUCTLAB_PROMPT}
    recipe = yaml.safe_load((out / f"skills_recipe_{STAMP}.yaml").read_text("utf-8"))
    assert recipe["metadata"] == {"sys_prompt": INSTRUCTLAB_PROMPT}
    assert {leaf["sampling_size"] for leaf in recipe["datasets"]} == {1.0}
    mixed = [row for leaf in recipe["datasets"] for row in json_rows(out / leaf["path"])]
    assert mixed == json_rows(out / f"skills_train_msgs_{STAMP}.jsonl")
    tests = json_rows(out / f"test_{STAMP}.jsonl")
    assert [sorted(row) for row in tests] == [["assistant", "system", "user"]] * 4
    assert tests[1]["user"] == "The fox runs.\n\nWho runs?"


def test_instructlabs_rows_that_are_set_apart_are_not_trained_on(runs: Path, tmp_path: Path) -> None:
    """They have a file of their own and are in no leaf's; a recipe is YAML whatever the system prompt says."""
    import yaml

    prompt = 'He said: "no"\n- and\t#left\u00ae \U0001f98a'
    exported(runs, tmp_path / "ilab", "instructlab", split=SPLIT, system=prompt)
    recipe = yaml.safe_load((tmp_path / "ilab" / f"skills_recipe_{STAMP}.yaml").read_text("utf-8"))
    assert recipe["metadata"] == {"sys_prompt": prompt}
    test = json_rows(tmp_path / "ilab" / f"skills_test_msgs_{STAMP}.jsonl")
    leaf = json_rows(tmp_path / "ilab" / f"node_datasets_{STAMP}" / "test_foxes.jsonl")
    assert (len(test), len(leaf)) == (1, 2)
    assert test[0]["messages"][0]["content"] == prompt
    assert not {row["id"] for row in test} & {row["id"] for row in leaf}


def test_leaves_whose_names_fall_together_have_a_file_each(tmp_path: Path) -> None:
    """`a_b/c` and `a/b_c` are two tasks."""
    for task in ("a/b_c", "a_b/c"):
        write_run(tmp_path / "runs", some_records(1, task=task), task=task)
    exported(tmp_path / "runs", tmp_path / "ilab", "instructlab")
    below = sorted(path.name for path in (tmp_path / "ilab" / f"node_datasets_{STAMP}").iterdir())
    assert below == ["a_b_c-2.jsonl", "a_b_c.jsonl"]


# ---- bytes and order -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [None, SPLIT], ids=["whole", "split"])
@pytest.mark.parametrize("layout", FORMATS)
def test_the_same_runs_give_the_same_bytes(tmp_path: Path, layout: Format, split: Split | None) -> None:
    """In whatever order they are named and wherever they lie, and nothing else is left behind."""
    for root in ("one", "two"):
        for task in ("test/jays", "test/foxes"):
            write_run(tmp_path / root, some_records(task=task), task=task)
    (tmp_path / "out").mkdir()
    places = [(tmp_path / "one" / "test" / "jays", tmp_path / "one" / "test" / "foxes"), (tmp_path / "two",)]
    for number, given in enumerate(places):
        write_export(ExportRequest(sources(*given), layout, tmp_path / "out" / str(number), STAMP, split=split))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0", "1"]
    one, two = (tmp_path / "out" / str(number) for number in range(2))
    assert (files_below(one), one.is_file() and one.read_bytes()) == (files_below(two), two.is_file() and two.read_bytes())


def test_shards_and_row_groups_hold_all_rows_in_order(
    tmp_path: Path, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small ones here: 7 rows in groups of 2 and shards of 3."""
    monkeypatch.setattr(parquet, "_BATCH", 2)
    monkeypatch.setattr(parquet, "GROUP", 2)
    monkeypatch.setattr(parquet, "SHARD", 3)
    write_run(tmp_path / "runs", some_records(7))
    exported(tmp_path / "runs", tmp_path / "ds", "hf")
    assert sorted(path.name for path in (tmp_path / "ds" / "data").iterdir()) == [
        f"train-{number:05d}-of-00003.parquet" for number in range(3)
    ]
    assert [back(row) for row in load(str(tmp_path / "ds"), split="train")] == some_records(7)


def test_half_a_character_becomes_a_whole_one_and_is_counted(tmp_path: Path) -> None:
    """A lone surrogate, which a model may emit, can be in no UTF-8 file; a backslash and `ud` can."""
    odd = [a_record("1" * 16, answer="half \ud83e, whole \U0001f98a"), a_record("2" * 16, "Why?", "\\ud83e")]
    write_run(tmp_path / "runs", odd)
    done = exported(tmp_path / "runs", tmp_path / "m.jsonl")
    assert [row["messages"][1]["content"] for row in json_rows(tmp_path / "m.jsonl")] == [
        "half \ufffd, whole \U0001f98a",
        "\\ud83e",
    ]
    assert done.mended == 1


def test_a_row_that_two_runs_have_is_written_once(tmp_path: Path) -> None:
    """A copy of a run adds nothing; a run with another seed does, though its ids be the same."""
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", [*some_records(), a_record("f" * 16)])
    write_run(tmp_path / "c", run=a_run_json(seed=1))
    done = write_export(ExportRequest(sources(*(tmp_path / name for name in "abc")), "messages", tmp_path / "m.jsonl", STAMP))
    assert (done.rows, done.repeated) == ({"train": 7}, 3)


# ---- train and test --------------------------------------------------------------------------------------------------


def sides(out: Path) -> dict[str, str]:
    """Question to the side where it is."""
    rows = {side: json_rows(out / f"{side}.jsonl") for side in ("train", "test")}
    return {row["instruction"]: side for side, found in rows.items() for row in found}


def test_near_duplicates_never_fall_on_both_sides(tmp_path: Path) -> None:
    """Over twenty seeds: same context, near-same question, near-same pair, near by the run's own measure, one seed's."""
    words = " ".join(f"w{n}" for n in range(30))
    answer = " ".join(f"a{n}" for n in range(60))
    pairs = {
        "context": [a_record("1" * 16, "c1 c2?", "x1", "The same text."), a_record("2" * 16, "c3 c4?", "x2", "the same  text")],
        "question": [a_record("3" * 16, words, "x3"), a_record("4" * 16, words.replace("w20", "w99"), "x4")],
        "pair": [a_record("5" * 16, "p1 p2?", answer), a_record("6" * 16, "p3 p4?", answer + " more")],
        "meaning": [a_record("7" * 16, "m1 m2?", "x5"), a_record("8" * 16, "m3 m4?", "x6", neighbour=("7" * 16, 0.15))],
        "seed": [
            a_record("9" * 16, "s1 s2?", "x7", neighbour=("seed:0", 0.15)),
            a_record("a" * 16, "s3 s4?", "x8", neighbour=("seed:0", 0.19)),
        ],
    }
    apart = [a_record(f"{n:016x}", f"z{n}a z{n}b?", f"y{n}", neighbour=("seed:0", 0.21)) for n in range(10)]
    write_run(tmp_path / "runs", [record for pair in zip(*pairs.values(), strict=True) for record in pair] + apart)
    tested: set[str] = set()
    for seed in range(20):
        out = tmp_path / str(seed)
        exported(tmp_path / "runs", out, "alpaca", split=Split(0.3, seed))
        side = sides(out)
        for name, (one, other) in pairs.items():
            assert side[one.instruction] == side[other.instruction], name
            tested |= {name} if side[one.instruction] == "test" else set()
        assert list(side.values()).count("test") == 6
    assert tested == set(pairs)


def test_seeds_are_the_same_by_their_text_in_every_run(tmp_path: Path) -> None:
    """Rows of two runs that are near one seed stay together, a neighbour's id is that of its own run."""
    task = "test/jays"
    write_run(tmp_path / "runs", [a_record("1" * 16, "a b?", "x", neighbour=("seed:0", 0.1))])
    others = [a_record("2" * 16, "c d?", "y", task=task, neighbour=("seed:0", 0.1))]
    others += [a_record("3" * 16, "e f?", "z", task=task, neighbour=("1" * 16, 0.1))]
    write_run(tmp_path / "runs", others, task=task)
    found = {}
    for seed in range(8):
        exported(tmp_path / "runs", tmp_path / str(seed), "alpaca", split=Split(0.5, seed))
        side = sides(tmp_path / str(seed))
        assert side["a b?"] == side["c d?"]
        found[side["a b?"], side["e f?"]] = True
    assert len(found) == 2


def test_rows_that_are_all_alike_cannot_be_split(tmp_path: Path) -> None:
    """It is said, and nothing is left."""
    write_run(tmp_path / "runs", [a_record("1" * 16), a_record("2" * 16)])
    with pytest.raises(RequestError, match="all 2 rows are near-duplicates"):
        exported(tmp_path / "runs", tmp_path / "out", split=SPLIT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


# ---- on the disk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [None, SPLIT], ids=["whole", "split"])
@pytest.mark.parametrize("layout", FORMATS)
def test_an_old_export_is_kept_until_the_new_one_is_whole(
    runs: Path, tmp_path: Path, layout: Format, split: Split | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused without --overwrite, stays when the new one fails, and is replaced when it succeeds."""
    out = tmp_path / "out" / "x"
    exported(runs, out, layout, split=split)
    before = files_below(out.parent)
    with pytest.raises(ExportError, match="exists already"):
        exported(runs, out, layout, split=split)
    good = (runs / "test" / "foxes" / "data.jsonl").read_bytes()
    (runs / "test" / "foxes" / "data.jsonl").write_bytes(good + b'{"id": 1}\n')
    with pytest.raises(RunDirError, match=r"data\.jsonl:4: this row is not one of a dataset"):
        exported(runs, out, layout, split=split, overwrite=True)
    assert files_below(out.parent) == before
    added = a_record("e" * 16, "New?", "Yes.").model_dump_json().encode() + b"\n"
    (runs / "test" / "foxes" / "data.jsonl").write_bytes(good + added)
    if layout == "hf":  # also where the system cannot exchange two names
        monkeypatch.setattr(aside, "_exchange", lambda *_: False)
    assert sum(exported(runs, out, layout, split=split, overwrite=True).rows.values()) == 4
    assert files_below(out.parent) != before
    assert [path.name for path in out.parent.iterdir()] == ["x"]


def test_what_a_kill_left_is_named(runs: Path, tmp_path: Path) -> None:
    """And not touched: another process may be at it."""
    left = tmp_path / ".m[1].jsonl.99999.tmp"
    left.write_text("half")
    exported(runs, tmp_path / "m[1].jsonl")
    assert aside.left_behind(tmp_path / "m[1].jsonl") == [left]
    assert left.read_text() == "half"


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("folder", "is a folder, and this export is a file"),
        ("link", "is a link, and this export is a file"),
        ("pipe", "is no ordinary file"),
        ("file", "is nothing that this command wrote, which alone --overwrite replaces"),
    ],
)
def test_only_a_file_is_replaced_by_a_file(runs: Path, tmp_path: Path, taken: str, said: str) -> None:
    """A folder, a link, a pipe or a text there is somebody's; as root one would lose /dev/null."""
    out, theirs = tmp_path / "x", tmp_path / "theirs"
    theirs.write_text("theirs")
    if taken == "folder":
        out.mkdir()
    elif taken == "link":
        out.symlink_to(theirs)
    elif taken == "pipe":
        os.mkfifo(out)
    else:
        out.write_text("theirs")
    with pytest.raises(ExportError, match=said):
        exported(runs, out, overwrite=True)
    assert theirs.read_text() == "theirs"
    assert not out.is_file() or out.read_text() == "theirs"


def test_a_file_is_not_replaced_by_a_folder(runs: Path, tmp_path: Path) -> None:
    """Of whatever format."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="is a file, and this export is a folder"):
        exported(runs, tmp_path / "file", "hf", overwrite=True)


@pytest.mark.parametrize(
    ("layout", "theirs"),
    [
        ("hf", "thesis.tex"),
        ("hf", "data/measured.csv"),
        ("hf", "data/train-notes.parquet/x"),
        ("instructlab", "thesis.tex"),
        ("instructlab", "test_login.py"),
        ("instructlab", "test_2026-01-31T10_00_00.jsonl/x"),
        ("instructlab", "node_datasets_2026-01-31T10_00_00/notes.txt"),
        ("instructlab", "skills_recipe_mine.yaml"),
    ],
)
def test_a_folder_with_anything_else_is_not_replaced(runs: Path, tmp_path: Path, layout: Format, theirs: str) -> None:
    """--overwrite is for earlier exports: a project has a README, a folder data and test_ files, too."""
    home = tmp_path / "home"
    (home / theirs).parent.mkdir(parents=True)
    (home / theirs).write_text("theirs")
    if layout == "hf":
        (home / "README.md").write_text("made with skills_dspy")  # as a card of an earlier export
    with pytest.raises(ExportError, match=f"holds {re.escape(theirs)}, which no export of this format wrote"):
        exported(runs, home, layout, overwrite=True)
    assert (home / theirs).read_text() == "theirs"


@pytest.mark.parametrize("layout", ["hf", "kto"])
def test_a_readme_of_somebody_is_not_replaced(runs: Path, tmp_path: Path, layout: Format) -> None:
    """Also where nothing else lies there; a card of ours is."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "README.md").write_text("# My project")
    with pytest.raises(ExportError, match=r"holds README\.md, which no export of this format wrote"):
        exported(runs, tmp_path / "home", layout, overwrite=True)
    (tmp_path / "home" / "README.md").unlink()
    exported(runs, tmp_path / "home", layout, overwrite=True)
    exported(runs, tmp_path / "home", layout, overwrite=True)


@pytest.mark.parametrize("layout", ["messages", "alpaca", "sharegpt", "parquet"])
def test_a_file_of_somebody_is_not_replaced(runs: Path, tmp_path: Path, layout: Format) -> None:
    """Not even one whose first key is ours; an earlier export of the same format is."""
    out = tmp_path / "rows"
    for theirs in ('{"instruction": "my own", "answer": 1}\n', '{"id": 1, "q": "mine"}\n', '{"message": 1}\n'):
        out.write_text(theirs)
        with pytest.raises(ExportError, match="is nothing that this command wrote"):
            exported(runs, out, layout, overwrite=True)
    out.unlink()
    exported(runs, out, layout)
    exported(runs, out, layout, overwrite=True)


@pytest.mark.parametrize("where", [".", "..", "../..", "data.jsonl", "new.jsonl"])
def test_no_export_takes_the_place_of_a_run(runs: Path, where: str) -> None:
    """Nor of one of its files, nor of a folder of runs."""
    before = files_below(runs)
    with pytest.raises(ExportError, match=r"would take the place of the run|lies among the files of the run"):
        exported(runs, runs / "test" / "foxes" / where, "hf", overwrite=True)
    assert files_below(runs) == before


@pytest.mark.parametrize("layout", ["messages", "instructlab", "parquet", "hf"])
def test_a_disk_that_fills_up_is_a_sentence(runs: Path, tmp_path: Path, layout: Format) -> None:
    """Letting go of a file fails too, and that is not what the user hears of. A limit on files stands for the disk."""
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, allowed[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*out/x: .*File too large"):
            exported(runs, tmp_path / "out" / "x", layout)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert list((tmp_path / "out").iterdir()) == []


# ---- where rows come from --------------------------------------------------------------------------------------------


def test_rows_that_a_running_run_adds_do_not_count(runs: Path) -> None:
    """What was there at the beginning is exported; half a row at the end is none."""
    data = runs / "test" / "foxes" / "data.jsonl"
    with data.open("ab") as file:
        file.write(b'{"id": "half')
    with taken(runs, "test/foxes"):
        (found,) = sources(runs)
        assert found.running
    assert not sources(runs)[0].running
    with data.open("ab") as file:
        file.write(b' a row"}\n')
    assert len(list(ExportRows((found,)))) == 3


def test_rows_that_vanish_meanwhile_are_noticed(runs: Path) -> None:
    """A run that was begun anew has cut them off."""
    found = sources(runs)
    (runs / "test" / "foxes" / "data.jsonl").write_bytes(b"")
    with pytest.raises(RunDirError, match="has changed while it was read"):
        list(ExportRows(found))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "this line is not a JSON object"),
        ("[1]", "this line is not a JSON object"),
        ('{"id": "x"}', "this row is not one of a dataset: task_name: Field required"),
    ],
)
def test_a_broken_row_is_named(runs: Path, line: str, said: str) -> None:
    """With file and line."""
    data = runs / "test" / "foxes" / "data.jsonl"
    first, *rest = data.read_text("utf-8").splitlines()
    data.write_text("\n".join([first, line, *rest]) + "\n", "utf-8")
    with pytest.raises(RunDirError) as caught:
        list(ExportRows(sources(runs)))
    assert str(caught.value).startswith(f"{data}:2: {said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "is missing"), ("{}", "task is missing")],
)
def test_a_broken_run_json_is_named(runs: Path, content: str | None, said: str) -> None:
    """An export does not guess what made its rows."""
    path = runs / "test" / "foxes" / "run.json"
    (runs / "test" / "foxes" / "journal.sqlite").write_bytes(b"")
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(RunDirError, match=rf"run\.json.*{said}"):
        sources(runs)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("absent", "there is no run at .*absent"),
        (".empty", "there is no run at or below"),
        ("data.jsonl", "give the run's dir"),
    ],
)
def test_places_without_a_run_are_refused(runs: Path, place: str, said: str) -> None:
    """Each with a sentence that says what to give instead."""
    (runs / "test" / "foxes" / ".empty").mkdir()
    with pytest.raises(RunDirError, match=said):
        sources(runs / "test" / "foxes" / place)
