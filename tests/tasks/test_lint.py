"""The rules that a task file is held to, and what each of the real taxonomy's files is told."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import SeedExample
from skills_dspy.base.yaml_lines import parse_yaml
from skills_dspy.tasks.files import read_files
from skills_dspy.tasks.lint import (
    lint,
    near_copy,
    repeats,
    run_warnings,
    seems_unanswerable,
    stray_characters,
    trailing_space,
)
from skills_dspy.tasks.spec import TaskFile, parse_task
from skills_dspy.tasks.taxonomy import parse_qna

CORPORA = Path("/work/shared/corpora/taxonomy")
FILE = Path("qna.yaml")
HEAD = "version: 1\ncreated_by: me\ntask_description: x\nseed_examples:\n"
FIVE = "".join(
    f"  - {{question: {question}, answer: {answer}}}\n"
    for question, answer in [
        ("How old is the oak", "Very"),
        ("Name a bird", "Jay"),
        ("Where do trout live", "In brooks"),
        ("Is it raining", "Hardly"),
        ("Count to three", "'1, 2, 3'"),
    ]
)


def a_file(text: str, attribution: str | None = "License of the work: MIT") -> TaskFile:
    """A qna.yaml that has been read."""
    root = parse_yaml(text.encode(), FILE, SpecError)
    return TaskFile(FILE, True, "skill", root, attribution, parse_qna(root, FILE, "a"))


def told(file: TaskFile) -> list[tuple[int, str]]:
    """Line and rule of each finding."""
    return [(found.line, found.rule) for found in lint(file)]


def a_seed(question: str = "Q", answer: str = "A", context: str | None = None) -> SeedExample:
    """A seed."""
    return SeedExample(question=question, answer=answer, context=context)


# ---- rules -----------------------------------------------------------------------------------------------------------


def test_a_good_file_is_told_nothing() -> None:
    """Five different seeds, described and attributed."""
    assert told(a_file(HEAD + FIVE)) == []


@pytest.mark.parametrize(
    ("seed", "rule"),
    [
        ("question: name a  BIRD, answer: Owl", "repeated-seed"),
        ("question: Where do the trout live, answer: in brooks", "near-copy"),
        ('question: Q, answer: "one\\\\ntwo"', "backslash-n"),
        ('question: "Q\\a", answer: one', "control-character"),
        ("question: Q, answer: ｜- one two", "look-alike"),
        ("question: “It’s Q.”, answer: one", "look-alike"),
        ('question: Q, answer: "one\\n\\n"', "trailing-space"),
        (
            "context: A fox runs in the wood, question: Who invented television, answer: Some clever Scottish engineer",
            "unanswerable",
        ),
    ],
)
def test_each_slip_of_a_seed_is_found_at_its_line(seed: str, rule: str) -> None:
    """One more seed with the slip, and nothing else is said."""
    assert told(a_file(f"{HEAD}{FIVE}  - {{{seed}}}\n")) == [(10, rule)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (HEAD + FIVE.split("\n")[0], [(4, "few-seeds")]),
        (HEAD.replace(": x", ": ''") + FIVE, [(3, "no-description")]),
        (HEAD.replace("1", "3").replace(": x", ": ''") + FIVE, [(3, "schema")]),
        (HEAD.replace("1", "3").replace(": x", ": ' '") + FIVE, [(3, "no-description")]),
        (HEAD.replace("1", "3") + FIVE.split("\n")[0], [(4, "schema")]),
        (HEAD.replace("1", "3") + FIVE + FIVE.split("\n")[1], [(10, "schema")]),
        (HEAD + FIVE + FIVE.split("\n")[1], [(10, "repeated-seed")]),
        ("ode: {question: Q, answer: a}\n", [(1, "old-layout"), (1, "few-seeds"), (1, "no-description")]),
    ],
)
def test_a_thing_is_said_once(text: str, found: list[tuple[int, str]]) -> None:
    """What the schema says of versions 2 and 3 is an error, and no warning beside it."""
    assert told(a_file(text)) == found


def test_signs_that_look_like_those_of_yaml_are_named() -> None:
    """In the description, too, and by a run as well; a text that quotes is none."""
    file = a_file(HEAD.replace(": x", ": “To say it.”") + FIVE.replace("answer: Very", "answer: “No.” or “Yes.”"))
    said = (
        "`task_description` stands between U+201C (left double quotation mark) and U+201D (right double quotation mark), "
        'which belong to the text; write `"` if not meant so'
    )
    assert [(one.line, one.message) for one in lint(file)] == [(3, said)]
    assert said in [one.message for one in run_warnings(file)]


@pytest.mark.parametrize("attribution", [None, "Creator names: me", "License of the work: -"])
def test_a_licence_is_asked_for(attribution: str | None) -> None:
    """Without a file, or without its line."""
    assert told(a_file(HEAD + FIVE, attribution)) == [(1, "attribution")]


def test_task_files_have_neither_schema_nor_attribution() -> None:
    """They are ours; the rules about seeds hold all the same."""
    text = "task_name: a\ndata_builder: instructlab/skills\n" + HEAD.replace("version: 1\n", "") + FIVE.split("\n")[0]
    root = parse_yaml(text.encode(), FILE, SpecError)
    found = lint(TaskFile(Path("a.yaml"), True, "task", root, tasks=(parse_task(root, FILE),)))
    assert [(one.rule, one.line, one.path) for one in found] == [("few-seeds", 5, "a.yaml")]


# ---- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("a\nb", 0),
        (r"a\nb", 1),
        (r"a\n\nNow\n", 3),
        (r"\nabla f \neq \nu", 0),
        (r"\nuts", 1),
        (r"\notable", 1),
        ("C:\\temp", 0),
    ],
)
def test_literal_line_breaks(text: str, times: int) -> None:
    """A backslash and an n count, a formula's words do not."""
    found = lint(a_file(f"{HEAD}{FIVE}  - {{question: Q, answer: {json.dumps(text)}}}\n"))
    counted = [f"an n {times} time{'s' * (times > 1)}, which stay as they are" in one.message for one in found]
    assert counted == [True] * (times > 0)


