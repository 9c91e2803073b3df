"""`eval judges`: the report card of the judges, from labelled cases to an exit code."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.cli.arguments import EvalJudgesOptions
from skills_dspy.cli.progress import Progress
from skills_dspy.cli.run import load_specs
from skills_dspy.cli.sessions import INTERRUPTED, Interrupted, in_session
from skills_dspy.model.compiled import load_compiled
from skills_dspy.model.program import SkillsProgram
from skills_dspy.store.aside import write_json, write_text
from skills_dspy.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from evals.judges.ask import CaseCall, Judged
    from evals.judges.card import ReportCard
    from evals.judges.cases import Case
    from evals.session.session import Session

GOOD, BELOW = 0, 1
_WIDTH = 100
"""Columns of the tables where there is no terminal."""


def eval_judges_command(options: EvalJudgesOptions) -> int:
    """Ask the judges about the cases and report; returns the exit code."""
    config = options.session.models.load()
    if options.markdown is not None and not options.markdown.parent.is_dir():
        # Refused before the night, not after it.
        raise RequestError(f"--markdown {options.markdown}: there is no folder {options.markdown.parent}; make it first")
    program = SkillsProgram(1)
    if options.program is not None:
        load_compiled(options.program).apply(program)
    specs = load_specs(options.task_paths).specs if options.task_paths else ()
    cases = _cases(options, config, specs)
    asking = _asking(options, config, specs, cases)
    try:
        card, content = in_session(
            options.session,
            asking,
            lambda session: _work(session, options, config, program, specs, cases),
            note=options.note,
        )
    except Interrupted:
        return INTERRUPTED
    _report(card, content, options)
    return _verdict(card, options.min_kappa)


def _cases(options: EvalJudgesOptions, config: RunConfig, specs: Sequence[TaskSpec]) -> tuple["Case", ...]:
    """What is asked about: the cases by hand and those made from the tasks' seeds, of the judges that are wanted."""
    from evals.judges.cases import SHIPPED, load_cases
    from evals.judges.scales import SCALES

    for name in options.judges:
        if name not in SCALES:
            raise RequestError(f"there is no judge {name!r}; the judges are: {', '.join(SCALES)}")
    by_hand = load_cases(options.cases or (SHIPPED,), config)
    made = _made(specs, options.session.seed) if specs else []
    wanted = options.judges or tuple(SCALES)
    cases = tuple(case for case in (*by_hand, *made) if case.step in wanted)
    for name in options.judges:
        if all(case.step != name for case in cases):
            raise RequestError(f"there is no case for {name}; give some with --cases, or a task with fitting seeds")
    return cases


def _made(specs: Sequence[TaskSpec], seed: int) -> list["Case"]:
    from evals.judges.corruptions import seed_cases

    return [case for spec in specs for case in seed_cases(spec, seed)]


def _asking(options: EvalJudgesOptions, config: RunConfig, specs: Sequence[TaskSpec], cases: Sequence["Case"]) -> RunConfig:
    """The configuration to ask with: a model that is never asked need not be there, and follows one that is.

    The generator is asked for descriptions only.
    """
    from evals.judges.descriptions import blanks
    from evals.judges.journaled import calls_for, roles_asked

    roles = roles_asked(calls_for(cases, 1, fused=options.fused))
    judge, tagger = config.model_for("validator"), config.model_for("tagger")
    if "validator" not in roles:
        judge = tagger
    if "tagger" not in roles:
        tagger = judge
    return config.model_copy(
        update={
            "generator": config.generator if blanks(specs) else config.generator.model_copy(update={"model": judge}),
            "validator": config.validator.model_copy(update={"model": judge}),
            "tagger": config.tagger.model_copy(update={"model": tagger}),
        }
    )


