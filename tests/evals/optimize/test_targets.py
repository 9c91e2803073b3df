"""Targets: every name, which predictors it means for which tasks. What is refused: tests/evals/test_optimize.py."""

import pytest

from evals.judges.cases import SCALE_OF_STEP
from evals.optimize.targets import TARGETS, units_of
from skills_dspy.base.records import Kind
from skills_dspy.model.steps import STEPS

BOTH: tuple[Kind, Kind] = ("freeform", "grounded")


def names(target: str, *kinds: Kind, tagging: str = "separate") -> list[str]:
    """The units of a target by name."""
    return [unit.name for unit in units_of(target, kinds or BOTH, tagging)]


@pytest.mark.parametrize(
    "target", ["judges", "question-judge", "questions", "answers", "tags", "all", *SCALE_OF_STEP, "tag_fused"]
)
def test_a_target_names_predictors_of_the_program(target: str) -> None:
    """And judges of the program: groups, and every predictor that can be measured by its own name."""
    named = {name for unit in TARGETS[target] for name in (*unit.steps, *unit.judges)}
    assert named
    assert named <= set(STEPS)


def test_a_group_holds_both_kinds() -> None:
    """And only what the tasks have seeds for."""
    assert names("question-judge") == ["judge_question_freeform", "judge_question_grounded"]
    assert names("judges", "grounded") == ["judge_question_grounded", "judge_pair_grounded"]
    assert names("answers", "freeform") == ["write_answer_freeform"]
    assert names("tags", "freeform") == names("tags", "grounded") == ["tag_instruction_quality", "tag_sample_quality"]


def test_all_begins_with_the_judges() -> None:
    """Whoever measures a writer comes before it, and nobody twice; contexts are compiled with the questions about them."""
    units = units_of("all", BOTH, "separate")
    place = {unit.name: number for number, unit in enumerate(units)}
    assert len(place) == len(units)
    for unit in units:
        assert all(place[judge] < place[unit.name] for judge in unit.judges)
    left_out = {"tag_fused", "tag_difficulty", "tag_category", "write_description", "plan_variety", "judge_context"}
    assert {step for unit in units for step in unit.steps} == set(STEPS) - left_out


def test_with_fused_tagging_the_fused_tagger_is_meant() -> None:
    """It is what a run then asks for the quality of the instruction."""
    assert names("tags", tagging="fused") == ["tag_fused", "tag_sample_quality"]
    assert "tag_instruction_quality" not in names("all", tagging="fused")
    assert names("tag_fused") == ["tag_fused"]
