"""Labelled cases: what a judge or tagger is shown, and the label that it should give; their files, read and checked."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError, SpecError
from skills_dspy.base.records import Frozen, SeedExample
from skills_dspy.base.scales import Label, Scale
from skills_dspy.base.validation import FILLED, Text, Where, Wording, validated
from skills_dspy.base.yaml_lines import Node, read_yaml, shown
from skills_dspy.model.exhibits import fitting_by_words
from skills_dspy.model.steps import STEPS, inputs
from skills_dspy.store.reviews import BLAME
from skills_dspy.tasks.yaml_files import find_yaml

SCALE_OF_STEP: Mapping[str, Scale] = {
    name: step.filter
    for name, step in sorted(STEPS.items(), key=lambda entry: entry[1].role == "tagger")
    if step.filter is not None and step.tagging != "fused" and not step.of_draw
}
"""The steps that cases exist for, the four judges before the two tags that filter, with the scale of each."""


def refuse_unknown(judges: Iterable[str]) -> None:
    """RequestError where a name is that of no step that cases exist for."""
    for name in judges:
        if name not in SCALE_OF_STEP:
            raise RequestError(f"there is no judge {name!r}; the judges are: {', '.join(SCALE_OF_STEP)}")


IN_WORDS, EDITED, ACCEPTED, ANSWER_ALONE = "in your own words", "edited", "accepted", "the answer alone was wrong"
"""Reasons of cases of reviews, beside those that a reader chooses from: they are verdicts, and no flaws."""

CaseOrigin = Literal["hand", "reply", "review", "seed", "corruption"]

SHIPPED = Path(__file__).parent.parent / "cases"
"""The cases written for this project, one file a step, and in its folder `real` replies of models."""


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled case.

    Attributes:
        id: unique among all cases that are used together.
        step: a name in SCALE_OF_STEP.
        examples: good seeds of the skill, at least one, all with a context or all without.
        context, question, answer: what is to be rated; the answer is None where the question alone is.
        label: the expected label; for a case from seeds the best or the worst of the scale.
        good: whether it should pass.
        reason: why, a word of REASONS; for a case from seeds `seed` or the corruption's name; of reviews see there.
        where: file and line, for messages.
        written_by: the model whose reply it is, and the server; None for all other cases.
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
    origin: CaseOrigin
    where: str
    written_by: str | None = None

    @property
    def labelled(self) -> bool:
        """Whether a reader gave the label; it follows from how the case was made where it was made from a seed."""
        return self.origin in ("hand", "reply", "review")

    def inputs(self, step: str | None = None) -> dict[str, Any]:
        """What its step's prompt is given, or another's that is asked about the same."""
        asked = STEPS[step or self.step]
        examples = fitting_by_words(self.examples, self) if asked.shows == "fitting" else self.examples
        return inputs(asked, self.task_description, examples, self)


REASONS = (
    "fit",  # good: nothing to say against it
    "brief but right",  # good: very short, as the skill is
    "odd but of the skill",  # good: strange elsewhere, usual here
    "small flaw",  # good with a blemish
    *BLAME["question"],
    *BLAME["answer"],
)
"""Why a case that a reader labelled has its label."""

_ID = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")


def _one_of(words: Iterable[str]) -> AfterValidator:
    known = ", ".join(words)

    def check(word: str) -> str:
        if word not in known.split(", "):
            raise PydanticCustomError("word", "{message}", {"message": known})
        return word

    return AfterValidator(check)


def _hyphened(name: str) -> str:
    if not _ID.fullmatch(name):
        raise ValueError(f"is {shown(name)}; write letters and digits, with single hyphens between")
    return name


_LIST = Field(description="a list with at least one item")


class _ExampleFields(Frozen):
    context: Text = ""
    question: Text
    answer: Text


class _CaseFields(Frozen):
    id: Annotated[Text, AfterValidator(_hyphened)]
    context: Text = ""
    question: Text
    answer: Text = ""
    label: Any
    reason: Annotated[Text, _one_of(REASONS)]


class _SkillFields(Frozen):
    task: Text
    task_description: Text
    examples: Annotated[tuple[_ExampleFields, ...], FILLED, _LIST]
    cases: Annotated[tuple[_CaseFields, ...], FILLED, _LIST]


class _FileFields(Frozen):
    step: Annotated[Text, _one_of(SCALE_OF_STEP)]
    written_by: Text = ""
    skills: Annotated[tuple[_SkillFields, ...], FILLED, _LIST]


def _named(where: Where) -> str:
    """A place as people count: `skills`, skill 1, `label` of case 3 of skill 1."""
    parts: list[str] = []
    for part in where:
        if isinstance(part, int):
            parts[-1] = f"{parts[-1].strip('`').removesuffix('s')} {part + 1}"
        else:
            parts.append(f"`{part}`")
    return " of ".join(reversed(parts))


_WORDING = Wording(SpecError, _named, {"extra_forbidden": "{unknown}", "word": "{place} is {value}; write one of: {message}"})


def labelled_cases(paths: Sequence[Path], config: RunConfig, reviewed: Sequence[Case] | None = None) -> tuple[Case, ...]:
    """The cases of files, as `load_cases` reads them, and those of reviews, maybe none; else the shipped ones."""
    return (*(load_cases(paths or (SHIPPED,), config) if paths or reviewed is None else ()), *(reviewed or ()))


def load_cases(paths: Sequence[Path], config: RunConfig) -> tuple[Case, ...]:
    """Read files of cases, and all `*.yaml` below folders, in the order given; a file that is given twice is read once.

    Each case's id is `<step>/<its id in the file>`. The configuration says which labels pass.

    Raises:
        SpecError: with file, line and what to write instead; also when nothing is given or a folder holds no such file.
    """
    if not paths:
        raise SpecError("no file of cases is given; give the path of a file or of a folder of such files")
    cases: dict[str, Case] = {}
    for path in find_yaml(paths, SpecError):
        root = read_yaml(path, SpecError)
        for case, place in _cases(root, path, config):
            if first := cases.get(case.id):
                name = case.id.removeprefix(f"{case.step}/")
                said = f"the id `{name}` is also that of the case in {first.where}; write another"
                raise SpecError(said, path, root.line_of((*place, "id")))
            cases[case.id] = case
    return tuple(cases.values())


def _cases(root: Node, path: Path, config: RunConfig) -> Iterator[tuple[Case, Where]]:
    """A file's cases in its order, each with its place."""
    file = validated(root, _FileFields, path, _WORDING)
    lines: dict[str, int] = {}
    for number, skill in enumerate(file.skills):
        at: Where = ("skills", number)
        line = root.line_of((*at, "task"))
        if skill.task in lines:
            said = f"the skill `{shown(skill.task)}` is already in line {lines[skill.task]}; put its cases there"
            raise SpecError(said, path, line)
        lines[skill.task] = line
        examples = [(example, (*at, "examples", n)) for n, example in enumerate(skill.examples)]
        cases = [(case, (*at, "cases", n)) for n, case in enumerate(skill.cases)]
        grounded = "context" in skill.examples[0].model_fields_set
        both: list[tuple[_ExampleFields | _CaseFields, Where]] = [*examples, *cases]
        for fields, place in both:
            for key, said in _faults(file.step, grounded, fields, root.at((*place, "label"))):
                raise SpecError(f"{_named((*place, key))} {said}", path, root.line_of((*place, key)))
        seeds = tuple(
            SeedExample(question=seed.question, answer=seed.answer, context=seed.context or None, line=root.line_of(place))
            for seed, place in examples
        )
        for case, place in cases:
            yield (
                Case(
                    id=f"{file.step}/{case.id}",
                    step=file.step,
                    task=skill.task,
                    task_description=skill.task_description,
                    examples=seeds,
                    context=case.context or None,
                    question=case.question,
                    answer=case.answer or None,
                    label=case.label,
                    good=case.label in STEPS[file.step].passing(config),
                    reason=case.reason,
                    origin="reply" if file.written_by else "hand",
                    where=f"{path}:{root.line_of(place)}",
                    written_by=file.written_by or None,
                ),
                place,
            )


