"""Signs that came out wrong: characters and line breaks that are written as something else, and what goes on and on."""

import re
from collections.abc import Callable

Find = Callable[[str], str | None]
"""The first mark of one sort in a text; None for none."""

_CODE = re.compile(
    r"(?P<fence>```(?!think)|~~~).*?(?P=fence)|`[^`\n]+`|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|“[^”\n]*”", re.DOTALL
)
"""Code and quotations: what stands there is spoken of, and is meant."""


def outside_code(text: str) -> str:
    """A text with nothing but the marks of its code and quotations."""
    return _CODE.sub("``", text)


def finds(pattern: str, *parts: str, meant: bool = True) -> Find:
    """Looks for a pattern, which takes one of some `parts` if there are any; if `meant`, outside of code and quotations."""
    compiled = re.compile(pattern, re.MULTILINE)

    def find(text: str) -> str | None:
        if parts and not any(part in text for part in parts):
            return None
        found = compiled.search(text)
        if found is not None and meant:
            found = compiled.search(outside_code(text))
        return None if found is None else found[0].strip("\n")

    return find


_BREAK = re.compile(r"\\{1,2}n")
_SURE = re.compile(
    r"\\{1,2}n(?=\\{1,2}[nrt]|[-*#•]|\d+[.)])|(?<=\S)\\{1,2}n\s*\Z"
    r"|(?:(?<=[.!?:;,)”…。！？；：，」])|(?<=\*\*))(?:\\{1,2}r)?\\{1,2}n(?![a-z \\])"
)
"""Followed by another, by an item of a list or by nothing; or after the end of a sentence and right before the next."""
_ATTACHED = re.compile(r"(?<=[\w.,;!?])\\n(?=\w)")
_NO_BREAK = re.compile(
    r"\\n(?:abla|u|e|eq|eg|ot|otin|i|ew\w+|o\w+|ormal\w*|icefrac|cong|exists|mid|[lg]e\w*|less|parallel|sim)\b"
    r"|\b[A-Za-z]:\\\S*|(?<!\S)\\\\\w+\\\S+"
)
"""Formulas of LaTeX, and paths of Windows."""


def unbroken(text: str) -> str | None:
    """Line breaks written out where there are hardly any real ones; in code, formulas and paths they are none."""
    if "\\n" not in text:
        return None
    bare = _NO_BREAK.sub("", outside_code(text))
    attached = list(_ATTACHED.finditer(bare))
    sure = _SURE.search(bare) or (attached[0] if len(attached) > 1 else None)
    if sure is None or len(_BREAK.findall(bare)) <= bare.count("\n"):
        return None
    return bare[max(0, sure.start() - 8) : sure.end() + 8].replace("\n", " ")
