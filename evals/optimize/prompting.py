"""How long the prompts of an optimization are, and how much room their replies get. Pure but for the adapter's rendering."""

from collections.abc import Mapping, Sequence

import dspy

from evals.optimize.targets import Unit
from skills_dspy.base.config import RunConfig
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.commands.check.forecast import EXPLANATION
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.steps import reply_limits
from skills_dspy.tasks.spec import TaskSpec


def limits_of(specs: Sequence[TaskSpec], config: RunConfig) -> dict[str, int]:
    """Step to the most tokens of a first reply: the largest that any of the tasks allows."""
    every = [reply_limits(spec, config) for spec in specs]
    return {step: max(limits[step] for limits in every) for step in every[0]}


def longest_prompt(unit: Unit, program: SkillsProgram, examples: Sequence[dspy.Example], limits: Mapping[str, int]) -> int:
    """An upper estimate of a unit's prompts, demonstrations that it begins with included, in tokens.

    Args:
        unit: whose.
        program: with its predictors.
        examples: what it will be asked about.
        limits: what is written on the way may be so long.
    """
    adapter, predictor = SkillsAdapter(), program.predictor(unit.steps[-1])
    demos = [dict(demo) for demo in predictor.demos]
    fixed = estimate_tokens("".join(m["content"] for m in adapter.format(predictor.signature, demos, {})))
    texts = (adapter.format(predictor.signature, [], dict(example.asked))[-1]["content"] for example in examples)
    written = sum(limits[step] for step in unit.steps[:-1])
    return fixed + max(map(estimate_tokens, texts)) + written


def output_guess(unit: Unit, limits: Mapping[str, int]) -> int:
    """What a reply of a unit may take on average: an explanation for labels, half of the room for writers. A guess."""
    return EXPLANATION if unit.sort == "labels" else limits[unit.steps[-1]] // 2
