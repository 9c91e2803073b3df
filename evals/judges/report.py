"""What `eval judges` asks and reports: cases, the models that answer, and the report card with its facts."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from evals.judges.ask import judge_all, judging_limits
from evals.judges.card import ReportCard, report_card
from evals.judges.cases import SHIPPED, Case, load_cases
from evals.judges.corruptions import seed_cases
from evals.judges.descriptions import blanks, cases_with_descriptions, derive_descriptions, description_line
from evals.judges.journaled import calls_for, costs, remembered, roles_asked, room_for
from evals.judges.scales import SCALES
from evals.session.session import Session
from evals.tables import as_json
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.program import SkillsProgram
from skills_dspy.tasks.spec import TaskSpec


class Screen(Protocol):
    """Where it is said what goes on."""

    def say(self, line: str) -> None:
        """Show a line."""

    def counting(self, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Count the answers to so many questions; gives what counts one more."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What the judges are asked.

    Attributes:
        config: models and thresholds.
        cases: with known labels.
        specs: the tasks that some of the cases were made from.
        program: compiled prompts; None for those of signatures/.
        samples: how often each case is asked about.
        fused: whether the fused tagger is compared with the separate ones.
        seed: of the sampling.
    """

    config: RunConfig
    cases: tuple[Case, ...]
    specs: Sequence[TaskSpec]
    program: CompiledProgram | None
    samples: int
    fused: bool
    seed: int

    def asking(self) -> RunConfig:
        """The configuration to ask with: a model that is never asked need not be there, and follows one that is.

        The generator is asked for descriptions only.
        """
        config = self.config
        roles = roles_asked(calls_for(self.cases, 1, fused=self.fused))
        judge, tagger = config.model_for("validator"), config.model_for("tagger")
        if "validator" not in roles:
            judge = tagger
        if "tagger" not in roles:
            tagger = judge
        generator = {} if blanks(self.specs) else {"model": judge}
        return config.model_copy(
            update={
                "generator": config.generator.model_copy(update=generator),
                "validator": config.validator.model_copy(update={"model": judge}),
                "tagger": config.tagger.model_copy(update={"model": tagger}),
            }
        )


def choose_cases(
    paths: Sequence[Path], specs: Sequence[TaskSpec], judges: Sequence[str], seed: int, config: RunConfig
) -> tuple[Case, ...]:
    """The cases by hand and those made from the tasks' seeds, of the judges that are wanted; of all when none is named.

    Raises:
        RequestError: there is no such judge, or no case for one.
    """
    for name in judges:
        if name not in SCALES:
            raise RequestError(f"there is no judge {name!r}; the judges are: {', '.join(SCALES)}")
    by_hand = load_cases(paths or (SHIPPED,), config)
    made = [case for spec in specs for case in seed_cases(spec, seed)]
    cases = tuple(case for case in (*by_hand, *made) if case.step in (judges or SCALES))
    for name in judges:
        if all(case.step != name for case in cases):
            raise RequestError(f"there is no case for {name}; give some with --cases, or a task with fitting seeds")
    return cases


async def examine(
    session: Session, wanted: Examination, screen: Screen, *, replayed: bool
) -> tuple[ReportCard, dict[str, Any]]:
    """Ask what the journal does not have; returns the report card, and all of the report as JSON.

    Raises:
        SkillsError: the evaluation cannot go on; what was asked is in the journal.
    """
    program = SkillsProgram(1)
    if wanted.program is not None:
        wanted.program.apply(program)
    count = len(calls_for(wanted.cases, wanted.samples, fused=wanted.fused))
    if blank := len(blanks(wanted.specs)):
        screen.say(
            f"descriptions that the tasks' files leave blank: {blank} {'replies of the recording' if replayed else 'calls'}; "
            f"with the cases at most {blank + count}, less what the journal has."
        )
    derived = await derive_descriptions(
        session, wanted.specs, wanted.seed, lambda task, text: screen.say(description_line(task, text))
    )
    cases = cases_with_descriptions(wanted.cases, derived)
    calls = calls_for(cases, wanted.samples, fused=wanted.fused)
    num_ctx = session.window_for(*room_for(calls, program, session))
    known = await remembered(session, program, calls, wanted.seed, num_ctx)
    missing = [call for call, judged in zip(calls, known, strict=True) if judged is None]
    screen.say(_plan_line(len(cases), len(calls), len(missing), replayed=replayed))
    asker = session.asker(program, judging_limits(session.config), wanted.seed, num_ctx)
    with screen.counting(len(missing)) as done:
        new = iter(await judge_all(asker, missing, done))
    judged = [(call, found if found is not None else next(new)) for call, found in zip(calls, known, strict=True)]
    own = [found for call, found in judged if call.step == call.case.step]
    fused = [found for call, found in judged if call.step != call.case.step]
    card = report_card(own, fused, wanted.config, costs([*(j for j in own if j.sample == 0), *fused], session.journal.get))
    return card, {**_facts(session, wanted, cases, derived), **as_json(card)}


def _plan_line(cases: int, wanted: int, missing: int, *, replayed: bool) -> str:
    begin = f"{cases} cases, {wanted} replies wanted"
    if not missing:
        return f"{begin}: the journal has them all."
    source = "the recording is asked for" if replayed else "calls are made for"
    return (
        f"{begin}: the journal has {wanted - missing}, {source} the other {missing}; a reply that cannot be used is asked for "
        "once more."
    )


def _facts(session: Session, wanted: Examination, cases: Sequence[Case], derived: dict[str, str]) -> dict[str, Any]:
    """What stands at the head of the report."""
    config, by_hand = wanted.config, sum(case.origin == "hand" for case in cases)
    return {
        "answered_by": session.answered_by,
        "judge_model": config.model_for("validator"),
        "tagger_model": config.model_for("tagger"),
        "program": None if wanted.program is None else str(wanted.program.path),
        "cases_by_hand": by_hand,
        "cases_from_seeds": len(cases) - by_hand,
        "tasks": [spec.task_name for spec in wanted.specs],
        **({"derived_descriptions": derived, "generator_model": config.model_for("generator")} if derived else {}),
        "samples": wanted.samples,
        "seed": wanted.seed,
    }


def head(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of a report for people."""
    tasks = f" of {', '.join(content['tasks'])}" if content["tasks"] else ""
    facts = [
        ("Answered by", content["answered_by"]),
        ("Models", f"judge {content['judge_model']}, tagger {content['tagger_model']}"),
        ("Cases", f"{content['cases_by_hand']} written by hand, {content['cases_from_seeds']} made from seeds{tasks}"),
        ("Samples of each", str(content["samples"])),
    ]
    if derived := content.get("derived_descriptions"):
        facts.append(("Descriptions", f"derived by {content['generator_model']} for {', '.join(derived)}; see judges.json"))
    return [*facts, ("Compiled program", content["program"])] if content["program"] else facts
