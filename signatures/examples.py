"""What a prompt shows as examples: questions, passages and whole pairs, as typed input values."""

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import BaseModel, ConfigDict

ABOUT_TASK = "what the skill is, in the words of the person who teaches it"
"""How prompts describe the description of a task."""


class Shown(BaseModel):
    """Base of everything shown: immutable, unknown keys refused. A field that is None is not rendered."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(Shown):
    """A question, with its context where it has one."""

    context: str | None = None
    question: str


class TextWithQuestions(Shown):
    """A context with all questions about it that are shown."""

    context: str
    questions: list[str]


class Axis(Shown):
    """One way in which the exercises of a skill differ, with the values that it may have."""

    name: str
    of: Literal["text", "request"] = "request"
    values: tuple[str, ...]


class PlannedAxis(Axis):
    """An axis as a model names it: so many values that they vary something, and not so many that it goes on for ever."""

    of: Literal["text", "request"]
    values: Annotated[tuple[str, ...], Len(2, 40)]


class Pair(Shown):
    """A question with its answer, and its context where it has one."""

    context: str | None = None
    question: str
    answer: str
