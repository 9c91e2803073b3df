"""How a server of OpenAI's API is found out about: one small request, and more only where it is refused or disobeyed."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from skills_dspy.base.errors import ServerError
from skills_dspy.base.thinking import THINK_FIELD, Think
from skills_dspy.model.server.connections import NO_JSON, Refused
from skills_dspy.model.server.dialect import Dialect
from skills_dspy.store.said import said_in

_WORD = "kestrel"
_SCHEMA = {
    "type": "object",
    "properties": {
        "words": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "enum": [_WORD]},
            "minItems": 1,
            "maxItems": 1,
        }
    },
    "required": ["words"],
    "additionalProperties": False,
}
"""With every keyword of our schemas; nobody answers the question below in this way who does not obey it."""

PROBE: Mapping[str, Any] = {
    "messages": [{"role": "user", "content": "Say hello."}],
    # Room for some thoughts, so that a model that has few of them is told from one that never comes to its answer.
    "options": {"temperature": 0.2, "top_p": 0.9, "seed": 1, "num_predict": 256},
    "logprobs": True,
    "top_logprobs": 20,
}
REFUSALS = frozenset({400, 403, 422, 500, 501})
"""The statuses with which a server refuses a field that it does not take."""

_LEAST = Dialect(None, None, *[False] * 6)
_MORE: tuple[tuple[str, Any], ...] = (
    ("limit", "max_tokens"),
    ("limit", "max_completion_tokens"),
    ("temperature", True),
    ("top_p", True),
    ("seed", True),
    ("strict", True),
    ("bounds", True),
    ("quiet", "chat_template_kwargs"),
    ("quiet", "reasoning_effort"),
    ("logprobs", True),
)
"""What is added to the least request, one after the other, where the whole one is refused."""

_OTHERS: tuple[Think, ...] = ("unset", "off", "low", "on")
_ROOM = 2048
"""What is tried of thinking where no reply can be read, and the tokens that thoughts may take then."""

Body = dict[str, Any]
Try = Callable[[Mapping[str, Any], Dialect], Awaitable[Body | Refused]]
"""Sends a request as the dialect says; what it gives is a reply in Ollama's shape, or how it was refused."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """What requests to a model say of thinking, and how many tokens its thoughts may take, 0 where it is to have none."""

    think: Think = "off"
    room: int = 0


async def find_dialect(attempt: Try, insist: Try, model: str, host: str, thinking: Thinking) -> Dialect:
    """The dialect of a server for one model, which is asked about it as it will be asked later.

    `insist` raises a refusal as our error, as everything else is raised by both. ServerError where no schema is obeyed, or
    where the model writes only thoughts; it names the setting of thinking with which that is otherwise.
    """
    try:
        return await _found(attempt, insist, _probe(model, thinking), host)
    except _UselessError as useless:
        for think in _OTHERS:
            if think != thinking.think and await _readable(attempt, insist, _probe(model, Thinking(think, _ROOM)), host):
                raise ServerError(
                    f"The model {model} at {host} gives no reply that can be read with `think: {thinking.think}` "
                    f"({useless.why}), and does with `think: {think}`: set that in the configuration for the roles that ask it."
                ) from useless
        raise ServerError(str(useless)) from useless


async def _readable(attempt: Try, insist: Try, probe: Mapping[str, Any], host: str) -> bool:
    """Whether a reply can be read, at least with the least that is taken."""
    reply = await attempt({**probe, "format": _SCHEMA}, Dialect())
    if isinstance(reply, dict) and _obeys(reply, exactly=True):
        return True
    try:
        await _least(attempt, insist, probe, host)
    except _UselessError:
        return False
    return True


def _probe(model: str, thinking: Thinking) -> dict[str, Any]:
    options = {**PROBE["options"], "num_predict": PROBE["options"]["num_predict"] + thinking.room}
    return {**PROBE, "options": options, "model": model, **THINK_FIELD[thinking.think]}


async def _found(attempt: Try, insist: Try, probe: Mapping[str, Any], host: str) -> Dialect:
    asked = {**probe, "format": _SCHEMA}
    dialect = Dialect()
    body = await attempt(asked, dialect)
    if isinstance(body, dict) and _disturbs(body, asked):
        dialect, body = await _quieted(attempt, asked, dialect, body)
    if isinstance(body, Refused) or not _obeys(body, exactly=True):
        dialect, body = await _built_up(attempt, insist, probe, host)
    if not _tells(body):
        dialect = replace(dialect, logprobs=False)
    return replace(dialect, thinks=_disturbs(body, asked))


