"""Tasks: what a user asks to be generated, and a task file's content, checked key by key against its lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from skills_dspy.base.records import Frozen, Kind, SeedExample
from skills_dspy.base.validation import unknown_key
from skills_dspy.base.yaml_lines import Node, shown
from skills_dspy.tasks.seed_nodes import SEED_KEYS, SeedReader, Where

DATA_BUILDER = "instructlab/skills"
FEWEST_SEEDS = 5
"""With fewer seeds than this there is a warning; the taxonomy asks for as many."""

_REQUIRED = ("task_name", "created_by", "task_description", "data_builder", "seed_examples")
_COUNTS = {"num_icl_examples_per_prompt": (3, 20), "num_questions_to_generate_per_prompt": (5, 50)}  # default, most
_BAD_CHARACTERS = frozenset(':*?"<>|\\')
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"] + [d + n for d in ("com", "lpt") for n in "123456789¹²³"]
)


_SET_ASIDE = re.compile(r"\.old-\d{8}-\d{6}(-\d+)?$")


def name_fault(name: str) -> str | None:
    """What keeps a task name from being a path below the output directory on any system; None when nothing does.

    A name is parts joined by `/`, as in `writing/freeform/debate`.
    """
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


def _safe_name(name: str) -> str:
    if fault := name_fault(name):
        raise ValueError(f"a task name that {fault}")
    return name


class TaskSpec(Frozen):
    """One task, as its file asks for it.

    Attributes:
        task_name: where its data lies below the output directory; parts joined by `/`.
        created_by: who wrote the seeds.
        task_description: what the skill is; may be empty.
        data_builder: always `instructlab/skills`.
        seed_examples: at least one, in the file's order.
        num_icl_examples_per_prompt: how many examples a prompt shows at most, 1 to 20.
        num_questions_to_generate_per_prompt: how many questions one prompt asks for, 1 to 50.
        licence: of the seeds, as `attribution.txt` beside a taxonomy's file names it; None where nothing does. It reaches no
            prompt, so it is no input of a run.
        path: the file.
    """

    task_name: Annotated[str, AfterValidator(_safe_name)]
    created_by: str
    task_description: str
    data_builder: str = DATA_BUILDER
    seed_examples: tuple[SeedExample, ...] = Field(min_length=1)
    num_icl_examples_per_prompt: int = Field(default=3, ge=1, le=20)
    num_questions_to_generate_per_prompt: int = Field(default=5, ge=1, le=50)
    licence: str | None = None
    path: Path

    def seeds(self, kind: Kind) -> tuple[SeedExample, ...]:
        """The seeds of one kind, in the file's order."""
        return tuple(seed for seed in self.seed_examples if seed.kind == kind)

    @property
    def freeform(self) -> tuple[SeedExample, ...]:
        """The seeds without a context."""
        return self.seeds("freeform")

    @property
    def grounded(self) -> tuple[SeedExample, ...]:
        """The seeds with a context."""
        return self.seeds("grounded")


