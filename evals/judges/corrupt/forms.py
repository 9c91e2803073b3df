"""The forms that answers have, and answers that have lost theirs: pure functions of strings."""

import csv
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

Form = Literal["json", "table", "csv", "list", "labelled", "lines", "commas"]
"""A JSON value; a Markdown table; rows of fields; items with markers; lines with a label each; short lines; a row of words."""

_ITEM = re.compile(r"^\s*(?:[-*•–]|\(?(?:[0-9]+|[a-z])\\?[.)])\s+(?=\S)")
_LABEL = re.compile(r"^\s*\**(?P<label>[^\W\d_][\w .'’-]{0,39}):\**\s+(?=\S)")
_RULE = re.compile(r"^[\s|:+-]+$")
_FENCE = re.compile(r"^\s*```\w*\s*$")
_DELIMITERS = (";", "\t", ",", "|")
_SHORT_LINE = 80
_SHORT_FIELD = 8  # words

_FORM_WORDS: Mapping[Form, str] = {
    "json": "json",
    "table": "table|columns?|rows?",
    "csv": "csv|comma|semicolons?|columns?|header",
    "list": "lists?|bulleted|bullets?|numbered|points?|items|steps|one per line",
    "labelled": r"debate|dialogue|dialog|interview|per line|separate lines?|format|debat\w+",
    "lines": "haiku|poem|sonnet|limerick|verses?|stanzas?|ballad|ode|per line|lines|newlines?",
    "commas": "commas?",
}
"""What a question says when it asks for a form."""


def asks_for(form: Form, question: str) -> bool:
    """Whether a question names a form; loose, since it is only asked about the form that the answer has."""
    return re.search(rf"\b(?:{_FORM_WORDS[form]})\b", question, re.IGNORECASE) is not None


def form_of(answer: str) -> Form | None:
    """The form of an answer; None for prose, a single word or line, and anything else."""
    lines = _lines(answer)
    if answer.lstrip().startswith(("{", "[")) and _json(answer) is not None:
        return "json"
    if len(lines) < 2:
        parts = [part.strip() for part in answer.split(",")]
        return "commas" if len(parts) > 1 and all(0 < len(part.split()) <= 2 for part in parts) else None
    if sum(line.lstrip().startswith("|") for line in lines) * 2 > len(lines) and len(lines) > 2:
        return "table"
    if max(2, len(lines) / 2) <= sum(bool(_ITEM.match(line)) for line in lines):
        return "list"
    if _rows(lines) is not None:
        return "csv"
    if all(_LABEL.match(line) for line in lines):
        return "labelled"
    return "lines" if all(len(line) <= _SHORT_LINE for line in lines) else None


def formless(answer: str) -> str | None:
    """The words of an answer in one paragraph without the signs and breaks of its form; None where it has none."""
    lines = _lines(answer)
    match form_of(answer):
        case None:
            return None
        case "json":
            flat = _spoken(_json(answer))
        case "table":
            flat = " ".join(word for line in lines if not _RULE.match(line) for word in line.replace("|", " ").split())
        case "csv":
            flat = " ".join(field.strip() for row in _rows(lines) or [] for field in row if field.strip())
        case "list":
            flat = " and ".join(_ITEM.sub("", line).strip() for line in lines)
        case "labelled":
            flat = " ".join(_LABEL.sub("", line).strip() for line in lines)
        case "lines":
            flat = " ".join(line.strip().rstrip(",;.:!—–- ").strip() for line in lines)
        case "commas":
            flat = " and ".join(part.strip() for part in answer.strip().split(","))
    return flat if flat.strip() and flat != answer else None


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not _FENCE.match(line)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _spoken(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {_spoken(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(_spoken(inner) for inner in value)
    return "" if value is None else str(value)


def _rows(lines: list[str]) -> list[list[str]] | None:
    """The fields of all lines, where some delimiter gives each line as many short ones, and none ends the first line."""
    for delimiter in _DELIMITERS:
        if delimiter not in lines[0] or lines[0].rstrip().endswith(delimiter):
            continue
        try:
            rows = list(csv.reader(lines, delimiter=delimiter, strict=True))
        except csv.Error:
            continue
        if len({len(row) for row in rows}) == 1 and all(len(field.split()) <= _SHORT_FIELD for row in rows for field in row):
            return rows
    return None
