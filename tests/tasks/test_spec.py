"""Tests of task files."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from signatures.examples import Axis
from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import SeedExample
from skills_dspy.base.yaml_lines import parse_yaml
from skills_dspy.tasks.lint import run_warnings
from skills_dspy.tasks.spec import SpecWarning, TaskFile, TaskSpec, name_fault, parse_task

FILE = Path("task.yaml")

HEAD = """\
task_name: writing/haiku
created_by: someone
task_description: Write a haiku
data_builder: instructlab/skills
"""
SEEDS = """\
seed_examples:
  - question: A haiku on rain?
    answer: |
      Rain on the tin roof
      a drum with no drummer's hand
      the garden listens
  - context: An old pond.
    question: What is old?
    answer: The pond.
"""
VALID = HEAD + SEEDS


def parsed(text: str) -> tuple[TaskSpec, tuple[SpecWarning, ...]]:
    """The spec and the warnings of a text."""
    task = parse_task(parse_yaml(text.encode(), FILE, SpecError), FILE)
    return task.spec, tuple(run_warnings(TaskFile(FILE, True, "task", task.root, tasks=(task,))))


def refusal(text: str) -> SpecError:
    """The error that a text gives."""
    with pytest.raises(SpecError) as caught:
        parsed(text)
    return caught.value


def changed(old: str, new: str) -> str:
    """The valid text with one thing changed."""
    assert VALID.count(old) == 1
    return VALID.replace(old, new)


def test_a_valid_file_gives_all_its_values() -> None:
    """Texts are kept to the letter, defaults fill the rest, every seed knows its line."""
    spec, _ = parsed(VALID)
    assert spec == TaskSpec(
        task_name="writing/haiku",
        created_by="someone",
        task_description="Write a haiku",
        data_builder="instructlab/skills",
        seed_examples=(
            SeedExample(
                question="A haiku on rain?",
                answer="Rain on the tin roof\na drum with no drummer's hand\nthe garden listens\n",
                line=6,
            ),
            SeedExample(question="What is old?", answer="The pond.", context="An old pond.", line=11),
        ),
        num_icl_examples_per_prompt=3,
        num_questions_to_generate_per_prompt=5,
        path=FILE,
    )
    assert [seed.question for seed in spec.seeds("freeform")] == ["A haiku on rain?"]
    assert [seed.question for seed in spec.seeds("grounded")] == ["What is old?"]


@pytest.mark.parametrize(
    ("requests", "count"),
    [
        (["Mark the errors."], 1),
        (["Mark the errors.", "Mark the errors."], 1),
        (["Find the errors in this text.", "Find errors in the text."], 1),
        (["Who came?", "List all sums of money by month."], 5),
        (["Mark the errors.", None], 5),
        ([None], 5),
    ],
)
def test_one_request_of_a_text_is_asked_for_once(requests: list[str | None], count: int) -> None:
    """A second one would be for half of the work; None is a seed without a text."""
    seeds = [
        {"question": one or "Write a line.", "answer": "Done.", **({} if one is None else {"context": f"Text {n}."})}
        for n, one in enumerate(requests)
    ]
    spec, _ = parsed(HEAD + yaml.safe_dump({"seed_examples": seeds}))
    assert spec.num_questions_to_generate_per_prompt == count


def test_a_spec_that_is_built_by_hand_is_checked_too() -> None:
    """The name and the numbers keep their bounds without a file."""
    spec, _ = parsed(VALID)
    for key, value in [
        ("task_name", "../up"),
        ("seed_examples", ()),
        ("num_icl_examples_per_prompt", 21),
        ("num_questions_to_generate_per_prompt", 0),
        ("extra", 1),
    ]:
        with pytest.raises(ValidationError, match=key):
            TaskSpec.model_validate({**spec.model_dump(), key: value})


@pytest.mark.parametrize(("key", "most"), [("num_icl_examples_per_prompt", 20), ("num_questions_to_generate_per_prompt", 50)])
def test_counts_have_bounds(key: str, most: int) -> None:
    """Both ends are allowed; past them, and what is no whole number, is refused with the bounds."""
    for good in (1, most):
        spec, _ = parsed(f"{VALID}{key}: {good}\n")
        assert getattr(spec, key) == good
    for bad in ("0", "-3", str(most + 1), "2.0", "true", "'3'", "~", "[3]", "9" * 30):
        error = refusal(f"{VALID}{key}: {bad}\n")
        assert f"write a whole number from 1 to {most}, without quotes" in str(error)
        assert error.line == 14


def test_a_task_file_may_name_the_axes_of_variety_or_turn_it_off() -> None:
    """Nothing leaves it to the settings; YAML takes `off` for a flag."""
    assert parsed(VALID)[0].variety is None
    assert [parsed(f"{VALID}variety: {word}\n")[0].variety for word in ("off", "'off'")] == [(), ()]
    own = "variety:\n  subject: [ponds, lakes]\n  asker:\n  - a nurse\n"
    axes = (Axis(name="subject", values=("ponds", "lakes")), Axis(name="asker", values=("a nurse",)))
    assert parsed(VALID + own)[0].variety == axes
    for bad, line in (("on", 14), ("3", 14), ("[]", 14), ("", 14), ("{subject: ponds}", 14), ("\n  subject: [1, 2]", 15)):
        error = refusal(f"{VALID}variety: {bad}\n")
        assert "`variety" in str(error)
        assert "a list of one or more texts" in str(error)
        assert error.line == line


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("task_name: writing/haiku\ncreated_by: someone\n", "", 1, "`task_name`, `created_by` are missing"),
        ("The pond.", "Null", 13, 'is Null, which YAML takes for nothing; write text, or put it in quotes: "Null"'),
        ("The pond.", '" \\t\\n"', 13, "`answer` of seed 2 is empty; write text"),
        ("An old pond.", "null", 11, "`context` of seed 2 is null, which YAML takes for nothing; leave the key out"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, line: int, part: str) -> None:
    """Every refusal names the file, the line of the key at fault, and what to write instead."""
    error = refusal(changed(old, new))
    assert part in str(error)
    assert str(error).startswith(f"task.yaml:{line}: ")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (" ", "is empty"),
        ("x" * 201, "has 201 characters"),
        ("a//b", "holds `//`"),
        ("a/con.x", "Windows keeps"),
        ("a.old-20240101-000000", "set aside"),
        ("é" * 128, "255 bytes"),
        ("a\x00b", "the character U+0000"),
        ("a\nb", "the character U+000A"),
        ("a\x7f", "the character U+007F"),
        ("a\u202eb", "the character U+202E"),
        ("a\u00a0b", "the character U+00A0"),
    ],
)
def test_names_that_are_no_safe_path_are_refused(name: str, part: str) -> None:
    """A name may not leave the output directory, on any system, nor be one that some system cannot hold."""
    assert part in (name_fault(name) or "")


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "instructlab/skills/writing/freeform/debate", "v1.2-b_c", "console", "com0", "日本/俳句", "x" * 200]
)
def test_names_that_are_safe_are_taken(name: str) -> None:
    """Parts of letters of any script, digits, dots inside, dashes."""
    assert name_fault(name) is None


@given(st.text(st.sampled_from("ab./\\ ~:-\x00\u2028é"), max_size=12) | st.text(max_size=30))
def test_a_name_that_is_taken_stays_below_its_directory(name: str) -> None:
    """Joined to a directory it resolves inside, never to the directory itself."""
    if name_fault(name) is None:
        root = Path("/nowhere/at/all")
        assert root in (root / name).resolve().parents
        assert Path(name).parts == tuple(name.split("/"))


def test_a_literal_backslash_n_is_odd_and_kept() -> None:
    """The two characters stay, and the warning says how to write line breaks; real ones give no warning."""
    spec, warnings = parsed(changed("The pond.", "The\\npond.").replace("An old pond.", "'An\\nold pond.'"))
    assert spec.seed_examples[1].answer == "The\\npond."
    assert [(warning.line, warning.message) for warning in warnings[1:]] == [
        (
            13,
            "`answer` of seed 2 holds a backslash and an n, which stay as they are; "
            "for line breaks write a block: `answer: |` with the lines below it",
        ),
        (
            11,
            "`context` of seed 2 holds a backslash and an n, which stay as they are; "
            "for line breaks write a block: `context: |` with the lines below it",
        ),
    ]


def test_seeds_that_repeat_one_another_are_odd() -> None:
    """White space and case do not make a question another one; a context does."""
    seeds = [
        {"question": "What is  it?", "answer": "a"},
        {"question": "what is\nIT?", "answer": "b"},
        {"question": "What is it?", "answer": "c", "context": "One"},
        {"question": "What is it?", "answer": "d", "context": "Two"},
        {"question": "What is it?", "answer": "d", "context": " one\n"},
    ]
    _, warnings = parsed(HEAD + yaml.safe_dump({"seed_examples": seeds}))
    assert [warning.message for warning in warnings] == [
        "seed 2 repeats the question of seed 1 in line 6; a seed of its own would add more",
        "seed 5 repeats question and context of seed 3 in line 12; a seed of its own would add more",
    ]
    assert warnings[0].line == 8


SCALARS: st.SearchStrategy[object] = st.sampled_from(
    [None, True, 0, 7, 0.5, "", " ", "a", "a/../b", "instructlab/skills", [], {}]
)
ODD = SCALARS | st.lists(SCALARS | st.dictionaries(st.sampled_from(["question", "answer", "context", "x"]), SCALARS))


@given(
    st.dictionaries(
        st.sampled_from(["task_name", "created_by", "data_builder", "seed_examples", "num_icl_examples_per_prompt", "x"]),
        ODD,
        max_size=2,
    ),
    st.sets(st.sampled_from(["task_name", "task_description", "seed_examples"]), max_size=1),
)
def test_any_values_give_a_spec_or_one_error(values: dict[str, object], missing: set[str]) -> None:
    """Whatever stands under the keys, it is taken as it is or refused with a line."""
    whole = copy.deepcopy(yaml.safe_load(VALID)) | values
    text = yaml.safe_dump({key: value for key, value in whole.items() if key not in missing})
    try:
        spec, _ = parsed(text)
    except SpecError as error:
        line = error.line
    else:
        line = 1
        assert spec.task_name == whole["task_name"]
        assert [seed.question for seed in spec.seed_examples] == [seed["question"] for seed in whole["seed_examples"]]
    assert line is not None
