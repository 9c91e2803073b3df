"""The rules that `tasks` holds a task file to: one list of small pure functions, each with a name and a severity."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from skills_dspy.base.records import Frozen
from skills_dspy.base.yaml_lines import Node
from skills_dspy.tasks.lint_texts import (
    literal_line_breaks,
    near_copy,
    repeats,
    seems_unanswerable,
    stray_characters,
    trailing_space,
)
from skills_dspy.tasks.schema import is_strict, violations
from skills_dspy.tasks.seed_nodes import SEED_KEYS
from skills_dspy.tasks.spec import FEWEST_SEEDS, ParsedTask
from skills_dspy.tasks.taxonomy import ATTRIBUTION, has_oldest_layout, named_licence

Severity = Literal["error", "warning", "note"]
"""An error keeps a file from being used, by us or by InstructLab; a warning makes a poorer dataset; a note may be fine."""


class Finding(Frozen):
    """One thing that is wrong, or may be, in one line of one file.

    `path` is the file as it was given, `line` is 1-based, `rule` is the name of one of RULES.
    """

    path: str
    line: int
    rule: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules look at: one file.

    Attributes:
        root: its top mapping.
        taxonomy: whether it is a taxonomy's file, and so has a schema and should have an attribution.
        attribution: the text of `attribution.txt` beside it; None without one.
        tasks: its tasks, as far as they can be read.
    """

    root: Node
    taxonomy: bool
    attribution: str | None
    tasks: tuple[ParsedTask, ...]


