"""Texts of many rows made small: each line once, in parcels of some rows that are unpacked only when one of these is opened.

Prompts of one run share most of what they say. A text becomes the numbers of its lines; a line that only one parcel has
stands in that parcel, one that several have in a list that they share. In a parcel, numbers from 0 on are of the shared list,
and those below are of its own: -1 is its first line.
"""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from skills_dspy.base.visible import visible

_ROWS = 64  # of a parcel: few enough to be unpacked at once, and many enough to share what a draw has in common


@dataclass(frozen=True, slots=True)
class KeptText:
    """A text by the numbers of its lines, to be put into a parcel."""

    lines: tuple[int, ...]


@dataclass(slots=True)
class Lines:
    """All different lines, and the numbers that they have."""

    numbers: dict[str, int] = field(default_factory=dict)

    def text(self, text: str, *, whole: bool = False) -> KeptText:
        """A text as it may be seen, by lines; as a single one where it is known to come again as a `whole`."""
        parts = (text,) if whole else text.split("\n")
        return KeptText(tuple(self.numbers.setdefault(part, len(self.numbers)) for part in parts))


@dataclass(frozen=True, slots=True)
class Packed:
    """The lines that several parcels have, and the parcels of `rows_of_each` rows; each is base64 of what zlib made small."""

    shared: str
    parcels: tuple[str, ...]
    rows_of_each: int = _ROWS


def pack_rows(rows: Sequence[Any], lines: Lines) -> Packed:
    """Pack rows: each is JSON, with a `KeptText` where a text stands that others may share."""
    parcels = [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]
    used = [dict.fromkeys(number for row in parcel for number in _numbers(row)) for parcel in parcels]
    first: dict[int, int] = {}
    common: dict[int, int] = {}
    for place, numbers in enumerate(used):
        for number in numbers:
            if first.setdefault(number, place) != place:
                common.setdefault(number, len(common))
    texts = [visible(line) for line in lines.numbers]
    return Packed(
        packed([texts[number] for number in common]),
        tuple(_parcel(parcel, numbers, common, texts) for parcel, numbers in zip(parcels, used, strict=True)),
    )


def _parcel(rows: Sequence[Any], numbers: Iterable[int], common: dict[int, int], texts: Sequence[str]) -> str:
    own = [number for number in numbers if number not in common]
    places = common | {number: -1 - place for place, number in enumerate(own)}
    return packed([[texts[number] for number in own], rows], lambda kept: [places[number] for number in kept.lines])


def packed(content: object, plain: Callable[[KeptText], list[int]] | None = None) -> str:
    """JSON made small, as letters that may stand anywhere in a page; `plain` says what stands for a text."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "backslashreplace"), 9)).decode("ascii")


def _numbers(value: Any) -> Iterable[int]:
    if isinstance(value, KeptText):
        yield from value.lines
    elif isinstance(value, dict):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
