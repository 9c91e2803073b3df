"""A finished program: where it came from, as its file keeps it, and how it does on what it was not compiled with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evals.judges.cases import Case
from evals.judges.descriptions import blanks, derive_descriptions, with_descriptions
from evals.optimize.examples import count_of, fresh_examples
from evals.optimize.measure import BeforeAfter, Compared, UnitResult, measure, suspicions
from evals.optimize.plan import OptimizeRequest, earlier_seen, limits_of, longest_prompt
from evals.optimize.run import blocking
from evals.optimize.students import Desk, Student
from evals.optimize.targets import TARGETS
from evals.session.session import Session
from skills_dspy.base.config import ROLES, RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.context_window import window_words
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.server.server import Model
from skills_dspy.model.steps import longest_reply
from skills_dspy.tasks.spec import TaskSpec


async def compare_programs(
    session: Session,
    compiled: CompiledProgram,
    specs: Sequence[TaskSpec],
    cases: Sequence[Case],
    *,
    seed: int,
    most: int,
    judge: str | None = None,
    say: Callable[[str], None],
) -> tuple[list[Compared], dict[str, str]]:
    """Measure each unit of a program with the original and with the compiled prompts, and `say` what begins.

    Writers are judged by the original judges in both, so that a program does not mark its own work.

    Args:
        session, compiled: where, and which program.
        specs, cases: any tasks, and labelled cases written by hand.
        seed: decides sampling seeds and intervals.
        most: examples for each unit.
        judge: a model that judges instead of the configured one.
        say: is told each line of what goes on.

    Returns:
        The units, and the descriptions that were derived by their tasks, before anything else was asked.

    Raises:
        RequestError: no unit concerns these tasks, or nothing is left that it was not compiled with; before the first call.
        NotDescribed: a task has no description, and none could be derived.
        SkillsError: the evaluation cannot go on.
    """
    config, count, seen = session.config, count_of(specs), earlier_seen(compiled)
    kinds = {None, *(example.kind for spec in specs for example in spec.seed_examples)}
    every = (*TARGETS["all"], *TARGETS["tag_fused"])
    units = [unit for unit in every if set(unit.steps) & set(compiled.steps) and unit.kind in kinds]
    if not units:
        raise RequestError(f"{compiled.path}: it has prompts for {', '.join(compiled.steps)}, which none of these tasks uses")
    for unit in units:
        fresh_examples(unit, specs, cases, config, seen, most)  # refused here, before anything is paid for
    if blank := blanks(specs):
        say(f"descriptions: asking for {len(blank)} that the tasks' files leave blank, by one call each")
    derived = await derive_descriptions(session, specs, seed, say)
    specs = with_descriptions(specs, derived)
    original, changed, limits = SkillsProgram(count), SkillsProgram(count), limits_of(specs, config)
    compiled.apply(changed)
    examples_of = [fresh_examples(unit, specs, cases, config, seen, most) for unit in units]
    longest = max(longest_prompt(unit, changed, own, limits) for unit, own in zip(units, examples_of, strict=True))
    num_ctx = session.window_for(2 * longest, longest_reply(limits, config))
    say(f"context window: {window_words(num_ctx, session.usual)}")
    desk = Desk(session, original, limits, seed, num_ctx, judge)
    found: list[Compared] = []
    for unit, examples in zip(units, examples_of, strict=True):
        measured = []
        for program, words in ((original, "the original prompt"), (changed, "the compiled prompt")):
            say(f"{unit.name}: measuring {words} on {len(examples)} examples")
            student = Student(unit, program, desk)
            measured.append(await blocking(measure, student, examples, unit.metric, session.concurrency, seed))
        both = BeforeAfter(*measured)
        found.append((unit, both, suspicions(unit, both)))
    return found, derived


def compared_json(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return what `eval program --json` says of each unit."""
    return [
        {"unit": unit.name, "metric": unit.metric.name, **both.as_json(), "suspicions": list(found)}
        for unit, both, found in compared
    ]


def provenance_of(
    request: OptimizeRequest,
    results: Sequence[UnitResult],
    config: RunConfig,
    models: Mapping[str, Model],
    answered_by: str,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return what a program file says of itself: nothing of when or how often, so that a resumed run writes the same.

    `models` is name as configured to the model that answered; `versions` are of the packages that had a part in it.
    """

    def model(name: str) -> dict[str, str]:
        return {"name": models[name].name, "digest": models[name].digest}

    proposes, base = request.optimizer != "bootstrap", request.base
    reviews = len({case.id.removeprefix(case.step) for case in request.cases if case.origin == "review"})
    base_program = None
    if base is not None:
        origin = {name: base.provenance.get(name) for name in ("target", "optimizer", "answered_by")}
        base_program = {**origin, "steps": list(base.steps)}
    return {
        "answered_by": answered_by,
        "target": request.target,
        "optimizer": request.optimizer,
        "budget": request.level or f"at most {request.most_calls} calls",
        "seed": request.seed,
        "models": {
            **{role: model(config.model_for(role)) for role in ROLES},
            "proposer": model(request.proposer) if proposes else None,
        },
        **({"think": dict(config.thinking)} if config.thinking else {}),
        "holdout_judge": None if request.holdout is None else model(request.holdout),
        "tasks": [spec.task_name for spec in request.specs],
        **({"derived_descriptions": dict(request.derived)} if request.derived else {}),
        **({"reviews": reviews} if reviews else {}),
        "units": [_unit_json(result) for result in results],
        "seen": sorted(earlier_seen(base).union(*(result.planned.seen for result in results))),
        "thresholds": {"judges": config.judges.model_dump(mode="json"), "filter": config.filter.model_dump(mode="json")},
        "base_program": base_program,
        "versions": dict(versions),
    }


def _unit_json(result: UnitResult) -> dict[str, Any]:
    unit, validation = result.planned.unit, result.validation
    return {
        "unit": unit.name,
        "steps": list(unit.steps),
        "metric": unit.metric.name,
        "definition": unit.metric.definition,
        "kept": result.kept,
        "validation": {"before": validation.before.as_json(), "after": validation.after.as_json()},
        "test": result.test.as_json(),
        "holdout": None if result.holdout is None else result.holdout.as_json(),
        "suspicions": list(result.suspicions),
        "calls": result.calls,
        "splits": {name: [str(e.key) for e in part] for name, part in result.planned.splits._asdict().items()},
    }