Check = Callable[[Subject], Iterator[tuple[int, str]]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its name, how bad its findings are, what it says, and how it looks; None where the reading itself finds them."""

    name: str
    severity: Severity
    about: str
    check: Check | None = None


def lint(subject: Subject, path: str) -> list[Finding]:
    """The findings of all rules about a file, by line."""
    found = [
        Finding(path=path, line=line, rule=rule.name, severity=rule.severity, message=message)
        for rule in RULES
        if rule.check is not None
        for line, message in rule.check(subject)
    ]
    return sorted(found, key=lambda finding: finding.line)


def finding(rule: str, path: str, line: int | None, message: str) -> Finding:
    """A finding of a rule whose place is known already."""
    severity = next(known.severity for known in RULES if known.name == rule)
    return Finding(path=path, line=line or 1, rule=rule, severity=severity, message=message)


def _schema(subject: Subject) -> Iterator[tuple[int, str]]:
    if subject.taxonomy and not has_oldest_layout(subject.root):
        yield from violations(subject.root)


def _old_layout(subject: Subject) -> Iterator[tuple[int, str]]:
    if subject.taxonomy and has_oldest_layout(subject.root):
        said = "this is the oldest layout, which we read and InstructLab no longer does"
        yield subject.root.line, f"{said}; write `version`, `created_by`, `task_description` and `seed_examples`"


def _few_seeds(subject: Subject) -> Iterator[tuple[int, str]]:
    if subject.taxonomy and is_strict(subject.root):
        return  # the schema says it
    for task in subject.tasks:
        seeds = len(task.spec.seed_examples)
        if seeds < FEWEST_SEEDS:
            name = f" in `{'/'.join(map(str, task.whole))}`" if task.whole else ""
            said = f"{seeds} seed{'' if seeds == 1 else 's'}{name}, and {FEWEST_SEEDS} are asked for"
            yield task.root.line_of(task.whole or ("seed_examples",)), f"{said}: the data varies more with them"


def _no_description(subject: Subject) -> Iterator[tuple[int, str]]:
    for task in subject.tasks:
        described = task.root.at((*task.whole, "task_description"))
        by_schema = subject.taxonomy and is_strict(subject.root) and described is not None and not described.written
        if not task.spec.task_description.strip() and not by_schema:
            said = "`task_description` is empty" if described is not None else "there is no `task_description`"
            yield task.root.line_of((*task.whole, "task_description")), f"{said}; a sentence on the skill helps the teacher"


def _repeated(subject: Subject) -> Iterator[tuple[int, str]]:
    by_schema = subject.taxonomy and is_strict(subject.root)
    for task in subject.tasks:
        seeds = task.spec.seed_examples
        for place, seed in enumerate(seeds):
            first = next((n for n in range(place) if repeats(seed, seeds[n])), None)
            if first is None or (by_schema and _written(seed) == _written(seeds[first])):
                continue
            about = "the question" if seed.context is None else "question and context"
            yield seed.line, f"seed {place + 1} repeats {about} of seed {first + 1} in line {seeds[first].line}"


def _written(seed: object) -> tuple[object, ...]:
    return tuple(getattr(seed, key) for key in SEED_KEYS)


def _near_copies(subject: Subject) -> Iterator[tuple[int, str]]:
    for task in subject.tasks:
        seeds = task.spec.seed_examples
        for place, seed in enumerate(seeds):
            if (other := near_copy(seed, seeds[:place])) is not None:
                said = f"seed {place + 1} is nearly the same as seed {other + 1} in line {seeds[other].line}"
                yield seed.line, f"{said}; one of another kind would add more"


def _texts(subject: Subject) -> Iterator[tuple[ParsedTask, int, str, str]]:
    """Every text of every seed: task, place, key, text."""
    for task in subject.tasks:
        for place, seed in enumerate(task.spec.seed_examples):
            for key in SEED_KEYS:
                if text := getattr(seed, key):
                    yield task, place, key, text


def _backslash_n(subject: Subject) -> Iterator[tuple[int, str]]:
    for task, place, key, text in _texts(subject):
        if times := literal_line_breaks(text):
            said = f"`{key}` of seed {place + 1} holds a backslash and an n {times} time{'' if times == 1 else 's'}"
            yield task.line_of(place, key), f"{said}, which stay as they are; for line breaks write a block: `{key}: |`"


def _control(subject: Subject) -> Iterator[tuple[int, str]]:
    for task, place, key, text in _texts(subject):
        if stray := stray_characters(text):
            codes = ", ".join(f"U+{ord(c):04X}" for c in stray)
            yield task.line_of(place, key), f"`{key}` of seed {place + 1} holds {codes}, which no reader sees; take it out"


def _trailing(subject: Subject) -> Iterator[tuple[int, str]]:
    for task, place, key, text in _texts(subject):
        if key == "answer" and (said := trailing_space(text)):
            yield task.line_of(place, key), f"`answer` of seed {place + 1} {said}, which a model learns to write too"


def _unanswerable(subject: Subject) -> Iterator[tuple[int, str]]:
    for task in subject.tasks:
        for place, seed in enumerate(task.spec.seed_examples):
            if seems_unanswerable(seed):
                said = f"question and answer of seed {place + 1} have next to no word in common with its context"
                yield task.line_of(place, "question"), f"{said}: can it be answered from there?"


def _attribution(subject: Subject) -> Iterator[tuple[int, str]]:
    if not subject.taxonomy:
        return
    if subject.attribution is None:
        yield 1, f"no {ATTRIBUTION} lies beside the file, so nobody knows under which licence the seeds are"
    elif named_licence(subject.attribution) is None:
        yield 1, f"the {ATTRIBUTION} beside the file has no line `License of the work:` with a licence"


RULES: tuple[Rule, ...] = (
    Rule("nothing-there", "error", "a folder holds no task file"),
    Rule("unreadable", "error", "the file cannot be read: not UTF-8, empty, no YAML, tabs, a key twice, ..."),
    Rule("file-name", "error", "a taxonomy's file is not called qna.yaml"),
    Rule("schema", "error", "InstructLab's schema for the file's version refuses it", _schema),
    Rule("unusable", "error", "a run could not use it, for what no schema sees"),
    Rule("task-name", "error", "two tasks would write to one place"),
    Rule("old-layout", "warning", "the oldest layout: names mapped to seeds", _old_layout),
    Rule("few-seeds", "warning", f"fewer than {FEWEST_SEEDS} seeds", _few_seeds),
    Rule("repeated-seed", "warning", "a seed asks what another one asks", _repeated),
    Rule("near-copy", "warning", "a seed is another one with a word or a number changed", _near_copies),
    Rule("backslash-n", "warning", "a backslash and an n where a line break was meant", _backslash_n),
    Rule("control-character", "warning", "control characters, private or invisible ones", _control),
    Rule("trailing-space", "warning", "blanks or empty lines at the end of an answer or of its lines", _trailing),
    Rule("context-window", "warning", "the longest prompt with these seeds does not fit into the context window"),
    Rule("attribution", "warning", f"no {ATTRIBUTION} beside a qna.yaml, or no licence in it", _attribution),
    Rule("no-description", "note", "no task_description", _no_description),
    Rule("unanswerable", "note", "question and answer have (nearly) no word of the context", _unanswerable),
)
"""All rules, in the order in which findings of one line are shown."""
