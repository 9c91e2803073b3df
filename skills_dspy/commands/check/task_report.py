"""What `tasks` finds out: each task with its seeds and their size, and what the rules say of each file."""

from collections.abc import Sequence
from pathlib import Path

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import Frozen, SeedExample
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.context_window import Need, needs
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.steps import STEPS
from skills_dspy.tasks.files import Changes, FoundFile, TaskFile, clashing, find_files, open_file
from skills_dspy.tasks.lint import Finding, Subject, finding, lint
from skills_dspy.tasks.spec import ParsedTask, SpecWarning, TaskSpec
from skills_dspy.tasks.taxonomy import misnamed


class TaskRow(Frozen):
    """One task.

    Attributes:
        path: its file, as it was given.
        line: where it begins there.
        task_name: its name.
        kind: freeform, grounded, or mixed when it has seeds of both kinds.
        seeds: how many.
        licence: of the seeds, where it is named.
        longest_seed: estimated tokens of the longest seed: question, answer and context together.
        longest_line: where that seed begins.
        longest_prompt: the most tokens, estimated, that a prompt and its reply may take in a run, by windows.py.
        window: the context window that they have to fit into, in tokens, by the configuration.
    """

    path: str
    line: int
    task_name: str
    kind: str
    seeds: int
    licence: str | None
    longest_seed: int
    longest_line: int
    longest_prompt: int
    window: int


class Report(Frozen):
    """What was found: files looked at, tasks and findings in the order of the files, and the lines about skipped files."""

    files: int
    tasks: tuple[TaskRow, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[SpecWarning, ...]

    def count(self, severity: str) -> int:
        """How many findings are that severe."""
        return sum(found.severity == severity for found in self.findings)


def make_report(paths: Sequence[Path], config: RunConfig, changes: Changes | None = None) -> Report:
    """Look at all files below some paths.

    Args:
        paths: files and folders.
        config: a run's; its windows are those that the seeds have to fit into.
        changes: only files among these, if given.

    Raises:
        SpecError: a path does not exist.
    """
    if missing := next((path for path in paths if not path.exists()), None):
        raise SpecError("there is no such file or folder; check the path", missing)
    desk = _Desk(config)
    for found in desk.find(paths, changes):
        desk.look(found)
    return desk.report()


class _Desk:
    """Looks at one file after the other."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._adapter = SkillsAdapter()
        self._programs: dict[int, SkillsProgram] = {}
        self._files = 0
        self._tasks: list[ParsedTask] = []
        self._rows: list[TaskRow] = []
        self._findings: list[Finding] = []
        self._skipped: list[SpecWarning] = []

    def report(self) -> Report:
        return Report(files=self._files, tasks=tuple(self._rows), findings=tuple(self._findings), skipped=tuple(self._skipped))

    def find(self, paths: Sequence[Path], changes: Changes | None) -> list[FoundFile]:
        """The files; a folder with none is a finding."""
        found: list[FoundFile] = []
        for path in paths:
            try:
                found += find_files([path], changes)
            except SpecError as error:
                self._findings.append(finding("nothing-there", str(path), error.line, error.message))
        return list({file.folder / file.path.name: file for file in reversed(found)}.values())[::-1]

    def look(self, found: FoundFile) -> None:
        """One file: its findings, its tasks."""
        self._files += 1
        path = str(found.path)
        try:
            file = open_file(found)
        except SpecError as error:
            self._findings.append(finding("unreadable", path, error.line, error.message))
            return
        if file.skipped is not None:
            self._skipped.append(file.skipped)
            return
        self._findings += sorted(self._looked_at(file, path), key=lambda found: found.line)

    def _looked_at(self, file: TaskFile, path: str) -> list[Finding]:
        assert file.root is not None
        findings: list[Finding] = []
        tasks: tuple[ParsedTask, ...] = ()
        unusable: SpecError | None = None
        if fault := misnamed(file.found.path) if file.kind == "skill" else None:
            findings.append(finding("file-name", path, 1, fault))
        try:
            tasks = file.skills() if file.kind == "skill" else file.tasks()
        except SpecError as error:
            unusable = error
        subject = Subject(file.root, file.kind == "skill", file.attribution, tasks)
        findings += lint(subject, path)
        # What the schema has said of a line need not be said again.
        if unusable is not None and unusable.line not in {found.line for found in findings if found.severity == "error"}:
            foreign = file.kind == "task" and "seed_examples" in file.root.fields and "task_name" not in file.root.fields
            rule = "file-name" if foreign and "data_builder" not in file.root.fields else "unusable"
            findings.append(finding(rule, path, unusable.line, unusable.message))
        for task in tasks:
            if (clash := clashing(task, self._tasks)) is not None:
                findings.append(finding("task-name", path, clash.line, clash.message))
            self._tasks.append(task)
            findings += self._sized(task, path)
        return findings

    def _sized(self, task: ParsedTask, path: str) -> list[Finding]:
        """Enter a task's row; a finding when its longest prompt does not fit."""
        spec, config = task.spec, self._config
        longest = max(spec.seed_examples, key=_tokens)
        need, window = max(self._needs(spec), key=lambda pair: pair[0].total / pair[1])
        kinds = sorted({seed.kind for seed in spec.seed_examples})
        row = TaskRow(
            path=path,
            line=task.root.line_of(task.whole or ("task_name",)),
            task_name=spec.task_name,
            kind=kinds[0] if len(kinds) == 1 else "mixed",
            seeds=len(spec.seed_examples),
            licence=spec.licence,
            longest_seed=_tokens(longest),
            longest_line=longest.line,
            longest_prompt=need.total,
            window=window,
        )
        self._rows.append(row)
        if need.total <= window:
            return []
        said = f"the longest seed has about {row.longest_seed} tokens; with it a prompt of {need.step} may take {need.prompt}"
        limit = "max_num_ctx" if window == config.max_num_ctx else f"{STEPS[need.step].role}.num_ctx"
        return [finding("context-window", path, longest.line, f"{said} and its reply {need.reply}, but {limit} is {window}")]

    def _needs(self, spec: TaskSpec) -> list[tuple[Need, int]]:
        """What each step needs, and the window that it has."""
        count, config = spec.num_questions_to_generate_per_prompt, self._config
        if count not in self._programs:
            self._programs[count] = SkillsProgram(count)
        found = needs(spec, config, self._programs[count], self._adapter)
        return [(need, config.role(STEPS[step].role).num_ctx or config.max_num_ctx) for step, need in found.items()]


def _tokens(seed: SeedExample) -> int:
    return sum(estimate_tokens(text) for text in (seed.question, seed.answer, seed.context or ""))
