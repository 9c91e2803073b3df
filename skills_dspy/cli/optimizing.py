"""The command `optimize` and its options; what it does is imported when it is called."""

from pathlib import Path

import click

from skills_dspy.cli.options import (
    ManyPaths,
    Number,
    base_url_option,
    cases_option,
    concurrency_option,
    config_option,
    eval_dir_option,
    eval_replay_option,
    judge_option,
    model_option,
    note_option,
    program_option,
    quiet_option,
    seed_option,
    tagger_option,
    task_paths_option,
)


@click.command(cls=ManyPaths)
@click.argument("target")
@task_paths_option
@click.option("--optimizer", required=True, metavar="gepa|mipro|bootstrap", help="DSPy's GEPA, MIPROv2 or BootstrapFewShot.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Where the compiled program goes.")
@click.option("--budget", metavar="light|medium|heavy", help="How much may be spent.  [default: light]")
@click.option("--max-calls", type=click.IntRange(1, 100_000_000), help="Instead of --budget: no more calls than this.")
@click.option(
    "--holdout-judge-model", "holdout", metavar="MODEL", help="A judge that only measures: its score is the one that counts."
)
@click.option("--proposer-model", "proposer", metavar="MODEL", help="Proposes instructions.  [default: follows --model]")
@click.option(
    "--min-judge-kappa",
    type=Number(-1, 1),
    default=0.4,
    show_default=True,
    help="Refuse to optimize a writer against a judge whose kappa on labelled cases is lower.",
)
@click.option("--force", is_flag=True, help="Optimize although a judge is below --min-judge-kappa.")
@program_option
@cases_option
@config_option
@model_option
@judge_option
@tagger_option
@base_url_option
@concurrency_option
@seed_option
@eval_dir_option
@eval_replay_option
@note_option
@click.option("--dry-run", is_flag=True, help="Only say what it would cost.")
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="The provenance of the result on stdout, and nothing else there.")
def optimize(
    target: str,
    task_paths: tuple[Path, ...],
    optimizer: str,
    out: Path,
    budget: str | None,
    max_calls: int | None,
    holdout: str | None,
    proposer: str | None,
    min_judge_kappa: float,
    force: bool,
    program: Path | None,
    cases: tuple[Path, ...],
    config: Path | None,
    model: str | None,
    judge_model: str | None,
    tagger_model: str | None,
    base_url: str,
    concurrency: int,
    seed: int,
    output_dir: Path,
    replay: Path | None,
    note: str | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Compile better prompts for TARGET: a predictor, or judges, question-judge, pair-judge, tags, questions, answers, all.

    Exit codes: 0 something became better on held-out examples and the program is written; 1 nothing did (what was better on
    the validation alone is written all the same), or the calls were spent; 2 the request or the machine is at fault; 130
    interrupted, every reply is kept and the same command goes on.
    """
    from skills_dspy.base.config import Overrides
    from skills_dspy.cli.optimize import OptimizeOptions, optimize_command
    from skills_dspy.cli.sessions import SessionOptions

    options = OptimizeOptions(
        target=target,
        optimizer=optimizer,
        out=out,
        task_paths=task_paths,
        cases=cases,
        budget=budget,
        max_calls=max_calls,
        holdout_judge=holdout,
        proposer=proposer,
        min_judge_kappa=min_judge_kappa,
        force=force,
        program=program,
        config=config,
        overrides=Overrides(model=model, judge_model=judge_model, tagger_model=tagger_model),
        seed=seed,
        dry_run=dry_run,
        as_json=as_json,
        session=SessionOptions(output_dir, base_url, concurrency, replay, note, quiet),
    )
    return optimize_command(options)
