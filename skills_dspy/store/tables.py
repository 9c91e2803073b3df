"""Rows of files that others made: JSON Lines, JSON, CSV, TSV, Parquet, Arrow and plain text, packed or not.

What a file holds says what it is, and its name only where that does not.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skills_dspy.base.encoding import as_utf8, no_utf8
from skills_dspy.base.errors import FileError
from skills_dspy.base.unseen import odd_json
from skills_dspy.store.files import storage_errors

if TYPE_CHECKING:
    import pyarrow as pa

PACKED = (".gz", ".bz2", ".xz", ".zst", ".zstd", ".lz4")
TABLES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow")
"""The endings of files with rows; each may be packed."""

Numbered = tuple[int, Any]
"""The line or, where there are no lines, the row, from 1; and what is there: any JSON."""

_UNPACK: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"\x28\xb5\x2f\xfd": lambda data: _arrow_unpacked(data, "zstd"),
    b"\x04\x22\x4d\x18": lambda data: _arrow_unpacked(data, "lz4"),
}
_FOREIGN = {
    b"PK\x03\x04": "this is a ZIP archive or a spreadsheet; unpack it, or save it as CSV",
    b"version https://git-lfs": "this is what Git LFS keeps in place of the file; fetch it with: git lfs pull",
    b"<!DOCTYPE html": "this is a web page and not the file; download the file itself",
    b"<html": "this is a web page and not the file; download the file itself",
}
_WRAPPERS = ("data", "examples", "rows", "instances", "questions", "train", "validation", "test")
"""Under which a file of one JSON object has its rows."""
_LONGEST_CELL = 2**31 - 1
_SIGNS = {",": "commas", ";": "semicolons", "\t": "tabs"}  # between cells


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader of a file looks for.

    Attributes:
        column: whether a column may be of use; the others are not read where that saves something.
        key: of a single JSON object, that is one row then.
        lines: whether a text file's lines are the rows, under the name `text`.
        named: whether a CSV file's first line has the names of its columns; else they are called 1, 2 ...
    """

    column: Callable[[str], bool] = lambda _: True
    key: str | None = None
    lines: bool = False
    named: bool = True


def read_file(path: Path, error: type[FileError], what: str) -> bytes:
    """The bytes of a file; `what` is hoped for in it.

    Raises:
        FileError: of the class `error`: it is a folder or an address, or is not there.
        StorageError: it cannot be read.
    """
    with storage_errors("read", path):
        if path.is_dir():
            raise error("this is a folder; name the files in it", path)
        if not path.exists():
            is_address = ":/" in str(path)[2:]
            why = "this is an address; download the file and give its path" if is_address else None
            raise error(why or f"there is no such file; give the path of a file of {what}", path)
        return path.read_bytes()


def ending_of(path: Path) -> str:
    """The ending of a file's name, in small letters, without that of its packing; empty where it has none."""
    endings = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    return endings[-1] if endings else ""


def table_rows(path: Path, data: bytes, error: type[FileError], wanted: Wanted = Wanted()) -> Iterator[Numbered]:
    """The rows of a file with these bytes, one after the other; blank lines are passed over.

    Raises:
        FileError: of the class `error`, with the line: it is none of the kinds, or broken.
    """
    ending, data = _unpacked(path, data, error)
    if (foreign := next((why for mark, why in _FOREIGN.items() if data[:40].lstrip().startswith(mark)), None)) is not None:
        raise error(foreign, path)
    if data.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")) or ending in (".parquet", ".arrow"):
        return _columns(path, data, error, wanted)
    data = as_utf8(data)
    if ending in (".csv", ".tsv"):
        return _cells(path, data, error, wanted, "\t" if ending == ".tsv" else None)
    if wanted.lines and ending in (".txt", ".text") and not _is_json(data):
        return ((number, {"text": line}) for number, line in _lines(path, data, error))
    if data.strip() and data.lstrip()[:1] not in b"{[" and ending not in (".jsonl", ".json", ".ndjson"):
        kinds = ", ".join((*TABLES, *([".txt"] if wanted.lines else [])))
        raise error(f"it holds no rows that can be told; {kinds} are read, also packed ({', '.join(PACKED[:4])})", path)
    return _objects(path, data, error, wanted, ending)


