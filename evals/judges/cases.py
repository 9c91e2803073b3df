"""Labelled cases: what a judge or tagger is shown, and the label that it should give; their files, read and checked.

A case is written by hand for this project (evals/cases), or made from a task's own seeds (evals/judges/corruptions.py).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from evals.judges.scales import SCALES, Label, passing
from signatures.examples import Pair, Question
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import SeedExample
from skills_dspy.base.validation import unknown_key
from skills_dspy.base.yaml_files import find_yaml
from skills_dspy.base.yaml_lines import Node, read_yaml, shown

Origin = Literal["hand", "seed", "corruption"]

SHIPPED = Path(__file__).parent.parent / "cases"
"""The folder of the cases written for this project, one file a step."""


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled case.

    Attributes:
        id: unique among all cases that are used together.
        step: a name in SCALES.
        task: the skill's name.
        task_description: what the skill is.
        examples: good seeds of the skill, at least one, all with a context or all without; the first is the model for pairs.
        context, question, answer: what is to be rated; the answer is None where the question alone is.
        label: the expected label; for a case from seeds the best or the worst of the scale.
        good: whether it should pass.
        reason: why, a word of REASONS; for a case from seeds `seed` or the corruption's name.
        origin: who made it.
        where: file and line, for messages.
    """

    id: str
    step: str
    task: str
    task_description: str
    examples: tuple[SeedExample, ...]
    context: str | None
    question: str
    answer: str | None
    label: Label
    good: bool
    reason: str
    origin: Origin
    where: str

    def inputs(self) -> dict[str, Any]:
        """What the step's predictor is asked with: exactly its signature's input fields."""
        inputs: dict[str, Any] = {"task_description": self.task_description, "question": self.question}
        if SCALES[self.step].about == "question":
            inputs["examples"] = [Question(question=seed.question) for seed in self.examples]
        else:
            first = self.examples[0]
            inputs["example"] = Pair(context=first.context, question=first.question, answer=first.answer)
            inputs["answer"] = self.answer
        if self.step.endswith("grounded") or self.step.startswith("tag_"):
            inputs["context"] = self.context
        return inputs


REASONS = (
    "fit",  # good: nothing to say against it
    "brief but right",  # good: very short, as the skill is
    "odd but of the skill",  # good: strange elsewhere, usual here
    "small flaw",  # good with a blemish
    "too vague",
    "incomplete",  # something that is needed is missing, in a question
    "contradicts itself",
    "false premise",
    "not answerable from the context",
    "needs what is not there",  # an image, a sound, the web, a file, knowledge of the person who asks
    "needs an action",
    "unsafe",
    "off the task",
    "other form",  # not the form that the examples have
    "wrong fact",
    "wrong figure",
    "unsupported by the context",
    "ignores the requested format",
    "truncated",
    "copy of the context",
    "padded",  # talk about itself, repetition, filler
    "evasive",
    "not all answered",
)
"""Why a case written by hand has its label."""


_FILE_KEYS = ("step", "skills")
_SKILL_KEYS = ("task", "task_description", "examples", "cases")
_EXAMPLE_KEYS = ("context", "question", "answer")
_CASE_KEYS = ("id", "context", "question", "answer", "label", "reason")
_ID = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")

Place = tuple[str | int, ...]
"""The way to a value of a file, through keys and places from 0."""


def load_cases(paths: Sequence[Path], config: RunConfig) -> tuple[Case, ...]:
    """Read files of cases, and all `*.yaml` below folders, in the order given; a file that is given twice is read once.

    Each case's id is `<step>/<its id in the file>`, its `where` `<file>:<line>`, its origin `hand`.

    Args:
        paths: files and folders, at least one.
        config: says which labels pass (`judges`, `filter`).

    Raises:
        SpecError: with file, line and what to write instead; also when nothing is given or a folder holds no such file.
    """
    if not paths:
        raise SpecError("no file of cases is given; give the path of a file or of a folder of such files")
    cases: dict[str, Case] = {}
    for file in find_yaml(paths, SpecError):
        reader = _Reader(read_yaml(file, SpecError), file)
        for case, place in reader.cases(config):
            if first := cases.get(case.id):
                name = case.id.removeprefix(f"{case.step}/")
                reader.refuse(f"the id `{name}` is also that of the case in {first.where}; write another", *place, "id")
            cases[case.id] = case
    return tuple(cases.values())


