"""The kept index: the same after the disk, found by what it was made from, and refused when it is not what was written."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.base.errors import StorageError
from skills_dspy.similarity.ngrams import build
from skills_dspy.store.benchmark_index import BenchmarkIndex, BrokenIndex, find_index, index_path, keep_index
from tests.helpers.disk import no_space

TEXTS = ["Why?", "one two three four five six seven eight nine", " ".join(f"word{k}" for k in range(30))]
MADE_FROM = {"files": ["aa", "bb"], "ngram": 13, "normalisation": 1, "weights": "w"}


def an_index() -> BenchmarkIndex:
    """Of three questions."""
    return BenchmarkIndex(build(TEXTS, 13), HashEmbedder().embed(TEXTS))


def found(folder: Path, made_from: dict[str, Any] = MADE_FROM, questions: int = 3) -> BenchmarkIndex | None:
    """What is kept there."""
    return find_index(folder, made_from, 13, questions)


def test_what_was_kept_is_found_again(tmp_path: Path) -> None:
    """All arrays are the same, in one file and nothing beside it."""
    index = an_index()
    path = keep_index(tmp_path / "new" / "folder", MADE_FROM, index)
    again = found(path.parent)
    assert again is not None
    for name in ("grams", "owners", "lengths", "shorts", "short_owners"):
        assert (getattr(again.grams, name) == getattr(index.grams, name)).all()
    assert (again.vectors == index.vectors).all()
    assert [*again.grams.find(TEXTS[2])] == [*index.grams.find(TEXTS[2])]
    assert list(path.parent.iterdir()) == [path]


def test_an_index_without_vectors(tmp_path: Path) -> None:
    """For those who compare words only."""
    keep_index(tmp_path, MADE_FROM, BenchmarkIndex(build(TEXTS, 13), np.zeros((0, 0), dtype=np.float32)))
    again = found(tmp_path)
    assert again is not None
    assert again.vectors.shape == (0, 0)


@pytest.mark.parametrize("change", [{"files": ["bb", "aa"]}, {"ngram": 8}, {"normalisation": 2}, {"weights": None}])
def test_it_is_not_found_for_anything_else(tmp_path: Path, change: dict[str, Any]) -> None:
    """Other files, another n-gram, another normalisation, other weights."""
    keep_index(tmp_path, MADE_FROM, an_index())
    assert found(tmp_path, MADE_FROM | change) is None


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    """Wherever it is: nothing of a broken file is used."""
    path = keep_index(tmp_path, MADE_FROM, an_index())
    whole = path.read_bytes()
    kept = an_index()
    for place in range(40, len(whole), 211):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            again = found(tmp_path)
        except BrokenIndex:
            continue
        # Some bytes of a zip, such as times, say nothing about the arrays.
        assert again is not None
        assert (again.vectors == kept.vectors).all()
        assert (again.grams.grams == kept.grams.grams).all()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_index_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, something else, cut off."""
    path = keep_index(tmp_path, MADE_FROM, an_index())
    whole = path.read_bytes()
    for broken in (content, whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(BrokenIndex):
            found(tmp_path)


def test_a_zip_of_other_arrays_is_refused(tmp_path: Path) -> None:
    """Missing ones, others in their place, an index of other questions under this name."""
    path = index_path(tmp_path, MADE_FROM)
    np.savez(path, meta=np.zeros(3, dtype=np.uint8))
    with pytest.raises(BrokenIndex):
        found(tmp_path)
    other = keep_index(tmp_path, MADE_FROM | {"ngram": 9}, an_index())
    other.rename(path)
    with pytest.raises(BrokenIndex, match="it was made from something else"):
        found(tmp_path)
    keep_index(tmp_path, MADE_FROM, an_index())
    with pytest.raises(BrokenIndex, match="name questions that are not there"):
        found(tmp_path, questions=1)
    keep_index(tmp_path, MADE_FROM, BenchmarkIndex(an_index().grams, 2 * an_index().vectors))
    with pytest.raises(BrokenIndex, match="not one unit vector for each question"):
        found(tmp_path)


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old index stays, and no part of a new one."""
    path = keep_index(tmp_path, MADE_FROM, an_index())
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="No space left on device"):
        keep_index(tmp_path, MADE_FROM, an_index())
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before
