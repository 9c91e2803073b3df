"""Task files and taxonomies as they lie on a disk: which files there are, what each is, and the tasks in them."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from skills_dspy.base.errors import SpecError
from skills_dspy.base.yaml_lines import UNREAD, Node, read_yaml
from skills_dspy.tasks.lint import run_warnings
from skills_dspy.tasks.spec import FileKind, ParsedTask, SpecWarning, TaskFile, TaskSpec, parse_task
from skills_dspy.tasks.taxonomy import (
    ATTRIBUTION,
    QNA,
    SKILL_TREES,
    in_skill_tree,
    is_task_file,
    misnamed,
    named_licence,
    parse_qna,
    task_name,
)
from skills_dspy.tasks.yaml_files import find_yaml, is_yaml

_MOST_ATTRIBUTION = 64 * 1024


@dataclass(frozen=True, slots=True)
class Changes:
    """The full paths of git checkouts' files that differ from a commit, as it was named.

    In `submodules`, folders, something has changed: what, only they themselves know.
    """

    ref: str
    files: frozenset[Path]
    submodules: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What paths came to.

    Attributes:
        specs: the tasks, at least one, in the order of the paths, each with a name and a directory of its own.
        broken: what is wrong with files that were found in folders and cannot be used.
        skipped: the lines about files that hold no skill.
    """

    specs: tuple[TaskSpec, ...]
    warnings: tuple[SpecWarning, ...] = ()
    broken: tuple[SpecError, ...] = ()
    skipped: tuple[SpecWarning, ...] = ()


def read_files(paths: Sequence[Path], changes: Changes | None = None) -> Iterator[TaskFile]:
    """Files as they are given, and those below folders that are or should be task files, in the order of their paths.

    Below folders these are all `*.yaml`, all `*.yml` of a taxonomy's skill trees, and what is nearly called qna.yaml. A
    file that is given twice is read once. A folder that holds none, or cannot be read, is a TaskFile of the kind `no file`.
    With `changes`, only files among those.
    """
    seen: set[Path] = set()
    for path in paths:
        named = not path.is_dir()
        try:
            found = find_yaml([path], SpecError, _looks_like_a_task)
        except SpecError as error:
            yield TaskFile(path, True, "no file", error=error)
            continue
        for file in found:
            target = file.resolve() if file.is_file() else file
            # A link counts as changed with what it leads to.
            places = {file.parent.resolve() / file.name, file.resolve()}
            if target in seen or not (changes is None or places & changes.files or not file.exists()):
                continue
            seen.add(target)
            yield _read(file, None if named else path.resolve())


def _looks_like_a_task(file: Path) -> bool:
    return is_yaml(file) or misnamed(file) is not None or (file.suffix == ".yml" and in_skill_tree(file.parent.absolute()))


def _read(path: Path, given: Path | None) -> TaskFile:
    """Read a file; `given` is the folder, in full, in which it was found, None for a file that was given itself."""
    folder, named = path.parent.resolve(), given is None
    try:
        kind, root = _kind(path, folder, given)
        attribution = _attribution(folder) if kind == "skill" else None
    except SpecError as error:
        return TaskFile(path, named, "unreadable", error=error)
    if kind not in ("task", "skill"):
        return TaskFile(path, named, kind)
    wrong_name = misnamed(path)
    tasks: tuple[ParsedTask, ...] = ()
    fault = None
    try:
        if kind == "skill":
            licence = None if attribution is None else named_licence(attribution)
            tasks = parse_qna(root, path, task_name(folder, given or folder), licence)
        elif wrong_name:
            raise SpecError(wrong_name, path, 1)
        else:
            tasks = (parse_task(root, path),)
    except SpecError as error:
        fault = error
    return TaskFile(path, named, kind, root, attribution, tasks, wrong_name if kind == "skill" else None, fault)


