"""Exports with one row of JSON a line: a file, or a folder of train.jsonl and test.jsonl."""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from skills_dspy.base.records import Record

_BUFFER = 1 << 20


class JsonLines:
    """A file of rows, written from its start to its end.

    Args:
        path: the file; it must not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=_BUFFER)

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def close(self) -> None:
        """Hand over everything to the system; a second call does nothing."""
        self._file.close()


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of rows."""
    with ExitStack() as stack:
        lines = JsonLines(path)
        stack.callback(lines.close)
        for row in rows:
            lines.write(row)


class JsonlWriter:
    """Writes every record as a row of a layout.

    Args:
        place: the file, or the folder when there are two sides.
        sides: `train` and `test`, or `train` alone.
        row: the layout.
        stack: closes the files.
    """

    def __init__(
        self, place: Path, sides: tuple[str, ...], row: Callable[[Record], Mapping[str, Any]], stack: ExitStack
    ) -> None:
        paths = {side: place / f"{side}.jsonl" for side in sides} if len(sides) > 1 else {sides[0]: place}
        self._row = row
        self._files = {side: JsonLines(path) for side, path in paths.items()}
        for file in self._files.values():
            stack.callback(file.close)

    def write(self, record: Record, side: str) -> None:
        """Write one record."""
        self._files[side].write(self._row(record))

    def finish(self) -> None:
        """Hand over everything to the system."""
        for file in self._files.values():
            file.close()
