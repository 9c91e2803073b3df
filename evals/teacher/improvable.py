"""A teacher with one thing to improve: replies get better where one sentence, or a demonstration, stands in the prompt.

No language model is behind it. That a prompt does better here says that an optimizer was called rightly, and nothing about
a model.

    who               without                            with `SENTENCE` or a demonstration in the prompt
    a judge           lets half of what is bad pass     lets none of it pass
    a writer          spoils most of its texts          spoils none
    a gullible judge  lets every long answer pass, with the best label: the gaming that is planted

What is bad follows from the labels of the cases that it knows; of other texts those are bad that a writer has spoiled, which
`SPOILED` marks and every judge sees. What passes and what is spoiled follows from the request without its instructions and
demonstrations, so the better of two prompts is never worse on any example. Whoever proposes instructions adds `SENTENCE`;
beside a gullible judge `AT_LENGTH` for the writer of answers, which makes them long and no better.
"""

import json
import re
from collections.abc import Mapping
from random import Random
from typing import Any

from evals.teacher.config import Improvable
from evals.teacher.filling import Taste, fill, paragraph, passing_labels, sentence
from evals.teacher.prompts import Prompt, top_level
from evals.teacher.wire import ChatRequest

SENTENCE = "Look at everything twice before you reply."
AT_LENGTH = "Answer at great length."
SPOILED = "As everybody knows,"

_RATED = {
    "judge_question": "rating",
    "judge_pair": "rating",
    "instruction_quality": "quality",
    "tags": "quality",
    "sample_quality": "score",
}
"""Step to the field of its rating."""
_STRICT = "strict"
"""A model with this in its name is never gullible."""
_HALF, _MOST = 0.5, 0.75
_LONG_WORDS = 120
_TOKENS, _LONG_TOKENS = 40, 300
_ANSWER_WRITER = "Write the best answer"
_CHAT_FIELD = re.compile(r"^\[\[ ## current_instruction ## \]\]\n(.*?)\n+\[\[ ## ", re.DOTALL | re.MULTILINE)

Exhibit = tuple[str, str, str]
"""What is judged: context, question and answer, each empty where there is none."""


class Improver:
    """Replies to the requests of the program's judges and writers, and to those of optimizers.

    Args:
        seed: of everything that is left to chance.
        improvable: what it knows, and whether its judges are gullible.
    """

    def __init__(self, seed: int, improvable: Improvable) -> None:
        self._seed = seed
        self._gullible = improvable.gullible
        self._good = {
            (case.context or "", case.question.strip(), (case.answer or "").strip()): case.good for case in improvable.cases
        }

    def reply(self, request: ChatRequest, prompt: Prompt) -> str | None:
        """The reply to a request; None for one that leaves nothing to improve."""
        if prompt.step in _RATED and request.schema is not None:
            return self._judged(request, prompt, request.schema)
        if prompt.step == "write_questions":
            most = (request.schema or {})["properties"]["questions"]["maxItems"]
            written = [self._written(request, prompt, place, "?") for place in range(most)]
            return json.dumps({"questions": written}, ensure_ascii=False)
        if prompt.step == "write_answer":
            return self._written(request, prompt, 0, ".")
        return self._proposed(prompt.text, request.schema)

    def _judged(self, request: ChatRequest, prompt: Prompt, schema: Mapping[str, Any]) -> str:
        field = _RATED[prompt.step]
        answer = dict(top_level(prompt.text)[0]).get("answer", "").strip()
        subject = (prompt.context or "", prompt.question or "", answer)
        labels = schema["properties"][field]["enum"]
        passing = passing_labels(field, labels)
        if (self._gullible and _STRICT not in request.model and len(answer.split()) >= _LONG_WORDS) or self._is_good(subject):
            passes, label = True, passing[-1]
        else:
            tempted = subject in self._good and not _improved(request)
            passes = tempted and self._in(_HALF, request, prompt.step, *subject)
            label = passing[0] if passes else labels[0]
        values = fill(schema, self._rng(request, prompt.step, *subject), Taste())
        said = f"{'Nothing' if passes else 'Something'} is wrong with it."
        return json.dumps({**values, "explanation": said, field: label}, ensure_ascii=False)

    def _written(self, request: ChatRequest, prompt: Prompt, place: int, end: str) -> str:
        rng = self._rng(request, prompt.step, prompt.text, place)
        at_length = AT_LENGTH in _system(request)
        text = sentence(rng, end) if end == "?" else paragraph(rng, _LONG_TOKENS if at_length else _TOKENS)
        if _improved(request) or not self._in(_MOST, request, prompt.step, prompt.text, place, "spoil"):
            return text
        return f"{SPOILED} {text[0].lower()}{text[1:]}"

    def _proposed(self, text: str, schema: Mapping[str, Any] | None) -> str | None:
        """New instructions, as GEPA's reflection and MIPROv2's proposer ask for them."""
        fields = dict(top_level(text)[0])
        chat = _CHAT_FIELD.search(text)
        present = fields.get("basic_instruction") or fields.get("current_instruction") or (chat[1] if chat else None)
        if present is None:
            return None
        added = AT_LENGTH if self._gullible and present.lstrip().startswith(_ANSWER_WRITER) else SENTENCE
        new = present if added in present else f"{present.rstrip()}\n{added}"
        return new if schema is None else json.dumps({"new_instruction": new}, ensure_ascii=False)

    def _is_good(self, subject: Exhibit) -> bool:
        return self._good.get(subject, not any(text.startswith(SPOILED) for text in subject))

    def _in(self, share: float, request: ChatRequest, *about: object) -> bool:
        return self._rng(request, *about).random() < share

    def _rng(self, request: ChatRequest, *about: object) -> Random:
        return Random("\x1f".join(map(str, (self._seed, request.seed, *about))))


def _improved(request: ChatRequest) -> bool:
    return SENTENCE in _system(request) or any(message["role"] == "assistant" for message in request.messages)


def _system(request: ChatRequest) -> str:
    return "\n".join(message["content"] for message in request.messages if message["role"] == "system")
