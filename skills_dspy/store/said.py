"""What a reply says: its text, the thoughts before it, which servers put beside it or leave in it, and counts."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_MARKS = tuple(
    (re.compile(begin, re.IGNORECASE), re.compile(end, re.IGNORECASE))
    for begin, end in (
        *((rf"<{name}(?: [^<>\n]*)?>", f"</{name}>") for name in ("think", "seed:think", "thinking", "thought")),
        (r"\[THINK\]", r"\[/THINK\]"),
        ("◁think▷", "◁/think▷"),
    )
)
"""How models without a template of their own begin and end their thoughts."""


_LARGEST = 2**63 - 1  # what SQLite can count to


class Said(NamedTuple):
    """The text of a reply, and its thoughts without blanks around them; both empty where there are none."""

    text: str
    thoughts: str


def said_in(body: Mapping[str, Any], request: Mapping[str, Any]) -> Said:
    """The two parts of a journaled reply.

    Where the model was told not to think, a text that begins with a block of thoughts is left as it is: that is no answer.
    """
    message = body.get("message") or {}
    text, thoughts = str(message.get("content") or ""), str(message.get("thinking") or "").strip()
    if thoughts:
        return Said(text, next(filter(None, (_parted(thoughts, *marks) for marks in _MARKS)), Said("", thoughts)).thoughts)
    if request.get("think") is False:
        return Said(text, "")
    return next(filter(None, (_parted(text, *marks) for marks in _MARKS)), Said(text, ""))


def counted(body: Mapping[str, Any], name: str) -> int:
    """A count of a journaled reply, such as `eval_count`; 0 where the server gives none, or what is none."""
    value = body.get(name)
    return int(value) if isinstance(value, int | float) and 0 <= value <= _LARGEST else 0


def _parted(text: str, begin: re.Pattern[str], end: re.Pattern[str]) -> Said | None:
    """What stands after the one block of thoughts with which a text begins; a template may have begun it in the prompt."""
    begins, ends = list(begin.finditer(text)), list(end.finditer(text))
    if len(begins) > 1 or len(ends) > 1 or not (begins or ends) or any(text[: found.start()].strip() for found in begins):
        return None
    if not begins and re.search(rf"^{end.pattern}[ \t]*\n", text, re.MULTILINE | re.IGNORECASE) is None:
        return None  # it only speaks of such a mark
    first, last = begins[0].end() if begins else 0, ends[0] if ends else None
    return Said("" if last is None else text[last.end() :], text[first : last and last.start()].strip())
