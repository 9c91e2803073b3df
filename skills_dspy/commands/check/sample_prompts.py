"""Prompts as a run sends them, with seeds standing where the model's own writing will stand."""

from typing import Any

from skills_dspy.base.config import RunConfig
from skills_dspy.base.records import Kind
from skills_dspy.model.description import PLACEHOLDER, described, examples_in_turn, undescribed
from skills_dspy.model.exhibits import Exercise, fitting, fitting_by_words
from skills_dspy.model.program import SkillsProgram, estimate_of, prompt_of
from skills_dspy.model.steps import DESCRIBE, PLAN, Step, inputs, way
from skills_dspy.pipeline.draw import plan_draw, seed_examples
from skills_dspy.pipeline.variety import planned
from skills_dspy.tasks.spec import TaskSpec


def prompt_estimates(spec: TaskSpec, config: RunConfig) -> dict[tuple[str, str], int]:
    """Kind and step to the estimated tokens of a prompt; a description that is still to be derived has the usual length."""
    spec = described(spec, PLACEHOLDER) if undescribed(spec) else spec
    program = SkillsProgram(spec.num_questions_to_generate_per_prompt)
    return {
        (kind, step.name): estimate_of(messages_of(spec, kind, step, 0, program))
        for kind in dict.fromkeys(seed.kind for seed in spec.seed_examples)
        for step in way(kind, config.tagging)
    }


def messages_of(spec: TaskSpec, kind: Kind, step: Step, number: int, program: SkillsProgram) -> list[dict[str, Any]]:
    """A prompt as it is sent."""
    return prompt_of(program.predictor(step.name), sample_inputs(spec, kind, step, number))


def sample_inputs(spec: TaskSpec, kind: Kind, step: Step, number: int = 0, subject: Exercise | None = None) -> dict[str, Any]:
    """What draw `number`, from 0, would show of a task that has seeds of the kind.

    `subject` is the new pair; None stands for a seed that the draw does not show, if there is one.
    """
    if step in (DESCRIBE, PLAN):
        return inputs(step, spec, examples_in_turn(spec))
    own = [example for example in seed_examples(spec.seed_examples) if (example.context is not None) == (kind == "grounded")]
    shown = spec.num_icl_examples_per_prompt
    draw = plan_draw(number, own, (), task=spec.task_name, run_seed=0, examples=shown, accepted_share=0.0)
    other = next((example for example in own if example not in draw.seeds), draw.seeds[-1])
    about = subject or other
    models = [example for example in own if example is not about] or own
    examples = draw.examples(step)
    if step.shows == "fitting":  # one draw's are those that a run would choose; of others each its own, which no cache knows
        examples = fitting(draw.seeds, draw.seeds, shown) if number else fitting_by_words(models, about, shown)
    return inputs(step, spec, examples, about, planned(draw, spec, 0).plan_of(step))
