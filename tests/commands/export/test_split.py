"""Near-duplicates never fall on both sides of a split, whichever run they are of, and the seed decides which side."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skills_dspy.base.errors import ExportError, RequestError, RunDirError
from skills_dspy.base.records import Record, SeedExample
from skills_dspy.cli.main import start
from skills_dspy.commands.export import split
from skills_dspy.commands.export.source import ExportRows
from skills_dspy.commands.export.split import Split, SplitBasis, choose_test, set_apart
from skills_dspy.model.embedding.vectors import vector_key
from skills_dspy.store.journal import Journal, JournalReader
from tests.helpers.exporting import a_record, a_run_json, exported, sources, write_run
from tests.helpers.small_runs import make_run

MODEL = "all-MiniLM-L6-v2"
SIZE = 16
SPLIT = Split(0.4, 1)
OTHERS = ["Name three rivers.", "Why is ice slippery?", "Sort: c, a, b.", "Translate to Dutch: cheese."]
FIRST, SECOND = "How does a fox hunt?", "In what way is prey caught by vixens?"


def at(distance: float, axis: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A unit vector at this squared distance of the unit vector along an axis, which is `at(0, axis)`."""
    vector = np.zeros(SIZE)
    vector[axis], vector[SIZE - 1 - axis] = 1 - distance / 2, math.sqrt(1 - (1 - distance / 2) ** 2)
    return vector.astype(np.float32)


def plant(folder: Path, vectors: Mapping[str, Any], weights: str = "w", model: str = MODEL) -> None:
    """Give a run a journal with these vectors."""
    with Journal.open(folder / "journal.sqlite") as journal:
        journal.put_vectors([(vector_key(model, text), vector.tobytes()) for text, vector in vectors.items()])
        journal.set_meta("embedder_weights", weights)


def a_row(number: int, question: str, task: str, context: str | None = None, **options: Any) -> Record:
    """A row whose answer is like no other."""
    return a_record(f"{number:016x}", question, f"a{number} b{number} c{number}", context, task=task, **options)


def make(
    root: Path,
    task: str,
    rows: Mapping[str, Any],
    *,
    weights: str | None = "w",
    seeds: Mapping[str, Any] | None = None,
    limit: float = 0.05,
    **options: Any,
) -> Path:
    """A run whose rows have these questions and vectors; with no weights it has no journal."""
    first = 100 if task.endswith("a") else 200
    records = [a_row(first + n, question, task, **options) for n, question in enumerate(rows)]
    examples = [SeedExample(question=text, answer="x", line=1) for text in seeds or {"A seed?": at(0, 7)}]
    run = a_run_json(task, seeds=examples, accepted=len(records))
    run["config"]["dedup"]["max_squared_distance"] = limit
    folder = write_run(root, records, run, task)
    if weights is not None:
        plant(folder, {**rows, **(seeds or {})}, weights)
    return folder


def others(first: int) -> dict[str, Any]:
    """Two rows that are like nothing else."""
    return {OTHERS[n]: at(0, 1 + n) for n in (first, first + 1)}


def parted(root: Path, one: str = FIRST, other: str = SECOND) -> list[bool]:
    """For each of 24 seeds whether two questions come to lie on different sides."""
    runs = sources(root)
    rows = list(ExportRows(runs))
    (first,), (second,) = ([n for n, (_, row) in enumerate(rows) if row.instruction.startswith(text)] for text in (one, other))
    sides = [set_apart(rows, runs, Split(0.4, seed))[0] for seed in range(24)]
    return [testing[first] != testing[second] for testing in sides]


def two_runs(root: Path, distance: float, weights: str | None = "w") -> None:
    """Runs of two tasks with a paraphrase each, at this squared distance; the weights are the second's."""
    make(root, "test/a", {FIRST: at(0), **others(0)})
    make(root, "test/b", {SECOND: at(distance), **others(2)}, weights=weights)


def test_paraphrases_of_two_runs_stay_together(tmp_path: Path) -> None:
    """No word is the same, but by their vectors dedup would have called them one; a little farther they may be parted."""
    two_runs(tmp_path / "near", 0.0499)
    assert not any(parted(tmp_path / "near"))
    two_runs(tmp_path / "far", 0.0502)
    assert any(parted(tmp_path / "far"))


