"""What a prompt shows as examples: questions, passages and whole pairs, as typed input values."""

from pydantic import BaseModel, ConfigDict


class Shown(BaseModel):
    """Base of everything shown: immutable, unknown keys refused. A field that is None is not rendered."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Passage(Shown):
    """A context alone, for the writer of new contexts."""

    context: str


class Question(Shown):
    """A question, with its context where it has one."""

    context: str | None = None
    question: str


class Text(Shown):
    """A context with all questions about it that are shown."""

    context: str
    questions: list[str]


class Axis(Shown):
    """One way in which the exercises of a skill differ, with the values that it may have."""

    name: str
    values: list[str]


class Pair(Shown):
    """A question with its answer, and its context where it has one."""

    context: str | None = None
    question: str
    answer: str
