"""What an accepted pair will cost, before one was accepted: calls, tokens, seconds, from stated assumptions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from skills_dspy.base.config import RunConfig
from skills_dspy.commands.check.speed import Speed
from skills_dspy.model.context_window import steps_of
from skills_dspy.model.program import STEPS
from skills_dspy.model.room import Lengths, longest
from skills_dspy.pipeline.flow import stage_of
from skills_dspy.tasks.spec import TaskSpec

PASS_SHARE = 0.8
"""The share of candidates that each check is assumed to let through: a guess, which only a run can replace."""
CHECKED = ("write_questions", "judge_question", "instruction_quality", "judge_pair", "sample_quality")
"""The stages that a check follows: what was written is compared (dedup), the others are checks themselves."""
EXPLANATION = 80
"""Tokens that a judge's or tagger's reply is assumed to have."""
_QUOTED = 8
"""Tokens that a question in a JSON list takes besides its own."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """What one step costs.

    Attributes:
        step, model: which, and who answers.
        calls: for each accepted pair.
        prompt, output: tokens of one call.
    """

    step: str
    model: str
    calls: float
    prompt: float
    output: float


def step_costs(spec: TaskSpec, config: RunConfig, prompts: Mapping[tuple[str, str], int], ratio: float) -> Iterator[StepCost]:
    """The steps of one task, the two kinds of seed each for itself, weighted by their share of the seeds.

    Args:
        spec: the task.
        config: says which steps there are and who answers them.
        prompts: kind and step to the estimated tokens of a prompt.
        ratio: counted tokens for each estimated one, above 0.
    """
    for kind in ("freeform", "grounded"):
        seeds = [seed for seed in spec.seed_examples if seed.kind == kind]
        if not seeds:
            continue
        lengths = longest(seeds)
        at_once = spec.num_questions_to_generate_per_prompt
        came = len(seeds) / len(spec.seed_examples) / PASS_SHARE ** len(CHECKED)
        for step in steps_of(kind, config.tagging):
            stage = stage_of(step)
            calls = came / at_once if stage in ("write_context", "write_questions") else came
            output = _output(stage, lengths, at_once, ratio)
            yield StepCost(step, config.model_for(STEPS[step].role), calls, prompts[kind, step] * ratio, output)
            came *= PASS_SHARE if stage in CHECKED else 1.0


def mean_costs(costs: Iterable[StepCost], tasks: int) -> tuple[StepCost, ...]:
    """One cost for each step: the mean of `tasks` tasks that all get the same number of pairs."""
    by_step: dict[str, list[StepCost]] = {}
    for cost in costs:
        by_step.setdefault(cost.step, []).append(cost)
    return tuple(_mean(by_step[step], tasks) for step in STEPS if step in by_step)


def seconds_per_pair(costs: Sequence[StepCost], speeds: Mapping[str, Speed]) -> float:
    """How long one accepted pair takes when the server does one call after the other."""
    return sum(cost.calls * speeds[cost.model].seconds(cost.prompt, cost.output) for cost in costs)


def _mean(costs: Sequence[StepCost], tasks: int) -> StepCost:
    calls = sum(cost.calls for cost in costs)
    prompt = sum(cost.calls * cost.prompt for cost in costs) / calls
    output = sum(cost.calls * cost.output for cost in costs) / calls
    return StepCost(costs[0].step, costs[0].model, calls / tasks, prompt, output)


def _output(stage: str, lengths: Lengths, at_once: int, ratio: float) -> float:
    """Writers are taken to write as much as the longest seed has."""
    written = {
        "write_context": lengths.context,
        "write_questions": at_once * (lengths.question + _QUOTED),
        "write_answer": lengths.answer,
    }
    return written[stage] * ratio if stage in written else EXPLANATION
