"""Characters that nobody sees, or takes for a sign of YAML or JSON: which they are, and which one is to blame."""

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice

_BLANKS = r"\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000"
_NOTHINGS = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""What looks like a blank, and like nothing, as a pattern's characters (Unicode's spaces, and what it calls ignorable)."""
_MEANT = {'"': "“”„‟«»＂″", "'": "‘’‚‛＇′", ": ": "：﹕∶꞉", "-": "‐‑‒–—―−－﹣", ", ": "，、"}
_MEANT |= {"[": "［", "]": "］", "{": "｛", "}": "｝"}
"""A sign of YAML or JSON, and what looks like it."""
_SIGNS = {sign: meant for meant, signs in _MEANT.items() for sign in signs}
_NAMES = {"\0": "null", "\a": "bell", "\b": "backspace", "\t": "tab", "\v": "line tabulation", "\f": "form feed"}
_NAMES |= {"\x1b": "escape", "\x7f": "delete", "\x85": "next line", "\ufeff": "byte order mark"}
UNSEEN = re.compile(f"[{_BLANKS}{_NOTHINGS}]")
"""Any character that looks like a blank or like nothing, but for the blank, the tab and line breaks."""
ODD = re.compile(f"[{_BLANKS}{_NOTHINGS}{''.join(_SIGNS)}]")
"""The same, and any that looks like a sign of YAML or JSON."""
_BLANK = re.compile(f"[\t{_BLANKS}]")
_INDENTED = re.compile(f"(?:[\\s-]|{UNSEEN.pattern})*")
_RUNS = re.compile(f"(?:{ODD.pattern})+")
_BLOCKS = re.compile(r"[｜│∣￨＞﹥][-+0-9]*\s")
_QUOTES = {quote: meant for meant in "\"'" for quote in _MEANT[meant]}
_BY_BLANK, _OUT = "write a blank instead", "take it out"
_TRIALS = 12
"""So many repairs are tried at most: each reads the file anew."""
_LARGEST = 2**18
"""Characters of a text in which repairs are tried: reading it takes well below a second."""


def named(character: str) -> str:
    """A character by its code point and its name: `U+00A0 (no-break space)`."""
    name = _NAMES.get(character) or unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X}{f' ({name})' if name else ''}"


def placed(text: str, index: int) -> str:
    """The character at a place of a text, with its 1-based column."""
    begin = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    return f"{named(text[index])} in column {index - begin + 1}"


def remedy(character: str) -> str:
    """What to do about an odd character where a sign or a key stands."""
    meant = _instead(character)
    return _BY_BLANK if meant == " " else f"write `{meant}` instead" if meant else _OUT


def _instead(character: str) -> str:
    return _SIGNS.get(character) or (" " if _BLANK.match(character) else "")


def mistaken(text: str) -> str:
    """What is odd of a text that would be in a block or in quotes, were its signs those of YAML; empty where nothing is."""
    if _BLOCKS.match(text):
        sign = ">" if text[0] in "＞﹥" else "|"
        return f"begins with {named(text[0])}, which begins no block: its lines are one; write `{sign}` instead"
    meant = _QUOTES.get(text[:1])
    if meant and len(text) > 2 and [place for place, char in enumerate(text) if char in _MEANT[meant]] == [0, len(text) - 1]:
        return (
            f"stands between {named(text[0])} and {named(text[-1])}, which belong to the text; write `{meant}` if not meant so"
        )
    return ""


def odd_json(problem: Exception) -> str:
    """What is odd where a reader of JSON stopped, as the end of a sentence; empty where nothing is."""
    if not isinstance(problem, json.JSONDecodeError) or not ODD.match(problem.doc, problem.pos):
        return ""
    return f"; there is {placed(problem.doc, problem.pos)}: {remedy(problem.doc[problem.pos])}"


def odd_key(text: str, start: int, end: int) -> str:
    """What is odd in a key that stands there, or before it in its line, as the middle of a sentence; empty where nothing is."""
    begin = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    before = begin if _INDENTED.fullmatch(text, begin, start) else start
    found = UNSEEN.search(text, before, end) or ODD.search(text, start, end)
    if not found:
        return ""
    indents = found.start() == begin and remedy(found.group()) == _OUT
    return f"{placed(text, found.start())}, {remedy(found.group())}{', and indent with blanks' if indents else ''}"


def foreign_letter(key: str) -> str:
    """The first letter of a key that is not of ASCII, as the middle of a sentence; empty where all are."""
    return next((f", with {named(char)} in it" for char in key if not char.isascii()), "")


def to_blame(text: str, fault: Callable[[str], int | None], first: int, last: int) -> tuple[int, str] | None:
    """Where the odd character stands without which a reader gets further in a text that it refuses, and what to do about it.

    Nearest to the end is tried first: one run of them after the other, then all of a line. None where none is to blame.

    Args:
        fault: where a text is refused, None where it is not.
        first, last: the part of the text in which it may stand.
    """
    refused = fault(text) if len(text) <= _LARGEST else None
    if refused is None:
        return None
    for start, stop in islice(_suspects(text, first, last), _TRIALS):
        part = text[start:stop]
        meant = ODD.sub(lambda odd: _instead(odd.group()), part)
        repairs = {" " * len(part): _BY_BLANK, "": _OUT, meant: remedy(part[0])}
        if "\u3000" in part:  # as wide as two
            repairs[meant.replace(" ", "  ")] = "write two blanks for each instead"
        reached = {now: _reached(fault(text[:start] + now + text[stop:]), len(now) - len(part)) for now in repairs}
        best = max((meant, "", *repairs), key=lambda now: reached[now])
        if reached[best] > refused:
            return start, repairs[best]
    return None


def _reached(place: int | None, grown: int) -> float:
    """How far a reader got, in places of the text as it was."""
    return math.inf if place is None else place - max(0, grown)


def _suspects(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Runs of odd characters in a part of a text, one after the other, and from the first to the last of a line."""
    for begin, end in reversed([*_lines(text, first, last)]):
        runs = [run.span() for run in _RUNS.finditer(text, begin, end)]
        yield from reversed(runs)
        if len(runs) > 1:
            yield runs[0][0], runs[-1][1]


def _lines(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The lines of a part of a text, from where it begins to the end of the line in which it ends."""
    for line in re.compile(r"[^\r\n]+").finditer(text, text.rfind("\n", 0, first) + 1):
        if line.start() > last:
            return
        yield line.span()
