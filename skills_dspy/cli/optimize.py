"""`optimize`: from options to a compiled program in a file, and what is said on the way."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evals.judges.cases import labelled_cases
from evals.judges.reviewed import read_reviewed, reviewed_cases, reviewed_tasks
from evals.optimize.budget import LEVELS, OPTIMIZERS
from evals.optimize.lines import closing_lines, plan_lines
from evals.optimize.plan import OptimizeRequest, plan_of
from evals.optimize.program import provenance_of
from evals.optimize.run import Optimized, run_optimization
from evals.session.session import Session
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.cli.progress import Progress
from skills_dspy.cli.run import load_specs
from skills_dspy.cli.shared.arguments import OptimizeOptions
from skills_dspy.cli.shared.sessions import in_session
from skills_dspy.cli.terminal.streams import echo, echo_json
from skills_dspy.model.compiled import checked, compiled_content, load_compiled
from skills_dspy.model.context_window import RunPrompts
from skills_dspy.run.account import versions
from skills_dspy.store.aside import write_json
from skills_dspy.store.files import make_folder

NOTHING_BETTER = 1
"""The exit code when no unit became better on held-out examples."""


def optimize_command(options: OptimizeOptions) -> int:
    """Optimize what was asked for; returns the exit code."""
    _check_choices(options)
    config = options.session.server.over(options.session.models.load())
    request = _request(options, config)
    _check_out(options.out)
    run = RunPrompts(request.specs, config, request.base)
    # Refused here, before a folder or a server is touched.
    plan = plan_of(request, config, config.max_num_ctx, run.windows({}))
    if options.dry_run:
        for line in plan_lines(plan, options.optimizer):
            echo(line)
        return 0
    make_folder(options.out.parent)
    say = Progress(quiet=options.quiet).say
    content, done = in_session(
        options.session,
        config,
        lambda session: _work(session, request, say),
        extra_models=tuple(filter(None, (options.holdout_judge, options.proposer))),
        most_calls=options.max_calls,
        note=options.note,
        beside=run,
    )
    kept = any(result.kept for result in done.results)
    better = any(result.kept and result.counts.gain > 0 for result in done.results)
    if kept:
        write_json(options.out, content)
    if options.as_json:
        echo_json(content["provenance"])
    else:
        out = options.out if kept else None
        for line in closing_lines(done.results, out, content["provenance"]["answered_by"]):
            echo(line)
    for unit, why in done.refused.items():
        raise RequestError(f"{unit} is left out: {why}; optimize that judge with a larger --budget, or use --force")
    return 0 if better else NOTHING_BETTER


def _check_choices(options: OptimizeOptions) -> None:
    """Refuse what cannot be meant."""
    if options.optimizer not in OPTIMIZERS:
        raise RequestError(f"there is no optimizer {options.optimizer!r}; the optimizers are: {', '.join(OPTIMIZERS)}")
    if options.optimizer == "mipro" and find_spec("optuna") is None:
        raise RequestError(
            "mipro needs optuna, which is not installed: `pip install 'skills-dspy[mipro]'`, in a checkout `make venv`, "
            "or take another optimizer"
        )
    if options.budget is not None and options.budget not in LEVELS:
        raise RequestError(f"there is no budget {options.budget!r}; the budgets are: {', '.join(LEVELS)}")
    if options.budget is not None and options.max_calls is not None:
        raise RequestError("--budget and --max-calls both say how much may be spent; give one of them")
    if options.proposer is not None and options.optimizer == "bootstrap":
        raise RequestError("bootstrap asks for no new instructions, so --proposer-model has nothing to do: leave it out")


async def _work(session: Session, request: OptimizeRequest, say: Callable[[str], None]) -> tuple[dict[str, Any], Optimized]:
    done = await run_optimization(session, request, say)
    steps = [step for result in done.results if result.kept for step in result.planned.unit.steps]
    steps += [] if request.base is None else request.base.steps
    told = provenance_of(done.request, done.results, session.config, session.models, session.answered_by, versions())
    return compiled_content(done.program, steps, told), done


def _request(options: OptimizeOptions, config: RunConfig) -> OptimizeRequest:
    reviewed = read_reviewed(options.reviews) if options.reviews else ()
    # Whoever gives reviews means these: the shipped tasks and cases are what is used where nothing is given.
    specs = reviewed_tasks(reviewed) if reviewed and not options.task_paths else load_specs(options.task_paths).specs
    return OptimizeRequest(
        target=options.target,
        optimizer=options.optimizer,  # type: ignore[arg-type] # checked above
        specs=specs,
        cases=labelled_cases(options.cases, config, reviewed_cases(reviewed) if reviewed else None),
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
