"""An optimization from request to program: plan, judges first, then each unit compiled, measured, and kept or not."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import dspy

from evals.judges.descriptions import derive_descriptions, with_descriptions
from evals.optimize.compile import compile_student
from evals.optimize.desk import Desk
from evals.optimize.gaming import suspicions
from evals.optimize.measure import Card, Gain, Measured, gain_of, measure, refusal
from evals.optimize.plan import (
    PROPOSAL_TOKENS,
    OptimizeRequest,
    Plan,
    Planned,
    earlier_seen,
    limits_of,
    plan_of,
    program_of,
    seen_in,
)
from evals.optimize.students import compiled_into, student_of
from evals.optimize.targets import Unit
from evals.session.bridge import Broken, Halt
from evals.session.session import Session
from skills_dspy.base.config import ROLES, RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.seeds import request_seed
from skills_dspy.model.program import SkillsProgram

T = TypeVar("T")

PROPOSAL_TEMPERATURE = 1.0
"""Proposals are to differ from one another."""


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
        calls: different requests that it was the first to make, answered by whatever: a resumed run counts as many.
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


@dataclass(frozen=True, slots=True)
class Optimized:
    """What came of an optimization.

    Attributes:
        request: as it was carried out, with derived descriptions where the tasks' files leave theirs blank.
        program: with what became better in it.
        results: of each unit that was compiled.
        refused: names of the writers that were left out, since a judge compiled on the way is below the floor, and why.
    """

    request: OptimizeRequest
    program: SkillsProgram
    results: tuple[UnitResult, ...]
    refused: Mapping[str, str]


class OptimizeWatcher(Protocol):
    """What is shown while an optimization runs."""

    def planned(self, plan: Plan) -> None:
        """Before the first call."""

    def described(self, task: str, text: str) -> None:
        """The description that was derived for a task."""

    def judged(self, kappas: Mapping[str, float | None], floor: float) -> None:
        """The report card of judges that writers are optimized against."""

    def phase(self, unit: str, doing: str) -> None:
        """Something begins."""

    def refused(self, unit: str, why: str) -> None:
        """A unit is left out."""

    def finished(self, result: UnitResult) -> None:
        """A unit is done."""


async def optimize(session: Session, request: OptimizeRequest, watch: OptimizeWatcher) -> Optimized:
    """Optimize.

    Tasks without a description get theirs before anything else is asked, then the judges that stay as they are their report
    cards; those that are compiled on the way get theirs then, on cases that they were not compiled with. A writer whose judge
    turns out bad only then is left out.

    Raises:
        RequestError: see `plan_of`; or a judge that stays as it is is below the floor.
        NotDescribed: a task has no description, and none could be derived.
        SkillsError: the evaluation cannot go on; what was asked is in the journal.
    """
    plan = plan_of(request, session.config, session.most_ctx)
    watch.planned(plan)
    derived = await derive_descriptions(session, request.specs, request.seed, watch.described)
    if derived:
        request = replace(request, specs=with_descriptions(request.specs, derived), derived=derived)
        plan = plan_of(request, session.config, session.most_ctx)
    program = program_of(request)
    limits = limits_of(request.specs, session.config)
    card = Card(session.asker(program, limits, request.seed, plan.num_ctx), request.cases, session.config)
    results: list[UnitResult] = []
    refused: dict[str, str] = {}

    async def examine(unit: Unit, steps: list[str]) -> None:
        for step in [step for step in steps if step not in card.kappas]:
            watch.phase(unit.name, f"report card of {step}")
            seen = {*earlier_seen(request.base), *(digest for result in results for digest in seen_in(result.planned))}
            watch.judged({step: await card.examine(step, seen)}, request.floor)

    changing = {step for planned in plan.units for step in planned.unit.steps}
    for planned in plan.units:
        await examine(planned.unit, [step for step in planned.unit.judges if step not in changing])
    if not request.force and (why := refusal(card.kappas, request.floor)):
        raise RequestError(f"{why}; optimize `judges` first and give the result with --program, or use --force")
    for planned in plan.units:
        unit = planned.unit
        await examine(unit, list(unit.judges))
        why = refusal({step: card.kappas[step] for step in unit.judges}, request.floor)
        if why and not request.force:
            refused[unit.name] = why
            watch.refused(unit.name, why)
            continue
        results.append(await _one(session, request, plan, planned, program, limits, watch))
        watch.finished(results[-1])
    return Optimized(request, program, tuple(results), refused)


async def _one(
    session: Session,
    request: OptimizeRequest,
    plan: Plan,
    planned: Planned,
    program: SkillsProgram,
    limits: Mapping[str, int],
    watch: OptimizeWatcher,
) -> UnitResult:
    unit, metric, splits = planned.unit, planned.unit.metric, planned.splits
    asked = session.asked
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
        session.asked - asked,
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
