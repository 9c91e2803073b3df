"""Rows that are near in meaning by the vectors of their runs never fall on both sides of a split, whichever run they are of."""

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from skills_dspy.base.errors import RunDirError
from skills_dspy.base.records import Record, SeedExample
from skills_dspy.cli.main import start
from skills_dspy.commands.export import split_vectors
from skills_dspy.commands.export.card import Compared, Split
from skills_dspy.commands.export.export import ExportRequest, export
from skills_dspy.commands.export.split_vectors import put
from skills_dspy.model.embedding.vectors import vector_key
from skills_dspy.store.journal import Journal, JournalReader
from tests.helpers.exporting import a_record, a_run_json, files_below, sources, write_run
from tests.helpers.small_runs import SPEC, make_run

MODEL = "all-MiniLM-L6-v2"
SIZE = 16
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
    **options: Any,
) -> Path:
    """A run whose rows have these questions and vectors; with no weights it has no journal."""
    first = 100 if task.endswith("a") else 200
    records = [a_row(first + n, question, task, **options) for n, question in enumerate(rows)]
    examples = [SeedExample(question=text, answer="x", line=1) for text in seeds or {"A seed?": at(0, 7)}]
    folder = write_run(root, records, a_run_json(task, seeds=examples, accepted=len(records)), task)
    if weights is not None:
        plant(folder, {**rows, **(seeds or {})}, weights)
    return folder


def others(first: int) -> dict[str, Any]:
    """Two rows that are like nothing else."""
    return {OTHERS[n]: at(0, 1 + n) for n in (first, first + 1)}


def parted(root: Path, out: Path, one: str = FIRST, other: str = SECOND, **options: Any) -> list[bool]:
    """For each of 24 seeds whether two questions came to lie on different sides."""
    found = []
    for seed in range(24):
        request = ExportRequest(sources(root), "alpaca", out, "s", split=Split(0.4, seed), overwrite=True, **options)
        export(request)
        train, test = ((out / f"{side}.jsonl").read_text("utf-8") for side in ("train", "test"))
        assert (one in train) != (one in test)
        found.append((one in train) != (other in train))
    return found


def two_runs(root: Path, distance: float, weights: str | None = "w") -> None:
    """Runs of two tasks with a paraphrase each, at this squared distance; the weights are the second's."""
    make(root, "test/a", {FIRST: at(0), **others(0)})
    make(root, "test/b", {SECOND: at(distance), **others(2)}, weights=weights)


def test_paraphrases_of_two_runs_stay_together(tmp_path: Path) -> None:
    """No word is the same, but by their vectors dedup would have called them one; a little farther they may be parted."""
    two_runs(tmp_path / "near", 0.0499)
    assert not any(parted(tmp_path / "near", tmp_path / "out"))
    two_runs(tmp_path / "far", 0.0502)
    assert any(parted(tmp_path / "far", tmp_path / "out"))


def test_vectors_of_other_weights_are_not_compared(tmp_path: Path) -> None:
    """Their distance means nothing, be it 0."""
    two_runs(tmp_path / "runs", 0.0, weights="others")
    assert any(parted(tmp_path / "runs", tmp_path / "out"))


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
        assert any(parted(root, tmp_path / "out")) == (name == "far")


def test_rows_that_are_near_one_seed_stay_together(tmp_path: Path) -> None:
    """One by its vector, the other by what its own run noted, as two rows of one run that are near to a seed."""
    seeds = {"How do foxes live?": at(0)}
    make(tmp_path / "runs", "test/a", {FIRST: at(0.049), **others(0)})
    rows = {SECOND: at(0.0, 5)}
    make(tmp_path / "runs", "test/b", rows, seeds=seeds, neighbour=("seed:0", 0.15))
    make(tmp_path / "runs", "test/c", others(2), neighbour=None)
    assert not any(parted(tmp_path / "runs", tmp_path / "out"))