async def _work(
    session: "Session",
    options: EvalJudgesOptions,
    config: RunConfig,
    program: SkillsProgram,
    specs: Sequence[TaskSpec],
    cases: Sequence["Case"],
) -> tuple["ReportCard", dict[str, Any]]:
    """Ask, and make up the report: the card, and all of it as JSON."""
    from evals.judges.ask import judge_all, judging_limits
    from evals.judges.card import report_card
    from evals.judges.descriptions import blanks, cases_with_descriptions, derive_descriptions
    from evals.judges.journaled import calls_for, costs, remembered, room_for
    from evals.tables import as_json

    screen = _Screen(quiet=options.quiet)
    asks = calls_for(cases, options.samples, fused=options.fused)
    if blank := blanks(specs):
        screen.describing(len(blank), len(asks), options.session.replay)
    derived = await derive_descriptions(session, specs, options.session.seed, screen.described)
    cases = cases_with_descriptions(cases, derived)
    asks = calls_for(cases, options.samples, fused=options.fused)
    num_ctx = session.window_for(*room_for(asks, program, session))
    known = await remembered(session, program, asks, options.session.seed, num_ctx)
    missing = [ask for ask, said in zip(asks, known, strict=True) if said is None]
    screen.plan(len(asks), len(missing), cases, replayed=options.session.replay is not None)
    asker = session.asker(program, judging_limits(session.config), options.session.seed, num_ctx)
    screen.count(len(missing))
    with screen if missing else nullcontext():
        new = iter(await judge_all(asker, missing, screen.advance))
    judged = [said if said is not None else next(new) for said in known]
    own, fused = _parted(asks, judged)
    spent = costs([*(said for said in own if said.sample == 0), *fused], session.journal.get)
    card = report_card(own, fused, config, spent)
    return card, {**_facts(session, options, config, specs, cases, derived), **as_json(card)}


def _parted(asks: Sequence["CaseCall"], judged: Sequence["Judged"]) -> tuple[list["Judged"], list["Judged"]]:
    """What judges said of their own cases, and what other taggers said of the same ones."""
    own = [said for ask, said in zip(asks, judged, strict=True) if ask.step == ask.case.step]
    return own, [said for ask, said in zip(asks, judged, strict=True) if ask.step != ask.case.step]


def _facts(
    session: "Session",
    options: EvalJudgesOptions,
    config: RunConfig,
    specs: Sequence[TaskSpec],
    cases: Sequence["Case"],
    derived: Mapping[str, str],
) -> dict[str, Any]:
    """What stands at the head of the report."""
    by_hand = sum(case.origin == "hand" for case in cases)
    return {
        "answered_by": session.answered_by,
        "judge_model": config.model_for("validator"),
        "tagger_model": config.model_for("tagger"),
        "program": None if options.program is None else str(options.program),
        "cases_by_hand": by_hand,
        "cases_from_seeds": len(cases) - by_hand,
        "tasks": [spec.task_name for spec in specs],
        **({"derived_descriptions": dict(derived), "generator_model": config.model_for("generator")} if derived else {}),
        "samples": options.samples,
        "seed": options.session.seed,
    }


def _head(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same for people."""
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


def _report(card: "ReportCard", content: dict[str, Any], options: EvalJudgesOptions) -> None:
    from evals.judges.tables import sections
    from evals.tables import markdown, print_sections

    report = sections(card, _head(content), sweep=options.threshold_sweep)
    page, folder = markdown(report, page=True), options.session.output_dir
    write_json(folder / "judges.json", content)
    for path in filter(None, (folder / "judges.md", options.markdown)):
        write_text(path, page)
    if options.as_json:
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    width = None if sys.stdout.isatty() else _WIDTH
    print_sections(report, Console(highlight=False, emoji=False, width=width))
    click.echo(f"\nWritten to {folder / 'judges.json'} and {folder / 'judges.md'}")


def _verdict(card: "ReportCard", least: float | None) -> int:
    bad = () if least is None else card.below(least)
    if not bad:
        return GOOD
    told = [f"{judge.step} ({'not defined' if judge.all.kappa is None else f'{judge.all.kappa:.2f}'})" for judge in bad]
    click.echo(f"kappa is below {least:g} for: {', '.join(told)}", err=True)
    return BELOW


class _Screen(Progress):
    """Says what will be asked, and how far it is."""

    def plan(self, asked: int, missing: int, cases: Sequence["Case"], *, replayed: bool) -> None:
        """Before the first call."""
        wanted = f"{len(cases)} cases, {asked} replies wanted"
        if not missing:
            self.say(f"{wanted}: the journal has them all.")
            return
        source = "the recording is asked for" if replayed else "calls are made for"
        self.say(
            f"{wanted}: the journal has {asked - missing}, {source} the other {missing}; a reply that cannot be used is asked "
            "for once more."
        )

    def describing(self, blank: int, wanted: int, replay: Path | None) -> None:
        """Before the first call, where tasks are to be described: the most that is asked for in all."""
        source = "calls" if replay is None else "replies of the recording"
        self.say(
            f"descriptions that the tasks' files leave blank: {blank} {source}; with the cases at most {blank + wanted}, "
            "less what the journal has."
        )

    def described(self, task: str, text: str) -> None:
        """The description that was derived for a task."""
        from evals.judges.descriptions import description_line

        self.say(description_line(task, text))
