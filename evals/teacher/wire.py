"""Ollama's wire form: what a chat request asks for, how its reply is written down, and which models there are.

Replies come whole, never in pieces.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from evals.teacher.filling import CHARACTERS_PER_TOKEN, tokens

_NO_MATTER = frozenset({"keep_alive", "stream", "truncate", "logprobs", "top_logprobs", "messages", "options"})
_TOO_LONG = "the input length exceeds the context length"
_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "0B",
    "quantization_level": "simulated",
}
_SIZE = 1_000_000_000
_MODIFIED = "2025-01-01T00:00:00Z"

Messages = Sequence[Mapping[str, str]]


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
class ChatRequest:
    """A chat request.

    Attributes:
        model: as the client named it.
        messages: each with its role and content.
        schema: the JSON schema of the reply.
        num_predict: the most tokens of the reply; none for no limit.
        seed: of the sampling, as the client gave it.
        prompt_tokens: estimated length of the messages, the window at most.
        digest: SHA-256 over what a reply may depend on.
    """

    model: str
    messages: Messages
    schema: Mapping[str, Any] | None
    num_predict: int | None
    seed: int | None
    prompt_tokens: int
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


def parse(data: Mapping[str, Any], *, default_num_ctx: int, most_num_ctx: int) -> ChatRequest:
    """What a request asks for.

    Args:
        data: its body, with a model's name.
        default_num_ctx: the window where the request names none, in tokens.
        most_num_ctx: the window is never larger, in tokens.

    Raises:
        Refused: it is malformed, or does not fit into the window though `truncate` is false.
    """
    options = data.get("options") or {}
    if not isinstance(options, dict):
        raise Refused(400, "options is not an object")
    schema = data.get("format") or None
    if schema is not None and not isinstance(schema, dict):
        raise Refused(400, f"invalid format: {schema!r}; expected a valid JSON Schema object")
    if data.get("think"):
        raise Refused(400, f'"{data["model"]}" does not support thinking')
    num_ctx = min(_whole_number(options, "num_ctx") or default_num_ctx, most_num_ctx)
    num_predict = _whole_number(options, "num_predict") or 0
    messages = _messages(data)
    needed = sum(tokens(message["content"]) for message in messages)
    if data.get("truncate") is False and needed > num_ctx:
        raise Refused(400, _TOO_LONG)
    return ChatRequest(
        model=data["model"],
        messages=messages,
        schema=schema,
        num_predict=num_predict if num_predict > 0 else None,
        seed=_whole_number(options, "seed"),
        prompt_tokens=min(needed, num_ctx),
        digest=_digest(data, options, messages),
    )


def cut(text: str, num_predict: int | None) -> str:
    """As much of a text as the model may write."""
    return text if num_predict is None else text[: num_predict * CHARACTERS_PER_TOKEN]


def chat_reply(
    request: ChatRequest, text: str, done_reason: str, reply_tokens: int, seconds: tuple[float, float]
) -> dict[str, Any]:
    """The reply to a request.

    Args:
        request: the request.
        text: all of the reply.
        done_reason: `stop` or `length`.
        reply_tokens: estimated tokens of the reply.
        seconds: since the request came, and of these spent on writing.
    """
    total, writing = (round(value * 1e9) for value in seconds)
    return {
        "model": request.model,
        "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "message": {"role": "assistant", "content": text},
        "done": True,
        "done_reason": done_reason,
        "total_duration": total,
        "load_duration": 1,
        "prompt_eval_count": request.prompt_tokens,
        "prompt_eval_duration": max(1, total - writing),
        "eval_count": reply_tokens,
        "eval_duration": max(1, writing),
    }


class Shelf:
    """The pulled models.

    Args:
        names: the models' names; one without a tag means `:latest`.
        context_length: the window that every model is said to have, in tokens.
    """

    def __init__(self, names: Iterable[str], context_length: int) -> None:
        self._names = dict.fromkeys(full_name(name) for name in names)
        self._context_length = context_length

    def __contains__(self, name: str) -> bool:
        return full_name(name) in self._names

    def tags(self) -> dict[str, Any]:
        """What /api/tags answers."""
        return {"models": [_entry(name) | {"modified_at": _MODIFIED} for name in self._names]}

    def show(self, name: str) -> dict[str, Any]:
        """What /api/show answers for a pulled model."""
        return {
            "license": "none: a simulation without a language model",
            "modelfile": f"# a simulated teacher, no language model\nFROM {full_name(name)}",
            "parameters": "temperature                    0.15",
            "template": "{{ .System }} {{ .Prompt }}",
            "details": _DETAILS,
            "model_info": {
                "general.architecture": "llama",
                "general.parameter_count": 0,
                "llama.context_length": self._context_length,
                "llama.embedding_length": 1,
            },
            "capabilities": ["completion", "tools"],
            "modified_at": _MODIFIED,
        }

    def pull(self, name: str) -> Iterator[dict[str, Any]]:
        """The progress of pulling a model, which is there at the end."""
        layer = digest_of(name)
        yield {"status": "pulling manifest"}
        for tenths in (0, 5, 10):
            progress = {"status": f"pulling {layer[:12]}", "digest": f"sha256:{layer}", "total": _SIZE}
            yield progress | ({"completed": _SIZE * tenths // 10} if tenths else {})
        yield {"status": "verifying sha256 digest"}
        yield {"status": "writing manifest"}
        self._names[full_name(name)] = None
        yield {"status": "success"}


def full_name(name: str) -> str:
    """A model's name with its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def digest_of(name: str) -> str:
    """What stands for a model's digest: the hash of words that say what it is."""
    return hashlib.sha256(f"simulated teacher {full_name(name)}".encode()).hexdigest()


def line(value: Mapping[str, Any]) -> bytes:
    """A value as one line of JSON, without the newline."""
    return _compact(value).encode()


def _digest(data: Mapping[str, Any], options: Mapping[str, Any], messages: Messages) -> bytes:
    matters = {key: value for key, value in data.items() if key not in _NO_MATTER}
    matters["options"] = {key: value for key, value in options.items() if key != "num_ctx"}
    matters["messages"] = messages
    return hashlib.sha256(_canonical(matters).encode()).digest()


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


def _entry(name: str) -> dict[str, Any]:
    return {"name": name, "model": name, "size": _SIZE, "digest": digest_of(name), "details": _DETAILS}
