"""Task files and taxonomies as they lie on a disk: which files there are, what each is, and the tasks in them."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skills_dspy.base.errors import SpecError
from skills_dspy.base.yaml_files import find_yaml, is_yaml
from skills_dspy.base.yaml_lines import Node, read_yaml
from skills_dspy.tasks.spec import ParsedTask, SpecWarning, TaskSpec, read_task
from skills_dspy.tasks.taxonomy import (
    ATTRIBUTION,
    KNOWLEDGE_TREE,
    QNA,
    SKILL_TREES,
    holds_knowledge,
    in_skill_tree,
    is_task_file,
    lies_in_knowledge,
    misnamed,
    named_licence,
    parse_qna,
    task_name,
)

FileKind = Literal["task", "skill", "knowledge", "beside"]
"""A task file; a taxonomy's skill; its knowledge; what lies in a taxonomy, but beside its trees, and is no task file."""

_MOST_ATTRIBUTION = 64 * 1024
_SKIPPED = {
    "knowledge": f"a leaf of `{KNOWLEDGE_TREE}`, which is not read here: skills only",
    "beside": "it lies beside the taxonomy's trees and is no task file",
}


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file that may hold tasks.

    Attributes:
        path: the file, as it is shown.
        folder: where it lies, in full and without links.
        given: the folder that was given and in which it was found, in full; `folder` when the file was given itself.
        named: whether the file was given itself.
    """

    path: Path
    folder: Path
    given: Path
    named: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """The files of git checkouts that differ from a commit.

    Attributes:
        ref: the commit as it was named.
        files: their full paths.
        submodules: the folders of submodules in which something has changed: what, only they themselves know.
    """

    ref: str
    files: frozenset[Path]
    submodules: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file that has been read.

    Attributes:
        found: where.
        kind: what it is.
        root: its content; None where the kind is known without.
        attribution: the text of `attribution.txt` beside it; None without one.
    """

    found: FoundFile
    kind: FileKind
    root: Node | None
    attribution: str | None = None

    @property
    def skipped(self) -> SpecWarning | None:
        """The line about a file that holds no task for us; None for one that should."""
        said = _SKIPPED.get(self.kind)
        return None if said is None else SpecWarning(path=self.found.path, line=1, message=f"skipped: {said}")

    def tasks(self) -> tuple[ParsedTask, ...]:
        """Its tasks: one, or several in the taxonomy's oldest layout, or none where it is skipped.

        Raises:
            SpecError: with file, line and what to write instead.
        """
        path = self.found.path
        if self.root is None or self.kind in _SKIPPED:
            return ()
        if fault := misnamed(path):
            raise SpecError(fault, path, 1)
        if self.kind == "task":
            return (read_task(self.root, path),)
        return self.skills()

    def skills(self) -> tuple[ParsedTask, ...]:
        """The tasks of a `qna.yaml`, whatever the file is called.

        Raises:
            SpecError: as for `tasks`.
        """
        assert self.root is not None
        name = task_name(self.found.folder, self.found.given)
        return parse_qna(
            self.root, self.found.path, name, None if self.attribution is None else named_licence(self.attribution)
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """What paths came to.

    Attributes:
        specs: the tasks, at least one, in the order of the paths, each with a name and a directory of its own.
        warnings: what is odd about them and stops nothing.
        broken: what is wrong with files that were found in folders and cannot be used.
        skipped: the lines about files that hold no skill.
    """

    specs: tuple[TaskSpec, ...]
    warnings: tuple[SpecWarning, ...] = ()
    broken: tuple[SpecError, ...] = ()
    skipped: tuple[SpecWarning, ...] = ()


def find_files(paths: Sequence[Path], changes: Changes | None = None) -> tuple[FoundFile, ...]:
    """Files as they are given, and those below folders that are or should be task files, in the order of their paths.

    Below folders these are all `*.yaml`, all `*.yml` of a taxonomy's skill trees, and what is nearly called qna.yaml. A
    file that is given twice is found once.

    Args:
        paths: files and folders.
        changes: only files among these, if given.

    Raises:
        SpecError: a folder cannot be read, or holds no such file.
    """
    found: dict[Path, FoundFile] = {}
    for path in paths:
        named = not path.is_dir()
        for file in find_yaml([path], SpecError, _looks_like_a_task):
            folder = file.parent.resolve()
            given = folder if named else path.resolve()
            # A link counts as changed with what it leads to.
            if changes is None or {folder / file.name, file.resolve()} & changes.files or not file.exists():
                found.setdefault(file.resolve() if file.is_file() else file, FoundFile(file, folder, given, named))
    return tuple(found.values())


def _looks_like_a_task(file: Path) -> bool:
    return is_yaml(file) or misnamed(file) is not None or (file.suffix == ".yml" and in_skill_tree(file.parent.absolute()))


def open_file(found: FoundFile) -> TaskFile:
    """Read a file and see what it is, by its place, its name and its keys.

    Raises:
        SpecError: it cannot be read, or is no YAML.
    """
    if lies_in_knowledge(found.folder, found.given):
        return TaskFile(found, "knowledge", None)
    if not found.named and found.path.exists() and not found.path.is_file():
        raise SpecError("this is neither a file nor a link to one, so it is not read; remove it", found.path)
    beside = not found.named and not in_skill_tree(found.folder) and _is_taxonomy(found.given)
    try:
        root = read_yaml(found.path, SpecError)
    except SpecError:
        if beside:
            return TaskFile(found, "beside", None)
        raise
    if is_task_file(root):
        return TaskFile(found, "task", root)
    if beside:
        return TaskFile(found, "beside", root)
    if holds_knowledge(root):
        return TaskFile(found, "knowledge", root)
    if found.path.name == QNA or misnamed(found.path):
        return TaskFile(found, "skill", root, _attribution(found.folder))
    return TaskFile(found, "task", root)


def _is_taxonomy(folder: Path) -> bool:
    return any((folder / tree).is_dir() for tree in SKILL_TREES)


def _attribution(folder: Path) -> str | None:
    """The text of attribution.txt there; what is not UTF-8 in it (a name, mostly) is replaced."""
    path = folder / ATTRIBUTION
    try:
        with path.open("rb") as file:
            return file.read(_MOST_ATTRIBUTION).decode("utf-8", "replace").removeprefix("\ufeff")
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise SpecError(f"cannot be read ({problem.strerror}); check its permissions", path) from problem


def load_task(path: Path) -> tuple[TaskSpec, tuple[SpecWarning, ...]]:
    """Read one file with one task.

    Raises:
        SpecError: with file, line and what to write instead.
    """
    folder = path.parent.resolve()
    file = open_file(FoundFile(path, folder, folder, named=True))
    if file.skipped is not None:
        raise SpecError(file.skipped.message, path)
    tasks = file.tasks()
    if len(tasks) != 1:
        raise SpecError(f"the file holds {len(tasks)} tasks, and one is wanted here; give a file with one", path)
    return tasks[0].spec, tasks[0].warnings


def load_tasks(paths: Sequence[Path], changes: Changes | None = None) -> Loaded:
    """Read the tasks of files and folders: task files, a taxonomy's `qna.yaml`, whole taxonomies.

    A broken file that was found in a folder stops no other.

    Args:
        paths: files and folders.
        changes: only files among these, if given.

    Raises:
        SpecError: nothing is given or nothing has changed; a folder cannot be read or holds no such file; a file that was
            given itself cannot be used, or would write to another one's place; no file at all can be used.
    """
    if not paths:
        raise SpecError("no task file is given; give the path of a file or of a folder of task files")
    found = find_files(paths, changes)
    if not found and changes is not None:
        raise SpecError(nothing_changed(changes))
    good: list[ParsedTask] = []
    broken: list[SpecError] = []
    skipped = [] if changes is None else list(submodules_skipped(paths, changes))
    for file in found:
        try:
            opened = open_file(file)
            tasks = opened.tasks()
        except SpecError as error:
            if file.named:
                raise
            broken.append(error)
            continue
        skipped += [] if opened.skipped is None else [opened.skipped]
        for task in tasks:
            if (clash := clashing(task, good)) is None:
                good.append(task)
            elif file.named:
                raise clash
            else:
                broken.append(clash)
    if not good:
        raise _nothing_good(broken, skipped)
    warnings = tuple(warning for task in good for warning in task.warnings)
    return Loaded(tuple(task.spec for task in good), warnings, tuple(broken), tuple(skipped))


def submodules_skipped(paths: Sequence[Path], changes: Changes) -> Iterator[SpecWarning]:
    """A line for each changed submodule below the paths."""
    for folder in changes.submodules:
        if any(folder.is_relative_to(path.resolve()) for path in paths):
            said = "skipped: this submodule has changed, and only a checkout's own files are compared; give its path too"
            yield SpecWarning(path=folder, line=1, message=said)


def nothing_changed(changes: Changes) -> str:
    """The sentence about paths below which no task file has changed."""
    return f"no task file there has changed against {changes.ref}; leave out --taxonomy-base to take all"


def _nothing_good(broken: Sequence[SpecError], skipped: Sequence[SpecWarning]) -> SpecError:
    if not broken:
        return SpecError(f"no skill was found there; {skipped[0]}")
    if len(broken) == 1:
        return broken[0]
    return SpecError(f"none of these {len(broken)} files can be used; the first: {broken[0]}")


def clashing(task: ParsedTask, earlier: Sequence[ParsedTask]) -> SpecError | None:
    """What is wrong with a task whose directory is an earlier one's, or lies in one, on a disk that ignores case."""
    spec, mine = task.spec, _folded(task.spec.task_name)
    line = task.root.line_of(task.whole or ["task_name"])
    names = f"the task name `{spec.task_name}`"
    for other in _same_root(mine, earlier):
        theirs = _folded(other.task_name)
        if spec.task_name == other.task_name:
            return SpecError(f"{names} is also that of {other.path}; give each task its own", spec.path, line)
        if mine == theirs:
            said = f"{names} differs from `{other.task_name}` in {other.path} by upper and lower case only"
            return SpecError(f"{said}, which some disks take for the same; rename one", spec.path, line)
        if mine[: len(theirs)] == theirs or theirs[: len(mine)] == mine:
            said = f"the directory of {names} and that of `{other.task_name}` in {other.path} lie in one another"
            return SpecError(f"{said}; rename one", spec.path, line)
    return None


def _same_root(mine: list[str], earlier: Sequence[ParsedTask]) -> Iterator[TaskSpec]:
    """Only names that begin alike can clash."""
    return (other.spec for other in earlier if _folded(other.spec.task_name)[0] == mine[0])


def _folded(name: str) -> list[str]:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split("/")
