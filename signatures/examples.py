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


class Pair(Shown):
    """A question with its answer, and its context where it has one."""

    context: str | None = None
    question: str
    answer: str
