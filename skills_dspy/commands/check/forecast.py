"""What an accepted pair will cost, before one was accepted: calls, tokens, seconds, from stated assumptions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from skills_dspy.base.config import Role, RunConfig
from skills_dspy.base.records import Kind
from skills_dspy.commands.check.sample_prompts import prompt_estimates
from skills_dspy.commands.check.speed import Speed
from skills_dspy.model.room import longest
from skills_dspy.model.steps import STEPS, way
from skills_dspy.tasks.spec import TaskSpec

PASS_SHARE = 0.8
"""The share of candidates that each check is assumed to let through: a guess, which only a run can replace."""
CHECKS = sum(step.checked for step in way("freeform", "separate"))
"""How many checks a candidate meets; one with a new context one more."""
EXPLANATION = 80
"""Tokens that a judge's or tagger's reply is assumed to have."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """What one step costs: its calls for each accepted pair, and the tokens of one call."""

    step: str
    model: str
    calls: float
    prompt: float
    output: float


def step_costs(
    spec: TaskSpec, config: RunConfig, prompts: Mapping[tuple[str, str], int], ratio: float, thoughts: Mapping[Role, float]
) -> Iterator[StepCost]:
    """The steps of one task, the two kinds of seed each for itself, weighted by their share of the seeds.

    `prompts` are the estimated tokens of a prompt by kind and step, `thoughts` those of a reply beside its text by role.
    """
    for kind in get_args(Kind):
        seeds = spec.seeds(kind)
        if not seeds:
            continue
        lengths = longest(seeds)
        at_once = spec.num_questions_to_generate_per_prompt
        checks = sum(step.checked for step in way(kind, config.tagging))
        came = len(seeds) / len(spec.seed_examples) / PASS_SHARE**checks
        for step in way(kind, config.tagging):
            calls = came / at_once if step.of_draw else came
            # Writers are taken to write as much as the longest seed has.
            output = EXPLANATION if step.writes is None else step.writes(lengths, at_once) * ratio
            output += thoughts.get(step.role, 0.0)
            yield StepCost(step.name, config.model_for(step.role), calls, prompts[kind, step.name] * ratio, output)
            came *= PASS_SHARE if step.checked else 1.0


def forecast(
    specs: Sequence[TaskSpec],
    config: RunConfig,
    ratio: float,
    speeds: Mapping[str, Speed],
    thoughts: Mapping[Role, float] | None = None,
) -> tuple[tuple[StepCost, ...], float]:
    """The costs step by step, and the seconds of an accepted pair when the server does one call after the other.

    Each is the mean of tasks that all get the same number of pairs. `ratio` is the counted tokens for each estimated one,
    above 0; `speeds` are those of every model, `thoughts` the tokens of thoughts in a reply by role.
    """
    by_step: dict[str, list[StepCost]] = {}
    for spec in specs:
        for cost in step_costs(spec, config, prompt_estimates(spec, config), ratio, thoughts or {}):
            by_step.setdefault(cost.step, []).append(cost)
    means = tuple(_mean(by_step[step], len(specs)) for step in STEPS if step in by_step)
    return means, sum(cost.calls * speeds[cost.model].seconds(cost.prompt, cost.output) for cost in means)


def _mean(costs: Sequence[StepCost], tasks: int) -> StepCost:
    calls = sum(cost.calls for cost in costs)
    prompt = sum(cost.calls * cost.prompt for cost in costs) / calls
    output = sum(cost.calls * cost.output for cost in costs) / calls
    return StepCost(costs[0].step, costs[0].model, calls / tasks, prompt, output)