@pytest.mark.parametrize(
    ("text", "stray"),
    [
        ("a\tb\n", ""),
        ("👩‍🚀 ❤️ می‌خواهم ऑ", ""),
        ("a\x07b\x07c\r", "\x07\r"),
        ("\uf020 \ufffd \u200b", "\uf020\ufffd\u200b"),
        ("a\xa0b", ""),
    ],
)
def test_stray_characters(text: str, stray: str) -> None:
    """Controls, private ones and blanks without width; but not what emoji and scripts are made with."""
    assert "".join(stray_characters(text)) == stray


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("a", None),
        ("a\n", None),
        ("a\n\nb\n", None),
        ("a\n\n", "ends with 2 line breaks"),
        ("a \n", "ends with blanks"),
        ("a\t", "ends with blanks"),
        ("a \nb\t\nc", "has blanks at the end of 2 lines"),
    ],
)
def test_trailing_space(answer: str, said: str | None) -> None:
    """One line break at the end is what a block gives; all else was not meant."""
    assert trailing_space(answer) == said


@given(st.text(alphabet=" \t\na", max_size=12))
def test_an_answer_without_blanks_at_its_ends_is_fine(text: str) -> None:
    """Trimmed line by line there is nothing to say, and what is said goes away by trimming."""
    trimmed = "\n".join(line.rstrip() for line in text.split("\n")).rstrip()
    assert trailing_space(trimmed) is None
    if trailing_space(text) is None:
        assert text in (trimmed, trimmed + "\n")


def test_near_copies_and_repetitions() -> None:
    """The nearest earlier seed; another context or another answer makes it a seed of its own; what repeats is no near-copy."""
    fox = a_seed("How many foxes live in the wood?", "There are two.", "Two foxes live in the wood.")
    foxes = a_seed("How many foxes live in a wood?", "There are two.", fox.context)
    assert near_copy(foxes, [a_seed(), fox]) == 1
    assert near_copy(foxes.model_copy(update={"context": "A jay sits on the oak all day."}), [fox]) is None
    assert near_copy(foxes.model_copy(update={"context": None}), [fox]) is None
    assert near_copy(foxes.model_copy(update={"answer": "Nobody has ever counted."}), [fox]) is None
    again = fox.model_copy(update={"question": "how many foxes LIVE in\nthe wood?"})
    assert repeats(again, fox)
    assert near_copy(again, [fox]) is None