def test_many_that_are_near_in_a_row_are_one_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directly or through others, and in however small blocks they are compared."""
    monkeypatch.setattr(split_vectors, "_BLOCK", 2)
    monkeypatch.setattr(split_vectors, "_BATCH", 3)
    chain = {f"chain{n} link{n} ring{n}": at(0.01 * n * n) for n in range(9)}
    make(tmp_path / "runs", "test/a", {**chain, **others(0), **others(2)})
    assert not any(parted(tmp_path / "runs", tmp_path / "out", "chain0", "chain8"))


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """With vectors too, and no index is left behind."""
    two_runs(tmp_path / "runs", 0.03)
    for name in ("x", "y"):
        export(ExportRequest(sources(tmp_path / "runs"), "hf", tmp_path / "out" / name, "s", split=Split(0.4, 1)))
    assert files_below(tmp_path / "out" / "x") == files_below(tmp_path / "out" / "y")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x", "y"]


def test_without_a_split_no_journal_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be anything; with a split it has to be a journal, and a sound one."""
    folder = make(tmp_path / "runs", "test/a", {FIRST: at(0), **others(0)}, weights=None)
    (folder / "journal.sqlite").write_bytes(b"no journal")
    runs = sources(tmp_path / "runs")
    with monkeypatch.context() as patch:
        patch.setattr(JournalReader, "open", None)
        assert export(ExportRequest(runs, "hf", tmp_path / "whole", "s")).compared is None
    with pytest.raises(RunDirError, match=r"journal\.sqlite is not a journal"):
        export(ExportRequest(runs, "hf", tmp_path / "split", "s", split=Split(0.4, 1)))
    assert not (tmp_path / "split").exists()


@pytest.mark.parametrize("broken", [at(0)[:7] * 2, at(0) * np.float32(np.nan)], ids=["no unit", "nan"])
def test_a_broken_vector_is_no_vector(tmp_path: Path, broken: Any) -> None:
    """Nothing is near it, which would pass for a row that is like no other."""
    make(tmp_path / "runs", "test/a", {FIRST: broken, **others(0)})
    with pytest.raises(RunDirError, match=r"journal\.sqlite: the vector of the text 'How does a fox hunt\?' is broken"):
        export(ExportRequest(sources(tmp_path / "runs"), "alpaca", tmp_path / "out", "s", split=Split(0.4, 1)))


Said = Callable[[], str]


@pytest.fixture
def said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """Types an export with a test side; gives what was printed on stderr and what the card says of the split."""

    def type_words() -> str:
        words = ("export", tmp_path / "runs", "--format", "hf", "--out", tmp_path / "out", "--test-share", "0.4")
        assert start([str(word) for word in words]) == 0
        err = capsys.readouterr().err
        (split,) = [line for line in (tmp_path / "out" / "README.md").read_text("utf-8").splitlines() if "share of" in line]
        assert all(line in split for line in err.splitlines())
        return split.partition("fewer.")[2].strip() if err else ""

    return type_words


def test_a_journal_that_is_gone_is_said(tmp_path: Path, said: Said) -> None:
    """In a line and on the card, with the number of rows that it concerns."""
    two_runs(tmp_path / "runs", 0.03, weights=None)
    assert said() == (
        "3 of 6 rows have no vector in a journal and were compared with others by their words alone, and by what their run had "
        "noted."
    )


def test_other_weights_are_said(tmp_path: Path, said: Said) -> None:
    """In a line and on the card."""
    two_runs(tmp_path / "runs", 0.03, weights="others")
    assert said() == "The vectors are of 2 embedding models; rows of different ones were compared by their words alone."


def test_vectors_of_unknown_weights_are_not_compared(tmp_path: Path, said: Said) -> None:
    """Whose they are cannot be told, so they are as good as gone."""
    two_runs(tmp_path / "runs", 0.03, weights="")
    assert said().startswith("3 of 6 rows have no vector")


def test_nothing_is_said_when_all_was_compared(tmp_path: Path, said: Said) -> None:
    """No line that everybody would learn to overlook."""
    two_runs(tmp_path / "runs", 0.03)
    assert said() == ""


def test_a_real_runs_journal_has_all_vectors(tmp_path: Path) -> None:
    """Of questions with a context and without, and of seeds, under the names that the run gave them."""
    paths = make_run(tmp_path / "runs", {})
    done = export(ExportRequest(sources(paths.folder), "alpaca", tmp_path / "out", "s", split=Split(0.4, 1)))
    assert done.compared == Compared(by_words=0, models=1)
    with ExitStack() as stack:
        kept = split_vectors.KeptByRun(sources(paths.folder)[0], stack)
        assert all(kept.of(seed.question, seed.context) is not None for seed in SPEC.seed_examples)


class Filling:
    """A raw file on a disk that takes three bytes at a time."""

    def __init__(self) -> None:
        self.held = b""

    def write(self, data: bytes) -> int:
        """What fits."""
        self.held += data[:3]
        return min(3, len(data))


def test_nothing_is_lost_when_a_disk_takes_a_part_only() -> None:
    """A raw file may take less than it is given: the rest is given once more."""
    file = Filling()
    put(cast("FileIO", file), b"12345678")
    assert file.held == b"12345678"