def test_vectors_of_other_weights_are_not_compared(tmp_path: Path) -> None:
    """Their distance means nothing, be it 0."""
    two_runs(tmp_path / "runs", 0.0, weights="others")
    assert any(parted(tmp_path / "runs"))


def test_a_question_on_a_context_is_compared_as_dedup_does_it(tmp_path: Path) -> None:
    """With its context: the same question on another passage is far, and a row without a context is never compared with one."""
    contexts = ("The vixen waits in tall grass.", "Badgers sleep at noon under roots.")
    for name, between in (("near", 0.049), ("far", 0.2)):
        root = tmp_path / name
        one = make(root, "test/a", {FIRST: at(0)}, weights=None, context=contexts[0])
        other = make(root, "test/b", {SECOND: at(0.049)}, weights=None, context=contexts[1])
        for folder in (one, other):
            plant(folder, {FIRST: at(0), SECOND: at(0.049), contexts[0]: at(0, 2), contexts[1]: at(between, 2)})
        make(root, "test/c", {**others(0), **others(2)})
        assert any(parted(root)) == (name == "far")


def test_rows_that_are_near_one_seed_stay_together(tmp_path: Path) -> None:
    """One by its vector, the other by what its own run noted; without the seed the two may be parted."""
    seeds = {"How do foxes live?": at(0)}
    make(tmp_path / "runs", "test/a", {FIRST: at(0.049), **others(0)})
    rows = {SECOND: at(0.0, 5)}
    make(tmp_path / "runs", "test/b", rows, seeds=seeds, neighbour=("seed:0", 0.15))
    make(tmp_path / "runs", "test/c", others(2), neighbour=None)
    assert not any(parted(tmp_path / "runs"))
    make(tmp_path / "far", "test/a", {FIRST: at(0.049), **others(0)})
    make(tmp_path / "far", "test/b", rows)
    make(tmp_path / "far", "test/c", others(2))
    assert any(parted(tmp_path / "far"))


def test_many_that_are_near_in_a_row_are_one_group(tmp_path: Path) -> None:
    """Directly or through others; without those between them the ends may be parted."""
    chain = {f"chain{n} link{n} ring{n}": at(0.01 * n * n) for n in range(9)}
    for name, some in (("whole", [*chain]), ("broken", [*chain][::8])):
        make(tmp_path / name, "test/a", {**{text: chain[text] for text in some}, **others(0), **others(2)})
        assert any(parted(tmp_path / name, "chain0", "chain8")) is (name == "broken")


def test_the_distance_is_that_of_the_runs_own_deduplication(tmp_path: Path) -> None:
    """Of several runs the largest; the card says it."""
    make(tmp_path / "runs", "test/a", {FIRST: at(0), **others(0)}, limit=0.01)
    make(tmp_path / "runs", "test/b", {SECOND: at(0.29), **others(2)}, limit=0.3)
    assert not any(parted(tmp_path / "runs"))
    exported(tmp_path / "runs", tmp_path / "hf", "hf", split=SPLIT)
    assert "at a squared distance below 0.3)" in (tmp_path / "hf" / "README.md").read_text("utf-8")


def test_more_rows_than_can_be_compared_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence that says what to do, and nothing is left; without a test side they are exported."""
    monkeypatch.setattr(split, "MOST_ROWS", 2)
    make(tmp_path / "runs", "test/a", others(0) | {FIRST: at(0)})
    with pytest.raises(ExportError, match=r"compares every row with every other, at most 2 rows, .*; export fewer runs"):
        exported(tmp_path / "runs", tmp_path / "out", split=SPLIT)
    assert not (tmp_path / "out").exists()
    assert exported(tmp_path / "runs", tmp_path / "out").rows == {"train": 3}


def test_without_a_split_no_journal_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be anything; with a split it has to be a journal, and a sound one."""
    folder = make(tmp_path / "runs", "test/a", {FIRST: at(0), **others(0)}, weights=None)
    (folder / "journal.sqlite").write_bytes(b"no journal")
    with monkeypatch.context() as patch:
        patch.setattr(JournalReader, "open", None)
        assert exported(tmp_path / "runs", tmp_path / "whole", "hf").compared is None
    with pytest.raises(RunDirError, match=r"journal\.sqlite is not a journal"):
        exported(tmp_path / "runs", tmp_path / "split", "hf", split=SPLIT)
    assert not (tmp_path / "split").exists()


