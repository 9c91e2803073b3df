"""`eval judges`, `eval program`, `eval data`: measures the judges, a compiled program, a dataset."""

import logging
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from evals.data.datasets import Dataset, paired, read_datasets, with_seeds
from evals.data.report import Scorer
from evals.figures.tables import markdown, print_sections
from evals.judges.card import ReportCard
from evals.judges.cases import labelled_cases
from evals.judges.report import Examination, choose_cases, examine, head
from evals.judges.reviewed import ReviewedRun, card_of_reviews, head_of_reviews, read_reviewed, reviewed_cases
from evals.judges.tables import sections
from evals.optimize.lines import comparison_lines
from evals.optimize.measure import Compared
from evals.optimize.program import compare_programs, compared_json
from evals.session.session import Session
from skills_dspy.base.config import load_config
from skills_dspy.base.errors import MachineError, RequestError
from skills_dspy.cli.progress import Progress
from skills_dspy.cli.run import load_specs
from skills_dspy.cli.shared.eval_arguments import EvalDataOptions, EvalJudgesOptions, EvalProgramOptions
from skills_dspy.cli.shared.sessions import in_session
from skills_dspy.cli.terminal.consoles import make_console
from skills_dspy.cli.terminal.streams import echo, echo_json
from skills_dspy.model.compiled import load_compiled
from skills_dspy.model.context_window import RunPrompts
from skills_dspy.model.embedding.embedder import SentenceEmbedder
from skills_dspy.store.aside import check_writable, write_json, write_text
from skills_dspy.store.files import make_folder, storage_errors
from skills_dspy.store.run_dir import JUDGES_REPORTS
from skills_dspy.tasks.files import load_task

_LOG = logging.getLogger(__name__)
BELOW = 1
"""The exit code when a judge is below --min-kappa."""
_WIDTH = 100
"""Columns of the tables where there is no terminal."""


def eval_judges_command(options: EvalJudgesOptions) -> int:
    """Ask the judges about the cases and report; returns the exit code."""
    session = options.session
    given = (*options.task_paths, *options.cases, *options.reviews, options.program, session.replay, session.models.config)
    check_page(options.markdown, given)
    reviewed = read_reviewed(options.reviews) if options.reviews else ()
    for run in reviewed:
        _LOG.info("%s: a person has decided %d rows", run.paths.folder, len(run.rows))
    if reviewed and not options.ask:
        return _judges_of_reviews(options, reviewed)
    if options.ask and not reviewed:
        raise RequestError("--ask is about --reviews; give runs that a person has looked at, or leave it out")
    config, seed = options.session.server.over(options.session.models.load()), options.session.seed
    program = None if options.program is None else load_compiled(options.program)
    specs = load_specs(options.task_paths).specs if options.task_paths else ()
    cases = choose_cases(options.cases, specs, options.judges, seed, config, reviewed_cases(reviewed))
    wanted = Examination(config, cases, specs, program, options.samples, options.fused, seed)
    progress, replayed = Progress(quiet=options.quiet), options.session.replay is not None
    card, content = in_session(
        options.session,
        wanted.asking(),
        lambda session: examine(session, wanted, progress, replayed=replayed),
        note=options.note,
        beside=RunPrompts(specs, config, program),
    )
    return _reported(options, card, content, head(content))


def _judges_of_reviews(options: EvalJudgesOptions, reviewed: Sequence[ReviewedRun]) -> int:
    """Report what the judges of some runs said of rows that a person looked at; nobody is asked."""
    models, session = options.session.models, options.session
    asking = {
        "--cases": options.cases,
        "--task-paths": options.task_paths,
        "--program": options.program,
        "--replay": session.replay,
        "--llamacpp": session.server.llamacpp,
        **{f"--{name.replace('_', '-')}": getattr(models, name) for name in ("config", "model", "judge_model", "tagger_model")},
    }
    if given := next((name for name, value in asking.items() if value), None):
        raise RequestError(
            f"--reviews takes what the judges of the runs said and asks nobody, and {given} is about judges that are asked: "
            "give --ask too, or leave it out"
        )
    card, content = card_of_reviews(reviewed, options.judges)
    make_folder(session.output_dir)
    return _reported(options, card, content, head_of_reviews(content))


def _reported(options: EvalJudgesOptions, card: ReportCard, content: dict[str, Any], facts: list[tuple[str, str]]) -> int:
    """Print and write a report; returns the exit code."""
    report, folder = sections(card, facts, sweep=options.threshold_sweep), options.session.output_dir
    data, page = (folder / name for name in JUDGES_REPORTS)
    write_json(data, content)
    for path in filter(None, (page, options.markdown)):
        write_text(path, markdown(report, page=True))
    _LOG.info("%d judges measured, report in %s and %s", len(card.judges), data, page)
    if options.as_json:
        echo_json(content)
    else:
        print_sections(report, report_console())
        echo(f"\nWritten to {data} and {page}")
    return _verdict(card, options.min_kappa)


