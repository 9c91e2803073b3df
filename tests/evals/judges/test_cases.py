"""Tests of labelled cases: the format of their files, its refusals, and the files that are shipped."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from evals.judges.cases import REASONS, SCALE_OF_STEP, SHIPPED, Case, load_cases
from signatures.examples import Pair, Question
from skills_dspy.base.config import load_config
from skills_dspy.base.errors import SpecError
from skills_dspy.base.residue import residue_of_pair
from skills_dspy.base.scales import Label
from skills_dspy.model.steps import STEPS

CONFIG = load_config()
CONTEXT = "context: An old pond lies there.\n"


def a_file(step: str, label: Label | None = None, *, grounded: bool | None = None) -> str:
    """A file with one skill of one example and one case, with a text where the step's name asks for one or `grounded` does."""
    scale = SCALE_OF_STEP[step]
    with_text = step.endswith("_grounded") if grounded is None else grounded
    context = f"        {CONTEXT}" if with_text else ""
    answer = "        answer: an old pond\n" if scale.about == "pair" else ""
    return f"""\
step: {step}
skills:
  - task: ponds
    task_description: Say what is there
    examples:
      - question: What is there?
        answer: a pond
{context}    cases:
      - id: ponds-1
        question: What lies there?
{context}{answer}        label: {scale.labels[-1] if label is None else label}
        reason: fit
"""


PAIR = a_file("judge_pair_freeform")
QUESTION = a_file("judge_question_freeform")
QUALITY = a_file("tag_instruction_quality")
ON_TEXTS = a_file("judge_pair_grounded")
TAGGED_TEXTS = a_file("tag_sample_quality", grounded=True)


def changed(text: str, old: str, new: str) -> str:
    """The text with one thing changed."""
    assert text.count(old) == 1
    return text.replace(old, new)


def loaded(folder: Path, *texts: str) -> tuple[Case, ...]:
    """The cases of files with these texts."""
    for place, text in enumerate(texts):
        (folder / f"{place}.yaml").write_text(text, encoding="utf-8")
    return load_cases([folder], CONFIG)


def refusal(folder: Path, *texts: str) -> SpecError:
    """The error that these texts give."""
    with pytest.raises(SpecError) as caught:
        loaded(folder, *texts)
    return caught.value


def test_a_case_holds_what_the_file_says(tmp_path: Path) -> None:
    """Every value is where it belongs; the id carries the step, `where` file and line."""
    (case,) = loaded(tmp_path, PAIR)
    assert case.id == "judge_pair_freeform/ponds-1"
    assert (case.step, case.task, case.task_description) == ("judge_pair_freeform", "ponds", "Say what is there")
    (example,) = case.examples
    assert (example.question, example.answer, example.context, example.line) == ("What is there?", "a pond", None, 6)
    assert (case.context, case.question, case.answer) == (None, "What lies there?", "an old pond")
    assert (case.label, case.good, case.reason, case.origin) == (3, True, "fit", "hand")
    assert case.where == f"{tmp_path / '0.yaml'}:9"


@pytest.mark.parametrize(
    ("step", "grounded"),
    [(step, g) for step in SCALE_OF_STEP for g in (False, True) if step.startswith("tag_") or step.endswith("_grounded") == g],
)
def test_the_inputs_are_those_of_the_signature(step: str, grounded: bool, tmp_path: Path) -> None:
    """No input field is missing and none is too many, and the examples are shown as the flow shows them."""
    scale = SCALE_OF_STEP[step]
    (case,) = loaded(tmp_path, a_file(step, grounded=grounded))
    inputs = case.inputs()
    context = "An old pond lies there." if grounded else None
    assert set(inputs) == set(STEPS[step].source.input_fields)
    assert scale.field in STEPS[step].source.output_fields
    assert inputs.get("context") == context
    assert inputs["question"] == "What lies there?"
    if scale.about == "pair":
        assert inputs["examples"] == [Pair(context=context, question="What is there?", answer="a pond")]
        assert inputs["answer"] == "an old pond"
    else:
        assert inputs["examples"] == [Question(question="What is there?")]


