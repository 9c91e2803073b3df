"""What a reply says: its text, and the thoughts before it, which servers put in a place of their own or leave in the text."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_NAMES = ("think", "thinking", "thought", "seed:think", "reflection", "scratchpad")
_MARKS = (*((f"<{name}>", f"</{name}>") for name in _NAMES), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"))
"""How models without a template of their own begin and end their thoughts."""


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
    if thoughts or request.get("think") is False:
        return Said(text, thoughts)
    return next(filter(None, (_parted(text, *marks) for marks in _MARKS)), Said(text, ""))


def _parted(text: str, begin: str, end: str) -> Said | None:
    """What stands after the one block of thoughts with which a text begins; a template may have begun it in the prompt."""
    opened = text.lstrip().startswith(begin)
    if text.count(begin) != opened or text.count(end) > 1:
        return None
    before, closed, after = text.partition(end)
    if not closed and not opened:
        return None
    return Said(after, before.lstrip().removeprefix(begin).strip())
