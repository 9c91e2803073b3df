"""A finished program: where it came from, as its file keeps it, and how it does on what it was not compiled with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from evals.judges.cases import Case
from evals.judges.descriptions import Described, blanks, derive_descriptions, with_descriptions
from evals.optimize.examples import count_of, fresh_examples
from evals.optimize.gaming import suspicions
from evals.optimize.measure import Gain, Measured, gain_of, measure
from evals.optimize.plan import OptimizeRequest, earlier_seen, limits_of, longest_prompt, seen_in
from evals.optimize.run import UnitResult, blocking, desk_of
from evals.optimize.splits import Splits
from evals.optimize.students import student_of
from evals.optimize.targets import TARGETS, Unit
from evals.session.session import Session
from skills_dspy.base.config import ROLES, RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.ollama import Model
from skills_dspy.model.program import SkillsProgram
from skills_dspy.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """One unit with the original prompts and with the compiled ones, on the same examples."""

    unit: Unit
    before: Measured
    after: Measured
    gain: Gain
    suspicions: tuple[str, ...]

    def as_json(self, seed: int) -> dict[str, Any]:
        """For `--json`."""
        return {
            "unit": self.unit.name,
            "metric": self.unit.metric.name,
            "before": self.before.as_json(seed),
            "after": self.after.as_json(seed),
            **self.gain.as_json(),
            "suspicions": list(self.suspicions),
        }


def units_in(compiled: CompiledProgram) -> tuple[Unit, ...]:
    """The units that a program has compiled predictors of."""
    return tuple(unit for unit in (*TARGETS["all"], *TARGETS["tag_fused"]) if set(unit.steps) & set(compiled.steps))


async def compare(
    session: Session,
    compiled: CompiledProgram,
    specs: Sequence[TaskSpec],
    cases: Sequence[Case],
    *,
    seed: int,
    most: int,
    judge: str | None = None,
    phase: Callable[[str, str], None],
    tell: Described,
) -> tuple[BeforeAfter, ...]:
    """Measure each unit of a program with the original and with the compiled prompts.

    Writers are judged by the original judges in both, so that a program does not mark its own work.

    Args:
        session: where.
        compiled: the program.
        specs: any tasks.
        cases: labelled cases written by hand.
        seed: decides sampling seeds and intervals.
        most: examples for each unit.
        judge: a model that judges instead of the configured one.
        phase: told what begins.
        tell: told each description that was derived, before anything else is asked.

    Raises:
        RequestError: no unit concerns these tasks, or nothing is left that it was not compiled with; before the first call.
        NotDescribed: a task has no description, and none could be derived.
        SkillsError: the evaluation cannot go on.
    """
    kinds = {example.kind for spec in specs for example in spec.seed_examples}
    units = [unit for unit in units_in(compiled) if unit.kind is None or unit.kind in kinds]
    if not units:
        raise RequestError(f"{compiled.path}: it has prompts for {', '.join(compiled.steps)}, which none of these tasks uses")
    original, changed = SkillsProgram(count_of(specs)), SkillsProgram(count_of(specs))
    compiled.apply(changed)
    limits = limits_of(specs, session.config)
    seen = earlier_seen(compiled)

    def examples_of(unit: Unit) -> list[dspy.Example]:
        return fresh_examples(unit, specs, cases, session.config, seen, most)

    for unit in units:
        examples_of(unit)  # refused here, before anything is paid for
    if blank := blanks(specs):
        phase("descriptions", f"asking for {len(blank)} that the tasks' files leave blank, by one call each")
    specs = with_descriptions(specs, await derive_descriptions(session, specs, seed, tell))
    found = []
    for unit in units:
        examples = examples_of(unit)
        longest = longest_prompt(unit, changed, examples, limits)
        num_ctx = session.window_for(2 * longest, 2 * max(limits.values()))
        desk = desk_of(session, original, limits, seed, num_ctx, judge=judge)
        measured = []
        for program, words in ((original, "the original prompt"), (changed, "the compiled prompt")):
            phase(unit.name, f"measuring {words} on {len(examples)} examples")
            student = student_of(unit, program, desk, session.config)
            measured.append(await blocking(measure, student, examples, unit.metric, session.concurrency))
        before, after = measured
        gain = gain_of(before, after, seed)
        doubts = suspicions(unit, gain.mean, before.habits, after.habits, None)
        found.append(BeforeAfter(unit, before, after, gain, tuple(doubts)))
    return tuple(found)


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
