"""An optimization from request to program: plan, judges first, then each unit compiled, measured, and kept or not."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import dspy

from evals.judging import judge_cases
from evals.labelled import Case
from evals.optimizing.budget import LEVELS, Cost, Level, Optimizer, Settings, cost_of, settings_for, shrunk, too_few_calls
from evals.optimizing.compiling import compile_student
from evals.optimizing.desk import Desk
from evals.optimizing.examples import count_of, examples_of, unseen
from evals.optimizing.gaming import suspicions
from evals.optimizing.measuring import Gain, Measured, gain_of, measure
from evals.optimizing.prompting import limits_of, longest_prompt, output_guess
from evals.optimizing.splits import Splits
from evals.optimizing.students import compiled_into, student_of
from evals.optimizing.targets import Unit, units_of
from evals.scales import passing
from evals.session import Broken, Halt, Session, window_for
from evals.statistics import cohen_kappa
from skills_dspy.asking import Asker
from skills_dspy.compiled import CompiledProgram
from skills_dspy.config import ROLES, RunConfig
from skills_dspy.errors import RequestError
from skills_dspy.limits import RETRY
from skills_dspy.program import SkillsProgram
from skills_dspy.records import Kind
from skills_dspy.sampling import request_seed
from skills_dspy.task_spec import TaskSpec

T = TypeVar("T")

PROPOSAL_TOKENS = 4096
"""The most tokens of a proposed instruction."""
PROPOSAL_TEMPERATURE = 1.0
"""Proposals are to differ from one another."""


@dataclass(frozen=True, slots=True)
class OptimizeRequest:
    """What is to be optimized, and how.

    Attributes:
        target: a name in TARGETS.
        optimizer: by which method.
        specs: the tasks whose seeds are used, at least one.
        cases: labelled cases written by hand, of all steps.
        level: the budget; None where `most_calls` says it.
        most_calls: no more calls than this.
        seed: decides splits, sampling seeds and the optimizer's choices.
        holdout: a judge that only measures; None for none.
        proposer: the model that proposes instructions.
        floor: the least kappa of a judge that a writer is optimized against.
        force: go on although a judge is below the floor.
        base: a program to begin with; None for the prompts as they stand in signatures/.
    """

    target: str
    optimizer: Optimizer
    specs: tuple[TaskSpec, ...]
    cases: tuple[Case, ...]
    level: Level | None
    most_calls: int | None
    seed: int
    holdout: str | None
    proposer: str
    floor: float
    force: bool
    base: CompiledProgram | None


@dataclass(frozen=True, slots=True)
class Planned:
    """A unit with its examples, its settings and what they cost at most."""

    unit: Unit
    splits: Splits[dspy.Example]
    settings: Settings
    cost: Cost


@dataclass(frozen=True, slots=True)
class Plan:
    """All that will be done.

    Attributes:
        units: in their order.
        judges: steps whose report card is made first, with the number of cases.
        num_ctx: the context window that all prompts are given, in tokens.
    """

    units: tuple[Planned, ...]
    judges: Mapping[str, int]
    num_ctx: int

    @property
    def calls(self) -> int:
        """The most calls in all."""
        return sum(planned.cost.calls for planned in self.units) + sum(self.judges.values())


@dataclass(frozen=True, slots=True)
class UnitResult:
    """What became of a unit.

    Attributes:
        planned: what was done.
        validation_before, validation_after: what the choice was made on.
        before, after: on the test; `after` is `before` where nothing was kept.
        gain: on the test, by the judge that was optimized against.
        holdout: before, after and gain by the judge that was held out, where there is one.
        suspicions: why the gain is not to be trusted.
        kept: whether the new prompt was better on the validation.
        calls: live calls that it took.
    """

    planned: Planned
    validation_before: Measured
    validation_after: Measured
    before: Measured
    after: Measured
    gain: Gain
    holdout: tuple[Measured, Measured, Gain] | None
    suspicions: tuple[str, ...]
    kept: bool
    calls: int

    @property
    def counts(self) -> Gain:
        """The gain that counts: of the held-out judge where there is one."""
        return self.gain if self.holdout is None else self.holdout[2]


class Watcher(Protocol):
    """Who looks on."""

    def planned(self, plan: Plan) -> None:
        """Before the first call."""

    def judged(self, kappas: Mapping[str, float | None], floor: float) -> None:
        """The report card of the judges that writers are optimized against."""

    def phase(self, unit: str, doing: str) -> None:
        """Something begins."""

    def finished(self, result: UnitResult) -> None:
        """A unit is done."""


def plan_of(request: OptimizeRequest, config: RunConfig, most_ctx: int) -> Plan:
    """What an optimization will do, before anything is asked.

    Args:
        request: what is wanted.
        config: models and thresholds.
        most_ctx: the largest window that there can be, in tokens.

    Raises:
        RequestError: unknown target, too few seeds or cases, too few calls.
        ContextTooLong: a prompt cannot fit.
    """
    kinds: set[Kind] = {seed.kind for spec in request.specs for seed in spec.seed_examples}
    units = units_of(request.target, kinds, config.tagging)
    if request.level is not None:
        return _planned(request, config, units, [settings_for(unit, request.level) for unit in units], most_ctx)
    assert request.most_calls is not None
    smallest = 0
    shrinking = [_levels(unit) for unit in units]
    for step in range(max(map(len, shrinking))):
        every = [levels[min(step, len(levels) - 1)] for levels in shrinking]
        plan = _planned(request, config, units, every, most_ctx)
        if plan.calls <= request.most_calls:
            return plan
        smallest = plan.calls
    raise too_few_calls(request.most_calls, smallest)


def _levels(unit: Unit) -> list[Settings]:
    return list(shrunk(settings_for(unit, LEVELS[-1])))


def _planned(
    request: OptimizeRequest,
    config: RunConfig,
    units: Sequence[Unit],
    settings: Sequence[Settings],
    most_ctx: int,
) -> Plan:
    count = count_of(request.specs)
    program = program_of(request)
    limits = limits_of(request.specs, config)
    planned, seen = [], earlier_seen(request.base)
    room = RETRY * max(limits.values())
    least = need = 0
    for unit, own in zip(units, settings, strict=True):
        splits = examples_of(unit, request.specs, request.cases, config, request.seed, own.sizes)
        _refuse_seen(unit, splits.test, seen, request.base)
        sizes = len(splits.train), len(splits.validation), len(splits.test)
        cost = cost_of(unit, request.optimizer, own, sizes, count, request.holdout is not None)
        longest = longest_prompt(unit, program, [*splits.train, *splits.validation, *splits.test], limits)
        # A demonstration is about as long as a prompt; who reflects on prompts sees some of them at once.
        demos = 0 if request.optimizer == "gepa" else own.demos
        least, need = max(least, longest), max(need, longest * (1 + max(demos, 4)) + room)
        tokens = longest * cost.calls, output_guess(unit, limits) * cost.calls
        planned.append(Planned(unit, splits, own, replace(cost, prompt_tokens=tokens[0], output_tokens=tokens[1])))
    judges = {step: len(_card_cases(request, step, seen)) for unit in units for step in unit.judges}
    smallest = window_for(config, least, room, most_ctx)
    return Plan(tuple(planned), judges, max(smallest, window_for(config, 0, min(need + PROPOSAL_TOKENS, most_ctx), most_ctx)))


def program_of(request: OptimizeRequest) -> SkillsProgram:
    """The program to begin with."""
    program = SkillsProgram(count_of(request.specs))
    if request.base is not None:
        request.base.apply(program)
    return program


async def optimize(session: Session, request: OptimizeRequest, watch: Watcher) -> tuple[SkillsProgram, tuple[UnitResult, ...]]:
    """Optimize; returns the program with its compiled predictors, and what became of each unit.

    Raises:
        RequestError: see `plan_of`; or a judge is below the floor.
        SkillsError: the evaluation cannot go on; what was asked is in the journal.
    """
    plan = plan_of(request, session.config, session.most_ctx)
    watch.planned(plan)
    program = program_of(request)
    limits = limits_of(request.specs, session.config)
    results: list[UnitResult] = []
    checked: dict[str, float | None] = {}
    for planned in plan.units:
        unit = planned.unit
        missing = [step for step in unit.judges if step not in checked]
        if missing:
            seen = {*earlier_seen(request.base), *(digest for result in results for digest in seen_in(result.planned))}
            for step in missing:
                watch.phase(unit.name, f"report card of {step}")
                asker = session.asker(program, limits, request.seed, plan.num_ctx)
                checked[step] = await _kappa(asker, _card_cases(request, step, seen), step, session.config)
            watch.judged({step: checked[step] for step in unit.judges}, request.floor)
            _refuse_bad_judges({step: checked[step] for step in unit.judges}, request)
        results.append(await _one(session, request, plan, planned, program, limits, watch))
        watch.finished(results[-1])
    return program, tuple(results)


async def _one(
    session: Session,
    request: OptimizeRequest,
    plan: Plan,
    planned: Planned,
    program: SkillsProgram,
    limits: Mapping[str, int],
    watch: Watcher,
) -> UnitResult:
    unit, metric, splits = planned.unit, planned.unit.metric, planned.splits
    live = session.meter.live
    desk = desk_of(session, program, limits, request.seed, plan.num_ctx)
    student = student_of(unit, program, desk, session.config)
    threads = session.concurrency

    watch.phase(unit.name, f"measuring the prompt as it is on {len(splits.validation)} validation examples")
    validation_before = await blocking(measure, student, splits.validation, metric, threads)
    watch.phase(unit.name, f"compiling with {request.optimizer}")
    prompt_lm = session.lm(
        request.proposer,
        "generator",
        plan.num_ctx,
        temperature=PROPOSAL_TEMPERATURE,
        max_tokens=PROPOSAL_TOKENS,
        seed=request_seed(request.seed, "propose", unit.name),
    )
    compiled = await blocking(
        compile_student,
        request.optimizer,
        student,
        splits,
        metric,
        planned.settings,
        prompt_lm,
        seed=request.seed,
        threads=threads,
    )
    watch.phase(unit.name, "measuring what was found")
    validation_after = await blocking(measure, compiled, splits.validation, metric, threads)
    kept = validation_after.mean > validation_before.mean
    before = await blocking(measure, student, splits.test, metric, threads)
    chosen = compiled if kept else student
    after = await blocking(measure, chosen, splits.test, metric, threads)
    gain = gain_of(before, after, request.seed)
    holdout = None
    if request.holdout is not None and unit.sort != "labels":
        watch.phase(unit.name, f"measuring by the held-out judge {request.holdout}")
        other = desk_of(session, program, limits, request.seed, plan.num_ctx, judge=request.holdout)
        pair = [
            await blocking(measure, student_with(each, unit, program, other, session.config), splits.test, metric, threads)
            for each in (student, chosen)
        ]
        holdout = pair[0], pair[1], gain_of(pair[0], pair[1], request.seed)
    found = suspicions(unit, gain.mean, before.habits, after.habits, None if holdout is None else holdout[2].mean)
    if kept:
        compiled_into(program, compiled)
    return UnitResult(
        planned,
        validation_before,
        validation_after,
        before,
        after,
        gain,
        holdout,
        tuple(found),
        kept,
        session.meter.live - live,
    )


def desk_of(
    session: Session, program: SkillsProgram, limits: Mapping[str, int], seed: int, num_ctx: int, judge: str | None = None
) -> Desk:
    """A desk of a session; `judge` is a model that judges and tags instead of the configured ones."""
    lms = {role: session.lm(session.config.model_for(role), role, num_ctx) for role in ROLES}
    roles = {role: session.config.role(role) for role in ROLES}
    asker = session.asker(program, limits, seed, num_ctx, judge=judge)
    return Desk(lms, roles, limits, asker, session.bridge, seed)


def student_with(student: dspy.Module, unit: Unit, program: SkillsProgram, desk: Desk, config: RunConfig) -> dspy.Module:
    """The same student at another desk."""
    other = student_of(unit, program, desk, config)
    for (_, own), (_, theirs) in zip(other.named_predictors(), student.named_predictors(), strict=True):
        own.signature, own.demos = theirs.signature, list(theirs.demos)
    return other


async def blocking(work: Callable[..., T], *args: Any, **named: Any) -> T:
    """The result of blocking work, done on another thread.

    Raises:
        SkillsError: what halted it.
    """
    try:
        return await asyncio.to_thread(work, *args, **named)
    except Halt as halt:
        raise halt.error from halt
    except Broken as broken:
        raise broken.error from broken


def seen_in(planned: Planned) -> list[str]:
    """Digests of the seeds and cases that a compiled unit has seen, those shown beside them included."""
    examples = (*planned.splits.train, *planned.splits.validation)
    return sorted({digest for example in examples for digest in (*example.digests, *example.get("beside", ()))})


def earlier_seen(program: CompiledProgram | None) -> frozenset[str]:
    """Digests of the seeds and cases that a program was compiled with."""
    return frozenset() if program is None else frozenset(map(str, program.provenance.get("seen", ())))


def _refuse_seen(unit: Unit, test: Sequence[dspy.Example], seen: Collection[str], base: CompiledProgram | None) -> None:
    """Refuse to test on what the program to begin with was compiled with."""
    if base is not None and any(digest in seen for example in test for digest in example.digests):
        raise RequestError(
            f"{base.path} was compiled with seeds or cases that {unit.name} would be tested on: they stay apart with the seed "
            f"that it was compiled with (--seed {base.provenance.get('seed')}), or with other tasks"
        )


def _card_cases(request: OptimizeRequest, step: str, seen: Collection[str]) -> list[Case]:
    """Labelled cases for the report card of a judge, without those of skills that were compiled with."""
    return [case for case in unseen(request.cases, seen) if case.step == step]


async def _kappa(asker: Asker, cases: Sequence[Case], step: str, config: RunConfig) -> float | None:
    """Cohen's kappa of a judge's decisions on labelled cases; None where it cannot be told."""
    judged = [said for said in await judge_cases(asker, cases) if said.label is not None]
    return cohen_kappa([said.label in passing(step, config) for said in judged], [said.case.good for said in judged])


def _refuse_bad_judges(kappas: Mapping[str, float | None], request: OptimizeRequest) -> None:
    bad = [
        f"{step} ({'unknown' if kappa is None else f'{kappa:.2f}'})"
        for step, kappa in kappas.items()
        if kappa is None or kappa < request.floor
    ]
    if bad and not request.force:
        raise RequestError(
            f"the judge is not good enough to optimize against: kappa below {request.floor:g} for {', '.join(bad)}; "
            "optimize `judges` first and give the result with --program, or use --force"
        )
