"""One request of a step on its way, from who asks to who answers."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from skills_dspy.base.errors import SkillsError
from skills_dspy.base.records import SoftRating

Rank = tuple[int, ...]
"""Place in the queue for a slot: the smallest goes first."""

LATER: Rank = (sys.maxsize,)
"""The place of a call that need not be made for now: it takes no slot, not even a free one."""


@dataclass(slots=True)
class Call:
    """One request of a step on its way; `rank` is asked anew whenever a slot becomes free.

    `room` is how many tokens the text of its reply may have, where it has room for thoughts beside it; else 0.

    The engine sets the key of request and reply in the journal, the text of the reply, output field to the probabilities of
    its labels where the server gave them, and our own error, which DSPy wraps for those who wait in a thread. On its way it
    learns its model, the lane that answered it (None for a journal or a recording), the lanes that failed at it, how often it
    was handed over, and how many faults each host met.
    """

    step: str
    rank: Callable[[], Rank]
    room: int = 0
    digest: str = ""
    raw: str = ""
    soft: Mapping[str, SoftRating] = field(default_factory=dict)
    error: SkillsError | None = None
    model: str = ""
    lane: Any = None
    failed_at: list[Any] = field(default_factory=list)
    handed_over: int = 0
    faults: Counter[str] = field(default_factory=Counter)


CURRENT_CALL: ContextVar[Call] = ContextVar("skills_dspy_call")
"""The call that the running task makes.

DSPy hands an engine the request alone, so the call rides beside it; asyncio keeps the variable apart for each task.
"""
