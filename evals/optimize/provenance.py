"""Where a compiled program came from, as its file keeps it: models, method, splits, scores before and after. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from evals.optimize.plan import OptimizeRequest, earlier_seen, seen_in
from evals.optimize.run import UnitResult
from evals.optimize.splits import Splits
from skills_dspy.base.config import ROLES, RunConfig
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.ollama import Model


def provenance_of(
    request: OptimizeRequest,
    results: Sequence[UnitResult],
    config: RunConfig,
    models: Mapping[str, Model],
    answered_by: str,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """What a program file says of itself: nothing of when or how often, so that a resumed run and a replay write the same.

    Args:
        request: what was asked for, with the descriptions that were derived; only where there are any the file has them.
        results: what became of each unit.
        config: its thresholds decide what passes.
        models: name as configured to the model that answered.
        answered_by: what answered, in words.
        versions: of the packages that had a part in it.
    """
    roles = {role: _model(models[config.model_for(role)]) for role in ROLES}
    proposer = None if request.optimizer == "bootstrap" else _model(models[request.proposer])  # it proposes nothing
    return {
        "answered_by": answered_by,
        "target": request.target,
        "optimizer": request.optimizer,
        "budget": request.level or f"at most {request.most_calls} calls",
        "seed": request.seed,
        "models": {**roles, "proposer": proposer},
        "holdout_judge": None if request.holdout is None else _model(models[request.holdout]),
        "tasks": [spec.task_name for spec in request.specs],
        **({"derived_descriptions": dict(request.derived)} if request.derived else {}),
        "units": [unit_json(result, request.seed) for result in results],
        "seen": sorted({*earlier_seen(request.base), *(digest for result in results for digest in seen_in(result.planned))}),
        "thresholds": {"judges": config.judges.model_dump(mode="json"), "filter": config.filter.model_dump(mode="json")},
        "base_program": None if request.base is None else _summary(request.base),
        "versions": dict(versions),
    }


def unit_json(result: UnitResult, seed: int) -> dict[str, Any]:
    """What became of a unit."""
    unit = result.planned.unit
    holdout = None
    if result.holdout is not None:
        before, after, gain = result.holdout
        holdout = {"before": before.as_json(seed), "after": after.as_json(seed), **gain.as_json()}
    return {
        "unit": unit.name,
        "steps": list(unit.steps),
        "metric": unit.metric.name,
        "definition": unit.metric.definition,
        "kept": result.kept,
        "validation": {"before": result.validation_before.as_json(seed), "after": result.validation_after.as_json(seed)},
        "test": {"before": result.before.as_json(seed), "after": result.after.as_json(seed), **result.gain.as_json()},
        "holdout": holdout,
        "suspicions": list(result.suspicions),
        "calls": result.calls,
        "splits": _keys(result.planned.splits),
    }


def _keys(splits: Splits[Any]) -> dict[str, list[str]]:
    return {name: [str(example.key) for example in part] for name, part in splits.parts().items()}


def _model(model: Model) -> dict[str, str]:
    return {"name": model.name, "digest": model.digest}


def _summary(program: CompiledProgram) -> dict[str, Any]:
    told = {name: program.provenance.get(name) for name in ("target", "optimizer", "answered_by")}
    return {**told, "steps": list(program.steps)}
