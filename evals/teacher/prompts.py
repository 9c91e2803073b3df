"""How the simulation reads the program's prompts: the only place that knows what they look like.

A prompt is a user message of fields as tags, `<name>` and `</name>` on lines of their own, then one line that says
what to reply with. The examples are such fields inside `<examples>`; the subject's own stand last.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_OPENING = re.compile(r"<(\w+)>\n")
_PROSE = {"Reply with the description only": "write_description", "Reply with the answer only": "write_answer"}
_LABELLED = {"quality": "instruction_quality", "score": "sample_quality"}

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request says.

    Attributes:
        step: its stage in the program, `tags` where all tags are wanted in one reply, or `other` where it makes no difference.
        text: the user message that holds the task.
        context: the subject's context, not an example's.
        question: the subject's question, not an example's.
        path: where the task stands, when its description is asked for.
        shown: the questions among the examples.
    """

    step: str
    text: str
    context: str | None = None
    question: str | None = None
    shown: tuple[str, ...] = ()
    path: str | None = None


def read_step(schema: Mapping[str, Any] | None, ending: str) -> str:
    """The step that a reply's schema, or the prompt's last line where there is none, belongs to."""
    if schema is None:
        return next((step for begins, step in _PROSE.items() if ending.startswith(begins)), "other")
    properties = schema.get("properties", {})
    if "questions" in properties:
        return "write_questions"
    if "rating" in properties:
        return "judge_question" if properties["rating"].get("enum") == [0, 1] else "judge_pair"
    if {"quality", "difficulty", "category"} <= properties.keys():
        return "tags"
    return next((step for name, step in _LABELLED.items() if name in properties), "other")


def read_prompt(messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None) -> Prompt:
    """The prompt in a request's messages: the last user message that names a task, or else the last one."""
    written = [message["content"] for message in messages if message["role"] == "user"]
    with_task = [text for text in written if text.startswith("<task_description>\n")]
    text = (with_task or written or [""])[-1]
    fields, ending = top_level(text)
    named = {name: value.strip() for name, value in fields}
    step = read_step(schema, ending)
    return Prompt(
        step="other" if step == "judge_question" and "question" not in named else step,  # a context is judged
        text=text,
        context=named.get("context"),
        question=named.get("question"),
        shown=tuple(_shown_questions([field for field in fields if field[0] == "examples"])),
        path=named.get("path"),
    )


def top_level(text: str) -> tuple[Fields, str]:
    """The fields that stand one after the other at the start of a text, and what follows them."""
    fields: Fields = []
    while opening := _OPENING.match(text):
        name = opening.group(1)
        closing = f"\n</{name}>"
        end = text.find(closing, opening.end() - 1)
        if end < 0:
            break
        fields.append((name, text[opening.end() : end]))
        text = text[end + len(closing) :].lstrip("\n")
    return fields, text


def _shown_questions(fields: Fields) -> list[str]:
    questions = []
    for name, value in fields:
        if name in ("examples", "example", "questions"):
            questions += _shown_questions(top_level(value)[0])
        elif name == "question":
            questions.append(value)
    return questions
