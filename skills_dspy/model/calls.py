"""What one call carries around DSPy: where it stands in the queue on the way in, what came back on the way out.

DSPy hands an engine the request alone. The call rides beside it in a context variable, which asyncio keeps apart for each task.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from skills_dspy.base.errors import SkillsError
from skills_dspy.base.records import SoftRating

WHOLE_DRAW = -1
"""The index of what belongs to a draw as a whole: its context and the writing of its questions."""

Rank = tuple[int, ...]
"""Place in the queue for a slot: the smallest goes first."""


@dataclass(slots=True)
class Call:
    """One request on its way.

    Attributes:
        step: the step that asks.
        rank: its place in the queue, asked anew whenever a slot becomes free.
        digest: set by the engine: the key of request and reply in the journal.
        raw: set by the engine: the text of the reply.
        soft: set by the engine: output field to the probabilities of its labels, where the server gave them.
        error: set by the engine: our own error, which DSPy would wrap.
    """

    step: str
    rank: Callable[[], Rank]
    digest: str = ""
    raw: str = ""
    soft: Mapping[str, SoftRating] = field(default_factory=dict)
    error: SkillsError | None = None


CURRENT_CALL: ContextVar[Call] = ContextVar("skills_dspy_call")
"""The call that the running task makes."""
