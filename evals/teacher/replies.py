"""What the simulated teacher says to a request: from a script, or made by chance from the request itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from evals.teacher.config import TeacherConfig
from evals.teacher.filling import Taste, fill
from evals.teacher.heeding import Heeder, Said
from evals.teacher.playing import Player, content
from evals.teacher.prompts import Prompt, read_prompt
from evals.teacher.wire import Asked, Logprobs, cut
from evals.teacher.words import paragraph, sentence, tokens

CONTENT_FAULTS = frozenset({"truncated", "unreadable", "bad-label"})
"""The faults that leave the envelope whole and spoil what is in it."""

_DESCRIPTION_TOKENS = 40
"""The length of a made description, however long made answers are: it has room for a few sentences."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it is sent.

    Attributes:
        text: all of it.
        done_reason: why it ends, `stop` or `length`.
        tokens: how many it has, estimated.
        logprobs: told to who asks for them; none for what was written by hand or made by chance, which has no probabilities.
    """

    text: str
    done_reason: str
    tokens: int
    logprobs: Logprobs | None = None


class Teacher:
    """Replies to requests.

    Args:
        config: how it behaves.
    """

    def __init__(self, config: TeacherConfig) -> None:
        self._config = config
        self._players = {script.task_description: Player(script) for script in config.scripts}
        self._describers = {s.task_name: self._players[s.task_description] for s in config.scripts if s.task_name}
        self._heeder = None if config.heeding is None else Heeder(config.seed, config.heeding)

    def reply(self, asked: Asked, prompt: Prompt, fault: str | None = None) -> Reply:
        """The reply to a request, spoiled where `fault` is one of CONTENT_FAULTS.

        Without a script it depends on the request and the config alone.

        Raises:
            ScriptError: the task has a script, and the script has no reply.
        """
        player = self._players.get(prompt.task_description)
        if prompt.step == "write_description":
            player = self._describers.get(prompt.path or "")
        if player is not None:
            text, done_reason = content(player.reply(prompt, asked.digest), asked.schema)
            said = Said(text)
        else:
            said = (self._heeder and self._heeder.reply(asked, prompt)) or Said(self._made(asked, prompt))
            text, done_reason = said.text, "stop"
        if fault is not None:
            text, done_reason = self._spoiled(text, done_reason, asked, fault)
        allowed = cut(text, asked.num_predict)
        logprobs = said.logprobs if allowed == said.text else None
        return Reply(allowed, done_reason if allowed == text else "length", tokens(allowed), logprobs)

    def _made(self, asked: Asked, prompt: Prompt) -> str:
        rng = self._rng(asked, b"reply")
        if asked.schema is not None:
            config = self._config
            value = fill(asked.schema, rng, Taste(config.pass_rate, config.duplicate_rate, prompt.shown))
        elif asked.any_json:
            value = {"text": sentence(rng)}
        else:
            longest = _DESCRIPTION_TOKENS if prompt.step == "write_description" else self._config.answer_tokens
            return paragraph(rng, min(longest, self._config.answer_tokens))
        return json.dumps(value, ensure_ascii=False)

    def _spoiled(self, text: str, done_reason: str, asked: Asked, fault: str) -> tuple[str, str]:
        rng = self._rng(asked, b"spoil")
        if fault == "truncated":
            return text[: len(text) // 2], "length"
        name = _labelled(asked.schema) if fault == "bad-label" else None
        if name is not None and asked.schema is not None:
            return _mislabelled(text, name, asked.schema["properties"][name]["enum"], rng), done_reason
        if asked.schema is None and not asked.any_json:
            return "", done_reason
        spoiled = (sentence(rng), text[: len(text) // 2], json.dumps({"reply": sentence(rng)}))
        return rng.choice(spoiled), done_reason

    def _rng(self, asked: Asked, purpose: bytes) -> Random:
        return Random(b"%d %b " % (self._config.seed, purpose) + asked.digest)


def read(asked: Asked) -> Prompt:
    """What a request says, as far as the simulation understands prompts."""
    return read_prompt(asked.messages, asked.schema)


def _labelled(schema: Mapping[str, Any] | None) -> str | None:
    properties = (schema or {}).get("properties", {})
    return next((name for name, part in properties.items() if "enum" in part), None)


def _mislabelled(text: str, name: str, labels: list[Any], rng: Random) -> str:
    """The reply with a label of its own invention; a reply that is no JSON object is left as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict):
        value[name] = max(labels) + 1 if isinstance(labels[0], int) else f"rather {rng.choice(labels)}"
    return json.dumps(value, ensure_ascii=False)
