"""What a terminal shows of a text that others wrote: control characters as escapes, so that nothing in it acts."""

import re

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and line feed, those that turn the direction of writing, line breaks that few know, and
halves of characters."""


def visible(text: str) -> str:
    """The text with `\\x1b` in the place of a control character, and `\\u202e` in that of one above 7f.

    The longer form stands in strings of JSON as well, whose own writer escapes only what is below 20.
    """
    return _ACTING.sub(_escape, text)


def visible_line(text: str) -> str:
    """The same in one line: of line feeds and of all else that cannot be seen there are escapes, too."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x7F else f"\\u{code:04x}"
