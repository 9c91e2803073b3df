"""Whether a host holds the models of all roles at once, and what it costs where it loads one in place of another."""

import math
from collections.abc import Mapping, Sequence

from skills_dspy.base.config import RunConfig
from skills_dspy.commands.check.forecast import StepCost
from skills_dspy.commands.check.lines import Line
from skills_dspy.model.server.names import same_model
from skills_dspy.model.steps import STEPS, way
from skills_dspy.pipeline.draw_places import most_open
from skills_dspy.run.headway import duration
from skills_dspy.tasks.spec import TaskSpec

_LEAST = 0.1
"""Seconds; what takes less to load was in memory already."""


def memory_line(loads: Mapping[str, float], loaded: Sequence[str] | None, swaps: int, host: str) -> Line | None:
    """Whether all models are in memory after each was asked; None where the host does not say, or has one model only.

    `loads` is each model to the seconds that loading it took, `swaps` how often a run would load one.
    """
    if loaded is None or len(loads) < 2:
        return None
    names, kept = ", ".join(loads), [name for name in loads if any(same_model(name, other) for other in loaded)]
    if len(kept) == len(loads):
        return Line("ok", "memory", f"{host} holds all its models at once: {names}")
    seen = [seconds for seconds in loads.values() if seconds >= _LEAST]
    seconds = sum(seen) / max(1, len(seen))
    each = f"takes about {seconds:.1f} s" if seen else "took no time that was seen"
    said = f"{host} does not hold its models at once ({names}; after each was asked, {', '.join(kept) or 'none'} is in memory)"
    cost = f"loading one {each}, and a run does that about {swaps} times, {duration(swaps * seconds)} in all"
    todo = "take smaller models or windows, one model for all roles, or a host for each (--base-url judge=URL)"
    return Line("warn", "memory", f"{said}: {cost}; {todo}")


def swaps_of(
    specs: Sequence[TaskSpec], config: RunConfig, costs: Sequence[StepCost], wanted: int, concurrency: int, hosts: int = 1
) -> int:
    """About how often each of so many hosts loads another model: it asks what it can of one before the next is loaded.

    So each batch of open draws goes once through the models in the order of its steps.
    """
    steps = way(specs[0].seed_examples[0].kind, config.tagging)
    models = [config.model_for(step.role) for step in steps]
    changes = sum(one != other for one, other in zip(models, [*models[1:], models[0]], strict=True))
    draws = wanted * len(specs) * sum(cost.calls for cost in costs if STEPS[cost.step].counted)
    return math.ceil(draws / most_open(config.draws.window, concurrency) / hosts) * changes
