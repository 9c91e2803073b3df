"""The typed columns of an exported record, and files of them: Parquet in row groups, so that memory stays flat."""

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skills_dspy.base.records import Record
from skills_dspy.commands.export.layouts import RATED_TAGS, ROLE_NAMES, TAG_NAMES, typed_row

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 10_000
"""Rows in a row group: what is held in memory at once, in columns. What a file's end says of its groups is held as well."""

_BATCH = 500  # rows held as objects, which take several times the room

SHARD = 250_000
"""Rows in one file of a folder of shards."""

HF_NAMES = re.compile(r"README\.md|data/(train|test)-\d{5}-of-\d{5}\.parquet")
"""The paths of all that is written into a folder for `datasets.load_dataset`: the card, and shards."""


def schema() -> "pa.Schema":
    """The columns: those of `records.Record`, nested as it is; lists of small records where it maps steps or labels."""
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    probability = pa.struct([_must("label", text), _must("probability", pa.float64())])
    soft = pa.struct(
        [_must("probabilities", pa.list_(probability)), _must("expected", pa.float64()), _must("mass", pa.float64())]
    )
    verdict = pa.struct([_must("explanation", text), _must("rating", pa.int8()), pa.field("soft", soft)])
    tags = pa.struct(
        [
            _must("instruction_quality", text),
            _must("sample_quality", pa.int8()),
            _must("difficulty", text),
            _must("category", text),
            _must("other_categories", texts),
            _must("explanations", pa.struct([pa.field(name, text) for name in TAG_NAMES])),
            _must("soft", pa.struct([pa.field(name, soft) for name in RATED_TAGS])),
        ]
    )
    provenance = pa.struct(
        [
            _must("draw", pa.int64()),
            _must("index", pa.int32()),
            _must("shown", texts),
            _must("models", pa.struct([pa.field(name, text) for name in ROLE_NAMES])),
            _must("prompts", pa.list_(pa.struct([_must("step", text), _must("fingerprint", text)]))),
            _must("calls", pa.list_(pa.struct([_must("step", text), _must("digests", texts)]))),
            pa.field("neighbour", pa.struct([_must("id", text), _must("distance", pa.float64())])),
        ]
    )
    first = [_must(name, text) for name in ("id", "task_name", "task_description", "instruction", "response")]
    verdicts = [_must("question_verdict", verdict), _must("pair_verdict", verdict)]
    return pa.schema([*first, pa.field("context", text), _must("tags", tags), *verdicts, _must("provenance", provenance)])


def _must(name: str, kind: Any) -> Any:
    """A column that is never null. Nested ones are left nullable: not every reader takes a struct that may not be null."""
    import pyarrow as pa

    return pa.field(name, kind, nullable=pa.types.is_nested(kind))


class ParquetFile:
    """One file, a row group at a time.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._schema = schema()
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._batches: list[pa.RecordBatch] = []
        self.count = 0

    def write(self, record: Record) -> None:
        """Add one record."""
        self._rows.append(typed_row(record))
        self.count += 1
        if len(self._rows) == _BATCH:
            self._to_columns()
        if len(self._batches) * _BATCH == GROUP:
            self._write_group()

    def finish(self) -> None:
        """Write what waits and the file's end."""
        self._to_columns()
        self._write_group()
        self._writer.close()

    def close(self) -> None:
        """Let go of a file that was not finished: something has failed, and it will be removed. A finished one is closed."""
        import pyarrow as pa

        if self._writer.is_open:
            # On a full disk the file's end cannot be written either, and that is not what the user should hear of.
            with suppress(OSError, pa.ArrowException):
                self._writer.close()

    def _to_columns(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._batches.append(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()

    def _write_group(self) -> None:
        import pyarrow as pa

        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches), row_group_size=GROUP)
            self._batches.clear()


class Shards:
    """One side of a dataset as files of SHARD rows, named `<side>-00000-of-00003.parquet` when their number is known.

    Args:
        folder: where they lie.
        side: `train` or `test`.
        rows: of one file.
    """

    def __init__(self, folder: Path, side: str, rows: int = SHARD) -> None:
        self._folder, self._side, self._limit = folder, side, rows
        self._paths: list[Path] = []
        self._open: ParquetFile | None = None

    def write(self, record: Record) -> None:
        """Add one record."""
        if self._open is None or self._open.count == self._limit:
            self._finish_open()
            self._paths.append(self._folder / f"{self._side}-{len(self._paths):05d}.parquet")
            self._open = ParquetFile(self._paths[-1])
        self._open.write(record)

    def finish(self) -> None:
        """Write the last file's end, and give all their names."""
        self._finish_open()
        for number, path in enumerate(self._paths):
            path.rename(self._folder / f"{self._side}-{number:05d}-of-{len(self._paths):05d}.parquet")

    def _finish_open(self) -> None:
        if self._open is not None:
            self._open.finish()
            self._open = None

    def close(self) -> None:
        """Let go of a file that was not finished."""
        if self._open is not None:
            self._open.close()
            self._open = None
