"""The wire form of a chat: what a request asks for, and how its reply is written down, whole and never in pieces.

It is Ollama's; OpenAI's is translated into it and back, so that the same request has the same reply in both.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from evals.teacher.filling import CHARACTERS_PER_TOKEN, filler_tokens

DEFAULT_NUM_CTX = 4096
"""The window of a request that names none, in tokens."""

_NO_MATTER = frozenset({"keep_alive", "stream", "truncate", "logprobs", "top_logprobs", "messages", "options"})

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat request.

    Attributes:
        model: as the client named it.
        messages: each with its role and content.
        schema: the JSON schema of the reply.
        num_predict: the most tokens of the reply; None for no limit.
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


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply's text, and why it ends: `stop` or `length`."""

    text: str
    done_reason: str

    @property
    def tokens(self) -> int:
        """How many it has, estimated."""
        return filler_tokens(self.text)


def parse(data: Mapping[str, Any]) -> ChatRequest:
    """What a request's body asks for."""
    options = data.get("options") or {}
    messages = [{"role": m["role"], "content": str(m.get("content") or "")} for m in data["messages"]]
    matters = {key: value for key, value in data.items() if key not in _NO_MATTER}
    matters |= {"options": {key: value for key, value in options.items() if key != "num_ctx"}, "messages": messages}
    canonical = json.dumps(matters, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    needed = sum(filler_tokens(message["content"]) for message in messages)
    num_predict = options.get("num_predict", 0)
    return ChatRequest(
        model=data["model"],
        messages=messages,
        schema=data.get("format") or None,
        num_predict=num_predict if num_predict > 0 else None,
        seed=options.get("seed"),
        prompt_tokens=min(needed, options.get("num_ctx", DEFAULT_NUM_CTX)),
        digest=hashlib.sha256(canonical.encode()).digest(),
    )


def from_openai(data: Mapping[str, Any]) -> dict[str, Any]:
    """A request of OpenAI's API as Ollama would get it from the program."""
    options = {name: data[name] for name in ("temperature", "top_p", "seed") if name in data}
    form = data.get("response_format")
    return {
        "model": data["model"],
        "messages": data["messages"],
        "options": options | ({"num_predict": data["max_tokens"], "num_ctx": 131072} if "max_tokens" in data else {}),
        "think": False,
        **({"format": form["json_schema"]["schema"]} if form else {}),
    }


def to_openai(body: Mapping[str, Any]) -> dict[str, Any]:
    """A reply's body as OpenAI's API has it."""
    usage = {"prompt_tokens": body["prompt_eval_count"], "completion_tokens": body["eval_count"]}
    choice = {"index": 0, "message": body["message"], "finish_reason": body["done_reason"]}
    return {"object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}


def cut(text: str, done_reason: str, num_predict: int | None) -> Reply:
    """The reply of as much of a text as the model may write."""
    most = len(text) if num_predict is None else num_predict * CHARACTERS_PER_TOKEN
    return Reply(text[:most], done_reason if len(text) <= most else "length")


def chat_reply(request: ChatRequest, reply: Reply, seconds: tuple[float, float], loading: float = 0.0) -> dict[str, Any]:
    """The body of a reply to a request that came so many seconds ago, of which so many were spent on writing.

    `loading` are those of them that its model took to load.
    """
    total, writing, load = (round(value * 1e9) for value in (*seconds, loading))
    return {
        "model": request.model,
        "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "message": {"role": "assistant", "content": reply.text},
        "done": True,
        "done_reason": reply.done_reason,
        "total_duration": total,
        "load_duration": max(1, load),
        "prompt_eval_count": request.prompt_tokens,
        "prompt_eval_duration": max(1, total - writing - load),
        "eval_count": reply.tokens,
        "eval_duration": max(1, writing),
    }
