"""What each command takes: a dataclass of its options and arguments, in the order of its help."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import click

from signatures.labels import Quality
from skills_dspy.cli.shared.options import (
    SEED,
    Cases,
    Config,
    EmbedderName,
    ModelOptions,
    Note,
    Number,
    Program,
    Quiet,
    Reviews,
    ServerOptions,
    SessionOptions,
    TaskPaths,
    TaxonomyBase,
    argument,
    option,
)
from skills_dspy.commands.decide.sections import IN_WORDS

EXPORT_FORMATS = ("messages", "alpaca", "sharegpt", "instructlab", "parquet", "hf")
ALL_FORMATS = (*EXPORT_FORMATS, "kto", "dpo")
COUNT = click.IntRange(1, 10_000_000)
SUMMARY = "A machine-readable summary on stdout, and nothing else there."


def _share(_: click.Context, __: click.Parameter, share: float | None) -> float | None:
    if share is not None and math.isnan(share):  # which click takes for a number in any range
        raise click.BadParameter("nan is not in the range 0<x<1.")
    return share


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `run`; None where one was left out and a recording may know better."""

    task_paths: TaskPaths
    taxonomy_base: TaxonomyBase
    wanted: Annotated[
        int | None,
        option(
            "Accepted pairs wanted, per task.  [default: 20; with --replay, the recorded run's]",
            "-n",
            "--num-outputs-to-generate",
            type=COUNT,
        ),
    ]
    output_dir: Annotated[Path, option("Where runs live.", default=Path("output"))]
    models: ModelOptions
    server: ServerOptions
    seed: Annotated[int | None, option("The run's random seed.  [default: 0; with --replay, the recorded run's]", type=SEED)]
    restart: Annotated[
        bool, option("Set an existing run aside (renamed, never deleted) and start anew; without it the run is resumed.")
    ]
    replay: Annotated[
        str | None,
        option("Answer every model call from a recorded run's directory; `demo` names the shipped one.", metavar="RUN"),
    ]
    program: Program
    embedder: EmbedderName
    decontaminate: Annotated[
        tuple[Path, ...],
        option(
            "Evaluation questions (.jsonl, .json, .csv, .tsv, .parquet, .txt, packed or not) that no pair may share 13 words "
            "with or lie near to; FIELD says where in a row they stand.",
            metavar="FILE[:FIELD] ...",
        ),
    ]
    hold_out: Annotated[
        int | None,
        option(
            "So many seeds of each task stay out, for `eval student`.  [default: none; with --replay, as recorded]",
            type=click.IntRange(0, 10_000),
            metavar="K",
        ),
    ]
    note: Note
    quiet: Quiet
    exports: Annotated[
        tuple[str, ...],
        option(
            "When the run has ended, also if it stopped short, export its rows to OUTPUT_DIR/exports, anew each "
            "time; for more formats give it again.",
            "--export",
            type=click.Choice(EXPORT_FORMATS),
        ),
    ]
    executor: Annotated[
        str,
        option(
            "Where tasks are run: here, or by the workers of a Ray cluster (docs/scaling.md; pip install 'skills-dspy[ray]').",
            type=click.Choice(["local", "ray"]),
            default="local",
        ),
    ]
    ray_address: Annotated[
        str | None,
        option("With --executor ray: its head node.  [default: RAY_ADDRESS, else this machine]", metavar="HOST:PORT"),
    ]
    as_json: Annotated[bool, option(SUMMARY, "--json")]


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """The options of `explain`."""

    row_id: Annotated[str, argument()]
    output_dir: Annotated[Path, option("Where runs live, or one run's directory.", default=Path("output"))]


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """The options of `check`."""

    task_paths: TaskPaths
    taxonomy_base: TaxonomyBase
    wanted: Annotated[
        int, option("Accepted pairs wanted, per task.", "-n", "--num-outputs-to-generate", type=COUNT, default=20)
    ]
    models: ModelOptions
    server: ServerOptions
    embedder: EmbedderName
    output_dir: Annotated[Path, option("Where the run will go; what was begun there is looked at.", default=Path("output"))]
    pull: Annotated[bool, option("Pull the models that are missing.")]
    seeds: Annotated[bool, option("Instead of speed and hours: let the judges rate the seeds, and name those that fail.")]
    as_json: Annotated[bool, option("What was found, or all verdicts, as JSON on stdout, and nothing else there.", "--json")]


