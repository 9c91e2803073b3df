"""What servers of OpenAI's API differ in, and a request and a reply in it: to and from the canonical form, Ollama's."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import msgspec

from skills_dspy.model.server.tokens import Tokens

_BOUNDS = ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "pattern")
"""The keywords of a schema that not every server takes; what they ask for is checked in the reply anyway."""

_SILENCE: Mapping[str, Any] = {
    "chat_template_kwargs": {"enable_thinking": False, "thinking": False},  # as Qwen and as DeepSeek call it
    "reasoning_effort": "none",
}
"""The ways to tell a model not to think before it answers."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server takes of a request for one model, and gives; as it stands here a server that takes and gives all.

    Attributes:
        limit: the name of the most tokens of a reply; None where neither is taken.
        quiet: how a model is told not to think; None where no way is taken.
        temperature, top_p, seed: whether they are taken.
        strict: whether a schema may be called strict.
        bounds: whether a schema may have bounds of lengths.
        logprobs: whether log-probabilities are given.
        thinks: the model thinks before it answers, whatever it is told.
    """

    limit: Literal["max_tokens", "max_completion_tokens"] | None = "max_tokens"
    quiet: Literal["chat_template_kwargs", "reasoning_effort"] | None = "chat_template_kwargs"
    temperature: bool = True
    top_p: bool = True
    seed: bool = True
    strict: bool = True
    bounds: bool = True
    logprobs: bool = True
    thinks: bool = False

    def noted(self) -> dict[str, Any]:
        """What differs from a server that takes all, by name."""
        usual = Dialect()
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in pairs if value != getattr(usual, name)}

    def in_words(self) -> tuple[str, ...]:
        """The same, a sentence for each."""
        return tuple(_WORDS[name, value] for name, value in self.noted().items())


_WORDS: Mapping[tuple[str, Any], str] = {
    ("limit", "max_completion_tokens"): "the limit of a reply is called max_completion_tokens here, and is sent so",
    ("limit", None): "it takes no limit of a reply: how long one may be, the server decides",
    ("quiet", "reasoning_effort"): "the model is told by reasoning_effort not to think",
    ("quiet", None): "it knows no way to tell a model not to think (chat_template_kwargs, reasoning_effort)",
    ("temperature", False): "it takes no temperature: the model writes at its own, whatever the configuration says",
    ("top_p", False): "it takes no top_p, which is left out where the configuration has one",
    (
        "seed",
        False,
    ): "it takes no seed: what is asked for anew comes out otherwise; a resumed or replayed run has the same bytes",
    ("strict", False): "it takes no `strict` beside a schema, which is left out",
    ("bounds", False): "it takes no bounds of lengths in a schema; they are checked in the reply",
    ("logprobs", False): "it gives no log-probabilities, so there are no soft ratings",
    ("thinks", True): "the model thinks before it answers, whatever it is told; its thoughts take the room of its replies: "
    "`think: unset` for the roles that ask it leaves room for them",
}


def asked_of(payload: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    """OpenAI's form of a canonical request; the window and how long a model is kept are the server's own affair there."""
    options = payload["options"]
    request: dict[str, Any] = {"model": payload["model"], "messages": payload["messages"]}
    request |= {name: options[name] for name in ("temperature", "top_p", "seed") if name in options and getattr(dialect, name)}
    if dialect.limit is not None and "num_predict" in options:
        request[dialect.limit] = options["num_predict"]
    request |= _told_to_think(payload, dialect)
    if "format" in payload:
        schema = payload["format"] if dialect.bounds else without_bounds(payload["format"])
        form = {"name": "reply", "schema": schema} | ({"strict": True} if dialect.strict else {})
        request["response_format"] = {"type": "json_schema", "json_schema": form}
    if payload.get("logprobs") and dialect.logprobs:
        request |= {name: payload[name] for name in ("logprobs", "top_logprobs")}
    return request


def _told_to_think(payload: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    """How a server is told what the request says of thinking; nothing where it says nothing, or no way is taken."""
    think, way = payload.get("think"), dialect.quiet
    if think is None or way is None:
        return {}
    if think is False:
        return {way: _SILENCE[way]}
    effort = {} if think is True else {"reasoning_effort": think}
    if way == "reasoning_effort":
        return effort or {way: "medium"}  # which is what is usual there
    # Models whose template has an effort, as gpt-oss, read it there with llama.cpp and SGLang, and beside it with vLLM.
    return {way: {"enable_thinking": True, "thinking": True, **effort}, **effort}


def without_bounds(schema: Any) -> Any:
    """A schema without the keywords that bound lengths; a property may have such a name."""
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name not in _BOUNDS}
    inner = {name: without_bounds(value) for name, value in kept.items() if name in ("items", "additionalProperties")}
    properties = {name: without_bounds(value) for name, value in kept.get("properties", {}).items()}
    return kept | inner | ({"properties": properties} if properties else {})


class _Choice(msgspec.Struct):
    message: dict[str, Any] = {}
    finish_reason: Any = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")


class _Reply(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: Any = None
    usage: Any = None
    timings: Any = None


class _Logprobs(msgspec.Struct):
    content: list[msgspec.Raw] | None = None


_REPLY, _LOGPROBS = msgspec.json.Decoder(_Reply), msgspec.json.Decoder(_Logprobs)


def answer_of(content: bytes) -> dict[str, Any] | None:
    """A reply in Ollama's shape; None where there is no choice in it, ValueError or TypeError where it is broken.

    Of the log-probabilities the list over the tokens; the seconds where the server tells them, as llama.cpp does.
    """
    try:
        reply = _REPLY.decode(content)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    if not reply.choices:
        return None
    choice = reply.choices[0]
    usage, timings = (told if isinstance(told, dict) else {} for told in (reply.usage, reply.timings))
    text: Any = choice.message.get("content") or ""
    parts = ""
    if isinstance(text, list):  # as Mistral's service has the thoughts of Magistral
        parts, text = _joined(text, "thinking"), _joined(text, "text")
    if not isinstance(text, str):
        raise ValueError("the reply is no text")
    said = {"role": "assistant", "content": text}
    if thoughts := choice.message.get("reasoning_content") or choice.message.get("reasoning") or parts:
        said["thinking"] = str(thoughts)
    body: dict[str, Any] = {
        "model": reply.model,
        "message": said,
        "done": True,
        "done_reason": "length" if choice.finish_reason == "length" else "stop",
        "prompt_eval_count": usage.get("prompt_tokens"),
        "eval_count": usage.get("completion_tokens"),
        "prompt_eval_duration": _nanoseconds(timings.get("prompt_ms")),
        "eval_duration": _nanoseconds(timings.get("predicted_ms")),
        "logprobs": _tokens(choice.logprobs),
    }
    return {name: value for name, value in body.items() if value is not None}


def _joined(parts: list[Any], kind: str) -> str:
    """The text of a reply's parts of one kind; a part of thoughts has parts itself."""
    found = (part.get(kind) for part in parts if isinstance(part, dict) and part.get("type") == kind)
    return "".join(_joined(part, "text") if isinstance(part, list) else str(part or "") for part in found)


def _tokens(told: msgspec.Raw) -> Tokens | None:
    """None for an older form as well, which has no list over the tokens."""
    if not bytes(told).lstrip().startswith(b"{"):
        return None
    try:
        content = _LOGPROBS.decode(told).content
    except msgspec.ValidationError:
        return None
    return None if content is None else Tokens(content)


def _nanoseconds(milliseconds: object) -> int | None:
    return round(milliseconds * 1e6) if isinstance(milliseconds, int | float) and 0 <= milliseconds < 1e12 else None
