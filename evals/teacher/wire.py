"""Ollama's wire form: what a chat or generate request asks for, and how its reply is written down."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from evals.teacher.words import CHARACTERS_PER_TOKEN, tokens

_NO_MATTER = frozenset({"keep_alive", "stream", "truncate", "logprobs", "top_logprobs", "messages", "options"})
_PIECE = re.compile(r"\s*\S+\s*?|\s+")
_TOO_LONG = "the input length exceeds the context length"
_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

MOST_LOGPROBS = 20
"""Of so many tokens in each place Ollama gives the log-probabilities at most."""

Messages = Sequence[Mapping[str, str]]

Logprobs = Sequence[Mapping[str, Any]]
"""For each token of a reply `token`, `logprob` and `top_logprobs`, a list of `token` and `logprob`; tokens.py makes some."""


class Refused(Exception):
    """A request that gets an error instead of a reply.

    Args:
        status: the HTTP status.
        message: Ollama's words for it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Asked:
    """A chat or generate request.

    Attributes:
        chat: it came to /api/chat, not /api/generate.
        model: as the client named it.
        messages: what is left of them in the window; none for a request that only loads the model.
        schema: the JSON schema of the reply.
        any_json: any JSON object will do.
        stream: the reply is wanted in pieces.
        num_predict: the most tokens of the reply; none for no limit.
        seed: of the sampling, as the client gave it.
        num_ctx: the window in tokens.
        prompt_tokens: estimated length of what is left of the messages, the window at most.
        keep_alive_zero: a request without messages unloads the model.
        logprobs: the log-probability of every token of the reply is wanted.
        top_logprobs: of so many tokens in each place, 0 to 20.
        digest: SHA-256 over what a reply may depend on.
    """

    chat: bool
    model: str
    messages: Messages
    schema: Mapping[str, Any] | None
    any_json: bool
    stream: bool
    num_predict: int | None
    seed: int | None
    num_ctx: int
    prompt_tokens: int
    keep_alive_zero: bool
    logprobs: bool
    top_logprobs: int
    digest: bytes


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises:
        Refused: there is none.
    """
    try:
        data = json.loads(body)
    except ValueError as error:
        raise Refused(400, f"invalid JSON in the request: {error}") from error
    if not isinstance(data, dict):
        raise Refused(400, "the request is not a JSON object")
    return data


def parse(data: Mapping[str, Any], *, chat: bool, default_num_ctx: int, most_num_ctx: int) -> Asked:
    """What a request asks for.

    Args:
        data: its body, with a model's name.
        chat: it came to /api/chat, not /api/generate.
        default_num_ctx: the window where the request names none, in tokens.
        most_num_ctx: the window is never larger, in tokens.

    Raises:
        Refused: it is malformed, or does not fit into the window though `truncate` is false.
    """
    options = data.get("options") or {}
    if not isinstance(options, dict):
        raise Refused(400, "options is not an object")
    schema, any_json = _format(data.get("format"))
    if data.get("think"):
        raise Refused(400, f'"{data["model"]}" does not support thinking')
    top_logprobs = _whole_number(data, "top_logprobs") or 0
    if not 0 <= top_logprobs <= MOST_LOGPROBS:
        raise Refused(400, f"top_logprobs must be between 0 and {MOST_LOGPROBS}")
    num_ctx = min(_whole_number(options, "num_ctx") or default_num_ctx, most_num_ctx)
    num_predict = _whole_number(options, "num_predict") or 0
    written = _messages(data) if chat else _prompt(data)
    kept = fitting(written, num_ctx)
    needed = count(kept)
    if data.get("truncate") is False and (len(kept) < len(written) or needed > num_ctx):
        raise Refused(400, _TOO_LONG)
    return Asked(
        chat=chat,
        model=data["model"],
        messages=kept,
        schema=schema,
        any_json=any_json,
        stream=data.get("stream") is not False,
        num_predict=num_predict if num_predict > 0 else None,
        seed=_whole_number(options, "seed"),
        num_ctx=num_ctx,
        prompt_tokens=min(needed, num_ctx),
        keep_alive_zero=data.get("keep_alive") in (0, "0", "0s"),
        logprobs=data.get("logprobs") is True,
        top_logprobs=top_logprobs,
        digest=_digest(data, options, kept),
    )


def fitting(messages: Messages, num_ctx: int) -> Messages:
    """What Ollama keeps of the messages: the oldest go until the rest fits, but no system message and not the last."""
    for first in range(len(messages)):
        kept = [m for m in messages[:first] if m["role"] == "system"] + list(messages[first:])
        if count(kept) <= num_ctx or first == len(messages) - 1:
            return kept
    return messages


def count(messages: Messages) -> int:
    """The estimated tokens of messages."""
    return sum(tokens(message["content"]) for message in messages)


def cut(text: str, num_predict: int | None) -> str:
    """As much of a text as the model may write."""
    return text if num_predict is None else text[: num_predict * CHARACTERS_PER_TOKEN]


def pieces(text: str) -> list[str]:
    """A text in the pieces in which it is streamed: words."""
    return _PIECE.findall(text)


def now() -> str:
    """The time as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def part(asked: Asked, text: str) -> dict[str, Any]:
    """One piece of a streamed reply."""
    told = {"message": {"role": "assistant", "content": text}} if asked.chat else {"response": text}
    return {"model": asked.model, "created_at": now(), **told, "done": False}