async def _least(attempt: Try, insist: Try, probe: Mapping[str, Any], host: str) -> tuple[Dialect, Body]:
    """The least that has to be taken, and its reply, which can be read."""
    asked, dialect, model = {**probe, "format": _SCHEMA}, _LEAST, probe["model"]
    body = await attempt(asked, dialect)
    if isinstance(body, Refused):
        await insist(probe, dialect)  # where that is refused, too, it is not the schema
        raise ServerError(
            f"The server at {host} refuses JSON schemas for {model} ({body.said}), and replies cannot be read without: take a "
            "server that has them (vLLM, llama.cpp, SGLang, LM Studio, Ollama), or another model."
        )
    if _disturbs(body, asked) or ("think" in asked and not _obeys(body)):
        dialect, body = await _quieted(attempt, asked, dialect, body)
    if not _obeys(body):
        only = _thinks(body) and not body["message"]["content"].strip()
        raise _only_thoughts(model, host) if only else _ignored(model, host, body)
    return dialect, body


async def _built_up(attempt: Try, insist: Try, probe: Mapping[str, Any], host: str) -> tuple[Dialect, Body]:
    """From the least that has to be taken, with all that can be added to it."""
    dialect, body = await _least(attempt, insist, probe, host)
    asked = {**probe, "format": _SCHEMA}
    for name, value in _MORE:
        if getattr(dialect, name):
            continue
        more = replace(dialect, **{name: value})
        reply = await attempt(asked, more)
        if isinstance(reply, dict) and _obeys(reply):
            dialect, body = more, reply
    return dialect, body


async def _quieted(attempt: Try, asked: Mapping[str, Any], dialect: Dialect, body: Body) -> tuple[Dialect, Body]:
    """Another way to tell the model not to think, or how much, if one helps against what is wrong with the reply."""
    disturbed = _disturbs(body, asked)
    for way in ("reasoning_effort", "chat_template_kwargs"):
        if way != dialect.quiet:
            other = replace(dialect, quiet=way)
            reply = await attempt(asked, other)
            if isinstance(reply, dict) and (not _thinks(reply) if disturbed else _obeys(reply)):
                return other, reply
    return dialect, body


def _thinks(body: Body) -> bool:
    return "thinking" in body["message"]


def _disturbs(body: Body, asked: Mapping[str, Any]) -> bool:
    """Whether there are thoughts in a reply that is to have none."""
    return _thinks(body) and asked.get("think") is False


def _tells(body: Body) -> bool:
    return any(entry.get("top_logprobs") for entry in body.get("logprobs") or ())


def _obeys(body: Body, *, exactly: bool = False) -> bool:
    """Whether a reply is as the schema wants it; the bounds of its lengths, which not every server takes, count `exactly`."""
    try:
        words = json.loads(said_in(body, {}).text)["words"]
    except (*NO_JSON, KeyError, TypeError):
        return False
    return bool(words == [_WORD] or (not exactly and isinstance(words, list) and {_WORD} == {*map(str, words)}))


class _UselessError(Exception):
    """No reply can be read; `why` says it in short."""

    def __init__(self, why: str, said: str) -> None:
        super().__init__(said)
        self.why = why


def _only_thoughts(model: str, host: str) -> _UselessError:
    return _UselessError(
        "it writes only thoughts",
        f"The model {model} at {host} writes only thoughts and no reply, whatever it is told (chat_template_kwargs "
        "enable_thinking, reasoning_effort): start the server with thinking switched off, set `think: on` and a larger "
        "`think_room` for the roles that ask it, or take a model that does not think.",
    )


def _ignored(model: str, host: str, body: Body) -> _UselessError:
    wrote = " ".join(body["message"]["content"].split())[:80] or "nothing"
    return _UselessError(
        "it ignores the JSON schema",
        f"The server at {host} ignores the JSON schema of a request to {model} (it wrote: {wrote}), and replies cannot be read "
        "without: switch structured outputs on there, or take a server that has them (vLLM, llama.cpp, SGLang, LM Studio, "
        "Ollama).",
    )
