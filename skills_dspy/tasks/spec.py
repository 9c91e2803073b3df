"""Tasks: what a user asks to be generated, what a task file may hold, and the file that a task was read from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from rapidfuzz import fuzz
from rapidfuzz.utils import default_process

from signatures.examples import Axis
from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import Frozen, Kind, SeedExample, seed_texts
from skills_dspy.base.validation import FILLED, Text, Where, Wording, validated
from skills_dspy.base.yaml_lines import UNREAD, Node, shown

DATA_BUILDER = "instructlab/skills"
FEWEST_SEEDS = 5
"""With fewer seeds than this there is a warning; the taxonomy asks for as many."""

SEED_KEYS = ("question", "answer", "context")

_BAD_CHARACTERS = frozenset(':*?"<>|\\')
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"] + [d + n for d in ("com", "lpt") for n in "123456789¹²³"]
)
_SET_ASIDE = re.compile(r"\.old-\d{8}-\d{6}(-\d+)?$")


def name_fault(name: str) -> str | None:
    """What keeps a task name, parts joined by `/`, from being a path below a directory on any system; None: nothing."""
    if not name.strip():
        return "is empty"
    if len(name) > 200:
        return f"has {len(name)} characters and may have 200"
    if bad := next((c for c in name if c in _BAD_CHARACTERS or not c.isprintable()), None):
        return f"holds the character {bad}" if bad.isprintable() else f"holds the character U+{ord(bad):04X}"
    for part in name.split("/"):
        if not part:
            return "starts or ends with `/`, or holds `//`"
        if part != part.strip(" ."):
            return f"has the part `{part}`, which starts or ends with a dot or a space"
        if part.split(".")[0].rstrip(" ").casefold() in _RESERVED:
            return f"has the part `{part}`, a name that Windows keeps for itself"
        if _SET_ASIDE.search(part):
            return f"has the part `{part}`, which is how runs are named that were set aside"
        if len(part.encode()) > 255:
            return "has a part that is longer than the 255 bytes a folder's name may have"
    return None


def _named(name: str) -> str:
    if fault := name_fault(name):
        raise ValueError(f"{fault}; write a path such as writing/freeform/debate")
    return name


_QUESTIONS, _ONE_REQUEST = 5, 65.0


def usual_count(seeds: Sequence[SeedExample]) -> int:
    """How many questions one prompt asks for where nobody has said it: 5, or 1 where all seeds make one request of their texts.

    A second request of the same text would have to be another one, or for a part of the work; a single seed makes one. Requests
    are one if their words are alike, in any order (rapidfuzz's token_sort_ratio), at 65 of 100 in the mean over all pairs: of
    the corpora's grounded tasks, the one whose seeds make one request in other words has 71, all others 39 to 53.
    """
    requests = [seed.question for seed in seeds if seed.context is not None]
    if not requests or len(requests) < len(seeds):
        return _QUESTIONS
    if len(requests) == 1:  # five more of it would be the same request in other words
        return 1
    alike = [fuzz.token_sort_ratio(one, other, processor=default_process) for one, other in combinations(requests, 2)]
    return 1 if sum(alike) / len(alike) >= _ONE_REQUEST else _QUESTIONS


class TaskSpec(Frozen):
    """One task, as its file asks for it.

    Attributes:
        task_name: where its data lies below the output directory; parts joined by `/`.
        created_by: who wrote the seeds.
        task_description: what the skill is; may be empty.
        num_icl_examples_per_prompt: how many examples a prompt shows at most, 1 to 20.
        num_questions_to_generate_per_prompt: how many questions one prompt asks for, 1 to 50; see `usual_count`.
        variety: the axes along which new questions are to differ; none: they are told nothing; None: as the settings say.
        licence: of the seeds, as `attribution.txt` beside a taxonomy's file names it; None where nothing does. It reaches no
            prompt, so it is no input of a run.
        held_out: seeds of the file that stay out of a run, see `held_out.hold_out`; no prompt shows them.
        path: the file.
    """

    task_name: Annotated[str, AfterValidator(_named)]
    created_by: str
    task_description: str
    data_builder: str = DATA_BUILDER
    seed_examples: tuple[SeedExample, ...] = Field(min_length=1)
    num_icl_examples_per_prompt: int = Field(default=3, ge=1, le=20)
    num_questions_to_generate_per_prompt: int = Field(
        default_factory=lambda told: usual_count(told["seed_examples"]), ge=1, le=50
    )
    variety: tuple[Axis, ...] | None = None
    licence: str | None = None
    held_out: tuple[SeedExample, ...] = ()
    path: Path

    def seeds(self, kind: Kind) -> tuple[SeedExample, ...]:
        """The seeds of one kind, in the file's order."""
        return tuple(seed for seed in self.seed_examples if seed.kind == kind)

    @property
    def texts(self) -> tuple[str, ...]:
        """All that its file says of the skill."""
        return (self.task_description, *seed_texts(self.seed_examples))


class SpecWarning(Frozen):
    """Something odd in a task file that stops nothing; `str()` gives it in one line, with file and line."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def seeds_label(where: Where) -> str:
    """A place as people count: `seed_examples`, `seed 3`, `answer of seed 3`, `haiku/answer`."""
    match where:
        case ("seed_examples", int(place)):
            return f"seed {place + 1}"
        case ("seed_examples", int(place), str(key)):
            return f"`{key}` of seed {place + 1}"
        case _:
            return f"`{'/'.join(map(str, where))}`"


_QUOTE = "{place} is {value}; write text, in quotes if it starts with a bracket or a dash"
_NULL = '{place} is {written}, which YAML takes for nothing; {instead}, or put it in quotes: "{written}"'
WORDING = Wording(
    SpecError,
    seeds_label,
    {
        "missing seed_examples": "{place} is missing; add it: a list, each item with `- question:` and `answer:`",
        "model_type": "{place} is {value}; write `question:` and `answer:` there",
        "string_type list": _QUOTE,
        "string_type mapping": _QUOTE,
        "string_type null": _NULL.replace("{instead}", "write text"),
        "no_context null": _NULL.replace("{instead}", "leave the key out"),
        "no_context": "{place} is empty; leave the key out",
        "axis": "{place} is {value}; write a name, and below it a list of one or more texts, in quotes if they are numbers",
        "whole_file": "{message}",
    },
)
"""How the faults of task files and of a taxonomy's files are said."""


def _no_blank_context(text: object) -> object:
    if text is None or (isinstance(text, str) and not text.strip()):
        raise PydanticCustomError("no_context", "no context")
    return text


Context = Annotated[str, BeforeValidator(_no_blank_context)]
"""A text that may be left out, and is the empty one then."""

Description = Annotated[str, BeforeValidator(lambda text: "" if text is None else text)]
"""A text that may be blank, or nothing."""


class SeedFields(Frozen):
    """What a seed of a file holds."""

    question: Text
    answer: Text
    context: Context = ""

    def seed(self, line: int) -> SeedExample:
        """The seed that starts in a line."""
        return SeedExample(question=self.question, answer=self.answer, context=self.context or None, line=line)


Seeds = Annotated[tuple[SeedFields, ...], FILLED, Field(description="a list, each item with `- question:` and `answer:`")]


def seeds_in(root: Node, fields: tuple[SeedFields, ...]) -> tuple[SeedExample, ...]:
    """The seeds of a file's `seed_examples`, with their lines."""
    return tuple(seed.seed(root.line_of(("seed_examples", place))) for place, seed in enumerate(fields))


def _built_here(builder: str) -> str:
    if builder != DATA_BUILDER:
        raise ValueError(f"is {shown(builder)}; write {DATA_BUILDER}, the only one there is here")
    return builder


def _count(most: int) -> Any:
    return Field(strict=True, ge=1, le=most, description=f"a whole number from 1 to {most}, without quotes")


def _axes(given: object) -> object:
    """The axes of a file's mapping from a name to its values; none where it says off, which YAML takes for a flag."""
    if given in (False, "off"):
        return ()
    if not isinstance(given, Mapping) or not given:
        raise PydanticCustomError("variety", "no axes")
    for name, values in given.items():
        texts = isinstance(values, list) and values and all(isinstance(one, str) and one.strip() for one in values)
        if not texts or not str(name).strip():
            raise PydanticCustomError("axis", "no axis", {"keys": [(name,)]})
    return tuple(Axis(name=name, values=tuple(values)) for name, values in given.items())


Variety = Annotated[
    tuple[Axis, ...] | None,
    BeforeValidator(_axes),
    Field(description="`off`, or axes: below it names, each with a list of one or more texts"),
]


class _TaskFields(Frozen):
    """What a task file holds."""

    task_name: Annotated[Text, AfterValidator(_named)]
    created_by: Text
    task_description: Description
    data_builder: Annotated[Text, AfterValidator(_built_here)]
    seed_examples: Seeds
    num_icl_examples_per_prompt: Annotated[int, _count(20)] = 3
    num_questions_to_generate_per_prompt: Annotated[int, _count(50)] = 5
    variety: Variety = None

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Mapping[str, object]) -> Mapping[str, object]:
        if "seed_examples" in given and not {"task_name", "data_builder"} & set(given):
            said = "this looks like a taxonomy's qna.yaml, which has neither `task_name` nor `data_builder`; name the file"
            said = f"{said} qna.yaml, or add both (`data_builder: {DATA_BUILDER}`)"
            raise PydanticCustomError("whole_file", "{message}", {"message": said})
        missing = [f"`{key}`" for key, field in cls.model_fields.items() if field.is_required() and key not in given]
        if missing and set(given) <= set(cls.model_fields):
            said = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; add what is missing"
            raise PydanticCustomError("whole_file", "{message}", {"message": said})
        return given