def as_text(value: Any) -> Any:
    """A number as its text; NaN is nothing, as pandas writes it; all else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return None if value != value else str(value)


def turns_in(value: Any, *, bare: bool = True) -> Any:
    """The turns of a chat that stand as JSON in a text, as tables of cells have them; all else as it is.

    Unless `bare` turns, which are no more than a text, are meant, all are objects.
    """
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        turns = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return turns if turns and all(isinstance(turn, dict) or (bare and isinstance(turn, str)) for turn in turns) else value


def _unpacked(path: Path, data: bytes, error: type[FileError]) -> tuple[str, bytes]:
    """The ending that is left when it is unpacked, and what was in it."""
    unpack = next((unpack for mark, unpack in _UNPACK.items() if data.startswith(mark)), None)
    if unpack is not None:
        try:
            data = unpack(data)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as problem:
            raise error(f"this file cannot be unpacked ({problem}); fetch it again", path) from problem
        if data[257:262] == b"ustar":
            raise error("this is an archive of files; unpack it and name the files in it", path)
    return ending_of(path), data


def _arrow_unpacked(data: bytes, codec: str) -> bytes:
    import pyarrow as pa

    return bytes(pa.CompressedInputStream(pa.BufferReader(data), codec).read())


def _lines(path: Path, data: bytes, error: type[FileError]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as problem:
            raise error(f"this line {no_utf8(line)}", path, number) from problem
        if text:
            yield number, text


def _is_json(data: bytes) -> bool:
    """Whether a text is a list or an object of JSON, or has an object in its first line."""
    for text, kinds in ((data.strip().partition(b"\n")[0], (dict,)), (data, (dict, list))):
        with suppress(ValueError, RecursionError):
            if isinstance(json.loads(text), kinds):
                return True
    return False


def _objects(path: Path, data: bytes, error: type[FileError], wanted: Wanted, ending: str) -> Iterator[Numbered]:
    """What stands on each line; or, where the file is one JSON value, the rows in that."""
    fault: ValueError | RecursionError | None = None
    if ending != ".jsonl" or data.lstrip().startswith(b"["):
        try:
            whole = json.loads(data)
        except (ValueError, RecursionError) as problem:
            fault = problem  # it may be JSON Lines, whatever it is called
        else:
            yield from enumerate(_rows_in(whole, wanted), start=1)
            return
    for number, text in _lines(path, data, error):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as problem:
            if isinstance(fault, json.JSONDecodeError) and fault.lineno > number:
                raise error(f"this is not JSON ({fault.msg}); correct it{odd_json(fault)}", path, fault.lineno) from problem
            said = f"this line is not JSON; write one object on each line{odd_json(problem)}"
            raise error(said, path, number) from problem
        fault = None
        yield number, row


def _rows_in(value: Any, wanted: Wanted) -> list[Any]:
    """The rows in one JSON value: a list, a list under a usual name, columns as pandas writes them, or one row."""
    if isinstance(value, list) or not isinstance(value, dict):
        return value if isinstance(value, list) else [value]
    first = next(iter(value.values()), None)
    if isinstance(first, dict) and first and all(map(str.isdigit, first)):
        same = all(isinstance(column, dict) and column.keys() == first.keys() for column in value.values())
        return [value] if not same else [{name: column[place] for name, column in value.items()} for place in first]
    if wanted.key in value:
        return [value]
    lists = [value[name] for name in _WRAPPERS if isinstance(value.get(name), list)]
    rows = [row for some in lists for row in some]
    if rows and all(isinstance(row, dict) for row in rows):
        return [row["row"] if row.keys() >= {"row", "row_idx"} else row for row in rows]  # the Hub's viewer has them so
    return [value]


def _cells(path: Path, data: bytes, error: type[FileError], wanted: Wanted, delimiter: str | None) -> Iterator[Numbered]:
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        number = data.count(b"\n", 0, problem.start) + 1
        raise error(f"this line {no_utf8(data)}", path, number) from problem
    csv.field_size_limit(_LONGEST_CELL)
    head = text.lstrip(" \r\n").partition("\n")[0]
    parting = delimiter or max(_SIGNS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=parting)
    first: list[str] = []
    fewest = before = 0
    try:
        for cells in reader:
            number, before = before + 1, reader.line_num
            if not any(map(str.strip, cells)):
                continue
            if not first:
                first = cells
                fewest = max(place for place, cell in enumerate(first, start=1) if cell or not wanted.named)
                if wanted.named:
                    continue
            if len(cells) < fewest or any(map(str.strip, cells[len(first) :])):  # what is left of a cut text looks whole
                has = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
                quoted = f"put a text with {_SIGNS[parting]} or line ends in quotes"
                raise error(f"this row has {has} and the first one has {len(first)}; {quoted}", path, number)
            yield number, dict(zip(first if wanted.named else map(str, range(1, len(cells) + 1)), cells, strict=False))
    except csv.Error as problem:
        raise error(f"this is not CSV ({problem}); save the file anew", path, before + 1) from problem


def _columns(path: Path, data: bytes, error: type[FileError], wanted: Wanted) -> Iterator[Numbered]:
    import pyarrow as pa

    kind = "an Arrow" if data.startswith((b"ARROW1", b"\xff\xff\xff\xff")) or path.suffix.lower() == ".arrow" else "a Parquet"
    try:
        batches = _arrow_batches(data) if kind == "an Arrow" else _parquet_batches(data, wanted)
        yield from enumerate(chain.from_iterable(batch.to_pylist() for batch in batches), start=1)
    except (pa.ArrowException, OSError, ValueError) as problem:
        why = str(problem).splitlines()[0]
        raise error(f"this is not {kind} file that can be read ({why}); make it anew", path) from problem


def _parquet_batches(data: bytes, wanted: Wanted) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    names = file.schema_arrow.names
    yield from file.iter_batches(columns=[name for name in names if wanted.column(name)] or names)


def _arrow_batches(data: bytes) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    if not data.startswith(b"ARROW1"):
        yield from pa.ipc.open_stream(pa.BufferReader(data))
        return
    file = pa.ipc.open_file(pa.BufferReader(data))
    yield from map(file.get_batch, range(file.num_record_batches))
