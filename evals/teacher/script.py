"""Scripts: the replies to one task's requests, written by hand, and the loader that checks them.

A reply may be a value, `{raw: text}` (sent as it is) or `{truncated: text}` (sent as cut at num_predict), or a list of
such, served one after the other to requests of the step that differ.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from signatures.labels import Category, Difficulty, PairRating, Quality, QuestionRating, Score
from skills_dspy.base.errors import ConfigError
from skills_dspy.base.validation import SENTENCES, Where, Wording, validated
from skills_dspy.base.yaml_lines import read_yaml


class Written(BaseModel):
    """Base of all parts of a script: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Raw(Written):
    """A text that is sent as it is."""

    raw: str


class Truncated(Written):
    """A text that is sent with done_reason "length"."""

    truncated: str


def _form(value: Any) -> str:
    """Which of the forms of a reply a value has, by its only key."""
    keys = set(value) if isinstance(value, Mapping) else {type(value).__name__.lower()}
    return "raw" if "raw" in keys else "truncated" if "truncated" in keys else "value"


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


T = TypeVar("T")
Reply = Annotated[
    Annotated[Raw, Tag("raw")] | Annotated[Truncated, Tag("truncated")] | Annotated[T, Tag("value")],
    Discriminator(_form),
]
Replies = Annotated[tuple[Reply[T], ...], BeforeValidator(_listed)]
Failure = Annotated[
    Annotated[Raw, Tag("raw")] | Annotated[Truncated, Tag("truncated")] | Annotated[Raw, Tag("value")],
    Discriminator(_form),
]


class _Explained(Written):
    explanation: Text


class QuestionJudged(_Explained):
    """A verdict on a question."""

    rating: QuestionRating


class PairJudged(_Explained):
    """A verdict on a pair."""

    rating: PairRating


class QualityTagged(_Explained):
    """How well a question is put."""

    quality: Quality


class SampleScored(_Explained):
    """How good a sample is."""

    score: Score


class DifficultyTagged(_Explained):
    """How difficult a question is."""

    difficulty: Difficulty


class CategoryTagged(_Explained):
    """What kind of task a question sets."""

    category: Category
    other_categories: tuple[Category, ...] = ()


class ScriptedQuestion(Written):
    """One question and the replies to all that is asked about it; what is never asked may be left out."""

    question: Text
    judge_question: Replies[QuestionJudged] = ()
    instruction_quality: Replies[QualityTagged] = ()
    answer: Replies[Text] = ()
    judge_pair: Replies[PairJudged] = ()
    sample_quality: Replies[SampleScored] = ()
    difficulty: Replies[DifficultyTagged] = ()
    category: Replies[CategoryTagged] = ()


class ScriptedDraw(Written):
    """One writing of questions, after the attempts that fail; a grounded one has its context."""

    context: Replies[Text] = ()
    failed_attempts: tuple[Failure, ...] = ()
    questions: tuple[ScriptedQuestion, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> "ScriptedDraw":
        if not (self.context or self.failed_attempts or self.questions):
            raise ValueError("a draw needs questions, failed_attempts or a context")
        return self


class Script(Written):
    """All replies to one task's requests, by hand.

    A task whose file leaves the description blank is known by its `task_name`, and described in the words of
    `description`; what follows is asked with those words, so the last of them is `task_description`, which it is when
    `description` is left out.
    """

    task_description: Text
    task_name: Text | None = None
    description: Replies[Text] = ()
    written_by: Literal["hand"]
    draws: tuple[ScriptedDraw, ...] = Field(min_length=1)


def load_script(path: Path) -> Script:
    """Read and check a script.

    Raises:
        ConfigError: the file is missing or is no script; one sentence with file and line.
    """
    return validated(read_yaml(path, ConfigError), Script, path, _WORDING)


def _place(where: Where) -> str:
    """A place as a person writes it: `draws[0].questions[1].answer`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")


_WORDING = Wording(ConfigError, _place, dict.fromkeys((*SENTENCES, "model_attributes_type"), "{place}: {message}"))
