"""Rows to be scored, from what stands in a file: those of a run or an export of ours, and those of others.

A row is one of these, each row for itself:
- a question and an answer: `instruction` with `response` (or `output`, `generation`), `question` with `answer`, `prompt` with
  `completion`, `user` with `assistant`, `input` with `output`; either may be a list of turns; `context` (or `input`) beside it;
- a chat in `messages` or `conversations`: the last user turn that is answered is the question, the last assistant turn with
  text after it the answer. System messages and other turns are left out. InstructLab's `metadata` beside it tells more.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from skills_dspy.base.columns import from_columns, whole
from skills_dspy.base.errors import FileError
from skills_dspy.base.records import Record, SoftRating
from skills_dspy.base.scales import SCALES, Label
from skills_dspy.base.yaml_lines import shown
from skills_dspy.store.tables import as_text, read_file, table_rows, turns_in

RATINGS: Mapping[str, tuple[Label, ...]] = {scale.name: scale.labels for scale in SCALES}
"""What a row of ours is rated by, with all labels; worst first but for the category, which has no order."""

_PAIRS = {
    "instruction": ("response", "output", "generation", "generations", "responses"),
    "question": ("answer", "answers"),
    "prompt": ("completion", "chosen"),
    "query": ("response",),
    "problem": ("solution",),
    "user": ("assistant",),
    "input": ("output", "target"),
    "inputs": ("targets",),
}
"""What the question is called, and beside it the answer; any question may stand with any answer."""
_ANSWERS = tuple(dict.fromkeys(answer for answers in _PAIRS.values() for answer in answers))
_CHATS = ("messages", "conversations", "conversation", "contents", "data", "chosen")
_CONTEXTS = ("context", "input")
_ROLES = {"human": "user", "prompter": "user", **dict.fromkeys(("gpt", "model", "bot", "chatbot", "chatgpt"), "assistant")}
"""What others call the two that talk."""
_PRETRAINING = re.compile(r"<\|(?:start_of_role\|>)?(user|assistant)(?:<\|end_of_role)?\|>\n?")
"""What parts the turns that InstructLab has put into one, with the role `pretraining`."""
LAYOUTS = "`instruction` with `response`, `question` with `answer`, `prompt` with `completion`, or `messages`"  # of a row


@dataclass(frozen=True, slots=True)
class Row:
    """One pair, neither question nor answer nor context blank.

    Attributes:
        ratings: a name of RATINGS to the label; none where the row has none of ours.
        soft: the same names to the soft rating, where the server gave one; none for the category.
        shown: the examples in the prompts that it was written with, `seed:K` or row ids; None where that is not known.
        preference: of rows for trainers of preferences: `chosen`, the better of two answers, or `rejected`, an answer whose
            label is false.
        task: the name of the task that it is of; None where it does not say.
    """

    question: str
    answer: str
    context: str | None = None
    ratings: Mapping[str, Label] = field(default_factory=dict)
    soft: Mapping[str, SoftRating] = field(default_factory=dict)
    shown: tuple[str, ...] | None = None
    preference: Literal["chosen", "rejected"] | None = None
    task: str | None = None


def read_pairs(path: Path) -> Iterator[Row | None]:
    """The rows of a file of any kind that `table_rows` reads, in their order; None for one whose question or answer is blank.

    Raises:
        FileError: a row is none of the layouts.
        StorageError: the file cannot be read.
    """
    for number, content in table_rows(path, read_file(path, FileError, "rows"), FileError):
        if isinstance(content, dict):
            yield row_of(content, path, number)
        elif content is None:
            yield None
        else:
            example = '{"instruction": "...", "response": "..."}'
            raise FileError(f"this line is JSON, but no object; write one object a line, such as {example}", path, number)


def row_of(content: Mapping[str, Any], path: Path, number: int) -> Row | None:
    """The row that an object holds; None where its question or answer is null or blank.

    Raises:
        FileError: it has none of the layouts; path and line number are named.
    """
    given = list(content)
    try:
        content = {name.lower(): value for name, value in content.items()} | from_columns(content)
    except ValueError as error:
        raise FileError(f"this is no row of a run: {error}; restore the file", path, number) from error
    content = _with_metadata({name: as_text(value) for name, value in content.items()})
    question, answer = _keys({name: value for name, value in content.items() if not _is_blank(value)})
    chat = next((name for name in _CHATS if _is_asked(turns_in(content.get(name)))), None)
    if not answer and not chat:
        question, answer = _keys(content)
        chat = next((name for name in _CHATS if content.get(name) is not None), None)
    if question and answer:
        asked = _said(content[question], "user", question, path, number)
        told = _said(content[answer], "assistant", answer, path, number)
    elif chat is not None:
        asked, told = _chat(content[chat], chat, path, number)
    elif question and not question.startswith("input"):
        raise FileError(f"there is `{question}` but no `{_PAIRS[question][0]}`; add it", path, number)
    else:
        keys = ", ".join(f"`{shown(key, 30)}`" for key in given[:5]) or "no key"
        raise FileError(f"there is {keys} where {LAYOUTS} should be; name the keys like this", path, number)
    if not asked.strip() or not told.strip():
        return None
    ratings, soft = _ratings(content)
    examples = _mapping(content.get("provenance")).get("shown")
    shown_with = tuple(map(str, examples)) if isinstance(examples, list) else None
    context, preference = _context(content, question, path, number), _preference(content, answer or chat)
    task = content.get("task_name") if isinstance(content.get("task_name"), str) else None
    return Row(whole(asked), whole(told), context, ratings, soft, shown_with, preference, task)


_FALSE = ("false", "0", "0.0")
"""How writers of tables write the label of an answer that is not wanted."""


def _preference(content: Mapping[str, Any], read: str | None) -> Literal["chosen", "rejected"] | None:
    """As TRL's trainers have it; `read` is where the answer stands, and a label beside other keys is of something else."""
    if read == "chosen" and "rejected" in content:
        return "chosen"
    is_false = {"prompt", "completion"} <= content.keys() and str(content.get("label")).lower() in _FALSE
    return "rejected" if is_false else None


