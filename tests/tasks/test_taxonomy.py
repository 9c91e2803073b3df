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
from skills_dspy.tasks.taxonomy import is_strict, parse_qna, task_name, version_of, violations

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


@pytest.mark.parametrize("description", ["''", '" "', "", "~"])
def test_an_empty_description_is_empty(description: str) -> None:
    """However it is written; the real files have it often."""
    assert not one(WHOLE.replace("Knowing ponds", description)).task_description.strip()


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("context: An", "contxt: An", 6, "unknown key `contxt`; did you mean `context`?"),
        ("task_description", "task_descripton", 2, "unknown key `task_descripton`; did you mean `task_description`?"),
        ("answer: The pond.", "answer: 42", 5, 'is the number 42; write it in quotes: "42"'),
        ("answer: The pond.", "answer:", 5, "`answer` of seed 1 is empty"),
        ("    answer: The pond.\n", "", 4, "`answer` of seed 1 is missing"),
        ("context: An old pond.", "context: ' '", 6, "leave the key out"),
        (SEEDS, "seed_examples: []\n", 3, "`seed_examples` is an empty list"),
        (SEEDS, "", 1, "`seed_examples` is missing"),
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
        ("a: {question: A, answer: a, context: x, document: y}\n", 1, "both `context` and `document`"),
        ("a: {question: A}\n", 1, "`a/answer` is missing"),
        ("x: {question: A, answer: a}\nb: text\n", 2, '`b` is the text "text"; write `question:` and `answer:` below it'),
        ("x:\n  y: {}\n", 2, "`x/y` is an empty mapping"),
        ("x:\n  'a:b': {question: A, answer: a}\n", 2, "rename the folder or the key"),
        ("version: 3\ncreated_by: x\n", 1, "`seed_examples` is missing"),
        ("version: 3\nseeds: []\n", 2, "unknown key `seeds`"),
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


@pytest.mark.parametrize("version", ["", "version: 1\n", "version: 2\n", "version: 3\n"])
def test_a_good_file_breaks_no_rule(version: str) -> None:
    """Of any version."""
    assert broken_rules(version + WHOLE) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("Knowing ponds", "''", [(3, "`task_description` is empty")]),
        ("created_by: someone\n", "", [(1, "`created_by` is missing")]),
        ("created_by: someone", "created_by: 7", [(2, "`created_by` is the number 7, and has to be text")]),
        ("  - {question: E, answer: e}\n", "", [(4, "`seed_examples` has 4 seeds; version 3 asks for 5 or more")]),
        ("E, answer: e", "D, answer: d", [(11, "seed 5 is the same as seed 4 in line 10")]),
        ("answer: e", "answer: ''", [(11, "`answer` of seed 5 is empty")]),
        ("answer: e", "answer: on", [(11, "`answer` of seed 5 is the yes/no value on, and has to be text")]),
        (", answer: e", "", [(11, "`answer` of seed 5 is missing")]),
        ("answer: e", "answer: e, source: x", [(11, "unknown key `source`; known here: question, answer, context of seed 5")]),
        ("{question: E, answer: e}", "E", [(11, 'seed 5 is the text "E", and has to be a mapping')]),
        ("version: 3", "version: '3'", [(1, '`version` is the text "3", and has to be the number 3')]),
        ("version: 3", "version: 4", [(1, "`version` is the number 4, and there is no such schema")]),
        ("version: 3", "version: yes", [(1, "`version` is the yes/no value yes, and there is no such schema")]),
    ],
)
def test_what_the_schema_refuses(old: str, new: str, found: list[tuple[int, str]]) -> None:
    """Version 3: each thing with its line, and nothing else."""
    text = "version: 3\n" + WHOLE
    assert text.count(old) == 1
    seen = broken_rules(text.replace(old, new))
    assert [line for line, _ in seen] == [line for line, _ in found]
    assert all(message.startswith(start) for (_, message), (_, start) in zip(seen, found, strict=True))


def test_version_1_asks_for_less() -> None:
    """An empty description, one seed, and equal seeds are fine there, but not no seed."""
    assert broken_rules("created_by: x\ntask_description: ''\nseed_examples:\n  - {question: A, answer: a}\n") == []
    twice = "created_by: x\ntask_description: ''\nseed_examples:\n" + 2 * "  - {question: A, answer: a}\n"
    assert broken_rules(twice) == []
    assert broken_rules("created_by: x\ntask_description: ''\nseed_examples: []\n") == [
        (3, "`seed_examples` has 0 seeds; version 1 asks for 1 or more")
    ]


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("", 1),
        ("version:", 1),
        ("version: x", 1),
        ("version: '2'", 2),
        ("version: 2.0", 2),
        ("version: 9", None),
        ("version: on", None),
    ],
)
def test_the_version_that_holds(written: str, version: int | None) -> None:
    """As InstructLab's parser takes it from the file."""
    root = parse_yaml(f"{written}\ncreated_by: x\n".encode(), FILE, SpecError)
    assert version_of(root) == version
    assert is_strict(root) is (version in (2, 3))


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
