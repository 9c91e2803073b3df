"""The typed columns of an exported record, and files of them: Parquet in row groups, so that memory stays flat."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skills_dspy.base.columns import TAG_NAMES
from skills_dspy.base.records import HumanReview, Record
from skills_dspy.commands.export.layouts import RATED_TAGS, ROLE_NAMES, typed_row

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 10_000
"""Rows in a row group: what is held in memory at once, in columns. What a file's end says of its groups is held as well."""

_BATCH = 500  # rows held as objects, which take several times the room
SHARD = 250_000
"""Rows in one file of a folder of shards."""

HF_NAMES = re.compile(r"README\.md|data/(train|test)-\d{5}-of-\d{5}\.parquet")
"""The paths of all that is written into a folder for `datasets.load_dataset`: the card, and shards."""


def schema(*, thoughts: bool = False, reviewed: bool = False) -> "pa.Schema":
    """The columns: those of `records.Record`, nested as it is; lists of small records where it maps steps or labels.

    With `thoughts` one more, for those of the generator; with `reviewed` one of the provenance, for what a person did.
    """
    import pyarrow as pa

    text, number, small = pa.string(), pa.float64(), pa.int8()
    texts = pa.list_(text)
    soft = _struct(probabilities=pa.list_(_struct(label=text, probability=number)), expected=number, mass=number)
    verdict = _struct(explanation=text, rating=small, soft=soft)
    tags = _struct(
        instruction_quality=text,
        sample_quality=small,
        difficulty=text,
        category=text,
        other_categories=texts,
        explanations=pa.struct([(name, text) for name in TAG_NAMES]),
        soft=pa.struct([(name, soft) for name in RATED_TAGS]),
    )
    source = _struct(
        draw=pa.int64(),
        index=pa.int32(),
        shown=texts,
        fitting=texts,
        models=pa.struct([(name, text) for name in ROLE_NAMES]),
        prompts=pa.list_(_struct(step=text, fingerprint=text)),
        calls=pa.list_(_struct(step=text, digests=texts)),
        neighbour=_struct(id=text, distance=number),
    )
    looked = pa.struct([(name, text) for name in HumanReview.model_fields])
    provenance = pa.struct([*source, pa.field("rewritten", text), *([pa.field("reviewed", looked)] if reviewed else ())])
    first = _struct(id=text, task_name=text, task_description=text, instruction=text, response=text)
    rest = _struct(tags=tags, question_verdict=verdict, pair_verdict=verdict, provenance=provenance)
    more = _struct(reasoning_content=text) if thoughts else ()
    return pa.schema([*first, pa.field("context", text), *rest, *more])


def _struct(**kinds: Any) -> Any:
    """Columns that are never null, but for nested ones: not every reader takes a struct that may not be null."""
    import pyarrow as pa

    return pa.struct([pa.field(name, kind, nullable=pa.types.is_nested(kind)) for name, kind in kinds.items()])


@contextmanager
def parquet_file(path: Path, *, thoughts: bool = False, reviewed: bool = False) -> Iterator[Callable[[Record], None]]:
    """A file that records are written to one by one; it is whole when the block ends without an exception."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = schema(thoughts=thoughts, reviewed=reviewed)
    rows: list[dict[str, Any]] = []
    batches: list[pa.RecordBatch] = []

    def write(record: Record) -> None:
        rows.append(typed_row(record))
        if len(rows) == _BATCH:
            to_columns()
        if len(batches) * _BATCH == GROUP:
            write_group()

    def to_columns() -> None:
        batches.append(pa.RecordBatch.from_pylist(rows, schema=columns))
        rows.clear()

    def write_group() -> None:
        file.write_table(pa.Table.from_batches(batches, schema=columns), row_group_size=GROUP)
        batches.clear()

    file = pq.ParquetWriter(path, columns, compression="zstd")
    try:
        yield write
        if rows:
            to_columns()
        if batches:
            write_group()
        file.close()
    finally:
        if file.is_open:
            # On a full disk the file's end cannot be written either, and that is not what the user should hear of.
            with suppress(OSError, pa.ArrowException):
                file.close()


@contextmanager
def shards(folder: Path, side: str, *, thoughts: bool = False, reviewed: bool = False) -> Iterator[Callable[[Record], None]]:
    """One side of a dataset as files of SHARD rows, named `<side>-00000-of-00003.parquet` when their number is known."""
    paths: list[Path] = []
    count = 0
    write_row: Callable[[Record], None] | None = None
    with ExitStack() as opened:

        def write(record: Record) -> None:
            nonlocal count, write_row
            if write_row is None or count % SHARD == 0:
                opened.close()
                paths.append(folder / f"{side}-{len(paths):05d}.parquet")
                write_row = opened.enter_context(parquet_file(paths[-1], thoughts=thoughts, reviewed=reviewed))
            count += 1
            write_row(record)

        yield write
    for number, path in enumerate(paths):
        path.rename(folder / f"{side}-{number:05d}-of-{len(paths):05d}.parquet")
