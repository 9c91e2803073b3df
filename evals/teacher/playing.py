"""Which scripted reply a request gets: draws in order of arrival, then by context and question."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evals.teacher.prompts import Prompt
from evals.teacher.script import Raw, Script, ScriptedDraw, ScriptedQuestion, Truncated, Written

Scripted = Raw | Truncated | Written | str
"""A reply as the script has it: the two forms of failure, a record, or prose."""

_UNTAGGED = {"difficulty": "medium", "category": "others", "other_categories": ()}


class ScriptError(Exception):
    """The script has no reply to a request: an error of status 500."""


class Player:
    """Serves one script.

    Who asks the same again gets the same again. A new request for a context, or for questions without context, takes
    the next draw, unless it has the prompt of one that was served a failed attempt: then it is the retry and gets that
    draw's next reply. All other requests name the draw or the question that they are about.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self._served: dict[bytes, Scripted] = {}
        grounded = [draw for draw in script.draws if draw.context]
        freeform = [draw for draw in script.draws if not draw.context]
        self._descriptions = _Turns([script.description or (script.task_description,)])
        self._contexts = _Turns([draw.context for draw in grounded])
        self._questions = _Turns([_writings(draw) for draw in freeform])
        self._asked: dict[tuple[str, str | None, str | None], int] = {}

    def reply(self, prompt: Prompt, digest: bytes) -> Scripted:
        """The reply to a request.

        Args:
            prompt: what it asks.
            digest: what tells this request from all others.

        Raises:
            ScriptError: the script has none.
        """
        if digest not in self._served:
            self._served[digest] = self._next(prompt)
        return self._served[digest]

    def _next(self, prompt: Prompt) -> Scripted:
        if prompt.step == "write_description":
            return self._descriptions.take(prompt.text)
        if prompt.step == "write_context":
            return self._contexts.take(prompt.text)
        if prompt.step == "write_questions" and prompt.context is None:
            return self._questions.take(prompt.text)
        replies = self._about(prompt)
        if not replies:
            about = prompt.question if prompt.question is not None else prompt.context
            raise ScriptError(f"the script has no reply for {prompt.step} of {about!r}")
        key = (prompt.step, prompt.context, prompt.question)
        number = self._asked.get(key, 0)
        self._asked[key] = number + 1
        return replies[min(number, len(replies) - 1)]

    def _about(self, prompt: Prompt) -> Sequence[Scripted]:
        draws = [draw for draw in self.script.draws if _has_context(draw, prompt.context)]
        if prompt.step == "write_questions":
            return next((_writings(draw) for draw in draws), ())
        asked = [q for draw in draws for q in draw.questions if q.question == prompt.question]
        return next((replies for q in asked if (replies := _replies(q, prompt.step))), ())


class _Turns:
    """Lists of replies, one list for each draw, handed out in order of arrival."""

    def __init__(self, draws: Sequence[Sequence[Scripted]]) -> None:
        self._draws = draws
        self._next = 0
        self._open: dict[str, list[Scripted]] = {}  # prompts whose draw has replies left, oldest first

    def take(self, prompt: str) -> Scripted:
        """The next reply to a prompt."""
        if prompt in self._open:
            left = self._open.pop(prompt)
        elif self._next < len(self._draws):
            left = list(self._draws[self._next])
            self._next += 1
        elif self._open:
            left = self._open.pop(next(iter(self._open)))  # its retry came with another prompt: this may be it
        else:
            raise ScriptError("the script has no more draws")
        if len(left) > 1:
            self._open[prompt] = left[1:]
        return left[0]


def content(reply: Scripted, schema: Mapping[str, Any] | None) -> tuple[str, str]:
    """The text that is sent, a record with its keys in the schema's order, and the done_reason."""
    if isinstance(reply, Raw):
        return reply.raw, "stop"
    if isinstance(reply, Truncated):
        return reply.truncated, "length"
    if isinstance(reply, str):
        return reply, "stop"
    values = reply.model_dump(mode="json")
    order = [name for name in (schema or {}).get("properties", {}) if name in values]
    return json.dumps({name: values[name] for name in [*order, *values]}, ensure_ascii=False), "stop"


class _Questions(Written):
    questions: tuple[str, ...]


class _Tags(Written):
    explanation: str
    quality: str
    difficulty: str
    category: str
    other_categories: tuple[str, ...]


def _writings(draw: ScriptedDraw) -> Sequence[Scripted]:
    written = _Questions(questions=tuple(q.question for q in draw.questions))
    return (*draw.failed_attempts, *([written] if draw.questions else []))


def _has_context(draw: ScriptedDraw, context: str | None) -> bool:
    return context in draw.context if draw.context else context is None


def _replies(question: ScriptedQuestion, step: str) -> Sequence[Scripted]:
    by_step: dict[str, Sequence[Scripted]] = {
        "judge_question": question.judge_question,
        "instruction_quality": question.instruction_quality,
        "write_answer": question.answer,
        "judge_pair": question.judge_pair,
        "sample_quality": question.sample_quality,
        "difficulty": question.difficulty,
        "category": question.category,
    }
    if step == "tags":
        return [_fused(reply, question) for reply in question.instruction_quality]
    return by_step.get(step, ())


def _fused(quality: Scripted, question: ScriptedQuestion) -> Scripted:
    """The three tags in one reply; a question that needs no difficulty or category gets the middle and others."""
    if isinstance(quality, Raw | Truncated | str):
        return quality
    values: dict[str, Any] = {**_UNTAGGED, **quality.model_dump()}
    explanations = [values["explanation"]]
    for replies in (question.difficulty, question.category):
        for reply in replies:
            if not isinstance(reply, Raw | Truncated):
                told = reply.model_dump()
                explanations.append(told.pop("explanation"))
                values |= told
                break
    return _Tags.model_validate(values | {"explanation": " ".join(explanations)})
