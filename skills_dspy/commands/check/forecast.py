"""What an accepted pair will cost, before one was accepted: calls, tokens, seconds, from stated assumptions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from skills_dspy.base.config import RunConfig
from skills_dspy.base.records import Kind
from skills_dspy.commands.check.speed import Speed
from skills_dspy.model.room import longest
from skills_dspy.model.steps import STEPS, way
from skills_dspy.tasks.spec import TaskSpec

PASS_SHARE = 0.8
"""The share of candidates that each check is assumed to let through: a guess, which only a run can replace."""
CHECKS = sum(step.checked for step in way("freeform", "separate"))
"""How many checks a candidate meets."""
EXPLANATION = 80
"""Tokens that a judge's or tagger's reply is assumed to have."""


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
    for kind in get_args(Kind):
        seeds = spec.seeds(kind)
        if not seeds:
            continue
        lengths = longest(seeds)
        at_once = spec.num_questions_to_generate_per_prompt
        came = len(seeds) / len(spec.seed_examples) / PASS_SHARE**CHECKS
        for step in way(kind, config.tagging):
            calls = came / at_once if step.of_draw else came
            # Writers are taken to write as much as the longest seed has.
            output = EXPLANATION if step.writes is None else step.writes(lengths, at_once) * ratio
            yield StepCost(step.name, config.model_for(step.role), calls, prompts[kind, step.name] * ratio, output)
            came *= PASS_SHARE if step.checked else 1.0


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
