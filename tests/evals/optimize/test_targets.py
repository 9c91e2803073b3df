"""Targets: every name, which predictors it means for which tasks, and what is refused."""

import pytest

from evals.judges.cases import SCALES
from evals.optimize.metrics import AGREEMENT, ANSWER_QUALITY, QUESTION_YIELD
from evals.optimize.targets import TARGETS, units_of
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind
from skills_dspy.model.steps import STEPS

BOTH: tuple[Kind, Kind] = ("freeform", "grounded")


def names(target: str, *kinds: Kind, tagging: str = "separate") -> list[str]:
    """The units of a target by name."""
    return [unit.name for unit in units_of(target, kinds or BOTH, tagging)]


def test_the_targets_of_the_issue_are_there() -> None:
    """Groups, and every predictor that can be measured by its own name."""
    assert {"judges", "question-judge", "questions", "answers", "tags", "all"} <= set(TARGETS)
    assert {*SCALES, "write_questions_freeform", "write_answer_grounded", "tag_fused"} <= set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_names_predictors_of_the_program(target: str) -> None:
    """And judges of the program; each unit is named by its last step."""
    for unit in TARGETS[target]:
        assert {*unit.steps, *unit.judges} <= set(STEPS)
        assert unit.name == unit.steps[-1]
        assert unit.metric is {"labels": AGREEMENT, "questions": QUESTION_YIELD, "answers": ANSWER_QUALITY}[unit.sort]


def test_a_group_holds_both_kinds() -> None:
    """And only what the tasks have seeds for."""
    assert names("question-judge") == ["judge_question_freeform", "judge_question_grounded"]
    assert names("judges", "grounded") == ["judge_question_grounded", "judge_pair_grounded"]
    assert names("answers", "freeform") == ["write_answer_freeform"]
    assert names("tags", "freeform") == names("tags", "grounded") == ["tag_instruction_quality", "tag_sample_quality"]


def test_all_begins_with_the_judges() -> None:
    """Whoever measures a writer comes before it, and nobody twice."""
    units = units_of("all", BOTH, "separate")
    place = {unit.name: number for number, unit in enumerate(units)}
    assert len(place) == len(units)
    for unit in units:
        assert all(place[judge] < place[unit.name] for judge in unit.judges)
    left_out = {"tag_fused", "tag_difficulty", "tag_category", "write_description"}
    assert {step for unit in units for step in unit.steps} == set(STEPS) - left_out


def test_contexts_are_compiled_with_the_questions_about_them() -> None:
    """First the one, then the others, judged by the judge of grounded questions."""
    (unit,) = units_of("write_questions_grounded", BOTH, "separate")
    assert (unit.steps, unit.judges) == (("write_context", "write_questions_grounded"), ("judge_question_grounded",))


def test_with_fused_tagging_the_fused_tagger_is_meant() -> None:
    """It is what a run then asks for the quality of the instruction."""
    assert names("tags", tagging="fused") == ["tag_fused", "tag_sample_quality"]
    assert "tag_instruction_quality" not in names("all", tagging="fused")
    assert names("tag_fused") == ["tag_fused"]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("foxes", "there is no target 'foxes'"),
        ("", "there is no target ''"),
        ("JUDGES", "there is no target 'JUDGES'"),
        ("write_context", "compiled with it"),
        ("tag_category", "no labelled cases"),
    ],
)
def test_what_is_no_target_is_refused_with_the_list_of_targets(target: str, told: str) -> None:
    """One sentence, exit 2."""
    with pytest.raises(RequestError) as caught:
        units_of(target, BOTH, "separate")
    assert told in str(caught.value)
    assert "question-judge" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_target_for_seeds_that_no_task_has_is_refused() -> None:
    """It says which seeds it is for."""
    with pytest.raises(RequestError, match="write_answer_grounded is for grounded seeds, and no task that was given has any"):
        units_of("write_answer_grounded", BOTH[:1], "separate")