@dataclass(frozen=True, slots=True)
class TasksOptions:
    """The options of `tasks`."""

    paths: Annotated[tuple[Path, ...], argument(nargs=-1, metavar="[PATH]...")]
    taxonomy_base: TaxonomyBase
    config: Config
    strict: Annotated[bool, option("Exit with 1 on any warning, not only on an error.")]
    as_json: Annotated[bool, option("The same as --format json.", "--json")]
    layout: Annotated[
        str | None,
        option(
            "text for people, json for programs, github for annotations in GitHub Actions.  [default: text]",
            "--format",
            type=click.Choice(["text", "json", "github"]),
        ),
    ]
    rules: Annotated[bool, option("List the rules instead.")]


@dataclass(frozen=True, slots=True)
class PromptsOptions:
    """The options of `prompts`."""

    name: Annotated[str | None, argument(required=False)]
    task_paths: TaskPaths
    config: Config
    program: Program


@dataclass(frozen=True, slots=True)
class DecideOptions:
    """The options of `decide`; None for a threshold that stays as it is."""

    run: Annotated[Path, argument()]
    config: Annotated[
        Path | None,
        option(f"YAML over the run's own settings; of what shapes a dataset, only {IN_WORDS} may differ."),
    ]
    min_sample_quality: Annotated[
        int | None, option("The lowest sample quality that passes the filter.", type=click.IntRange(1, 5))
    ]
    min_instruction_quality: Annotated[
        str | None, option("The lowest instruction quality that passes the filter.", type=click.Choice(get_args(Quality)))
    ]
    min_pair_rating: Annotated[
        int | None, option("The lowest rating of the pair judge that passes.", type=click.IntRange(1, 3))
    ]
    max_squared_distance: Annotated[
        float | None,
        option(
            "Below this squared distance to a seed or an accepted pair a candidate is a duplicate.", type=click.FloatRange(0, 4)
        ),
    ]
    out: Annotated[
        Path | None,
        option("Where the dataset goes.  [default: RUN-decided-XXXXXXXX, a digest of the thresholds]", metavar="DIR"),
    ]
    dry_run: Annotated[bool, option("Show what would change and write nothing.")]
    fill: Annotated[bool, option("Ask the server for the replies that are needed now and were never asked for.")]
    pairs: Annotated[
        int | None,
        option(
            "Ask the server for second answers where the first was rejected or middling, until K pairs of answers differ by "
            "their ratings; two calls for each second answer, and not each makes a pair. `export --format dpo` writes them.",
            type=COUNT,
            metavar="K",
        ),
    ]
    server: ServerOptions
    note: Note
    quiet: Quiet
    as_json: Annotated[bool, option(SUMMARY, "--json")]


