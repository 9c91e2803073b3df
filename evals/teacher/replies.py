"""What the simulated teacher says to a request: by chance from the request itself, or spoiled on purpose."""

import json
from collections import Counter
from random import Random

from evals.teacher.config import CUT, TeacherConfig
from evals.teacher.filling import Taste, fill, paragraph, sentence
from evals.teacher.improvable import Improver
from evals.teacher.prompts import Prompt, read_prompt
from evals.teacher.wire import ChatRequest, Reply, cut

_ANSWER_TOKENS, _DESCRIPTION_TOKENS = 60, 40
"""The length of made prose; a description has room for a few sentences."""


class Teacher:
    """Replies to requests as its configuration says."""

    def __init__(self, config: TeacherConfig) -> None:
        self._config = config
        self._improver = None if config.improvable is None else Improver(config.seed, config.improvable)
        self._times = Counter[bytes]()
        self._described: dict[str, dict[bytes, str]] = {}

    def choose_fault(self, request: ChatRequest) -> str | None:
        """The kind of fault by the seed, the request, and how often this very request came; None when all goes well."""
        if not self._config.faults:
            return None
        times = self._times[request.digest]
        self._times[request.digest] += 1
        point = Random(b"%d fault %d " % (self._config.seed, times) + request.digest).random()
        for kind, rate in self._config.faults:
            point -= rate
            if point < 0:
                return kind
        return None

    def reply(self, request: ChatRequest, fault: str | None = None) -> Reply:
        """The reply to a request, by the request and the config alone, spoiled where `fault` is one of CONTENT_FAULTS."""
        prompt = read_prompt(request.messages, request.schema)
        improved = self._improver and self._improver.reply(request, prompt)
        text = self._description(request, prompt.path) or improved or self._made(request, prompt)
        text, done_reason = (text.removesuffix(CUT), "length" if text.endswith(CUT) else "stop")
        if fault == "truncated":
            text, done_reason = text[: len(text) // 2], "length"
        elif fault is not None:
            text = _spoiled(text, request, fault, self._rng(request, b"spoil"))
        return cut(text, done_reason, request.num_predict)

    def _description(self, request: ChatRequest, path: str | None) -> str | None:
        """What the configuration says to this request for the description of a task there."""
        replies = self._config.descriptions.get(path or "")
        if replies is None:
            return None
        known = self._described.setdefault(path or "", {})
        return known.setdefault(request.digest, replies[min(len(known), len(replies) - 1)])

    def _made(self, request: ChatRequest, prompt: Prompt) -> str:
        rng = self._rng(request, b"reply")
        if request.schema is None:
            return paragraph(rng, _DESCRIPTION_TOKENS if prompt.step == "write_description" else _ANSWER_TOKENS)
        taste = Taste(self._config.pass_rate, self._config.duplicate_rate, prompt.shown)
        return json.dumps(fill(request.schema, rng, taste), ensure_ascii=False)

    def _rng(self, request: ChatRequest, purpose: bytes) -> Random:
        return Random(b"%d %b " % (self._config.seed, purpose) + request.digest)


def _spoiled(text: str, request: ChatRequest, fault: str, rng: Random) -> str:
    """The reply with a label of its own invention, or something that is not what was asked for."""
    if request.schema is None:
        return ""
    properties = request.schema["properties"]
    name = next((name for name, part in properties.items() if "enum" in part), None)
    if fault == "bad-label" and name is not None:
        labels = properties[name]["enum"]
        invented = max(labels) + 1 if isinstance(labels[0], int) else f"rather {rng.choice(labels)}"
        return json.dumps({**json.loads(text), name: invented}, ensure_ascii=False)
    return rng.choice((sentence(rng), text[: len(text) // 2], json.dumps({"reply": sentence(rng)})))