class _Skill(NamedTuple):
    """What the cases of one skill share."""

    step: str
    task: str
    task_description: str
    examples: tuple[SeedExample, ...]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Checks one file; every refusal names the line of the key at fault."""

    root: Node
    path: Path

    def refuse(self, message: str, *where: str | int) -> NoReturn:
        raise SpecError(message, self.path, self.root.line_of(where))

    def cases(self, config: RunConfig) -> Iterator[tuple[Case, Place]]:
        """The file's cases in its order, each with its place."""
        self._keys(_FILE_KEYS)
        step = self._word(SCALES, "step")
        lines: dict[str, int] = {}
        for place in self._places("skills"):
            skill = self._skill(step, place)
            if line := lines.get(skill.task):
                self.refuse(f"the skill `{shown(skill.task)}` is already in line {line}; put its cases there", *place, "task")
            lines[skill.task] = self.root.line_of((*place, "task"))
            for case_place in self._places(*place, "cases"):
                yield self._case(skill, config, case_place), case_place

    def _skill(self, step: str, place: Place) -> _Skill:
        self._keys(_SKILL_KEYS, *place)
        places = self._places(*place, "examples")
        for example in places:
            self._keys(_EXAMPLE_KEYS, *example)
        grounded = self.root.at((*places[0], "context")) is not None
        return _Skill(
            step=step,
            task=self._text(*place, "task"),
            task_description=self._text(*place, "task_description"),
            examples=tuple(
                SeedExample(
                    question=self._text(*example, "question"),
                    answer=self._text(*example, "answer"),
                    context=self._context(step, grounded, example),
                    line=self.root.line_of(example),
                )
                for example in places
            ),
        )

    def _case(self, skill: _Skill, config: RunConfig, place: Place) -> Case:
        self._keys(_CASE_KEYS, *place)
        step = skill.step
        label = self._label(step, *place, "label")
        return Case(
            id=f"{step}/{self._id(*place, 'id')}",
            step=step,
            task=skill.task,
            task_description=skill.task_description,
            examples=skill.examples,
            context=self._context(step, skill.examples[0].context is not None, place),
            question=self._text(*place, "question"),
            answer=self._answer(step, *place, "answer"),
            label=label,
            good=label in passing(step, config),
            reason=self._word(REASONS, *place, "reason"),
            origin="hand",
            where=f"{self.path}:{self.root.line_of(place)}",
        )

    def _id(self, *where: str | int) -> str:
        name = self._text(*where)
        if not _ID.fullmatch(name):
            self.refuse(f"{_named(where)} is {shown(name)}; write letters and digits, with single hyphens between", *where)
        return name

    def _answer(self, step: str, *where: str | int) -> str | None:
        """The answer of a case, where the step rates a pair."""
        if SCALES[step].about == "pair":
            return self._text(*where)
        if self.root.at(where) is not None:
            self.refuse(f"{_named(where)} is of no use, since {step} rates the question alone; leave it out", *where)
        return None

    def _context(self, step: str, grounded: bool, place: Place) -> str | None:
        """The context of an example or a case; `grounded` is whether the skill's first example has one."""
        where = (*place, "context")
        name = _named(where)
        if self.root.at(where) is None:
            if grounded or step.endswith("_grounded"):
                why = "the skill's first example has one" if grounded else f"{step} is about texts"
                self.refuse(f"{name} is missing, and {why}; add the text", *where)
            return None
        if step.endswith("_freeform"):
            self.refuse(f"{name} is of no use, since {step} is about questions without a text; leave it out", *where)
        if not grounded:
            self.refuse(f"{name} is there, and the skill's first example has none; leave it out or add that one", *where)
        return self._text(*where)

    def _label(self, step: str, *where: str | int) -> Label:
        """A label of the step's scale, of the very kind that the scale has: neither "1" nor 1.0 nor true is 1."""
        node = self._there(*where)
        labels = SCALES[step].labels
        kind = "integer" if isinstance(labels[0], int) else "text"
        if node.kind != kind or node.value not in labels:
            said = f"{_named(where)} is {node.described()}; {step} has the labels {', '.join(map(str, labels))}"
            self.refuse(f"{said}: write one of them{', without quotes' if kind == 'integer' else ''}", *where)
        return labels[labels.index(node.value)]

    def _word(self, words: Iterable[str], *where: str | int) -> str:
        """A text that has to be one of a few words."""
        text = self._text(*where)
        if text not in (known := list(words)):
            self.refuse(f"{_named(where)} is {self._there(*where).described()}; write one of: {', '.join(known)}", *where)
        return text

    def _text(self, *where: str | int) -> str:
        """The text at a place: not empty, and text for YAML too, not what only looks like it."""
        node = self._there(*where)
        if node.kind in ("integer", "number", "boolean"):
            self.refuse(f'{_named(where)} is {node.described()}; write it in quotes: "{shown(node.written)}"', *where)
        if node.kind != "text" or not node.written.strip():
            self.refuse(f"{_named(where)} is {node.described()}; write text", *where)
        return node.written

    def _places(self, *where: str | int) -> list[Place]:
        """The places of a list's items; there is at least one."""
        node = self._there(*where)
        if not node.items:
            self.refuse(f"{_named(where)} is {node.described()}; write a list with at least one item", *where)
        return [(*where, place) for place in range(len(node.items))]

    def _keys(self, known: Sequence[str], *where: str | int) -> None:
        """Refuse what is no mapping, and a key that means nothing."""
        node = self._there(*where)
        if node.kind != "mapping":
            self.refuse(f"{_named(where)} is {node.described()}; write keys and values: {', '.join(known)}", *where)
        for key in node.fields:
            if key not in known:
                self.refuse(unknown_key(key, known), *where, key)

    def _there(self, *where: str | int) -> Node:
        if (node := self.root.at(where)) is None:
            self.refuse(f"{_named(where)} is missing; add it", *where)
        return node


def _named(where: Sequence[str | int]) -> str:
    """A place as people count: `skills`, skill 1, `label` of case 3 of skill 1."""
    parts: list[str] = []
    for part in where:
        if isinstance(part, int):
            parts[-1] = f"{parts[-1].strip('`').removesuffix('s')} {part + 1}"
        else:
            parts.append(f"`{part}`")
    return " of ".join(reversed(parts))
