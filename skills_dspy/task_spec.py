"""Task files: what a user asks to be generated, checked key by key against the file's lines (layer 1)."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

from pydantic import AfterValidator, Field

from skills_dspy.errors import SpecError
from skills_dspy.records import Frozen, Kind, SeedExample
from skills_dspy.yaml_lines import Node, find_yaml, read_yaml, shown, unknown_key

DATA_BUILDER = "instructlab/skills"
FEWEST_SEEDS = 5
"""With fewer seeds than this there is a warning; the taxonomy asks for as many."""

_REQUIRED = ("task_name", "created_by", "task_description", "data_builder", "seed_examples")
_COUNTS = {"num_icl_examples_per_prompt": (3, 20), "num_questions_to_generate_per_prompt": (5, 50)}  # default, most
_SEED_KEYS = ("question", "answer", "context")
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
        path: the file.
    """

    task_name: Annotated[str, AfterValidator(_safe_name)]
    created_by: str
    task_description: str
    data_builder: str = DATA_BUILDER
    seed_examples: tuple[SeedExample, ...] = Field(min_length=1)
    num_icl_examples_per_prompt: int = Field(default=3, ge=1, le=20)
    num_questions_to_generate_per_prompt: int = Field(default=5, ge=1, le=50)
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


def load_task(path: Path) -> tuple[TaskSpec, tuple[SpecWarning, ...]]:
    """Read one task file.

    Raises:
        SpecError: with file, line and what to write instead.
    """
    return parse_task(read_yaml(path, SpecError), path)


def load_tasks(paths: Sequence[Path]) -> tuple[tuple[TaskSpec, ...], tuple[SpecWarning, ...]]:
    """Read task files, and all `*.yaml` below folders, in the order given; a file that is given twice is read once.

    Raises:
        SpecError: nothing is given, a file or folder cannot be used, or two tasks would write to one place.
    """
    if not paths:
        raise SpecError("no task file is given; give the path of a file or of a folder of task files")
    loaded = []
    for file in find_yaml(paths, SpecError):
        root = read_yaml(file, SpecError)
        spec, warnings = parse_task(root, file)
        loaded.append(_Loaded(spec, warnings, root.line_of(["task_name"])))
    _check_apart(loaded)
    return tuple(task.spec for task in loaded), tuple(warning for task in loaded for warning in task.warnings)


class _Loaded(NamedTuple):
    spec: TaskSpec
    warnings: tuple[SpecWarning, ...]
    line: int


def _check_apart(tasks: Sequence[_Loaded]) -> None:
    """Refuse tasks whose directories are one, or lie in one another, on a disk that ignores case."""
    for place, (spec, _, line) in enumerate(tasks):
        mine = _folded(spec.task_name)
        for other, _, _ in tasks[:place]:
            theirs = _folded(other.task_name)
            names = f"the task name `{spec.task_name}`"
            if spec.task_name == other.task_name:
                raise SpecError(f"{names} is also that of {other.path}; give each task its own", spec.path, line)
            if mine == theirs:
                said = f"{names} differs from `{other.task_name}` in {other.path} by upper and lower case only"
                raise SpecError(f"{said}, which some disks take for the same; rename one", spec.path, line)
            if mine[: len(theirs)] == theirs or theirs[: len(mine)] == mine:
                said = f"the directory of {names} and that of `{other.task_name}` in {other.path} lie in one another"
                raise SpecError(f"{said}; rename one", spec.path, line)


def _folded(name: str) -> list[str]:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split("/")


def parse_task(root: Node, path: Path) -> tuple[TaskSpec, tuple[SpecWarning, ...]]:
    """Check a task file's content.

    Args:
        root: the file's top mapping.
        path: the file, for messages and for `TaskSpec.path`.

    Raises:
        SpecError: with file, line and what to write instead.
    """
    checker = _Checker(root, path)
    spec = checker.spec()
    return spec, tuple(SpecWarning(path=path, line=line, message=message) for line, message in _oddities(spec, root))


