"""A file with one row of JSON a line."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_BUFFER = 1 << 20


@contextmanager
def json_lines(path: Path, layout: Callable[[Any], Mapping[str, Any]] = dict) -> Iterator[Callable[[Any], None]]:
    """A new file that rows are written to one by one; `layout` makes a row of what is written."""
    with path.open("xb", buffering=_BUFFER) as file:

        def write(item: Any) -> None:
            file.write(json.dumps(layout(item), ensure_ascii=False, allow_nan=False).encode() + b"\n")

        yield write
