"""Measuring a finished program on any task, before and after, on what it was not compiled with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from evals.judges.cases import Case
from evals.judges.descriptions import Described, blanks, derive_descriptions, with_descriptions
from evals.optimize.examples import count_of, fresh_examples
from evals.optimize.gaming import suspicions
from evals.optimize.measure import Gain, Measured, gain_of, measure
from evals.optimize.plan import earlier_seen
from evals.optimize.prompting import limits_of, longest_prompt
from evals.optimize.run import blocking, desk_of
from evals.optimize.students import student_of
from evals.optimize.targets import TARGETS, Unit
from evals.session.session import Session
from skills_dspy.base.errors import RequestError
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.program import SkillsProgram
from skills_dspy.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Compared:
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
) -> tuple[Compared, ...]:
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
        found.append(Compared(unit, before, after, gain, tuple(suspicions(unit, gain.mean, before.habits, after.habits, None))))
    return tuple(found)
