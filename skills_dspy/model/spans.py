"""Where a value stands in a JSON reply, and which of the reply's tokens it begins in."""

import json
import re
from collections.abc import Iterator, Sequence

BLANKS = " \t\n\r"
"""What JSON allows between its marks."""

_BROKEN = "\N{REPLACEMENT CHARACTER}"
_AROUND = re.compile(r"(?:\s|<[^<>\s]{1,40}>|\[/?[A-Z_]{1,40}\])*")
"""What a list of tokens may hold before and after the reply: blanks, and the tokens that begin and end a turn."""


def value_span(text: str, key: str) -> tuple[int, int] | None:
    """Where the value of a top-level key stands in a JSON object: its first character and the one after its last.

    None if the text is no JSON object, lacks the key or has it twice.
    """
    try:
        spans = [(start, end) for name, start, end in _items(text) if name == key]
    except (ValueError, IndexError, RecursionError):
        return None
    return spans[0] if len(spans) == 1 else None


def first_token(tokens: Sequence[str], text: str, place: int) -> tuple[int, int] | None:
    """The number of the token in which a character of the text stands, and how much of the token stands before it.

    None if the tokens are not the text's. One that holds part of a character has U+FFFD in its place in the list: before
    the place, only what comes after the last such token is compared.
    """
    joined, before, rest = "".join(tokens), text[:place].lstrip(), text[place:].rstrip()
    at = joined.rfind(rest)
    if at < 0 or not _AROUND.fullmatch(joined, at + len(rest)):
        return None
    told = joined[:at]
    if not (told.endswith(before) and _AROUND.fullmatch(told, 0, at - len(before))):
        _, broken, after_it = told.rpartition(_BROKEN)
        if not broken or not before.endswith(after_it):
            return None
        before = after_it
    start = 0
    for number, token in enumerate(tokens):
        if start + len(token) > at:
            return (number, at - start) if at - start <= len(before) else None
        start += len(token)
    return None


def _items(text: str) -> Iterator[tuple[str, int, int]]:
    """The keys of a JSON object with the spans of their values; ValueError or IndexError when it is none."""
    decoder = json.JSONDecoder()
    place = _after(text, 0, "{")
    while text[place] != "}":
        key, place = decoder.raw_decode(text, place)
        start = _after(text, place, ":")
        _, end = decoder.raw_decode(text, start)
        yield key, start, end
        place = _after_blanks(text, end)
        if text[place] != "}":
            place = _after(text, place, ",")


def _after(text: str, place: int, mark: str) -> int:
    """The place after a mark, with the blanks on both sides of it."""
    place = _after_blanks(text, place)
    if text[place] != mark:
        raise ValueError(f"no {mark} at {place}")
    return _after_blanks(text, place + 1)


def _after_blanks(text: str, place: int) -> int:
    while text[place] in BLANKS:
        place += 1
    return place
