"""Scripts: the replies to one task's requests, written by hand, and the loader that checks them.

A reply may be a value, `{raw: text}` (sent as it is) or `{truncated: text}` (sent as cut at num_predict), or a list of
such, served one after the other to requests of the step that differ.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from signatures.labels import Category, Difficulty, PairRating, Quality, QuestionRating, Score
from skills_dspy.base.errors import ConfigError


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
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the script cannot be read: {error}", path) from error
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        data = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise ConfigError(f"the script is not valid YAML: {error.problem}", path, line) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"the script is not valid YAML: {' '.join(str(error).split())}", path) from error
    try:
        return Script.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, line = _place(root, first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {message[:1].lower()}{message[1:]}", path, line) from error


def _place(root: yaml.Node | None, location: tuple[int | str, ...]) -> tuple[str, int | None]:
    """The path into the file as a person writes it, and the 1-based line of its last part that is there."""
    node, path = root, "the script"
    for part in location:
        child = _child(node, part)
        if child is not None:
            node = child
        if child is not None or part == location[-1]:
            path += f"[{part}]" if isinstance(part, int) and child is not None else f".{part}"
    return path.removeprefix("the script."), None if node is None else node.start_mark.line + 1


def _child(node: yaml.Node | None, part: int | str) -> yaml.Node | None:
    """The value below a key or index; None for what pydantic adds to its locations, and for keys that are missing."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return node.value[part] if part < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    return None
