"""Thinking: how a model may be told to, what a request says of it, and the room that it takes."""

from collections.abc import Mapping
from typing import Literal

Think = Literal["off", "on", "low", "medium", "high", "unset"]
"""Whether a model is to think before it answers, or how much; `unset` leaves it to the model and says nothing."""

THINK_FIELD: Mapping[Think, Mapping[str, bool | str]] = {
    "off": {"think": False},
    "on": {"think": True},
    "low": {"think": "low"},
    "medium": {"think": "medium"},
    "high": {"think": "high"},
    "unset": {},
}
"""What a request says of it, in Ollama's form."""

ROOM: Mapping[Think, int] = {"off": 0, "on": 2048, "low": 1024, "medium": 2048, "high": 8192, "unset": 2048}
"""The room in tokens for the thoughts before a first reply, where `think_room` says nothing."""