@dataclass(frozen=True, slots=True)
class ParsedTask:
    """A task with its file's top mapping, so that whatever is said of it has a line.

    `whole` is where the task stands in it: at its top, but for the taxonomy's oldest layout.
    """

    spec: TaskSpec
    root: Node
    whole: Where = ()

    @property
    def line(self) -> int:
        """Where the task begins."""
        return self.root.line_of(self.whole or ("task_name",))

    def line_of(self, place: int, key: str) -> int:
        """The line of a key of the seed at `place`, from 0; that of the seed where it has no such key."""
        where = self.whole or ("seed_examples", place)
        return self.root.line_of((*where, key if self.root.at((*where, key)) is not None else "document"))


def parse_task(root: Node, path: Path) -> ParsedTask:
    """The task of a task file by its top mapping; SpecError with file, line and what to write instead."""
    fields = validated(root, _TaskFields, path, WORDING)
    said = {name: value for name, value in fields if name in fields.model_fields_set}  # the rest is as TaskSpec has it
    return ParsedTask(TaskSpec(**said | {"seed_examples": seeds_in(root, fields.seed_examples), "path": path}), root)


FileKind = Literal["task", "skill", "knowledge", "beside", "unreadable", "no file"]
"""A task file; a taxonomy's skill; its knowledge; what lies in a taxonomy, but beside its trees, and is no task file; what
cannot be read; a folder in which no such file lies."""

_SKIPPED = {
    "knowledge": "a leaf of `knowledge`, which is not read here: skills only",
    "beside": "it lies beside the taxonomy's trees and is no task file",
}


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file that was given or found, read as far as it can be.

    Attributes:
        named: whether it was given itself, and not found in a folder.
        root: its content; nothing where the kind is known without, or it cannot be read.
        attribution: the text of `attribution.txt` beside a skill; None without one.
        tasks: its tasks: one, or several in the taxonomy's oldest layout.
        misnamed: what is wrong with a skill's name; None when nothing is.
        error: why its content cannot be used.
    """

    path: Path
    named: bool
    kind: FileKind
    root: Node = UNREAD
    attribution: str | None = None
    tasks: tuple[ParsedTask, ...] = ()
    misnamed: str | None = None
    error: SpecError | None = None

    @property
    def skipped(self) -> SpecWarning | None:
        """The line about a file that holds no task for us; None for one that should."""
        said = _SKIPPED.get(self.kind)
        return None if said is None else SpecWarning(path=self.path, line=1, message=f"skipped: {said}")

    @property
    def fault(self) -> SpecError | None:
        """What keeps a run from using the file."""
        return self.error if self.misnamed is None else SpecError(self.misnamed, self.path, 1)
