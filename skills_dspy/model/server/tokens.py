"""The tokens of a reply with their log-probabilities: long lists, of which only what is looked at is read."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import msgspec


class _Alternative(TypedDict):
    token: str
    logprob: float


class _Token(_Alternative):
    top_logprobs: NotRequired[list[_Alternative] | None]


_TOKEN = msgspec.json.Decoder(_Token)


class Tokens(Sequence[Mapping[str, Any]]):
    """A list of tokens with their log-probabilities, each decoded when it is looked at: of a hundred some five are.

    One is had by its number, and nothing by a slice.
    """

    def __init__(self, raw: Sequence[msgspec.Raw]) -> None:
        self._raw = raw
        self._read: dict[int, _Token] = {}

    def __len__(self) -> int:
        return len(self._raw)

    def __getitem__(self, place: Any) -> Any:
        if place not in self._read:
            self._read[place] = _TOKEN.decode(self._raw[place])
        return self._read[place]
