"""Scripts: the replies to one task's requests, written by hand, and which of them a request gets.

A reply is prose, a record, `{raw: text}` (sent as it is) or `{truncated: text}` (sent as cut at num_predict). Where one is
wanted a list may stand, served one after the other to requests of the step that differ.
"""

import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from evals.teacher.prompts import Prompt
from skills_dspy.base.errors import ConfigError
from skills_dspy.base.validation import Where, Wording, validated
from skills_dspy.base.yaml_lines import read_yaml

ScriptText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
ScriptedReply = str | dict[str, Any]
ScriptedReplies = Annotated[
    tuple[ScriptedReply, ...], BeforeValidator(lambda value: value if isinstance(value, list | tuple) else (value,))
]

_UNTAGGED: dict[str, Any] = {"difficulty": "medium", "category": "others", "other_categories": []}


class ScriptError(Exception):
    """The script has no reply to a request: an error of status 500."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScriptedQuestion(_Part):
    """One question and the replies to all that is asked about it; what is never asked may be left out."""

    question: ScriptText
    judge_question: ScriptedReplies = ()
    instruction_quality: ScriptedReplies = ()
    answer: ScriptedReplies = ()
    judge_pair: ScriptedReplies = ()
    sample_quality: ScriptedReplies = ()
    difficulty: ScriptedReplies = ()
    category: ScriptedReplies = ()

    def replies(self, step: str) -> Sequence[ScriptedReply]:
        """The replies to a step's requests; for all tags in one reply, the separate ones put together."""
        if step == "tags":
            return [self._fused(quality) for quality in self.instruction_quality]
        replies: Sequence[ScriptedReply] = getattr(self, "answer" if step == "write_answer" else step, ())
        return replies

    def _fused(self, quality: ScriptedReply) -> ScriptedReply:
        """A question that needs no difficulty or category gets the middle and others."""
        if not _is_record(quality):
            return quality
        firsts = (next(filter(_is_record, replies), None) for replies in (self.difficulty, self.category))
        tags = [quality, *filter(None, firsts)]
        values = dict(_UNTAGGED)
        for tag in tags:
            values |= tag
        return values | {"explanation": " ".join(tag["explanation"] for tag in tags)}


class ScriptedDraw(_Part):
    """One writing of questions, after the attempts that fail; a grounded one has its context."""

    context: ScriptedReplies = ()
    judge_context: ScriptedReplies = ({"explanation": "It is a text of the kind that is wanted.", "rating": 1},)
    failed_attempts: tuple[ScriptedReply, ...] = ()
    questions: tuple[ScriptedQuestion, ...] = ()

    @property
    def writings(self) -> Sequence[ScriptedReply]:
        """The failed attempts, and then the questions."""
        written = {"questions": [question.question for question in self.questions]}
        return (*self.failed_attempts, *([written] if self.questions else []))


class Script(_Part):
    """All replies to one task's requests, by hand.

    A task whose file leaves the description blank is known by its `task_name`, and described in the words of
    `description`; what follows is asked with those words, so the last of them is `task_description`, which it is when
    `description` is left out.
    """

    task_description: ScriptText
    task_name: ScriptText | None = None
    description: ScriptedReplies = ()
    variety: ScriptedReply = {"axes": [{"name": "subject", "values": ["anything", "something else"]}]}
    written_by: Literal["hand"]
    draws: tuple[ScriptedDraw, ...] = Field(min_length=1)


def load_script(path: Path) -> Script:
    """Read and check a script; ConfigError with file and line when it is none."""
    return validated(read_yaml(path, ConfigError), Script, path, Wording(ConfigError, _label))


def _label(where: Where) -> str:
    return f"`{'.'.join(map(str, where))}`" if where else "the script"


class Player:
    """Serves one script.

    Who asks the same again gets the same again. A new request for a context, or for questions without context, takes
    the next draw, unless it has the prompt of one that was served a failed attempt: then it is the retry and gets that
    draw's next reply. All other requests name the draw or the question that they are about.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._served: dict[bytes, ScriptedReply] = {}
        self._draws: dict[str, deque[Sequence[ScriptedReply]]] = {
            "write_description": deque([script.description or (script.task_description,)]),
            "write_context": deque(draw.context for draw in script.draws if draw.context),
            "write_questions": deque(draw.writings for draw in script.draws if not draw.context),
        }
        self._left: dict[str, list[ScriptedReply]] = {}  # prompts whose draw has replies left
        self._asked = Counter[tuple[str, str | None, str | None]]()

    def reply(self, prompt: Prompt, digest: bytes) -> ScriptedReply:
        """The reply to what a prompt asks; `digest` tells this request from all others.

        Raises:
            ScriptError: the script has none.
        """
        if prompt.step == "plan_variety":
            return self._script.variety
        if digest not in self._served:
            by_turns = prompt.step in self._draws and prompt.context is None
            self._served[digest] = self._in_turn(prompt) if by_turns else self._about(prompt)
        return self._served[digest]

    def _in_turn(self, prompt: Prompt) -> ScriptedReply:
        left = self._left.setdefault(prompt.text, [])
        if not left:
            if not self._draws[prompt.step]:
                raise ScriptError("the script has no more draws")
            left += self._draws[prompt.step].popleft()
        return left.pop(0)

    def _about(self, prompt: Prompt) -> ScriptedReply:
        context, question = prompt.context, prompt.question
        draws = [draw for draw in self._script.draws if (context in draw.context if draw.context else context is None)]
        if prompt.step == "write_questions":
            found = [draw.writings for draw in draws]
        elif prompt.step == "judge_context":
            found = [draw.judge_context for draw in draws]
        else:
            found = [q.replies(prompt.step) for draw in draws for q in draw.questions if q.question == question]
        replies = next(filter(None, found), None)
        if replies is None:
            raise ScriptError(f"the script has no reply for {prompt.step} of {context if question is None else question!r}")
        key = (prompt.step, context, question)
        self._asked[key] += 1
        return replies[min(self._asked[key], len(replies)) - 1]


def sent(reply: ScriptedReply, schema: Mapping[str, Any] | None) -> tuple[str, str]:
    """The text that is sent, a record with its keys in the schema's order, and the done_reason."""
    if isinstance(reply, str):
        return reply, "stop"
    if not _is_record(reply):
        return (reply["raw"], "stop") if "raw" in reply else (reply["truncated"], "length")
    order = [name for name in (schema or {}).get("properties", {}) if name in reply]
    return json.dumps({name: reply[name] for name in [*order, *reply]}, ensure_ascii=False), "stop"


def _is_record(reply: ScriptedReply) -> TypeGuard[dict[str, Any]]:
    return isinstance(reply, dict) and not reply.keys() & {"raw", "truncated"}
