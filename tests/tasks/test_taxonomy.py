"""InstructLab's `qna.yaml`: all versions, the oldest layout, and the strict schema beside InstructLab's own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.base.errors import SpecError
from skills_dspy.base.yaml_lines import parse_yaml
from skills_dspy.tasks.lint import run_warnings
from skills_dspy.tasks.spec import ParsedTask, SpecWarning, TaskFile
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
HEAD = "created_by: someone\ntask_description: Knowing ponds\n"
WHOLE = HEAD + SEEDS
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
        ("a: {question: A}\n", 1, "`a/answer` is missing"),
        ("x:\n  y: {}\n", 2, "`x/y` is an empty mapping"),
        ("x: {question: A, answer: a, context: a, document: b}", 1, "here are both `context` and `document`"),
        ("con: {question: A, answer: a}", 1, "`a/con` has the part `con`, a name that Windows keeps for itself; rename"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(text: str, line: int, part: str) -> None:
    """With the line at fault."""
    with pytest.raises(SpecError) as caught:
        read(text)
    assert (caught.value.path, caught.value.line) == (FILE, line)
    assert part in str(caught.value)


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 4\n" + WHOLE, [(1, "there is no such schema")]),
        ("version: yes\n" + WHOLE, [(1, "there is no such schema")]),
        ("version: one\n" + WHOLE, [(1, "has to be the number 1 without quotes")]),
        ("created_by: ''\n" + SEEDS, [(1, "`created_by` is empty"), (1, "`task_description` is missing")]),
        (HEAD + "seed_examples: [{question: A, x: a}]\n", [(3, "`answer` of seed 1 is missing"), (3, "`x`; known here: ")]),
        ("version: 2\n" + WHOLE.replace("C, answer: c", "B, answer: b"), [(9, "seed 3 is the same as seed 2 in line 8")]),
    ],
)
def test_what_the_schema_refuses_is_said_with_its_line(text: str, said: list[tuple[int, str]]) -> None:
    """Of the file's version; a key that is missing or unknown with the place that lacks or has it."""
    found = sorted(violations(parse_yaml(text.encode(), FILE, SpecError)))
    assert [line for line, _ in found] == [line for line, _ in said]
    assert all(part in message for (_, message), (_, part) in zip(found, said, strict=True))
