"""`optimize`: from options to a compiled program in a file; what it says is going on, what it cost and what it brought."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from evals.judges.cases import SHIPPED, load_cases
from evals.judges.descriptions import description_line
from evals.optimize.budget import LEVELS, OPTIMIZERS
from evals.optimize.measure import Gain, Measured
from evals.optimize.plan import OptimizeRequest, Plan, plan_of
from evals.optimize.program import BeforeAfter, provenance_of
from evals.optimize.run import Optimized, UnitResult, optimize
from evals.session.session import Session
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.cli.arguments import OptimizeOptions
from skills_dspy.cli.progress import Progress
from skills_dspy.cli.run import load_specs
from skills_dspy.cli.sessions import INTERRUPTED, Interrupted, in_session
from skills_dspy.commands.check.speed import Speed
from skills_dspy.model.compiled import checked, compiled_content, load_compiled
from skills_dspy.run.manifest import versions
from skills_dspy.store.aside import write_json
from skills_dspy.store.files import make_folder

NOTHING_BETTER = 1
"""The exit code when no unit became better on held-out examples."""


def optimize_command(options: OptimizeOptions) -> int:
    """Optimize what was asked for; returns the exit code."""
    _check_choices(options)
    config = options.session.models.load()
    request = _request(options, config)
    _check_out(options.out)
    plan = plan_of(request, config, config.max_num_ctx)  # refused here, before a folder or a server is touched
    if options.dry_run:
        for line in plan_lines(plan, options.optimizer):
            click.echo(line)
        return 0
    make_folder(options.out.parent)
    screen = _Screen(options)
    try:
        content, done = in_session(
            options.session,
            config,
            lambda session: _work(session, request, screen),
            extra_models=tuple(filter(None, (options.holdout_judge, options.proposer))),
            most_calls=options.max_calls,
            note=options.note,
        )
    except Interrupted:
        return INTERRUPTED
    kept = any(result.kept for result in done.results)
    better = any(result.kept and result.counts.mean > 0 for result in done.results)
    if kept:
        write_json(options.out, content)
    if options.as_json:
        click.echo(json.dumps(content["provenance"], indent=2, ensure_ascii=False))
    else:
        out = options.out if kept else None
        for line in closing_lines(done.results, request.seed, out, content["provenance"]["answered_by"]):
            click.echo(line)
    for unit, why in done.refused.items():
        raise RequestError(f"{unit} is left out: {why}; optimize that judge with a larger --budget, or use --force")
    return 0 if better else NOTHING_BETTER


def _check_choices(options: OptimizeOptions) -> None:
    """Refuse what cannot be meant."""
    if options.optimizer not in OPTIMIZERS:
        raise RequestError(f"there is no optimizer {options.optimizer!r}; the optimizers are: {', '.join(OPTIMIZERS)}")
    if options.budget is not None and options.budget not in LEVELS:
        raise RequestError(f"there is no budget {options.budget!r}; the budgets are: {', '.join(LEVELS)}")
    if options.budget is not None and options.max_calls is not None:
        raise RequestError("--budget and --max-calls both say how much may be spent; give one of them")
    if options.proposer is not None and options.optimizer == "bootstrap":
        raise RequestError("bootstrap asks for no new instructions, so --proposer-model has nothing to do: leave it out")


async def _work(session: Session, request: OptimizeRequest, screen: "_Screen") -> tuple[dict[str, Any], Optimized]:
    screen.session = session
    done = await optimize(session, request, screen)
    steps = [step for result in done.results if result.kept for step in result.planned.unit.steps]
    steps += [] if request.base is None else request.base.steps
    told = provenance_of(done.request, done.results, session.config, session.models, session.answered_by, versions())
    return compiled_content(done.program, steps, told), done


def _request(options: OptimizeOptions, config: RunConfig) -> OptimizeRequest:
    return OptimizeRequest(
        target=options.target,
        optimizer=options.optimizer,  # type: ignore[arg-type] # checked above
        specs=load_specs(options.task_paths).specs,
        cases=load_cases(options.cases or (SHIPPED,), config),
        level=None if options.max_calls is not None else (options.budget or "light"),  # type: ignore[arg-type]
        most_calls=options.max_calls,
        seed=options.session.seed,
        holdout=options.holdout_judge,
        proposer=options.proposer or config.generator.model,
        floor=options.min_judge_kappa,
        force=options.force,
        base=None if options.program is None else load_compiled(options.program),
    )


def _check_out(out: Path) -> None:
    """Refuse before the night what would write over something else."""
    if not out.exists():
        return
    try:
        checked(json.loads(out.read_bytes()), out)
    except (ValueError, OSError, RequestError) as error:
        raise RequestError(f"{out} is there already and is no program of this version; choose another --out") from error


class _Screen(Progress):
    """Says what is planned, what goes on, and what came of each unit."""

    def __init__(self, options: OptimizeOptions) -> None:
        super().__init__(quiet=options.quiet)
        self._optimizer = options.optimizer
        self._plan: Plan | None = None
        self._timed = False
        self.session: Session | None = None

    def planned(self, plan: Plan) -> None:
        """Before the first call."""
        self._plan = plan
        for line in plan_lines(plan, self._optimizer):
            self.say(line)

    def described(self, task: str, text: str) -> None:
        """The description that was derived for a task."""
        self.say(description_line(task, text))

    def judged(self, kappas: Mapping[str, float | None], floor: float) -> None:
        """The report card of the judges."""
        for step, kappa in kappas.items():
            self.say(f"  kappa of {step}: {'cannot be told' if kappa is None else f'{kappa:.2f}'} (floor {floor:g})")

    def phase(self, unit: str, doing: str) -> None:
        """Something begins."""
        meter = self.session.meter if self.session is not None else None
        counted = "" if meter is None else f"  [{meter.live} calls, {meter.remembered} from the journal]"
        self._say_speed()
        self.say(f"{unit}: {doing}{counted}")

    def refused(self, unit: str, why: str) -> None:
        """A unit is left out."""
        self.say(f"{unit}: left out, {why}")

    def finished(self, result: UnitResult) -> None:
        """A unit is done."""
        for line in result_lines(result):
            self.say(line)

    def _say_speed(self) -> None:
        """Once there were replies: how long the rest will take, by the tokens a second that the server has shown."""
        if self._timed or self.session is None or self._plan is None:
            return
        speed = self.session.speed()
        if speed is not None:
            self._timed = True
            self.say(speed_line(self._plan, speed, self.session.meter.live))


def plan_lines(plan: Plan, optimizer: str) -> list[str]:
    """What will be done and what it will cost at most, by estimate."""
    lines = [f"Plan: {optimizer}, at most {plan.calls:,} calls; a reply that has to be asked for twice is not in it."]
    if plan.described:
        lines.append(f"  descriptions that the tasks' files leave blank: {plan.described} calls")
    for step, count in plan.judges.items():
        lines.append(f"  report card of {step}: {count} calls")
    for planned in plan.units:
        cost, splits = planned.cost, planned.splits
        sizes = f"{len(splits.train)} train, {len(splits.validation)} validation, {len(splits.test)} test"
        tokens = f"{_thousands(cost.prompt_tokens)} prompt and {_thousands(cost.output_tokens)} reply tokens"
        lines.append(f"  {cost.unit}: {cost.calls:,} calls ({cost.measuring:,} to measure), about {tokens}; {sizes}")
    usual = ", if the descriptions are of the usual length" if plan.described else ""
    lines.append(f"  context window: {plan.num_ctx:,} tokens{usual}")
    return lines


def speed_line(plan: Plan, speed: Speed, done: int) -> str:
    """How long the plan takes, by the speed that was measured on its first replies."""
    prompt = sum(planned.cost.prompt_tokens for planned in plan.units)
    output = sum(planned.cost.output_tokens for planned in plan.units)
    # The tokens are those of the units; the calls of report cards and descriptions, which come first, are counted as such.
    of_units = sum(planned.cost.calls for planned in plan.units)
    seconds = speed.seconds(prompt, output) * max(0, plan.calls - done) / max(1, of_units)
    reading = "" if speed.prompt is None else f", reads {speed.prompt:,.0f}"
    return (
        f"Time: at most about {_duration(seconds)} if the server answers one request at a time (it writes "
        f"{speed.output:,.0f} tokens a second{reading}); less with several at once, or with a cached prefix."
    )


def result_lines(result: UnitResult) -> list[str]:
    """What became of one unit, while the others go on."""
    unit = result.planned.unit
    if not result.kept:
        return [f"{unit.name}: nothing better was found (validation {result.validation_before.mean:.3f}); the prompt stays"]
    lines = [f"{unit.name}: {result.before.mean:.3f} before, {result.after.mean:.3f} after on the test"]
    return lines + [f"  SUSPECT: {said}" for said in result.suspicions]


def closing_lines(results: Sequence[UnitResult], seed: int, out: Path | None, answered_by: str) -> list[str]:
    """The summary: scores before and after on held-out examples, with their intervals, and what is suspect.

    Args:
        results: what became of each unit.
        seed: of the intervals.
        out: where the program was written; None where nothing was.
        answered_by: what answered, in words.
    """
    lines = [f"{'':28}{'before':>22}{'after':>22}{'gain':>26}"]
    for result in results:
        lines.append(_row(result.planned.unit.name, result.before, result.after, result.gain, seed))
        if result.holdout is not None:
            before, after, gain = result.holdout
            lines.append(_row("  by the held-out judge", before, after, gain, seed))
        if not result.kept:
            lines.append("  nothing better was found; the prompt stays as it was")
        else:
            lines += _doubts(result.counts)
        lines += [f"  SUSPECT: {said}" for said in result.suspicions]
    lines.append("Scores are on held-out examples, with 95 % intervals; what they measure stands in docs/optimizing.md.")
    lines.append(f"Answered by: {answered_by}.")
    if out is None:
        lines.append("Nothing is written, since nothing became better.")
    else:
        lines.append(f"Written to {out}; see what changed with: python -m skills_dspy prompts --program {out}")
    return lines


def comparison_lines(compared: Sequence[BeforeAfter], seed: int, answered_by: str) -> list[str]:
    """What `eval program` says: scores with the original and the compiled prompts."""
    lines = [f"{'':28}{'original':>22}{'compiled':>22}{'gain':>26}"]
    for unit in compared:
        lines.append(_row(unit.unit.name, unit.before, unit.after, unit.gain, seed))
        lines += _doubts(unit.gain)
        lines += [f"  SUSPECT: {said}" for said in unit.suspicions]
    lines.append("On seeds and cases that the program was not compiled with; scores with 95 % intervals.")
    lines.append(f"Answered by: {answered_by}.")
    return lines


def _doubts(gain: Gain) -> list[str]:
    """What the interval of a gain says against it."""
    if gain.high < 0:
        return ["  it is worse on held-out examples"]
    if gain.mean <= 0:
        return ["  no gain on held-out examples"]
    return ["  the interval of the gain holds 0: it may be chance"] if gain.low <= 0 else []


def _row(name: str, before: Measured, after: Measured, gain: Gain, seed: int) -> str:
    difference = f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    # The blanks keep columns apart where both ends of an interval are negative.
    return f"{name:28} {_score(before, seed):>21} {_score(after, seed):>21} {difference:>25}"


def _score(measured: Measured, seed: int) -> str:
    interval = measured.interval(seed)
    return f"{measured.mean:.3f} ({interval.low:.2f} to {interval.high:.2f})"


def _thousands(tokens: int) -> str:
    return f"{tokens / 1000:,.0f}k" if tokens >= 1000 else str(tokens)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
