"""An optimization in lines: the plan and its cost, the result of each unit, the scores before and after."""

from collections.abc import Sequence
from pathlib import Path

from evals.optimize.measure import BeforeAfter, Compared, Measured, UnitResult
from evals.optimize.plan import Plan
from skills_dspy.commands.check.speed import Speed
from skills_dspy.model.context_window import window_words


def plan_lines(plan: Plan, optimizer: str) -> list[str]:
    """Return what will be done and what it will cost at most, by estimate."""
    lines = [f"Plan: {optimizer}, at most {plan.calls:,} calls; a reply that has to be asked for twice is not in it."]
    if plan.described:
        lines.append(f"  descriptions that the tasks' files leave blank: {plan.described} calls")
    for step, count in plan.judges.items():
        lines.append(f"  report card of {step}: {count} calls")
    for planned in plan.units:
        cost, splits = planned.cost, planned.splits
        sizes = f"{len(splits.train)} train, {len(splits.validation)} validation, {len(splits.test)} test"
        tokens = f"{_thousands(planned.prompt_tokens)} prompt and {_thousands(planned.output_tokens)} reply tokens"
        lines.append(f"  {planned.unit.name}: {cost.calls:,} calls ({cost.measuring:,} to measure), about {tokens}; {sizes}")
    usual = ", if the descriptions are of the usual length" if plan.described else ""
    lines.append(f"  context window: {window_words(plan.num_ctx, plan.usual)}{usual}")
    return lines


def _thousands(tokens: int) -> str:
    return f"{tokens / 1000:,.0f}k" if tokens >= 1000 else str(tokens)


def plan_time_line(plan: Plan, speed: Speed, done: int) -> str:
    """Return how long the plan takes, by the speed that was measured on its first replies."""
    prompt = sum(planned.prompt_tokens for planned in plan.units)
    output = sum(planned.output_tokens for planned in plan.units)
    # The tokens are those of the units; the calls of report cards and descriptions, which come first, are counted as such.
    of_units = sum(planned.cost.calls for planned in plan.units)
    seconds = speed.seconds(prompt, output) * max(0, plan.calls - done) / max(1, of_units)
    reading = "" if speed.prompt is None else f", reads {speed.prompt:,.0f}"
    return (
        f"Time: at most about {_duration(seconds)} if the server answers one request at a time (it writes "
        f"{speed.output:,.0f} tokens a second{reading}); less with several at once, or with a cached prefix."
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def result_lines(result: UnitResult) -> list[str]:
    """Return what became of one unit, while the others go on."""
    name = result.planned.unit.name
    if not result.kept:
        return [f"{name}: nothing better was found (validation {result.validation.before.mean:.3f}); the prompt stays"]
    scores = f"{result.test.before.mean:.3f} before, {result.test.after.mean:.3f} after on the test"
    return [f"{name}: {scores}", *_suspect(result.suspicions)]


def closing_lines(results: Sequence[UnitResult], out: Path | None, answered_by: str) -> list[str]:
    """Return the summary: scores before and after on held-out examples, with their intervals, and what is suspect.

    `out` is where the program was written; None where nothing was.
    """
    lines = [f"{'':28}{'before':>22}{'after':>22}{'gain':>26}"]
    for result in results:
        lines.append(_row(result.planned.unit.name, result.test))
        if result.holdout is not None:
            lines.append(_row("  by the held-out judge", result.holdout))
        lines += _doubts(result.counts) if result.kept else ["  nothing better was found; the prompt stays as it was"]
        lines += _suspect(result.suspicions)
    lines.append("Scores are on held-out examples, with 95 % intervals; what they measure stands in docs/optimizing.md.")
    lines.append(f"Answered by: {answered_by}.")
    if out is None:
        lines.append("Nothing is written, since nothing became better.")
    else:
        lines.append(f"Written to {out}; see what changed with: python -m skills_dspy prompts --program {out}")
    return lines


def comparison_lines(compared: Sequence[Compared], answered_by: str) -> list[str]:
    """Return what `eval program` says of units, their scores with both prompts, and what is suspect."""
    lines = [f"{'':28}{'original':>22}{'compiled':>22}{'gain':>26}"]
    for unit, both, suspicions in compared:
        lines += [_row(unit.name, both), *_doubts(both), *_suspect(suspicions)]
    lines.append("On seeds and cases that the program was not compiled with; scores with 95 % intervals.")
    lines.append(f"Answered by: {answered_by}.")
    return lines


def _suspect(suspicions: Sequence[str]) -> list[str]:
    return [f"  SUSPECT: {suspicion}" for suspicion in suspicions]


def _doubts(both: BeforeAfter) -> list[str]:
    """What the interval of a gain says against it."""
    if both.interval.high < 0:
        return ["  it is worse on held-out examples"]
    if both.gain <= 0:
        return ["  no gain on held-out examples"]
    return ["  the interval of the gain holds 0: it may be chance"] if both.interval.low <= 0 else []


def _row(name: str, both: BeforeAfter) -> str:
    gain = f"{both.gain:+.3f} ({both.interval.low:+.3f} to {both.interval.high:+.3f})"
    # The blanks keep columns apart where both ends of an interval are negative.
    return f"{name:28} {_score(both.before):>21} {_score(both.after):>21} {gain:>25}"


def _score(measured: Measured) -> str:
    return f"{measured.mean:.3f} ({measured.interval.low:.2f} to {measured.interval.high:.2f})"
