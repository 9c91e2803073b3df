"""A file with one row of JSON a line."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_BUFFER = 1 << 20


class JsonLines:
    """A file of rows, written from its start to its end.

    Args:
        path: the file; it must not be there yet.
        layout: makes a row of what is written; without one that is a row already.
    """

    def __init__(self, path: Path, layout: Callable[[Any], Mapping[str, Any]] = dict) -> None:
        self._file = path.open("xb", buffering=_BUFFER)
        self._layout = layout

    def write(self, item: Any) -> None:
        """Write one row."""
        self._file.write(json.dumps(self._layout(item), ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def finish(self) -> None:
        """Hand over everything to the system; a second call does nothing."""
        self._file.close()

    def close(self) -> None:
        """The same, for a file that may be half-written."""
        self._file.close()
