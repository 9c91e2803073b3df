"""InstructLab's `qna.yaml`: all versions, the oldest layout, and the strict schema beside InstructLab's own."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.base.errors import SpecError
from skills_dspy.base.yaml_lines import parse_yaml
from skills_dspy.tasks.lint import run_warnings
from skills_dspy.tasks.spec import ParsedTask, SpecWarning, TaskFile, TaskSpec
from skills_dspy.tasks.taxonomy import parse_qna, task_name, violations

FILE = Path("qna.yaml")
SEEDS = """\
seed_examples:
  - question: What is old?
    answer: The pond.
    context: An old pond.
  - {question: B, answer: b}
  - {question: C, answer: c}
  - {question: D, answer: d}
  - {question: E, answer: e}
"""
WHOLE = "created_by: someone\ntask_description: Knowing ponds\n" + SEEDS
OLDEST = """\
created_by: somebody
rhymes:
  ode:
    question: An ode?
    answer: O pond
  couplets:
    heroic:
      question: Two lines?
      answer: A pond, / beyond
      document: An old pond.
      task_description: Rhyming
prose:
  context: A frog.
  question: Who jumps?
  answer: The frog.
"""


def read(text: str, name: str = "a") -> tuple[ParsedTask, ...]:
    """The tasks of a text."""
    return parse_qna(parse_yaml(text.encode(), FILE, SpecError), FILE, name, "MIT")


def warned(task: ParsedTask) -> list[SpecWarning]:
    """What a run says of a task."""
    return list(run_warnings(TaskFile(FILE, True, "skill", task.root, tasks=(task,))))


def one(text: str) -> TaskSpec:
    """The only task of a text."""
    (task,) = read(text)
    return task.spec


def refusal(text: str) -> SpecError:
    """The error that a text gives."""
    with pytest.raises(SpecError) as caught:
        read(text)
    return caught.value


def broken_rules(text: str) -> list[tuple[int, str]]:
    """What the schema has against a text."""
    return list(violations(parse_yaml(text.encode(), FILE, SpecError)))


# ---- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["", "version: 1\n", "version: 2\n", "version: 3\n"])
def test_every_version_is_read(version: str) -> None:
    """Absent, 1, 2 and 3 come to the same task; a well-formed file gets no warning."""
    (task,) = read(version + WHOLE, "reading/ponds")
    spec = task.spec
    assert (spec.task_name, spec.created_by, spec.task_description) == ("reading/ponds", "someone", "Knowing ponds")
    assert (spec.licence, spec.path, spec.data_builder) == ("MIT", FILE, "instructlab/skills")
    assert [(seed.question, seed.answer, seed.context) for seed in spec.seed_examples][:2] == [
        ("What is old?", "The pond.", "An old pond."),
        ("B", "b", None),
    ]
    assert spec.seed_examples[0].line == version.count("\n") + 4
    assert warned(task) == []


def test_a_run_reads_leniently() -> None:
    """Few seeds, no author, no description, another version: each is said, none is refused."""
    (task,) = read("version: 7\nseed_examples:\n  - {question: A, answer: a}\n")
    assert (task.spec.created_by, task.spec.task_description) == ("", "")
    assert [(warning.line, warning.message.split(";")[0]) for warning in warned(task)] == [
        (1, "`version` is the number 7, and known here are 1, 2, 3"),
        (1, "`created_by` is missing, which InstructLab asks for"),
        (1, "`task_description` is empty"),
        (2, "there is only 1 seed example"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("context: An", "contxt: An", 6, "unknown key `contxt`; did you mean `context`?"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(old: str, new: str, line: int, part: str) -> None:
    """With the line, and what to do."""
    error = refusal(WHOLE.replace(old, new, 1))
    assert (error.path, error.line) == (FILE, line)
    assert part in str(error)


def test_the_oldest_layout_has_a_task_for_each_name() -> None:
    """Nested or not, with `document` or `context`; author and description may stand above or within."""
    tasks = read(OLDEST, "poems")
    assert [task.spec.task_name for task in tasks] == ["poems/rhymes/ode", "poems/rhymes/couplets/heroic", "poems/prose"]
    assert [task.spec.task_description for task in tasks] == ["", "Rhyming", ""]
    assert {task.spec.created_by for task in tasks} == {"somebody"}
    (ode,), (heroic,), (prose,) = (task.spec.seed_examples for task in tasks)
    assert (ode.question, ode.answer, ode.context) == ("An ode?", "O pond", None)
    assert (heroic.context, prose.context) == ("An old pond.", "A frog.")
    assert tasks[1].line_of(0, "context") == 10
    assert tasks[2].line_of(0, "context") == 13


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: {question: A, answer: a, colour: red}\n", 1, "unknown key `colour`"),
        ("a: {question: A}\n", 1, "`a/answer` is missing"),
        ("x:\n  y: {}\n", 2, "`x/y` is an empty mapping"),
    ],
)
def test_a_wrong_oldest_layout_is_refused(text: str, line: int, part: str) -> None:
    """With the line of the name at fault."""
    error = refusal(text)
    assert error.line == line
    assert part in str(error)


def test_a_place_that_can_be_no_directory_is_refused() -> None:
    """The folder's name becomes that of the run's directory, on any system."""
    with pytest.raises(SpecError, match=r"its place in the taxonomy, and `a/con` has the part `con`.*; rename the folder$"):
        read(WHOLE, "a/con")


PARTS = st.lists(
    st.sampled_from(["a", "b", "knowledge", "compositional_skills", "foundational_skills"]), min_size=1, max_size=5
)


@given(PARTS, PARTS)
def test_a_task_has_one_name_wherever_its_tree_lies(above: list[str], below: list[str]) -> None:
    """Below a tree of skills, neither what is above it nor the folder that was given matters."""
    folder = Path("/", *above, "compositional_skills", *below)
    name = task_name(folder, folder)
    assert {task_name(folder, given) for given in folder.parents} == {name}
    assert name == task_name(Path("/compositional_skills", *below), Path("/"))


# ---- the schema ------------------------------------------------------------------------------------------------------


VALUES = st.sampled_from(["", " ", "x", 0, 3, 3.0, 1.5, True, None, [], {}, ["x"], {"question": "a", "answer": "b"}])


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A good file with up to four things changed, anywhere."""
    count = draw(st.integers(0, 7))
    seeds: list[Any] = [{"question": f"{n}?", "answer": str(draw(st.sampled_from("ab")))} for n in range(count)]
    content: dict[str, Any] = {"created_by": "me", "task_description": "x", "seed_examples": seeds}
    if (version := draw(st.sampled_from([None, 1, 2, 3, "3", 4, 2.0, True]))) is not None:
        content["version"] = version
    for _ in range(draw(st.integers(0, 4))):
        inside = [seed for seed in seeds if isinstance(seed, dict)] if isinstance(content.get("seed_examples"), list) else []
        where = draw(st.sampled_from([content, *inside]))
        key = draw(st.sampled_from(["question", "answer", "context", "x"] if where is not content else [*content, "x"]))
        match draw(st.sampled_from(["set", "drop", "double"])):
            case "set":
                where[key] = draw(VALUES)
            case "drop":
                where.pop(key, None)
            case "double" if inside:
                seeds.append(copy.deepcopy(draw(st.sampled_from(inside))))
    return content