def _verdict(card: ReportCard, least: float | None) -> int:
    bad = () if least is None else card.below(least)
    if not bad and card.empty:
        todo = "the report says what was lost, and `check` what this server and model can do"
        raise MachineError(f"no judge gave a verdict that can be read on any case: {todo}")
    if not bad:
        return 0
    kappas = [f"{judge.step} ({'not defined' if judge.all.kappa is None else f'{judge.all.kappa:.2f}'})" for judge in bad]
    echo(f"kappa is below {least:g} for: {', '.join(kappas)}", err=True)
    return BELOW


def eval_data_command(options: EvalDataOptions) -> int:
    """Score what was asked for; returns the exit code."""
    if options.no_vectors and options.embedder is not None:
        raise RequestError("--no-vectors does without an embedding model, and --embedder names one; leave out one of the two")
    check_page(options.markdown, (options.path, options.other, options.seeds))
    first, second = _datasets(options)
    settings = load_config().embedder

    def model_of(datasets: Sequence[Dataset]) -> str:
        of_runs = [dataset.run.embedder for dataset in datasets if dataset.run is not None]
        return options.embedder or next(iter(of_runs), settings.model)

    with Progress(quiet=not sys.stderr.isatty()) as progress:
        progress.update("scoring")
        scorer = Scorer(
            options.sample,
            options.seed,
            None if options.no_vectors else model_of,
            cache(lambda name: SentenceEmbedder(name, settings.device)),
            lambda done, count: progress.update(f"embedding {done} of {count} texts"),
        )
        content, sections = scorer.alone(first) if options.other is None else scorer.compared(paired(first, second))
    if options.markdown is not None:
        write_text(options.markdown, markdown(sections))
    if options.as_json:
        echo_json(content)
        return 0
    print_sections(sections, report_console())
    if options.markdown is not None:
        echo(f"\nWritten to {options.markdown}")
    return 0


def _datasets(options: EvalDataOptions) -> tuple[Sequence[Dataset], Sequence[Dataset]]:
    """The datasets of both places; none of a second one that was not given."""
    first = read_datasets(options.path)
    second = () if options.other is None else read_datasets(options.other)
    if options.seeds is None:
        return first, second
    spec, warnings = load_task(options.seeds)
    for warning in warnings:
        echo(f"warning: {warning}", err=True)
    both = with_seeds((*first, *second), spec.seed_examples)
    return both[: len(first)], both[len(first) :]


def check_page(markdown: Path | None, inputs: Iterable[Path | str | None]) -> None:
    """Refuse before the night what could not be written after it, or would take the place of what is read.

    Of the files in a folder that is read only pages are replaced, and no README.md.

    Raises:
        RequestError: there is no folder for it, or something else is there.
        StorageError: nothing can be written there.
    """
    if markdown is None:
        return
    with storage_errors("read", markdown):
        if not markdown.parent.is_dir():
            raise RequestError(f"--markdown {markdown}: there is no folder {markdown.parent}; make it first")
        if markdown.exists() and not markdown.is_file():
            raise RequestError(f"--markdown {markdown} is {'a folder' if markdown.is_dir() else 'no file'}; give a file")
        own = markdown.suffix == ".md" and markdown.name != "README.md"
        for place in (Path(given).resolve() for given in inputs if given is not None) if markdown.exists() else ():
            if markdown.resolve() == place or (not own and place in markdown.resolve().parents):
                raise RequestError(f"--markdown {markdown} would take the place of what is read; give another file")
    check_writable(markdown)


def report_console() -> Console:
    """What reports are printed to: as wide as the terminal, where there is one."""
    return make_console(width=None if sys.stdout.isatty() else _WIDTH)


def eval_program_command(options: EvalProgramOptions) -> int:
    """Measure before and after; returns the exit code."""
    config = options.session.server.over(options.session.models.load())
    compiled = load_compiled(options.file)
    specs = load_specs(options.task_paths).specs
    cases = labelled_cases(options.cases, config)
    say = Progress(quiet=options.quiet).say

    async def work(session: Session) -> tuple[list[Compared], dict[str, str], str]:
        compared, derived = await compare_programs(
            session,
            compiled,
            specs,
            cases,
            seed=options.session.seed,
            most=options.examples,
            judge=options.holdout_judge,
            say=say,
        )
        return compared, derived, session.answered_by

    others = tuple(filter(None, (options.holdout_judge,)))
    run = RunPrompts(specs, config, compiled)
    compared, derived, answered_by = in_session(
        options.session, config, work, extra_models=others, note=options.note, beside=run
    )
    if options.as_json:
        content = {
            "program": str(options.file),
            "answered_by": answered_by,
            "tasks": [spec.task_name for spec in specs],
            **({"derived_descriptions": derived} if derived else {}),
            "units": compared_json(compared),
        }
        echo_json(content)
    else:
        for line in comparison_lines(compared, answered_by):
            echo(line)
    return 0
