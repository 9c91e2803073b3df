"""Evaluation questions that no data may hold: read from JSONL, Parquet and text files, each with its place."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from skills_dspy.base.errors import EvaluationError
from skills_dspy.store.files import storage_errors

QUESTION_FIELDS = ("question", "problem", "instruction", "prompt", "text", "input")
"""Where the question of a row is looked for; the first one that is there and not blank is it."""
CONTEXT_FIELDS = ("context", "passage")
"""What stands before the question, where a row has it."""
ENDINGS = (".jsonl", ".parquet", ".txt")


@dataclass(frozen=True, slots=True)
class BenchmarkFile:
    """One file: its name in messages and rows, its path as given, the SHA-256 of its bytes, how many questions it has."""

    name: str
    path: Path
    sha256: str
    questions: int


@dataclass(frozen=True, slots=True)
class BenchmarkQuestion:
    """One question: `file:line` (in a Parquet file the row, from 1), its text, and whether that begins with a context."""

    place: str
    text: str
    grounded: bool


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All questions of all files, in the order of the files' names."""

    files: tuple[BenchmarkFile, ...]
    questions: tuple[BenchmarkQuestion, ...]


def read_benchmark(paths: Sequence[Path]) -> Benchmark:
    """Read files of evaluation questions; a file given twice counts once, and their order does not matter.

    A row of JSONL or Parquet has its question in one of QUESTION_FIELDS, or in the user's turns of `messages` (or of a `prompt`
    that is a list of turns). An `input` beside an `instruction` belongs to it, and a context of CONTEXT_FIELDS stands before
    it. Choices and answers are not read: "yes" and "no" stand everywhere. A text file has one question a line. Blank lines
    are passed over.

    Raises:
        EvaluationError: with file and line: no such file, another ending, no question in it, a line that is none.
        StorageError: a file cannot be read.
    """
    files, questions = [], []
    for name, path in sorted(_named(paths).items()):
        data = _bytes(path)
        found = [BenchmarkQuestion(f"{name}:{line}", text, grounded) for line, text, grounded in _rows(path, data)]
        if not found:
            raise EvaluationError("there is no question in this file; leave it out", path)
        files.append(BenchmarkFile(name, path, hashlib.sha256(data).hexdigest(), len(found)))
        questions += found
    return Benchmark(tuple(files), tuple(questions))


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """A name for each file: its own, with as many of the folders above it as it takes to tell all files apart."""
    different = {path.resolve(): path for path in reversed(paths)}
    for depth in range(1, 1 + max((len(path.parts) for path in different), default=1)):
        names = {"/".join(full.parts[-depth:]): path for full, path in different.items()}
        if len(names) == len(different):
            break
    return names


def _bytes(path: Path) -> bytes:
    if path.suffix.lower() not in ENDINGS:
        raise EvaluationError(
            f"evaluation questions are read from files that end in {', '.join(ENDINGS)}; convert this one", path
        )
    if path.is_dir():
        raise EvaluationError("this is a folder; name the files in it", path)
    if not path.exists():
        raise EvaluationError("there is no such file; give the path of a file of evaluation questions", path)
    with storage_errors("read", path):
        return path.read_bytes()


def _rows(path: Path, data: bytes) -> Iterator[tuple[int, str, bool]]:
    """Line, text and whether it begins with a context, of every question in a file."""
    ending = path.suffix.lower()
    if ending == ".txt":
        for line, text in _lines(path, data):
            yield line, text, False
        return
    for line, row in _parquet(path, data) if ending == ".parquet" else _json_rows(path, data):
        text, grounded = _question(row, path, line)
        if re.search("[\ud800-\udfff]", text):
            raise EvaluationError("the question holds half a surrogate pair, which is no text; correct it", path, line)
        yield line, text, grounded


def _lines(path: Path, data: bytes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            raise EvaluationError("this line is not UTF-8; save the file as UTF-8", path, number) from error
        if text:
            yield number, text


def _json_rows(path: Path, data: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, text in _lines(path, data):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise EvaluationError("this line is not JSON; write one object on each line", path, number) from error
        if not isinstance(row, dict):
            raise EvaluationError("this line is not a JSON object; write one object on each line", path, number)
        yield number, row


def _parquet(path: Path, data: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = file.schema_arrow.names
        known = [name for name in names if name in ("messages", *QUESTION_FIELDS, *CONTEXT_FIELDS)]
        if not known:
            raise EvaluationError(_unknown(names), path, 1)
        batches = (batch.to_pylist() for batch in file.iter_batches(columns=known))
        yield from enumerate(chain.from_iterable(batches), start=1)
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0]
        raise EvaluationError(f"this is not a Parquet file that can be read ({why}); make it anew", path) from error


def _question(row: Mapping[str, Any], path: Path, line: int) -> tuple[str, bool]:
    """The text of a row, and whether it begins with a context."""
    for field in ("messages", "prompt"):
        if isinstance(turns := row.get(field), list):
            return _said_by_user(turns, field, path, line), False

    def text(field: str) -> str:
        value = row.get(field)
        if value is not None and not isinstance(value, str):
            raise EvaluationError(f"`{field}` is not text; write it as a string", path, line)
        return (value or "").strip()

    main = next((field for field in QUESTION_FIELDS if text(field)), None)
    if main is None:
        raise EvaluationError(_unknown(row), path, line)
    context = next(filter(None, map(text, CONTEXT_FIELDS)), "")
    parts = [context, text(main), text("input") if main == "instruction" else ""]
    return "\n".join(filter(None, parts)), bool(context)


def _said_by_user(turns: Sequence[Any], field: str, path: Path, line: int) -> str:
    said = []
    for turn in turns:
        if not isinstance(turn, dict) or not isinstance(turn.get("role"), str) or not isinstance(turn.get("content"), str):
            raise EvaluationError(f"`{field}` is not a list of turns with `role` and `content`, both text", path, line)
        if turn["role"] == "user":
            said.append(turn["content"].strip())
    if not any(said):
        raise EvaluationError(f"no turn of `{field}` has text of the user", path, line)
    return "\n".join(filter(None, said))


def _unknown(names: Iterable[str]) -> str:
    there = ", ".join(f"`{name}`" for name in list(names)[:8]) or "nothing"
    return f"no question: this row has {there}; a question is text in {', '.join(QUESTION_FIELDS)}, or messages"
