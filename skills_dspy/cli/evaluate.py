"""The commands `eval ...` and their options; what they do is imported when they are called."""

from pathlib import Path

import click

from skills_dspy.cli.options import (
    ManyPaths,
    Number,
    base_url_option,
    cases_option,
    concurrency_option,
    config_option,
    embedder_option,
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


@click.group("eval")
def evaluate() -> None:
    """Measure: the judges, a dataset, a compiled program."""


@evaluate.command(cls=ManyPaths)
@click.option(
    "--task-paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH ...",
    help="Task files or folders: their seeds, as they are and corrupted, are cases too.  [default: none]",
)
@cases_option
@click.option(
    "--judge", "judges", multiple=True, metavar="NAME", help="Only this judge or tagger, once for each.  [default: all six]"
)
@click.option(
    "--samples",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="How often each case is asked about, to see how a judge agrees with itself.",
)
@click.option("--fused/--no-fused", default=True, show_default=True, help="Compare the fused tagger with the separate ones.")
@click.option("--threshold-sweep", is_flag=True, help="Show what other thresholds would let through.")
@click.option("--min-kappa", type=Number(-1, 1), metavar="X", help="Exit with 1 when the kappa of any judge is below X.")
@program_option
@config_option
@model_option
@judge_option
@tagger_option
@base_url_option
@concurrency_option
@seed_option
@eval_dir_option
@eval_replay_option
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write the tables here as well.")
@note_option
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout, and nothing else there.")
def judges(
    task_paths: tuple[Path, ...],
    cases: tuple[Path, ...],
    judges: tuple[str, ...],
    samples: int,
    fused: bool,
    threshold_sweep: bool,
    min_kappa: float | None,
    program: Path | None,
    config: Path | None,
    model: str | None,
    judge_model: str | None,
    tagger_model: str | None,
    base_url: str,
    concurrency: int,
    seed: int,
    output_dir: Path,
    replay: Path | None,
    markdown: Path | None,
    note: str | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Report how often the judges and taggers are right, on cases whose labels are known.

    Exit codes: 0 the report is made; 1 a judge is below --min-kappa; 2 the request or the machine is at fault; 130
    interrupted, every reply is kept and the same command goes on.
    """
    from skills_dspy.base.config import Overrides
    from skills_dspy.cli.eval_judges import EvalJudgesOptions, eval_judges_command
    from skills_dspy.cli.sessions import SessionOptions

    options = EvalJudgesOptions(
        task_paths=task_paths,
        cases=cases,
        judges=judges,
        samples=samples,
        fused=fused,
        threshold_sweep=threshold_sweep,
        min_kappa=min_kappa,
        program=program,
        config=config,
        overrides=Overrides(model=model, judge_model=judge_model, tagger_model=tagger_model),
        seed=seed,
        markdown=markdown,
        as_json=as_json,
        session=SessionOptions(output_dir, base_url, concurrency, replay, note, quiet),
    )
    return eval_judges_command(options)


@evaluate.command(cls=ManyPaths)
@click.argument("file", type=click.Path(path_type=Path))
@task_paths_option
@click.option(
    "--examples", type=click.IntRange(4, 10_000), default=48, show_default=True, help="How many to measure on, for each prompt."
)
@click.option("--holdout-judge-model", "holdout", metavar="MODEL", help="Judge with this model instead.")
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
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="The scores as JSON on stdout, and nothing else there.")
def program(
    file: Path,
    task_paths: tuple[Path, ...],
    examples: int,
    holdout: str | None,
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
    quiet: bool,
    as_json: bool,
) -> int:
    """Measure a compiled program against the original prompts, on seeds and cases that it was not compiled with."""
    from skills_dspy.base.config import Overrides
    from skills_dspy.cli.eval_program import EvalProgramOptions, eval_program_command
    from skills_dspy.cli.sessions import SessionOptions

    options = EvalProgramOptions(
        program=file,
        task_paths=task_paths,
        cases=cases,
        examples=examples,
        holdout_judge=holdout,
        config=config,
        overrides=Overrides(model=model, judge_model=judge_model, tagger_model=tagger_model),
        seed=seed,
        as_json=as_json,
        session=SessionOptions(output_dir, base_url, concurrency, replay, note, quiet),
    )
    return eval_program_command(options)


@evaluate.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--compare", "other", type=click.Path(path_type=Path), metavar="OTHER", help="Another run or file, to be put beside it."
)
@click.option(
    "--seeds",
    type=click.Path(path_type=Path),
    metavar="TASKFILE",
    help="The task whose seeds a file of JSON Lines was made from.",
)
@click.option(
    "--sample",
    type=click.IntRange(1, 10_000_000),
    metavar="N",
    help="The most rows for distances, likeness to seeds and languages.  [default: 10000 of a run, 3000 of a file]",
)
@seed_option
@embedder_option
@click.option("--no-vectors", is_flag=True, help="Leave out what needs an embedding model: distances, Vendi score, cosines.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write the tables here as well.")
@click.option("--json", "as_json", is_flag=True, help="The scores as JSON on stdout, and nothing else there.")
def data(
    path: Path,
    other: Path | None,
    seeds: Path | None,
    sample: int | None,
    seed: int,
    embedder: str | None,
    no_vectors: bool,
    markdown: Path | None,
    as_json: bool,
) -> int:
    """Score a dataset: how varied, how new against its seeds, how long, what has collapsed.

    PATH is a run's directory, a folder with several runs, or a file of JSON Lines with instruction and response, question
    and answer, or messages. No teacher or judge is asked; what a run remembers is not embedded anew.

    Exit codes: 0 scored; 2 the request or the machine is at fault, in one sentence.
    """
    from skills_dspy.cli.eval_data import EvalDataOptions, eval_data_command

    options = EvalDataOptions(path, other, seeds, sample, seed, embedder, no_vectors, markdown, as_json)
    return eval_data_command(options)