def _with_metadata(content: dict[str, Any]) -> dict[str, Any]:
    """What InstructLab keeps of a row as JSON in a text, beside the rest; an answer only if it is the whole last turn."""
    if not isinstance(content.get("messages"), list) or not isinstance(content.get("metadata"), str):
        return content
    try:
        more = _mapping(json.loads(content["metadata"]))
    except (ValueError, RecursionError):
        return content  # others call something else so
    last = [text for _, text in _turns(content["messages"])][-2:] if _is_chat(content["messages"]) else []
    foreign = {name for name in _PAIRS if not any(str(more.get(name)) in text for text in last)}
    foreign |= {name for name in _ANSWERS if not last or str(more.get(name)).strip() != last[-1].strip()}
    return {**{name: as_text(value) for name, value in more.items() if name not in foreign}, **content}


def _keys(content: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Where the question and the answer are; of several questions the first that has an answer."""
    asked = [name for name in _PAIRS if name in content]
    for question in asked:
        for answer in (*_PAIRS[question], *_ANSWERS):
            if answer in content:
                return question, answer
    return asked[0] if asked else None, None


def _is_blank(value: object) -> bool:
    """Whether nothing stands there, as with the answers that SQuAD has to a question without one."""
    listed = value.get("text", value) if isinstance(value, dict) else value
    return listed in (None, []) or (isinstance(listed, str) and not listed.strip())


def _is_asked(value: object) -> bool:
    """Whether it is a chat with a turn of the user."""
    return _is_chat(value) and any(role == "user" for role, _ in _turns(value))


def _context(content: Mapping[str, Any], question: str | None, path: Path, number: int) -> str | None:
    """The context; an empty one, as many write it where there is none, is none."""
    for key in _CONTEXTS:
        value = content.get(key)
        if key == question or value is None or (isinstance(value, str) and not value.strip()):
            continue
        if not isinstance(value, str):
            raise FileError(f"`{key}` is not text; write it in quotes", path, number)
        return str(whole(value))
    return None


def _said(value: object, role: str, key: str, path: Path, number: int) -> str:
    """A text, or the last one of this role in a list of turns; empty where it is null. Of several right answers the first.

    An answer may be yes or no, as in BoolQ: `true`, `false`.
    """
    if role == "assistant":
        listed = value.get("text") if isinstance(value, dict) else value  # SQuAD has them so
        first = next((one for one in listed if not _is_blank(one)), None) if isinstance(listed, list) else listed
        first = str(first).lower() if isinstance(first, bool) else as_text(first)
        value = first if isinstance(first, str) else value
    if isinstance(value, str) or _is_blank(value):
        return value if isinstance(value, str) else ""
    said = [text for name, text in _turns(value) if name == role and text.strip()] if _is_chat(value) else []
    if not said:
        raise FileError(f"`{key}` is not text; write it in quotes", path, number)
    return said[-1]


def _is_chat(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(turn, dict) for turn in value)


def _turns(messages: Any) -> Iterator[tuple[str, str]]:
    """Role and text of each turn, as they are called here."""
    for turn in messages:
        role = str(turn.get("role", turn.get("from"))).lower()
        text = _content(next((turn[name] for name in ("content", "value", "parts") if name in turn), None))
        if {"input", "output"} <= turn.keys():  # a turn of both
            yield from (("user", _content(turn["input"])), ("assistant", _content(turn["output"])))
        elif role == "pretraining":
            parts = _PRETRAINING.split(text)
            yield from zip(parts[1::2], (part.removesuffix("\n") for part in parts[2::2]), strict=True)
        else:
            yield _ROLES.get(role, role), text


def _chat(messages: object, key: str, path: Path, number: int) -> tuple[str, str]:
    messages = turns_in(messages)
    if isinstance(messages, list) and messages and all(isinstance(turn, str) for turn in messages):
        messages = [{"role": role, "content": text} for role, text in zip(cycle(("user", "assistant")), messages, strict=False)]
    if not _is_chat(messages):
        raise FileError(f"`{key}` is not a list of turns; write objects with `role` and `content`", path, number)
    asked, pair = None, None
    for role, text in _turns(messages):
        if role == "user":
            asked = text
        elif role == "assistant" and text.strip() and asked is not None:
            pair = asked, text
    if asked is None:
        raise FileError(f"`{key}` has no turn of the role `user`; a chat needs one, and an answer to it", path, number)
    return pair or (asked, "")


def _content(content: object) -> str:
    """The text of a turn, which some write as a list of parts."""
    content = as_text(content)
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
    """A soft rating as a run or an export with typed columns writes it; None for anything else."""
    if isinstance(content, dict) and isinstance(listed := content.get("probabilities"), list):
        content = {
            **content,
            "probabilities": {_mapping(item).get("label"): _mapping(item).get("probability") for item in listed},
        }
    try:
        soft = SoftRating.model_validate(content)
    except ValidationError:
        return None
    fits = list(soft.probabilities) == [str(label) for label in labels] and math.isfinite(soft.expected)
    return soft if fits else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