def test_what_is_good_follows_the_configuration(tmp_path: Path) -> None:
    """A rating of 2 is good by default, and is not where only 3 passes."""
    settings = tmp_path / "strict.yml"
    settings.write_text("judges:\n  pair_pass: [3]\n", encoding="utf-8")
    (case,) = loaded(tmp_path, a_file("judge_pair_freeform", 2))
    (strict,) = load_cases([tmp_path], load_config(settings))
    assert (case.good, strict.good) == (True, False)


def test_files_come_in_a_stable_order_and_once(tmp_path: Path) -> None:
    """Files of a folder are read by name, cases in the file's order, a file that is given twice once."""
    cases = loaded(tmp_path, changed(QUESTION, "ponds-1", "ponds-2"), QUESTION, PAIR)
    assert [case.id for case in cases] == [
        "judge_question_freeform/ponds-2",
        "judge_question_freeform/ponds-1",
        "judge_pair_freeform/ponds-1",
    ]
    given = [tmp_path / "2.yaml", tmp_path, tmp_path / "0.yaml"]
    assert [case.where for case in load_cases(given, CONFIG)] == [f"{tmp_path / n}:9" for n in ("2.yaml", "0.yaml", "1.yaml")]


def test_an_id_may_not_return_in_one_step(tmp_path: Path) -> None:
    """The second one is refused at its line, and the message says where the first one is."""
    error = refusal(tmp_path, PAIR, PAIR)
    first = f"{tmp_path / '0.yaml'}:9"
    assert str(error) == f"{tmp_path / '1.yaml'}:9: the id `ponds-1` is also that of the case in {first}; write another"


def test_a_skill_has_one_place_in_a_file(tmp_path: Path) -> None:
    """A skill whose name comes again in the same file is refused."""
    skill = PAIR[PAIR.index("  - task") :].replace("ponds-1", "ponds-2")
    error = refusal(tmp_path, PAIR + skill)
    assert error.line == 14
    assert str(error).endswith("the skill `ponds` is already in line 3; put its cases there")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            changed(PAIR, "answer: a pond", "reply: a pond"),
            7,
            "unknown key `reply`; known here: context, question, answer",
        ),
        (changed(PAIR, "an old pond", "[a, pond]"), 11, "`answer` of case 1 of skill 1 is a list; write text"),
        (changed(PAIR, "        answer: an old pond\n", ""), 9, "`answer` of case 1 of skill 1 is missing; add it"),
        (
            changed(QUESTION, "        label", "        answer: a pond\n        label"),
            11,
            "`answer` of case 1 of skill 1 is of no use, since judge_question_freeform rates the question alone; leave it out",
        ),
        (
            changed(PAIR, "label: 3", "label: 1.0"),
            12,
            "`label` of case 1 of skill 1 is the number 1.0; judge_pair_freeform has the labels 1, 2, 3: write one of them, "
            "without quotes",
        ),
        (
            changed(QUALITY, "label: excellent", "label: Good"),
            11,
            '`label` of case 1 of skill 1 is the text "Good"; tag_instruction_quality has the labels very poor, poor, average, '
            "good, excellent: write one of them",
        ),
        (
            changed(PAIR, "    examples:\n      - question: What is there?\n        answer: a pond\n", "    examples: []\n"),
            5,
            "`examples` of skill 1 is an empty list; write a list with at least one item",
        ),
    ],
)
def test_a_fault_is_named_with_its_line_and_remedy(text: str, line: int, says: str, tmp_path: Path) -> None:
    """Every refusal says what is wrong, where, and what to write instead."""
    assert str(refusal(tmp_path, text)) == f"{tmp_path / '0.yaml'}:{line}: {says}"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            changed(PAIR, "    cases:", f"        {CONTEXT}    cases:"),
            8,
            "`context` of example 1 of skill 1 is of no use, since judge_pair_freeform is about questions without a text; "
            "leave it out",
        ),
        (
            changed(TAGGED_TEXTS, f"What lies there?\n        {CONTEXT}", "What lies there?\n"),
            10,
            "`context` of case 1 of skill 1 is missing, and the skill's first example has one; add the text",
        ),
        (
            changed(TAGGED_TEXTS, f"answer: a pond\n        {CONTEXT}", "answer: a pond\n"),
            11,
            "`context` of case 1 of skill 1 is there, and the skill's first example has none; leave it out or add that one",
        ),
        (
            changed(TAGGED_TEXTS, "    cases:", "      - question: And here?\n        answer: a hill\n    cases:"),
            9,
            "`context` of example 2 of skill 1 is missing, and the skill's first example has one; add the text",
        ),
    ],
)
def test_a_skill_has_texts_everywhere_or_nowhere(text: str, line: int, says: str, tmp_path: Path) -> None:
    """Judges of texts need one with every example and case, the others take none, a tagger takes one kind in a skill."""
    assert str(refusal(tmp_path, text)) == f"{tmp_path / '0.yaml'}:{line}: {says}"