def _kind(path: Path, folder: Path, given: Path | None) -> tuple[FileKind, Node]:
    """What a file is, by its place, its name and its keys, and its content, where that has been read."""
    # Folders above the given one do not count: `~/knowledge/my_skills` is somebody's own name.
    if not in_skill_tree(folder) and "knowledge" in ((given or folder).name, *folder.relative_to(given or folder).parts):
        return "knowledge", UNREAD
    if given is not None and path.exists() and not path.is_file():
        raise SpecError("this is neither a file nor a link to one, so it is not read; remove it", path)
    beside = given is not None and not in_skill_tree(folder) and any((given / tree).is_dir() for tree in SKILL_TREES)
    try:
        root = read_yaml(path, SpecError)
    except SpecError:
        if beside:
            return "beside", UNREAD
        raise
    if is_task_file(root):
        return "task", root
    if beside:
        return "beside", root
    if "seed_examples" in root.fields and {"document", "domain"} & set(root.fields):
        return "knowledge", root
    return ("skill" if path.name == QNA or misnamed(path) else "task"), root


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
    """Read one file with one task; SpecError with file, line and what to write instead."""
    file = _read(path, None)
    if file.skipped is not None:
        raise SpecError(file.skipped.message, path)
    if file.fault is not None:
        raise file.fault
    if len(file.tasks) != 1:
        raise SpecError(f"the file holds {len(file.tasks)} tasks, and one is wanted here; give a file with one", path)
    return file.tasks[0].spec, tuple(run_warnings(file))


def load_tasks(paths: Sequence[Path], changes: Changes | None = None) -> Loaded:
    """Read the tasks of task files, of a taxonomy's `qna.yaml`, of folders; with `changes`, only of files among those.

    A broken file that was found in a folder stops no other.

    Raises:
        SpecError: nothing is given or nothing has changed; a folder cannot be read or holds no such file; a file that was
            given itself cannot be used, or would write to another one's place; no file at all can be used.
    """
    if not paths:
        raise SpecError("no task file is given; give the path of a file or of a folder of task files")
    files = tuple(read_files(paths, changes))
    if not files and changes is not None:
        raise SpecError(nothing_changed(changes))
    good: list[ParsedTask] = []
    broken: list[SpecError] = []
    warnings: list[SpecWarning] = []
    for file in files:
        faults = [file.fault] if file.fault is not None else []
        usable: list[ParsedTask] = []
        for task in () if faults else file.tasks:
            if (clash := clashing(task, [*good, *usable])) is None:
                usable.append(task)
            else:
                faults.append(clash)
        if faults and file.named:
            raise faults[0]
        good += usable
        broken += faults
        warnings += run_warnings(replace(file, tasks=tuple(usable)))
    skipped = [*([] if changes is None else submodules_skipped(paths, changes)), *(f.skipped for f in files if f.skipped)]
    if not good and not broken:
        raise SpecError(f"no skill was found there; {skipped[0]}")
    if not good:
        many = f"none of these {len(broken)} files can be used; the first: {broken[0]}"
        raise broken[0] if len(broken) == 1 else SpecError(many)
    return Loaded(tuple(task.spec for task in good), tuple(warnings), tuple(broken), tuple(skipped))


def submodules_skipped(paths: Sequence[Path], changes: Changes) -> Iterator[SpecWarning]:
    """A line for each changed submodule below the paths."""
    for folder in changes.submodules:
        if any(folder.is_relative_to(path.resolve()) for path in paths):
            said = "skipped: this submodule has changed, and only a checkout's own files are compared; give its path too"
            yield SpecWarning(path=folder, line=1, message=said)


def nothing_changed(changes: Changes) -> str:
    """The sentence about paths below which no task file has changed."""
    return f"no task file there has changed against {changes.ref}; leave out --taxonomy-base to take all"


def clashing(task: ParsedTask, earlier: Sequence[ParsedTask]) -> SpecError | None:
    """What is wrong with a task whose directory is an earlier one's, or lies in one, on a disk that ignores case."""
    spec, mine = task.spec, _folded(task.spec.task_name)
    names = f"the task name `{spec.task_name}`"
    for other in (earlier_one.spec for earlier_one in earlier):
        theirs = _folded(other.task_name)
        if mine[: len(theirs)] != theirs[: len(mine)]:
            continue
        if spec.task_name == other.task_name:
            said = f"{names} is also that of {other.path}; give each task its own"
        elif mine == theirs:
            said = f"{names} differs from `{other.task_name}` in {other.path} by upper and lower case only"
            said = f"{said}, which some disks take for the same; rename one"
        else:
            said = f"the directory of {names} and that of `{other.task_name}` in {other.path} lie in one another; rename one"
        return SpecError(said, spec.path, task.line)
    return None


def _folded(name: str) -> list[str]:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split("/")
