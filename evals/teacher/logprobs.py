"""The log-probabilities beside a made reply, as Ollama writes them: as many as a real model's, and nothing is meant by them."""

import json
import re
from functools import cache
from typing import Any

_TOKEN = re.compile(r"\s?\w+|\s?[^\w\s]|\s")
_WORDS = ("very", "easy", "medium", "hard", "excellent", "good", "average", "poor", "a", "b", "c", "d", "e", "f")
_OTHERS = (*(f" {n}" for n in range(6)), *_WORDS)
"""What else might stand in each place: labels among them, so that each can be rated."""
_THOUGHT = " hm"


def logprobs_of(text: str, tokens: int) -> bytes:
    """A JSON list of a text's tokens, each with 20 alternatives; others stand before them where there are fewer than `tokens`.

    Readers take what comes before a reply's text for thoughts that the server keeps for itself.
    """
    own = _TOKEN.findall(text)
    return b"[" + b",".join(map(_entry, [_THOUGHT] * (tokens - len(own)) + own)) + b"]"


@cache
def _entry(token: str) -> bytes:
    others = [other for other in _OTHERS if other != token]
    told = [_said(other, place) for place, other in enumerate([token, *others][:20])]
    return json.dumps(told[0] | {"top_logprobs": told}, separators=(",", ":")).encode()


def _said(token: str, place: int) -> dict[str, Any]:
    return {"token": token, "logprob": -0.12345678 * (place + 1), "bytes": list(token.encode())}