class SpecWarning(Frozen):
    """Something odd in a task file that stops nothing; `str()` gives it in one line, with file and line."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class ParsedTask:
    """A task with the file that it was read from, so that whatever is said of it has a line.

    Attributes:
        spec: the task.
        root: the top mapping of its file.
        places: where each seed stands in it.
        whole: where the task stands in it; at its top, but for the taxonomy's oldest layout.
        odd: what its reader found odd, as (line, message).
    """

    spec: TaskSpec
    root: Node
    places: tuple[Where, ...]
    whole: Where = ()
    odd: tuple[tuple[int, str], ...] = ()

    def line_of(self, place: int, key: str) -> int:
        """The line of a key of the seed at `place`, from 0; that of the seed where it has no such key."""
        where = self.places[place]
        return self.root.line_of((*where, key if self.root.at((*where, key)) is not None else "document"))

    @property
    def warnings(self) -> tuple[SpecWarning, ...]:
        """What is legal and yet likely a slip."""
        found = (*self.odd, *_oddities(self))
        return tuple(SpecWarning(path=self.spec.path, line=line, message=message) for line, message in found)


def read_task(root: Node, path: Path) -> ParsedTask:
    """Check a task file's content.

    Args:
        root: the file's top mapping.
        path: the file, for messages and for `TaskSpec.path`.

    Raises:
        SpecError: with file, line and what to write instead.
    """
    spec = _Checker(root, path).spec()
    return ParsedTask(spec, root, tuple(("seed_examples", place) for place in range(len(spec.seed_examples))))


def parse_task(root: Node, path: Path) -> tuple[TaskSpec, tuple[SpecWarning, ...]]:
    """The task of a task file and what is odd about it; arguments and errors are those of `read_task`."""
    parsed = read_task(root, path)
    return parsed.spec, parsed.warnings


class _Checker(SeedReader):
    """Checks one task file; every refusal names the line of the key at fault."""

    def spec(self) -> TaskSpec:
        self._check_keys()
        name = self.text("task_name")
        if fault := name_fault(name):
            said = f"`task_name` {fault}; write a path such as writing/freeform/debate"
            self.refuse(said, "task_name")
        builder = self.text("data_builder")
        if builder != DATA_BUILDER:
            said = f"`data_builder` is {shown(builder)}; write {DATA_BUILDER}, the only one there is here"
            self.refuse(said, "data_builder")
        return TaskSpec(
            task_name=name,
            created_by=self.text("created_by"),
            task_description=self.description(),
            data_builder=builder,
            seed_examples=tuple(self.seeds()),
            num_icl_examples_per_prompt=self._count("num_icl_examples_per_prompt"),
            num_questions_to_generate_per_prompt=self._count("num_questions_to_generate_per_prompt"),
            path=self.path,
        )

    def _check_keys(self) -> None:
        given = self.root.fields
        if "seed_examples" in given and "task_name" not in given and "data_builder" not in given:
            said = "this looks like a taxonomy's qna.yaml, which has neither `task_name` nor `data_builder`"
            self.refuse(f"{said}; name the file qna.yaml, or add both (`data_builder: {DATA_BUILDER}`)")
        known = (*_REQUIRED, *_COUNTS)
        for key in given:
            if key not in known:
                self.refuse(unknown_key(key, known), key)
        if missing := [f"`{key}`" for key in _REQUIRED if key not in given]:
            self.refuse(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; add what is missing")

    def _count(self, key: str) -> int:
        default, most = _COUNTS[key]
        node = self.root.fields.get(key)
        if node is None:
            return default
        value = node.value
        if node.kind != "integer" or not isinstance(value, int) or not 1 <= value <= most:
            self.refuse(f"`{key}` is {node.described()}; write a whole number from 1 to {most}, without quotes", key)
        return value


def _oddities(task: ParsedTask) -> Iterator[tuple[int, str]]:
    """What is legal and yet likely a slip, as (line, message)."""
    spec, line_of = task.spec, task.root.line_of
    if not spec.task_description.strip():
        said = "`task_description` is empty; a sentence on the skill helps the teacher"
        yield line_of((*task.whole, "task_description")), said
    seeds = spec.seed_examples
    if len(seeds) < FEWEST_SEEDS:
        there = "there is only 1 seed example" if len(seeds) == 1 else f"there are only {len(seeds)} seed examples"
        yield line_of((*task.whole, "seed_examples")), f"{there}; from {FEWEST_SEEDS} on the data varies more"
    earlier: dict[tuple[str, str | None], int] = {}
    for place, seed in enumerate(seeds):
        same = (squeezed(seed.question), None if seed.context is None else squeezed(seed.context))
        if (first := earlier.setdefault(same, place)) != place:
            about = "the question" if seed.context is None else "question and context"
            said = f"seed {place + 1} repeats {about} of seed {first + 1} in line {seeds[first].line}"
            yield seed.line, f"{said}; a seed of its own would add more"
        for key in SEED_KEYS:
            if "\\n" in (getattr(seed, key) or ""):
                said = f"`{key}` of seed {place + 1} holds a backslash and an n, which stay as they are"
                yield task.line_of(place, key), f"{said}; for line breaks write a block: `{key}: |` with the lines below it"


def squeezed(text: str) -> str:
    """A text without its case and its layout, for comparing."""
    return " ".join(text.split()).casefold()
