"""What stands for a task's description when its file leaves it blank: the prompt's inputs and the derived text.

What the file says stays what it says: a run's inputs hold the blank, so that the same file goes on with the same run, and the
derived text is had from the journal again.
"""

from itertools import chain, zip_longest
from typing import Any

from signatures.examples import Pair
from skills_dspy.base.records import SeedExample
from skills_dspy.tasks.spec import TaskSpec

STEP = "write_description"
"""The step that derives a description."""

PLACEHOLDER = (
    "To practise a skill that the examples show: what is asked for, what it is about, and what a good answer does and looks "
    "like are to be taken from them, as are form, length, language and tone."
)
"""As long as a derived description usually is, for estimates before there is one."""


def undescribed(spec: TaskSpec) -> bool:
    """Whether the task's file leaves its description blank."""
    return not spec.task_description.strip()


def described(spec: TaskSpec, description: str) -> TaskSpec:
    """The task with a description in the place of the blank one."""
    return spec.model_copy(update={"task_description": description})


def description_inputs(spec: TaskSpec) -> dict[str, Any]:
    """The inputs of the prompt: as many seeds as other prompts show, both kinds in turn, and the task's name as the path."""
    shown = _in_turn(spec)[: spec.num_icl_examples_per_prompt]
    pairs = [Pair(context=seed.context, question=seed.question, answer=seed.answer) for seed in shown]
    return {"examples": pairs, "path": spec.task_name}


def _in_turn(spec: TaskSpec) -> list[SeedExample]:
    ways = (spec.grounded, spec.freeform) if spec.seed_examples[0].kind == "grounded" else (spec.freeform, spec.grounded)
    return [seed for seed in chain.from_iterable(zip_longest(*ways)) if seed is not None]