def test_nothing_given_is_refused(tmp_path: Path) -> None:
    """No path, a folder without cases and a file that is not there each give a sentence."""
    with pytest.raises(SpecError, match="no file of cases is given; give the path of a file or of a folder"):
        load_cases([], CONFIG)
    with pytest.raises(SpecError, match=r"the folder holds no \*\.yaml file"):
        load_cases([tmp_path], CONFIG)
    with pytest.raises(SpecError, match="the file does not exist; check the path"):
        load_cases([tmp_path / "none.yaml"], CONFIG)


@pytest.mark.parametrize("step", SCALE_OF_STEP)
def test_the_shipped_cases_of_a_step_are_enough_and_balanced(step: str) -> None:
    """At least 40 cases over six skills, half of them good, both kinds in each skill, each label used several times."""
    cases = load_cases([SHIPPED / f"{step}.yaml"], CONFIG)
    assert {case.step for case in cases} == {step}
    assert len({(case.context, case.question, case.answer) for case in cases}) == len(cases)
    good = sum(case.good for case in cases)
    assert len(cases) >= 40
    assert abs(good - (len(cases) - good)) <= 2
    skills = {case.task for case in cases}
    assert len(skills) >= 6
    assert all({case.good for case in cases if case.task == skill} == {True, False} for skill in skills)
    assert all(len(case.examples) >= 3 for case in cases)
    labels = Counter(case.label for case in cases)
    assert min(labels[label] for label in SCALE_OF_STEP[step].labels) >= 3


def test_a_file_that_says_which_model_wrote_its_texts_holds_replies(tmp_path: Path) -> None:
    """Each of its cases carries the model's name and is no case by hand; a file that says nothing is by hand."""
    by_hand, reply = loaded(tmp_path, PAIR, changed(QUESTION, "skills:", "written_by: a small model\nskills:"))
    assert (by_hand.origin, by_hand.written_by, by_hand.labelled) == ("hand", None, True)
    assert (reply.origin, reply.written_by, reply.labelled) == ("reply", "a small model", True)


def test_a_writer_without_a_name_is_refused(tmp_path: Path) -> None:
    """A reply of nobody knows whom says nothing of any model."""
    text = changed(PAIR, "skills:", 'written_by: " "\nskills:')
    assert str(refusal(tmp_path, text)) == f"{tmp_path / '0.yaml'}:2: `written_by` is empty; write text"


@cache
def shipped_cases() -> tuple[Case, ...]:
    """All of them."""
    return load_cases([SHIPPED], CONFIG)


def test_no_residue_is_seen_in_the_shipped_cases() -> None:
    """People and models wrote hundreds of texts there that somebody has read, good ones and bad ones."""
    found = [
        residue_of_pair(case.question, case.answer or "", case.context, [case.task_description]) for case in shipped_cases()
    ]
    assert (len(found) > 400, [said for said in found if said]) == (True, [])


def test_every_shipped_reply_names_its_writer() -> None:
    """All cases below `real` do, and no other: at least 60, over all steps, most by a small model and many of them bad."""
    replies = load_cases([SHIPPED / "real"], CONFIG)
    assert all(case.written_by and case.origin == "reply" for case in replies)
    assert {case.step for case in replies} == set(SCALE_OF_STEP)
    small = [case for case in replies if case.written_by and case.written_by.startswith("Qwen2.5-Coder-1.5B")]
    assert (len(replies) >= 60, len(small) >= 40, sum(not case.good for case in replies) >= 25) == (True, True, True)
    assert {case.id for case in shipped_cases() if case.written_by} == {case.id for case in replies}


def test_every_reason_is_used_by_the_shipped_cases() -> None:
    """No reason stands in the list for nothing, and none is a singleton."""
    reasons = Counter(case.reason for case in shipped_cases())
    assert [reason for reason in REASONS if reasons[reason] < 2] == []
