"""What the simulated teacher says to a request: from a script, or by chance from the request itself, or spoiled on purpose."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from evals.teacher.config import TeacherConfig
from evals.teacher.filling import Taste, fill, paragraph, sentence, tokens
from evals.teacher.improvable import Improver
from evals.teacher.playing import Player, content
from evals.teacher.prompts import Prompt, read_prompt
from evals.teacher.wire import ChatRequest, cut

CONTENT_FAULTS = frozenset({"truncated", "unreadable", "bad-label"})
"""The faults that leave the envelope whole and spoil what is in it."""

_REMEMBERED = 20_000
"""So many requests are known by how often they came, the oldest are forgotten first: memory stays flat."""

_DESCRIPTION_TOKENS = 40
"""The length of a made description, however long made answers are: it has room for a few sentences."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it is sent.

    Attributes:
        text: all of it.
        done_reason: why it ends, `stop` or `length`.
        tokens: how many it has, estimated.
    """

    text: str
    done_reason: str
    tokens: int


class Teacher:
    """Replies to requests.

    Args:
        config: how it behaves.
    """

    def __init__(self, config: TeacherConfig) -> None:
        self._config = config
        self._players = {script.task_description: Player(script) for script in config.scripts}
        self._describers = {s.task_name: self._players[s.task_description] for s in config.scripts if s.task_name}
        self._improver = None if config.improvable is None else Improver(config.seed, config.improvable)

    def reply(self, request: ChatRequest, fault: str | None = None) -> Reply:
        """The reply to a request, spoiled where `fault` is one of CONTENT_FAULTS.

        Without a script it depends on the request and the config alone.

        Raises:
            ScriptError: the task has a script, and the script has no reply.
        """
        prompt = read_prompt(request.messages, request.schema)
        player = self._players.get(prompt.task_description)
        if prompt.step == "write_description":
            player = self._describers.get(prompt.path or "")
        if player is not None:
            text, done_reason = content(player.reply(prompt, request.digest), request.schema)
        else:
            improved = self._improver and self._improver.reply(request, prompt)
            text, done_reason = improved or self._made(request, prompt), "stop"
        if fault is not None:
            text, done_reason = self._spoiled(text, done_reason, request, fault)
        allowed = cut(text, request.num_predict)
        return Reply(allowed, done_reason if allowed == text else "length", tokens(allowed))

    def _made(self, request: ChatRequest, prompt: Prompt) -> str:
        rng = self._rng(request, b"reply")
        if request.schema is not None:
            config = self._config
            value = fill(request.schema, rng, Taste(config.pass_rate, config.duplicate_rate, prompt.shown))
        else:
            longest = _DESCRIPTION_TOKENS if prompt.step == "write_description" else self._config.answer_tokens
            return paragraph(rng, min(longest, self._config.answer_tokens))
        return json.dumps(value, ensure_ascii=False)

    def _spoiled(self, text: str, done_reason: str, request: ChatRequest, fault: str) -> tuple[str, str]:
        rng = self._rng(request, b"spoil")
        if fault == "truncated":
            return text[: len(text) // 2], "length"
        name = _labelled(request.schema) if fault == "bad-label" else None
        if name is not None and request.schema is not None:
            return _mislabelled(text, name, request.schema["properties"][name]["enum"], rng), done_reason
        if request.schema is None:
            return "", done_reason
        spoiled = (sentence(rng), text[: len(text) // 2], json.dumps({"reply": sentence(rng)}))
        return rng.choice(spoiled), done_reason

    def _rng(self, request: ChatRequest, purpose: bytes) -> Random:
        return Random(b"%d %b " % (self._config.seed, purpose) + request.digest)


class Faults:
    """Chooses the fault of a request from the seed, the request, and how often this very request came.

    Args:
        seed: of the choice.
        rates: pairs of kind and rate, as in TeacherConfig.
    """

    def __init__(self, seed: int, rates: tuple[tuple[str, float], ...]) -> None:
        self._seed = seed
        self._rates = rates
        self._times: OrderedDict[bytes, int] = OrderedDict()

    def choose(self, digest: bytes) -> str | None:
        """The kind of fault, or None for a request that goes well."""
        if not self._rates:
            return None
        point = Random(b"%d fault %d " % (self._seed, self._count(digest)) + digest).random()
        for kind, rate in self._rates:
            point -= rate
            if point < 0:
                return kind
        return None

    def _count(self, digest: bytes) -> int:
        times = self._times.pop(digest, 0)
        self._times[digest] = times + 1
        if len(self._times) > _REMEMBERED:
            self._times.popitem(last=False)
        return times


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