@given(mutated())
def test_what_passes_the_schema_has_what_it_asks_for(content: Mapping[str, Any]) -> None:
    """A second, independent reading of the schema's words; a file that passes can also be run, unless a text is blank."""
    text = yaml.safe_dump(dict(content))
    found = broken_rules(text)
    assert (not found) is passes(content)
    if not found and all(str(text).strip() for seed in content["seed_examples"] for text in seed.values()):
        assert one(text).seed_examples


def passes(content: Mapping[str, Any]) -> bool:
    """Whether the JSON schema of the content's version would pass it."""
    written = content.get("version", 1)
    try:
        version = int(written) if written is not None else 1
    except (TypeError, ValueError):
        version = 1
    if isinstance(written, bool | str) or written is None or written not in (1, 2, 3) or not set(content) <= TOP:
        return False
    seeds = content.get("seed_examples")
    if not isinstance(seeds, list) or not text(content.get("created_by")):
        return False
    if not isinstance(content.get("task_description"), str) or (version > 1 and not content["task_description"]):
        return False
    if len(seeds) < (5 if version > 1 else 1) or (version > 1 and any(seed in seeds[:n] for n, seed in enumerate(seeds))):
        return False
    return all(
        isinstance(seed, dict) and {"question", "answer"} <= set(seed) <= SEED and all(map(text, seed.values()))
        for seed in seeds
    )


TOP, SEED = {"version", "created_by", "task_description", "seed_examples"}, {"question", "answer", "context"}


def text(value: object) -> bool:
    """Whether a value is text with a character in it."""
    return isinstance(value, str) and value != ""