def ending(
    asked: Asked, text: str, done_reason: str, reply_tokens: int, seconds: tuple[float, float], logprobs: Logprobs | None = None
) -> dict[str, Any]:
    """The last piece of a reply, or the whole of one that is not streamed.

    Args:
        asked: the request.
        text: what of the reply has not been sent yet.
        done_reason: `stop` or `length`; `load` and `unload` come without counters.
        reply_tokens: estimated tokens of the whole reply.
        seconds: since the request came, and of these spent on writing.
        logprobs: of the whole reply, Ollama's list; they are told if the request asks for them, of each place the most
            probable tokens, as many as it asks for. (Ollama spreads those of a streamed reply over its pieces.)
    """
    told = part(asked, text) | {"done": True, "done_reason": done_reason}
    if done_reason in ("load", "unload"):
        return told
    total, writing = (round(value * 1e9) for value in seconds)
    counters: dict[str, Any] = {
        "total_duration": total,
        "load_duration": 1,
        "prompt_eval_count": asked.prompt_tokens,
        "prompt_eval_duration": max(1, total - writing),
        "eval_count": reply_tokens,
        "eval_duration": max(1, writing),
    }
    if asked.logprobs and logprobs is not None:
        counters["logprobs"] = [_with_most_probable(entry, asked.top_logprobs) for entry in logprobs]
    return told | counters if asked.chat else told | {"context": []} | counters


def line(value: Mapping[str, Any]) -> bytes:
    """A value as one line of JSON, without the newline."""
    return _compact(value).encode()


def _with_most_probable(entry: Mapping[str, Any], most: int) -> dict[str, Any]:
    alternatives = sorted(entry["top_logprobs"], key=lambda other: -other["logprob"])[:most]
    rest = {key: value for key, value in entry.items() if key != "top_logprobs"}
    return {**rest, "top_logprobs": alternatives} if alternatives else rest


def _digest(data: Mapping[str, Any], options: Mapping[str, Any], messages: Messages) -> bytes:
    matters = {key: value for key, value in data.items() if key not in _NO_MATTER}
    matters["options"] = {key: value for key, value in options.items() if key != "num_ctx"}
    matters["messages"] = messages
    return hashlib.sha256(_canonical(matters).encode()).digest()


def _format(value: Any) -> tuple[Mapping[str, Any] | None, bool]:
    if value is None or value == "":
        return None, False
    if value == "json":
        return None, True
    if not isinstance(value, dict):
        raise Refused(400, f'invalid format: {value!r}; expected "json" or a valid JSON Schema object')
    return value, False


def _whole_number(options: Mapping[str, Any], name: str) -> int | None:
    value = options.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise Refused(400, f'option "{name}" must be of type integer')
    return value


def _messages(data: Mapping[str, Any]) -> Messages:
    messages = data.get("messages") or []
    if not isinstance(messages, list) or not all(isinstance(m, dict) and "role" in m for m in messages):
        raise Refused(400, "messages is not a list of objects with a role")
    return [{"role": m["role"], "content": str(m.get("content") or "")} for m in messages]


def _prompt(data: Mapping[str, Any]) -> Messages:
    prompt = str(data.get("prompt") or "")
    system = str(data.get("system") or "")
    told = [{"role": "system", "content": system}] if system else []
    return [*told, {"role": "user", "content": prompt}] if prompt else []