@dataclass(frozen=True, slots=True)
class OptimizeOptions:
    """The options of `optimize`; None where one was left out."""

    target: Annotated[str, argument()]
    task_paths: TaskPaths
    optimizer: Annotated[
        str, option("DSPy's GEPA, MIPROv2 or BootstrapFewShot.", required=True, metavar="gepa|mipro|bootstrap")
    ]
    out: Annotated[Path, option("Where the compiled program goes.", required=True, metavar="FILE")]
    budget: Annotated[str | None, option("How much may be spent.  [default: light]", metavar="light|medium|heavy")]
    max_calls: Annotated[
        int | None, option("Instead of --budget: no more calls than this.", type=click.IntRange(1, 100_000_000))
    ]
    holdout_judge: Annotated[
        str | None,
        option("A judge that only measures: its score is the one that counts.", "--holdout-judge-model", metavar="MODEL"),
    ]
    proposer: Annotated[
        str | None, option("Proposes instructions.  [default: follows --model]", "--proposer-model", metavar="MODEL")
    ]
    min_judge_kappa: Annotated[
        float,
        option(
            "Refuse to optimize a writer against a judge whose kappa on labelled cases is lower.",
            type=Number(-1, 1),
            default=0.4,
        ),
    ]
    force: Annotated[bool, option("Optimize although a judge is below --min-judge-kappa.")]
    program: Program
    cases: Cases
    reviews: Reviews
    session: SessionOptions
    note: Note
    dry_run: Annotated[bool, option("Only say what it would cost.")]
    quiet: Quiet
    as_json: Annotated[bool, option("The provenance of the result on stdout, and nothing else there.", "--json")]


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """The options of `review`."""

    run: Annotated[Path, argument()]
    order: Annotated[
        str,
        option(
            "What comes first: uncertain (soft ratings near the border, judges that disagree), random, rejected, newest.",
            type=click.Choice(["uncertain", "random", "rejected", "newest"]),
            default="uncertain",
        ),
    ]
    port: Annotated[
        int,
        option(
            "The port on 127.0.0.1.  [default: one that is free]",
            type=click.IntRange(0, 65535),
            metavar="PORT",
            default=0,
            show_default=False,
        ),
    ]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The options of `export`; None where one was left out."""

    runs: Annotated[tuple[Path, ...], argument(nargs=-1, required=True, metavar="RUN...")]
    layout: Annotated[str, option("What for: see above.", "--format", required=True, type=click.Choice(ALL_FORMATS))]
    out: Annotated[
        Path,
        option(
            "The file to write; a folder for instructlab, hf, kto and dpo, and with --test-share. Folders that lack on the way "
            "to it are made.",
            required=True,
        ),
    ]
    system_prompt: Annotated[
        str | None, option("The system turn.  [default: none; for instructlab, InstructLab's own]", metavar="TEXT")
    ]
    test_share: Annotated[
        float | None,
        option(
            "Set this share of the rows apart for testing; near-duplicates stay on one side.",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            callback=_share,
            metavar="SHARE",
        ),
    ]
    seed: Annotated[int | None, option("Decides which rows are for testing.  [default: 0]", type=SEED)]
    thoughts: Annotated[
        bool,
        option("Add what the generator thought before it answered, as `reasoning_content` of the assistant's turn or the row."),
    ]
    overwrite: Annotated[bool, option("Replace an earlier export at --out.")]
    keep_residue: Annotated[
        bool, option("Keep rows that hold think blocks, turn tokens, control characters and the like; else they are left out.")
    ]
    reviewed_only: Annotated[
        bool, option("Only rows that a person accepted or edited in `review`; with kto those they rejected, too.")
    ]
    judge_report: Annotated[
        Path | None,
        option(
            "A report of `eval judges`: with --format hf, kto and dpo the card tells how often the judges err.  [default: the "
            "judges.json in the run's folder, in that of all runs, or in output-evals beside it]",
            metavar="FILE",
        ),
    ]
    repo: Annotated[
        str | None,
        option(
            "With --format hf, kto or dpo: upload it to this dataset on the Hugging Face Hub, private.",
            "--push-to-hub",
            metavar="REPO",
        ),
    ]
    public: Annotated[bool, option("With --push-to-hub: let everybody read it.")]
    as_json: Annotated[bool, option("What was written on stdout as JSON, and nothing else there.", "--json")]


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """The options of `report`; None where one was left out."""

    runs: Annotated[tuple[Path, ...], argument(nargs=-1, required=True, metavar="RUN...")]
    out: Annotated[
        Path, option("The file to write; folders that lack on the way to it are made.", required=True, metavar="FILE.html")
    ]
    other: Annotated[
        Path | None, option("Another run, or a folder of runs, to be put beside these.", "--compare", metavar="OTHER")
    ]
    overwrite: Annotated[bool, option("Replace an earlier report at --out.")]
    quiet: Quiet
    as_json: Annotated[bool, option(SUMMARY, "--json")]