@pytest.mark.parametrize(
    ("question", "answer", "suspect"),
    [
        ("Who invented the television?", "Some clever Scottish engineer", True),
        ("Who invented the television?", "The fox that runs", False),
        ("Which animal runs?", "Some clever Scottish engineer", False),
        ("Translate it into German, please.", "Ein Fuchs läuft durch den Wald", False),
        ("What sentiment does this sentence express?", "Neither gladness nor sorrow", False),
        ("Why?", "Some clever Scottish engineer", False),
        ("Who invented the television?", "Nobody", False),
    ],
)
def test_a_question_beside_its_context(question: str, answer: str, suspect: bool) -> None:
    """Only where neither question nor answer touches it; orders and what points to it are let pass."""
    assert seems_unanswerable(a_seed(question, answer, "A fox runs in the wood.")) is suspect
    assert not seems_unanswerable(a_seed(question, answer))


# ---- the real taxonomy -----------------------------------------------------------------------------------------------

POETRY = (1, 5, 9, 13, 17, 21, 25, 29)
EXPECTED: dict[str, list[tuple[int, str]]] = {
    "STEM/math/area": [(2, "few-seeds"), (11, "near-copy"), (17, "trailing-space")],
    "STEM/math/distance_conversion": [(11, "trailing-space"), (34, "near-copy"), (38, "near-copy")],
    "extraction/annual_report/bullet_points": [
        (2, "few-seeds"),
        (12, "control-character"),
        (89, "trailing-space"),
        (92, "control-character"),
        (174, "control-character"),
    ],
    "extraction/invoice/csv": [(130, "repeated-seed"), (177, "repeated-seed"), (209, "near-copy")],
    "extraction/technical_paper/abstract/csv": [(2, "few-seeds")],
    "general/tables/editing/add_remove": [
        (2, "few-seeds"),
        (3, "trailing-space"),
        (60, "trailing-space"),
        (113, "trailing-space"),
    ],
    "grounded/linguistics/inclusion": [(23, "near-copy")],
    "linguistics/bullet_lists": [],
    "linguistics/synonyms": [(16, "near-copy"), (26, "near-copy")],
    "roleplay/explain_like_you_are/fictional/movies": [(n, "backslash-n") for n in (3, 22, 44, 62, 80, 107, 125, 149)],
    "writing/freeform/debate": [(2, "few-seeds"), (3, "backslash-n"), (27, "no-description")],
    "writing/freeform/emoji": [],
    "writing/freeform/poetry": [
        (1, "old-layout"),
        *((line, rule) for line in POETRY for rule in ("few-seeds", "no-description")),
    ],
    "writing/grounded/editing/grammar": [(2, "few-seeds"), (3, "backslash-n"), (40, "backslash-n"), (77, "no-description")],
    "writing/grounded/meeting_insights/action_items": [(2, "few-seeds"), (82, "no-description")],
    "reasoning/logical_reasoning/general": [(46, "trailing-space"), (64, "trailing-space"), (129, "backslash-n")],
}
"""What was found by reading the files; each lacks its attribution.txt besides."""


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora are not on this machine")
def test_the_real_taxonomy_is_told_what_is_wrong_with_it() -> None:
    """Sixteen files: what the eye finds in them, and nothing that it does not."""
    found = {}
    for file in read_files([CORPORA]):
        told_of = lint(file)
        name = "/".join(file.path.parent.relative_to(CORPORA).parts[1:])
        found[name] = [(one.line, one.rule) for one in told_of if one.rule != "attribution"]
        assert [one.line for one in told_of if one.rule == "attribution"] == [1]
    assert found == EXPECTED
