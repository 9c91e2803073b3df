"""Rows to be scored, from lines of JSON: those of a run of ours, and those of others in three layouts.

A line of a file is one of three layouts, each line for itself:
- `instruction` and `response` (or `output`), `context` (or `input`) if there is one: as a run writes them, and as many do;
- `question` and `answer`, `context` likewise;
- `messages`, a chat: the last user turn is the question, the last assistant turn with text after it the answer. System
  messages and earlier turns are left out.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skills_dspy.base.columns import from_columns, whole
from skills_dspy.base.errors import FileError
from skills_dspy.base.records import Record, SoftRating
from skills_dspy.base.scales import SCALES, Label
from skills_dspy.base.yaml_lines import shown
from skills_dspy.store.files import storage_errors

RATINGS: Mapping[str, tuple[Label, ...]] = {scale.name: scale.labels for scale in SCALES}
"""What a row of ours is rated by, with all labels; worst first but for the category, which has no order."""

_QUESTIONS = {"instruction": ("response", "output"), "question": ("answer",)}
_CONTEXTS = ("context", "input")
LAYOUTS = "`instruction` with `response`, `question` with `answer`, or `messages`"  # what a line may hold


@dataclass(frozen=True, slots=True)
class Row:
    """One pair, neither question nor answer nor context blank.

    Attributes:
        ratings: a name of RATINGS to the label; none where the row has none of ours.
        soft: the same names to the soft rating, where the server gave one; none for the category.
        shown: the examples in the prompts that it was written with, `seed:K` or row ids; None where that is not known.
    """

    question: str
    answer: str
    context: str | None = None
    ratings: Mapping[str, Label] = field(default_factory=dict)
    soft: Mapping[str, SoftRating] = field(default_factory=dict)
    shown: tuple[str, ...] | None = None


def read_jsonl(path: Path) -> Iterator[Row]:
    """The rows of a file of JSON Lines, one at a time; empty lines are passed over.

    Raises:
        FileError: a line is not a JSON object, has none of the three layouts, or holds a blank question or answer.
        StorageError: the file cannot be read.
    """
    with storage_errors("read", path), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                yield row_of(_object(text, path, number), path, number)


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        content = json.loads(line.decode())
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    what = "this line is not a JSON object" if content is None else "this line is JSON, but no object"
    raise FileError(f'{what}; write one object a line, such as {{"instruction": "...", "response": "..."}}', path, number)


def row_of(content: Mapping[str, Any], path: Path, number: int) -> Row:
    """The row that the object of a line holds; FileError, with path and line number, if it has none of the three layouts."""
    try:
        content = from_columns(content)
    except ValueError as error:
        raise FileError(f"this is no row of a run: {error}; restore the file", path, number) from error
    if question := next((key for key in _QUESTIONS if key in content), None):
        answer = next((key for key in _QUESTIONS[question] if key in content), None)
        if answer is None:
            raise FileError(f"there is `{question}` but no `{_QUESTIONS[question][0]}`; add it", path, number)
        asked, told = _text(content, question, path, number), _text(content, answer, path, number)
    elif "messages" in content:
        asked, told = _chat(content["messages"], path, number)
    else:
        keys = ", ".join(f"`{shown(key, 30)}`" for key in list(content)[:5]) or "no key"
        raise FileError(f"there is {keys} where {LAYOUTS} should be; name the keys like this", path, number)
    ratings, soft = _ratings(content)
    examples = _mapping(content.get("provenance")).get("shown")
    shown_with = tuple(map(str, examples)) if isinstance(examples, list) else None
    return Row(asked, told, _context(content, path, number), ratings, soft, shown_with)


def _context(content: Mapping[str, Any], path: Path, number: int) -> str | None:
    """The context; an empty one, as many write it where there is none, is none."""
    for key in _CONTEXTS:
        value = content.get(key)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return _text(content, key, path, number)
    return None


def _text(content: Mapping[str, Any], key: str, path: Path, number: int) -> str:
    value = content[key]
    if not isinstance(value, str):
        raise FileError(f"`{key}` is not text; write it in quotes", path, number)
    if not value.strip():
        raise FileError(f"`{key}` is blank; write text there or leave out the line", path, number)
    return str(whole(value))


def _chat(messages: object, path: Path, number: int) -> tuple[str, str]:
    if not isinstance(messages, list) or not all(isinstance(turn, dict) for turn in messages):
        raise FileError("`messages` is not a list of turns; write objects with `role` and `content`", path, number)
    turns = [(str(turn.get("role")), _content(turn.get("content"))) for turn in messages]
    last = max((place for place, (role, _) in enumerate(turns) if role == "user"), default=None)
    if last is None:
        raise FileError("`messages` has no turn of the role `user`; a chat needs one, and an answer to it", path, number)
    answers = [text for role, text in turns[last + 1 :] if role == "assistant" and text.strip()]
    if not answers:
        raise FileError("no `assistant` turn with text follows the last `user` turn; add the answer", path, number)
    if not turns[last][1].strip():
        raise FileError("the last `user` turn is blank; write text there or leave out the line", path, number)
    return whole(turns[last][1]), whole(answers[-1])


def _content(content: object) -> str:
    """The text of a turn, which some write as a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _ratings(content: Mapping[str, Any]) -> tuple[dict[str, Label], dict[str, SoftRating]]:
    """The labels of a row of ours and the soft ratings beside them; of another's row what is the same there."""
    tags = _mapping(content.get("tags"))
    soft_tags = _mapping(tags.get("soft"))
    ratings, soft_ratings = dict[str, Label](), dict[str, SoftRating]()
    for name, labels in RATINGS.items():
        verdict = _mapping(content.get(name))
        is_verdict = name in Record.model_fields  # the other ratings are among the tags
        value = verdict.get("rating") if is_verdict else tags.get(name)
        if type(value) not in (int, str) or value not in labels:  # Python takes True for 1
            continue
        ratings[name] = value
        soft = _soft(verdict.get("soft") if is_verdict else soft_tags.get(name), labels)
        if soft is not None:
            soft_ratings[name] = soft
    return ratings, soft_ratings


def _soft(content: object, labels: Sequence[Label]) -> SoftRating | None:
    """A soft rating as a run writes it; None for anything else."""
    try:
        soft = SoftRating.model_validate(content)
    except ValidationError:
        return None
    fits = list(soft.probabilities) == [str(label) for label in labels] and math.isfinite(soft.expected)
    return soft if fits else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