@pytest.mark.parametrize("broken", [at(0)[:7] * 2, at(0) * np.float32(np.nan)], ids=["no unit", "nan"])
def test_a_broken_vector_is_no_vector(tmp_path: Path, broken: Any) -> None:
    """Nothing is near it, which would pass for a row that is like no other."""
    make(tmp_path / "runs", "test/a", {FIRST: broken, **others(0)})
    with pytest.raises(RunDirError, match=r"journal\.sqlite: the vector of the text 'How does a fox hunt\?' is broken"):
        exported(tmp_path / "runs", tmp_path / "out", split=SPLIT)


@pytest.mark.parametrize("weights", [None, "", "others", "w"], ids=["gone", "unknown", "others", "all compared"])
def test_what_was_not_compared_by_meaning_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weights: str | None
) -> None:
    """On stderr and on the card: a journal that is gone or of unknown weights, and other weights; else nothing."""
    two_runs(tmp_path / "runs", 0.03, weights)
    words = ("export", tmp_path / "runs", "--format", "hf", "--out", tmp_path / "out", "--test-share", "0.4")
    assert start([str(word) for word in words]) == 0
    (sentence,) = [line for line in (tmp_path / "out" / "README.md").read_text("utf-8").splitlines() if "share of" in line]
    said = sentence.partition("with every other.")[2].strip()
    gone = "3 of 6 rows have no vector in a journal and were compared with others by their words alone, and by what their run"
    others = "The vectors are of 2 embedding models; rows of different ones were compared by their words alone."
    assert said == {"w": "", "others": others}.get(weights or "", f"{gone} had noted.")
    assert capsys.readouterr().err.strip() == said


def test_a_real_runs_journal_has_all_vectors(tmp_path: Path) -> None:
    """Of questions with a context and without, under the names that the run gave them."""
    paths = make_run(tmp_path / "runs", {})
    done = exported(paths.folder, tmp_path / "out", split=SPLIT)
    assert done.compared == SplitBasis(SPLIT, limit=0.05, by_words=0, models=1)


# ---- which groups are for testing ------------------------------------------------------------------------------------

IDS = np.array([7919 * n**3 % 100_003 for n in range(100)], np.uint64)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=40), st.floats(0.01, 0.99), st.integers(0, 2**63 - 1))
def test_no_group_is_parted_and_the_share_is_kept(groups: list[int], share: float, seed: int) -> None:
    """At most the share, or one smallest group where all are larger; the same seed gives the same rows."""
    labels = np.array([*groups, 10, 11])
    chosen = choose_test(labels, IDS[: len(labels)], share, seed)
    assert all(len(set(chosen[labels == label])) == 1 for label in labels)
    assert 1 <= chosen.sum() <= max(1, round(share * len(labels)))
    assert (chosen == choose_test(labels, IDS[: len(labels)], share, seed)).all()


def test_where_the_share_cannot_be_kept() -> None:
    """One smallest group is chosen where all are larger than it; one row cannot be split."""
    assert choose_test(np.repeat([0, 1], [5, 3]), IDS[:8], 0.1, 0).tolist() == [False] * 5 + [True] * 3
    with pytest.raises(RequestError, match="only one row"):
        choose_test(np.zeros(1, np.int64), IDS[:1], 0.5, 0)


def test_the_seed_decides() -> None:
    """Other seeds set other rows apart, and single rows fill the share exactly."""
    picked = [tuple(np.flatnonzero(choose_test(np.arange(100), IDS, 0.1, seed))) for seed in range(5)]
    assert {len(rows) for rows in picked} == {10}
    assert len(set(picked)) == 5


def test_vectors_that_say_nothing_make_no_group(tmp_path: Path) -> None:
    """Two questions that the model does not read have the vector of a seed, and may be parted all the same."""
    market, mango = "อธิบายตลาดน้ำให้เด็กฟัง", "แนะนำมะม่วงสุก"
    rows = {market: at(0), mango: at(0), **others(0), **others(2)}
    folder = make(tmp_path / "runs", "test/a", rows, seeds={"ทำไมจึงมีฤดูฝน": at(0)})
    with Journal.open(folder / "journal.sqlite") as journal:
        journal.set_meta("embedder_sight", "some")
    assert any(parted(tmp_path / "runs", market, mango))