def _faults(step: str, grounded: bool, fields: _ExampleFields | _CaseFields, label: Node | None) -> Iterator[tuple[str, str]]:
    """What the model cannot see, as key and sentence: what depends on the step, and on the skill's first example."""
    if isinstance(fields, _CaseFields) and label is not None:
        labels, answered, on_pairs = SCALE_OF_STEP[step].labels, bool(fields.answer), SCALE_OF_STEP[step].about == "pair"
        # Neither "1" nor 1.0 nor true is 1.
        kind = "integer" if isinstance(labels[0], int) else "text"
        if label.kind != kind or label.value not in labels:
            said = f"is {label.described()}; {step} has the labels {', '.join(map(str, labels))}: write one of them"
            yield "label", f"{said}, without quotes" if kind == "integer" else said
        if on_pairs and not answered:
            yield "answer", "is missing; add it"
        if answered and not on_pairs:
            yield "answer", f"is of no use, since {step} rates the question alone; leave it out"
    if not fields.context and (grounded or STEPS[step].kind == "grounded"):
        why = "the skill's first example has one" if grounded else f"{step} is about texts"
        yield "context", f"is missing, and {why}; add the text"
    elif fields.context and STEPS[step].kind == "freeform":
        yield "context", f"is of no use, since {step} is about questions without a text; leave it out"
    elif fields.context and not grounded:
        yield "context", "is there, and the skill's first example has none; leave it out or add that one"
