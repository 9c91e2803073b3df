"""What is said of a text that is no YAML: the odd character that breaks it, if one does, else PyYAML's words with a remedy."""

import re
from typing import Any

import yaml

from skills_dspy.base.unseen import placed, to_blame

_HALVES = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
"""Escapes of half characters, which libyaml refuses."""
_QUICKEST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HINTS = (
    ("'\\t'", "indent with spaces, not tabs, and put text that holds one in quotes"),
    ("mapping values are not allowed", "put text that holds `: ` in quotes, or write it as a block (`|`)"),
    ("expected <block end>", "line the keys up, and put text that holds quotes of its own in a block (`|`)"),
    ("cannot start any token", "put text that starts with @, ` or % in quotes"),
    ("unknown escape character", "write a backslash inside double quotes as \\\\"),
    ("end of stream", "close the quotes"),
    ("'<stream end>'", "close the bracket"),
    ("could not find expected ':'", "write `key: value`, and indent text that goes on in the next line"),
)
_HINT_OTHERWISE = "check the quotes and the indentation there"


def no_yaml(text: str, problem: yaml.MarkedYAMLError, said: str, *, last: bool) -> tuple[str, int]:
    """The sentence about a text that PyYAML refuses, and where it is to be seen.

    Args:
        said: the problem in PyYAML's words, fit to be shown.
        last: whether nobody reads the text again; only then an odd character is looked for, which takes its time.
    """
    hint = next((hint for part, hint in _HINTS if part in str(problem.problem)), _HINT_OTHERWISE)
    # Quotes and brackets that are never closed run to the end of the file: where they were opened is what helps.
    at_end = "end of stream" in said or "'<stream end>'" in said
    begun: Any = problem.context_mark
    mark: Any = (begun if at_end else problem.problem_mark) or begun
    index = mark.index if mark else 0
    if last:
        first = index if at_end else begun.index if begun else 0
        if (blamed := to_blame(text, _fault, first, index)) is not None:
            at, todo = blamed
            return f"this is not YAML: {placed(text, at)} breaks it; {todo}", at
        if text[index : index + 1] == "\t":
            said = f"{placed(text, index)} breaks it"
    return f"this is not YAML: {said}; {hint}", index


def _fault(text: str) -> int | None:
    """Where a text is no YAML, in characters; None where it is YAML."""
    try:
        for _ in yaml.parse(_HALVES.sub(r"\\u0041", text), Loader=_QUICKEST):
            pass
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        return 0 if mark is None else int(mark.index)
    except (ValueError, OverflowError):
        return 0
    return None
