"""The index of evaluation questions on the disk: built once, found again by its inputs, never trusted when broken."""

import hashlib
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skills_dspy.similarity.ngrams import GramIndex
from skills_dspy.store.aside import written_aside
from skills_dspy.store.files import make_folder, storage_errors

_FORMAT = 1
_ARRAYS: Mapping[str, type[np.generic]] = {
    "grams": np.uint64,
    "owners": np.int32,
    "lengths": np.int32,
    "shorts": np.uint64,
    "short_owners": np.int32,
    "vectors": np.float32,
}
_UNIT = 1e-3
_DAMAGE = (ValueError, LookupError, TypeError, RuntimeError, MemoryError, EOFError, OSError, struct.error, zipfile.BadZipFile)
"""What numpy and zipfile raise for a file with changed or missing bytes."""


class BrokenIndex(Exception):
    """A kept index that cannot be what was written; says in a few words why."""


@dataclass(frozen=True, slots=True, eq=False)
class BenchmarkIndex:
    """n-grams of all questions, and one unit vector for each; of shape (0, 0) where embeddings are not compared."""

    grams: GramIndex
    vectors: NDArray[np.float32]


def index_path(folder: Path, made_from: Mapping[str, Any]) -> Path:
    """Where the index lies that was made from all this."""
    return folder / f"{hashlib.sha256(_meta(made_from)).hexdigest()[:32]}.npz"


def keep_index(folder: Path, made_from: Mapping[str, Any], index: BenchmarkIndex) -> Path:
    """Write an index, all of it or nothing; returns where."""
    make_folder(folder)
    path = index_path(folder, made_from)
    arrays = {name: index.vectors if name == "vectors" else getattr(index.grams, name) for name in _ARRAYS}
    with written_aside(path) as place, place.open("wb") as file:
        np.savez(file, allow_pickle=False, meta=np.frombuffer(_meta(made_from), dtype=np.uint8), **arrays)
    return path


def find_index(folder: Path, made_from: Mapping[str, Any], n: int, questions: int) -> BenchmarkIndex | None:
    """The kept index of n-grams of so many questions that was made from all this, or None.

    Raises:
        BrokenIndex: the file is not what was written: cut off, changed, or something else.
    """
    path = index_path(folder, made_from)
    with storage_errors("read", path):
        if not path.exists():
            return None
        with path.open("rb") as raw:
            try:
                # A zip: the CRC-32 of every array is checked when it is read.
                with np.load(raw, allow_pickle=False) as file:
                    meta = file["meta"].tobytes()
                    arrays = {name: file[name] for name in _ARRAYS}
            except _DAMAGE as error:
                raise BrokenIndex(f"{type(error).__name__}, reading it") from error
    if meta != _meta(made_from):
        raise BrokenIndex("it was made from something else")
    _check(arrays, questions)
    vectors = arrays.pop("vectors")
    return BenchmarkIndex(GramIndex(n, **arrays), vectors)


def _check(arrays: Mapping[str, NDArray[Any]], questions: int) -> None:
    """Whether lookups can rely on it."""
    for name, kind in _ARRAYS.items():
        if arrays[name].dtype != kind or arrays[name].ndim != (2 if name == "vectors" else 1):
            raise BrokenIndex(f"its {name} have another form")
    for hashes, owners in (("grams", "owners"), ("shorts", "short_owners")):
        places, of = arrays[hashes], arrays[owners]
        if len(places) != len(of) or (places[1:] <= places[:-1]).any():
            raise BrokenIndex(f"its {hashes} are not in order")
        if len(of) and not 0 <= of.min() <= of.max() < questions:
            raise BrokenIndex(f"its {owners} name questions that are not there")
    vectors = arrays["vectors"]
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    if vectors.size and (len(vectors) != questions or not (abs(lengths - 1) < _UNIT).all()):
        raise BrokenIndex("its vectors are not one unit vector for each question")


def _meta(made_from: Mapping[str, Any]) -> bytes:
    return json.dumps({"format": _FORMAT, **made_from}, sort_keys=True, separators=(",", ":")).encode()