class _Checker:
    """Checks one file; every refusal names the line of the key at fault."""

    def __init__(self, root: Node, path: Path) -> None:
        self._root = root
        self._path = path

    def _refuse(self, message: str, *where: str | int) -> NoReturn:
        raise SpecError(message, self._path, self._root.line_of(where))

    def spec(self) -> TaskSpec:
        self._check_keys()
        name = self._text("task_name")
        if fault := name_fault(name):
            said = f"`task_name` {fault}; write a path such as writing/freeform/debate"
            self._refuse(said, "task_name")
        builder = self._text("data_builder")
        if builder != DATA_BUILDER:
            said = f"`data_builder` is {shown(builder)}; write {DATA_BUILDER}, the only one there is here"
            self._refuse(said, "data_builder")
        return TaskSpec(
            task_name=name,
            created_by=self._text("created_by"),
            task_description=self._description(),
            data_builder=builder,
            seed_examples=tuple(self._seeds()),
            num_icl_examples_per_prompt=self._count("num_icl_examples_per_prompt"),
            num_questions_to_generate_per_prompt=self._count("num_questions_to_generate_per_prompt"),
            path=self._path,
        )

    def _check_keys(self) -> None:
        given = self._root.fields
        if "seed_examples" in given and "task_name" not in given and "data_builder" not in given:
            said = "this looks like a taxonomy's qna.yaml, which has neither `task_name` nor `data_builder`"
            self._refuse(f"{said}; add both (`data_builder: {DATA_BUILDER}`) and leave out `version`")
        known = (*_REQUIRED, *_COUNTS)
        for key in given:
            if key not in known:
                self._refuse(unknown_key(key, known), key)
        if missing := [f"`{key}`" for key in _REQUIRED if key not in given]:
            self._refuse(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; add what is missing")

    def _text(self, *where: str | int, instead: str = "write text") -> str:
        """The text at a place: not empty, and text for YAML too, not what only looks like it."""
        label = _label(where)
        if (node := self._root.at(where)) is None:
            self._refuse(f"{label} is missing; add it", *where)
        if node.kind in ("integer", "number", "boolean"):
            self._refuse(f'{label} is {node.described()}; write it in quotes: "{shown(node.written)}"', *where)
        if node.kind in ("list", "mapping"):
            said = f"{label} is {node.described()}; write text, in quotes if it starts with a bracket or a dash"
            self._refuse(said, *where)
        text = node.written
        if node.kind == "nothing" and text.strip(" ~"):
            said = f'{label} is {text}, which YAML takes for nothing; {instead}, or put it in quotes: "{text}"'
            self._refuse(said, *where)
        if node.kind == "nothing" or not text.strip():
            self._refuse(f"{label} is empty; {instead}", *where)
        return text

    def _description(self) -> str:
        node = self._root.fields["task_description"]
        if node.kind == "nothing":
            return ""
        return node.written if node.kind == "text" and not node.written.strip() else self._text("task_description")

    def _count(self, key: str) -> int:
        default, most = _COUNTS[key]
        node = self._root.fields.get(key)
        if node is None:
            return default
        value = node.value
        if node.kind != "integer" or not isinstance(value, int) or not 1 <= value <= most:
            self._refuse(f"`{key}` is {node.described()}; write a whole number from 1 to {most}, without quotes", key)
        return value

    def _seeds(self) -> Iterator[SeedExample]:
        node = self._root.fields["seed_examples"]
        how = "write a list, each item with `- question:` and `answer:`"
        if not node.items:
            self._refuse(f"`seed_examples` is {node.described()}; {how}", "seed_examples")
        for place, item in enumerate(node.items):
            yield self._seed(item, "seed_examples", place)

    def _seed(self, item: Node, *where: str | int) -> SeedExample:
        if item.kind != "mapping":
            self._refuse(f"{_label(where)} is {item.described()}; write `question:` and `answer:` there", *where)
        for key in item.fields:
            if key not in _SEED_KEYS:
                self._refuse(f"in {_label(where)}: {unknown_key(key, _SEED_KEYS)}", *where, key)
        question = self._text(*where, "question")
        answer = self._text(*where, "answer")
        grounded = "context" in item.fields
        context = self._text(*where, "context", instead="leave the key out") if grounded else None
        return SeedExample(question=question, answer=answer, context=context, line=item.line)


def _label(where: Sequence[str | int]) -> str:
    """A place as people count: `seed_examples`, `seed 3`, `seed 3: answer`."""
    match where:
        case (str(key),):
            return f"`{key}`"
        case (_, int(place)):
            return f"seed {place + 1}"
        case _:
            return f"`{where[2]}` of seed {int(where[1]) + 1}"


def _oddities(spec: TaskSpec, root: Node) -> Iterator[tuple[int, str]]:
    """What is legal and yet likely a slip, as (line, message)."""
    if not spec.task_description.strip():
        said = "`task_description` is empty; a sentence on the skill helps the teacher"
        yield root.line_of(["task_description"]), said
    seeds = spec.seed_examples
    if len(seeds) < FEWEST_SEEDS:
        there = "there is only 1 seed example" if len(seeds) == 1 else f"there are only {len(seeds)} seed examples"
        yield root.line_of(["seed_examples"]), f"{there}; from {FEWEST_SEEDS} on the data varies more"
    earlier: dict[tuple[str, str | None], int] = {}
    for place, seed in enumerate(seeds):
        same = (_squeezed(seed.question), None if seed.context is None else _squeezed(seed.context))
        if (first := earlier.setdefault(same, place)) != place:
            about = "the question" if seed.context is None else "question and context"
            said = f"seed {place + 1} repeats {about} of seed {first + 1} in line {seeds[first].line}"
            yield seed.line, f"{said}; a seed of its own would add more"
        for key in _SEED_KEYS:
            if "\\n" in (getattr(seed, key) or ""):
                said = f"`{key}` of seed {place + 1} holds a backslash and an n, which stay as they are"
                line = root.line_of(["seed_examples", place, key])
                yield line, f"{said}; for line breaks write a block: `{key}: |` with the lines below it"


def _squeezed(text: str) -> str:
    return " ".join(text.split()).casefold()
