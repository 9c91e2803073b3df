"""Tests of skills_dspy.model.embedding.vectors: each text is embedded once, and a replay needs no embedding model."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.base.errors import EmbedderMissing, MissingReply, RunDirError
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.embedding.vectors import JournalVectors, RememberedVectors, vector_key
from skills_dspy.store.journal import Journal, JournalReader, pack
from skills_dspy.store.run_dir import RunPaths


class Counting(HashEmbedder):
    """Counts what it is asked for, and may have other weights."""

    def __init__(self, weights: str = "first") -> None:
        self.asked: list[str] = []
        self.weights = weights

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Note the texts and embed them."""
        self.asked += texts
        return super().embed(texts)


def embed(
    journal: Journal, embedder: Counting, texts: Sequence[str], recording: JournalReader | None = None
) -> NDArray[np.float32]:
    """The vectors of `texts`, by way of a journal."""

    async def work() -> NDArray[np.float32]:
        running = AsyncEmbedder(embedder)
        try:
            return await RememberedVectors(running, journal, recording, Path("run")).embed(texts)
        finally:
            await running.close()

    return asyncio.run(work())


def test_a_text_is_embedded_once(tmp_path: Path) -> None:
    """What a run has embedded is remembered by the next process, bit by bit, and in the order that is asked for."""
    first, second = Counting(), Counting()
    with Journal.open(tmp_path / "j.sqlite") as journal:
        embed(journal, first, ["a", "b"])
    with Journal.open(tmp_path / "j.sqlite") as journal:
        rows = embed(journal, second, ["b", "c", "a"])
    assert first.asked == ["a", "b"]
    assert second.asked == ["c"]
    assert rows.dtype == np.float32
    assert np.array_equal(rows, HashEmbedder().embed(["b", "c", "a"]))


def test_a_text_that_comes_twice_is_embedded_once(tmp_path: Path) -> None:
    """Two equal texts in one call get equal vectors from one embedding."""
    counting = Counting()
    with Journal.open(tmp_path / "j.sqlite") as journal:
        rows = embed(journal, counting, ["a", "a"])
    assert counting.asked == ["a"]
    assert np.array_equal(rows[0], rows[1])


class Nowhere(Counting):
    """A model that is not there."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Refuse."""
        raise EmbedderMissing(f"no model for {len(texts)}")


def test_what_a_recording_lacks_is_missing_only_where_it_is_needed(tmp_path: Path) -> None:
    """A draw under way when the recorded run had its pairs may lack vectors: a replay misses them as it misses a reply."""
    with Journal.open(tmp_path / "old.sqlite") as journal:
        embed(journal, Counting(), ["a"])
    pack(tmp_path / "old.sqlite", tmp_path / "packed.sqlite")
    with JournalReader.open(tmp_path / "packed.sqlite") as recording, Journal.open(tmp_path / "new.sqlite") as journal:
        with pytest.raises(MissingReply, match="no model for 1"):
            embed(journal, Nowhere(), ["a", "b"], recording)
        with pytest.raises(EmbedderMissing):
            embed(journal, Nowhere(), ["b"])


def test_a_replay_takes_the_recorded_vectors_and_keeps_them(tmp_path: Path) -> None:
    """A packed recording gives its vectors, the new journal has them afterwards, and no model is asked."""
    with Journal.open(tmp_path / "old.sqlite") as journal:
        embed(journal, Counting(), ["a"])
    pack(tmp_path / "old.sqlite", tmp_path / "packed.sqlite")
    idle = Counting()
    with JournalReader.open(tmp_path / "packed.sqlite") as recording, Journal.open(tmp_path / "new.sqlite") as journal:
        rows = embed(journal, idle, ["a"], recording)
        assert journal.meta()["embedder_weights"] == "first"
    with Journal.open(tmp_path / "new.sqlite") as journal:
        again = embed(journal, idle, ["a"])
    assert idle.asked == []
    assert np.array_equal(rows, again)


def test_other_weights_are_refused_as_soon_as_they_would_count(tmp_path: Path) -> None:
    """Vectors of two sets of weights are never compared: the sentence names the directory and the way on."""
    with Journal.open(tmp_path / "j.sqlite") as journal:
        embed(journal, Counting("first"), ["a"])
        embed(journal, Counting("second"), ["a"])
        with pytest.raises(RunDirError, match=r"^run holds .* other weights .*first then, second now.*--restart"):
            embed(journal, Counting("second"), ["b"])


def test_models_of_other_names_have_other_vectors(tmp_path: Path) -> None:
    """The name of the model is part of what a vector is remembered by."""
    other = Counting()
    other.name = "other"
    with Journal.open(tmp_path / "j.sqlite") as journal:
        embed(journal, Counting(), ["a"])
        embed(journal, other, ["a"])
    assert other.asked == ["a"]


def test_how_far_vectors_are_believed_is_decided_by_the_first(tmp_path: Path) -> None:
    """A journal of before trusts them for ever, a new one notes what its model reads, a replay follows the recording."""

    def sight(name: str, embedder: Counting, recording: JournalReader | None = None) -> str:
        with Journal.open(tmp_path / name) as journal:
            embed(journal, embedder, ["a"], recording)
            return RememberedVectors(AsyncEmbedder(embedder), journal, recording, tmp_path).sight()

    with Journal.open(tmp_path / "old.sqlite") as journal:
        journal.set_meta("embedder_weights", "first")
        journal.put_vectors([(vector_key(Counting.name, "a"), HashEmbedder().embed(["a"]).tobytes())])
    assert sight("new.sqlite", Counting()) == HashEmbedder().sight() == "all"
    assert sight("old.sqlite", Counting()) == "trusted"
    for name, expected in (("new", "all"), ("old", "trusted")):
        pack(tmp_path / f"{name}.sqlite", tmp_path / f"{name}.packed")
        with JournalReader.open(tmp_path / f"{name}.packed") as recording:
            assert sight(f"of_{name}.sqlite", Counting(), recording) == expected
            assert JournalVectors(recording, "hash", RunPaths(tmp_path)).sight() == expected
