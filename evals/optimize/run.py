"""An optimization from request to program: plan, judges first, then each unit compiled, measured, and kept or not."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import dspy

from evals.judges.ask import CaseCall, figures_of, judge_all
from evals.judges.descriptions import derive_descriptions, with_descriptions
from evals.optimize.compile import compile_student
from evals.optimize.lines import plan_lines, plan_time_line, result_lines
from evals.optimize.measure import BeforeAfter, Measured, UnitResult, measure, suspicions
from evals.optimize.plan import PROPOSAL_TOKENS, OptimizeRequest, Plan, Planned, earlier_seen, limits_of, plan_of
from evals.optimize.splits import unseen
from evals.optimize.students import Desk, Student, copy_prompts
from evals.session.bridge import Halt
from evals.session.session import Session
from skills_dspy.base.errors import RequestError
from skills_dspy.base.seeds import request_seed
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.steps import STEPS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Optimized:
    """What came of an optimization: a program with what became better in it.

    Attributes:
        request: as it was carried out, with derived descriptions where the tasks' files leave theirs blank.
        refused: names of the writers that were left out, since a judge compiled on the way is below the floor, and why.
    """

    request: OptimizeRequest
    program: SkillsProgram
    results: tuple[UnitResult, ...]
    refused: Mapping[str, str]


async def run_optimization(session: Session, request: OptimizeRequest, say: Callable[[str], None]) -> Optimized:
    """Optimize, and `say` each line of what is planned, what goes on, and what came of each unit.

    Tasks without a description get theirs before anything else is asked, then the judges that stay as they are their report
    cards; those that are compiled on the way get theirs then, on cases that they were not compiled with. A writer whose judge
    turns out bad only then is left out.

    Raises:
        RequestError: see `plan_of`; or a judge that stays as it is is below the floor.
        NotDescribed: a task has no description, and none could be derived.
        SkillsError: the evaluation cannot go on; what was asked is in the journal.
    """
    plan = plan_of(request, session.config, session.most_ctx, session.usual)
    for line in plan_lines(plan, request.optimizer):
        say(line)
    derived = await derive_descriptions(session, request.specs, request.seed, say)
    if derived:
        request = replace(request, specs=with_descriptions(request.specs, derived), derived=derived)
        plan = plan_of(request, session.config, session.most_ctx, session.usual)
    return await _Optimizing(session, request, plan, say).run()


class _Optimizing:
    """An optimization under way."""

    def __init__(self, session: Session, request: OptimizeRequest, plan: Plan, say: Callable[[str], None]) -> None:
        self._session = session
        self._request = request
        self._plan = plan
        self._say = say
        self._timed = False
        self._program = request.program()
        self._limits = limits_of(request.specs, session.config)
        self._kappas: dict[str, float | None] = {}
        self._results: list[UnitResult] = []

    async def run(self) -> Optimized:
        """Do it."""
        request, refused = self._request, dict[str, str]()
        changing = {step for planned in self._plan.units for step in planned.unit.steps}
        for planned in self._plan.units:
            for step in planned.unit.judges:
                if step not in changing:
                    await self._examine(step, planned.unit.name)
        if not request.force and (why := refusal(self._kappas, request.floor)):
            raise RequestError(f"{why}; optimize `judges` first and give the result with --program, or use --force")
        for planned in self._plan.units:
            name = planned.unit.name
            for step in planned.unit.judges:
                await self._examine(step, name)
            why = refusal({step: self._kappas[step] for step in planned.unit.judges}, request.floor)
            if why and not request.force:
                refused[name] = why
                self._say(f"{name}: left out, {why}")
                continue
            self._results.append(await self._optimize(planned))
            for line in result_lines(self._results[-1]):
                self._say(line)
        return Optimized(request, self._program, tuple(self._results), refused)

    def _begin(self, unit: str, doing: str) -> None:
        """Say what begins, and once there were replies how long the rest will take."""
        meter, speed = self._session.meter, None if self._timed else self._session.speed()
        if speed is not None:
            self._timed = True
            self._say(plan_time_line(self._plan, speed, meter.live))
        self._say(f"{unit}: {doing}  [{meter.live} calls, {meter.remembered} from the journal]")

    async def _examine(self, step: str, unit: str) -> None:
        """Make a judge's report card, once: on cases of skills that it was not compiled with."""
        if step in self._kappas:
            return
        session, request = self._session, self._request
        self._begin(unit, f"report card of {step}")
        seen = earlier_seen(request.base).union(*(result.planned.seen for result in self._results))
        asker = session.asker(self._program, self._limits, request.seed, self._plan.num_ctx)
        calls = [CaseCall(case, step) for case in unseen(request.cases, step, seen)]
        judged, accepted = await judge_all(asker, calls), STEPS[step].passing(session.config)
        self._kappas[step] = kappa = figures_of(judged, [one.label in accepted for one in judged]).kappa
        self._say(f"  kappa of {step}: {'cannot be told' if kappa is None else f'{kappa:.2f}'} (floor {request.floor:g})")

    async def _optimize(self, planned: Planned) -> UnitResult:
        session, request, seed = self._session, self._request, self._request.seed
        unit, splits, num_ctx = planned.unit, planned.splits, self._plan.num_ctx
        made_before = len(session.replies.made)

        def a_student(prompts: dspy.Module, judge: str | None = None) -> Student:
            desk = Desk(session, self._program, self._limits, seed, num_ctx, judge)
            return Student(unit, prompts, desk)

        async def measured(student: dspy.Module, examples: Sequence[dspy.Example]) -> Measured:
            return await blocking(measure, student, examples, unit.metric, session.concurrency, seed)

        student = a_student(self._program)
        self._begin(unit.name, f"measuring the prompt as it is on {len(splits.validation)} validation examples")
        before = await measured(student, splits.validation)
        self._begin(unit.name, f"compiling with {request.optimizer}")
        sampling = {
            "temperature": 1.0,
            "max_tokens": PROPOSAL_TOKENS + session.config.generator.thoughts,
        }  # proposals are to differ from one another
        drawn = request_seed(seed, "propose", unit.name)
        prompt_lm = session.lm(request.proposer, "generator", num_ctx, **sampling, seed=drawn)
        given = (request.optimizer, student, splits, unit.metric, planned.settings, prompt_lm)
        compiled = await blocking(compile_student, *given, seed=seed, threads=session.concurrency)
        self._begin(unit.name, "measuring what was found")
        validation = BeforeAfter(before, await measured(compiled, splits.validation))
        kept = validation.gain > 0
        chosen = compiled if kept else student
        test, holdout = BeforeAfter(await measured(student, splits.test), await measured(chosen, splits.test)), None
        if request.holdout is not None and unit.makes != "labels":
            self._begin(unit.name, f"measuring by the held-out judge {request.holdout}")
            others = [a_student(each, request.holdout) for each in (student, chosen)]
            holdout = BeforeAfter(*[await measured(other, splits.test) for other in others])
        if kept:
            copy_prompts(compiled, self._program)
        calls = len(session.replies.made) - made_before
        return UnitResult(planned, validation, test, holdout, suspicions(unit, test, holdout), kept, calls)


def refusal(kappas: Mapping[str, float | None], floor: float) -> str | None:
    """Return why a writer is not optimized against these judges; None where all are good enough.

    A kappa of None, which cannot be told, is not good enough.
    """
    bad = [
        f"{step} ({'unknown' if kappa is None else _below(kappa, floor)})"
        for step, kappa in kappas.items()
        if kappa is None or kappa < floor
    ]
    if not bad:
        return None
    return f"the judge is not good enough to optimize against: kappa below {floor:g} for {', '.join(bad)}"


def _below(kappa: float, floor: float) -> str:
    """A kappa below the floor, in so many decimals that it is seen to be below."""
    return next((text for digits in (2, 3, 4) if float(text := f"{kappa:.{digits}f}") < floor), f"{kappa:g}")


async def blocking(work: Callable[..., T], *args: Any, **named: Any) -> T:
    """Return the result of blocking work, done on another thread; what halts it is raised as it was inside."""
    try:
        return await asyncio.to_thread(work, *args, **named)
    except Halt as halt:
        raise halt.error from halt
