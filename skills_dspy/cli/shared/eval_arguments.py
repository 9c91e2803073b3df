"""What the commands of `eval` take, as in `arguments`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from skills_dspy.cli.shared.arguments import COUNT
from skills_dspy.cli.shared.options import (
    Cases,
    Config,
    LocalEmbedderName,
    Markdown,
    Note,
    Number,
    Program,
    Quiet,
    Reviews,
    Seed,
    ServerOptions,
    SessionOptions,
    TaskPaths,
    argument,
    option,
)


@dataclass(frozen=True, slots=True)
class EvalJudgesOptions:
    """The options of `eval judges`; None where one was left out."""

    task_paths: Annotated[
        tuple[Path, ...],
        option(
            "Task files or folders: their seeds, as they are and corrupted, are cases too.  [default: none]", metavar="PATH ..."
        ),
    ]
    cases: Cases
    reviews: Reviews
    ask: Annotated[
        bool,
        option("With --reviews: ask the judges about the rows anew, instead of taking what they said when the rows were made."),
    ]
    judges: Annotated[
        tuple[str, ...], option("Only this judge or tagger, once for each.  [default: all six]", "--judge", metavar="NAME")
    ]
    samples: Annotated[
        int,
        option(
            "How often each case is asked about, to see how a judge agrees with itself.", type=click.IntRange(1, 100), default=3
        ),
    ]
    fused: Annotated[bool, option("Compare the fused tagger with the separate ones.", "--fused/--no-fused", default=True)]
    threshold_sweep: Annotated[bool, option("Show what other thresholds would let through.")]
    min_kappa: Annotated[
        float | None, option("Exit with 1 when the kappa of any judge is below X.", type=Number(-1, 1), metavar="X")
    ]
    program: Program
    session: SessionOptions
    markdown: Markdown
    note: Note
    quiet: Quiet
    as_json: Annotated[bool, option("The report as JSON on stdout, and nothing else there.", "--json")]


@dataclass(frozen=True, slots=True)
class EvalProgramOptions:
    """The options of `eval program`."""

    file: Annotated[Path, argument()]
    task_paths: TaskPaths
    examples: Annotated[int, option("How many to measure on, for each prompt.", type=click.IntRange(4, 10_000), default=48)]
    holdout_judge: Annotated[str | None, option("Judge with this model instead.", "--holdout-judge-model", metavar="MODEL")]
    cases: Cases
    session: SessionOptions
    note: Note
    quiet: Quiet
    as_json: Annotated[bool, option("The scores as JSON on stdout, and nothing else there.", "--json")]


@dataclass(frozen=True, slots=True)
class EvalDataOptions:
    """The options of `eval data`; None where one was left out."""

    path: Annotated[Path, argument()]
    other: Annotated[Path | None, option("Another run or file, to be put beside it.", "--compare", metavar="OTHER")]
    seeds: Annotated[Path | None, option("The task whose seeds a file of pairs was made from.", metavar="TASKFILE")]
    sample: Annotated[
        int | None,
        option(
            "The most rows for distances, likeness to seeds and languages.  [default: 10000 of a run, 3000 of a file]",
            type=COUNT,
            metavar="N",
        ),
    ]
    seed: Seed
    embedder: LocalEmbedderName
    no_vectors: Annotated[bool, option("Leave out what needs an embedding model: distances, Vendi score, cosines.")]
    markdown: Markdown
    as_json: Annotated[bool, option("The scores as JSON on stdout, and nothing else there.", "--json")]


@dataclass(frozen=True, slots=True)
class EvalStudentOptions:
    """The options of `eval student`; None where one was left out."""

    data: Annotated[tuple[Path, ...], argument(nargs=-1, required=True, metavar="DATA...")]
    seeds: Annotated[
        tuple[Path, ...],
        option(
            "The tasks whose seeds are measured on, those that no row was made from; or runs that held some out.",
            required=True,
            metavar="TASKFILE ...",
        ),
    ]
    student: Annotated[
        str,
        option("Who learns: a folder, a name on the Hugging Face Hub, or a GGUF file.", required=True, metavar="MODEL"),
    ]
    other: Annotated[Path | None, option("Other rows: which teach more, for as many tokens?", "--compare", metavar="OTHER")]
    control: Annotated[
        Path | None, option("Rows that you know to be of another skill, for a control with as many tokens.", metavar="DATA")
    ]
    full: Annotated[bool, option("Train all weights instead of LoRA.")]
    epochs: Annotated[int, option("Passes over the rows.", type=click.IntRange(1, 1000), default=3)]
    rate: Annotated[
        float | None,
        option(
            "The highest learning rate.  [default: 2e-4, with --full 5e-5]", "--learning-rate", type=Number(0, 1, min_open=True)
        ),
    ]
    batch: Annotated[int, option("Rows in a step.", type=click.IntRange(1, 1024), default=4)]
    window: Annotated[
        int | None,
        option("Leave out rows with more tokens.  [default: the student's, 2048 at most]", type=click.IntRange(8, 10_000_000)),
    ]
    device: Annotated[
        str,
        option("Where to train: auto is a GPU if there is one.", type=click.Choice(["auto", "cpu", "cuda"]), default="auto"),
    ]
    seed: Seed
    runs: Annotated[
        int,
        option("Train each so often, with as many random seeds, to see the spread.", type=click.IntRange(1, 100), default=1),
    ]
    save: Annotated[Path | None, option("Write the student that all rows have taught here.", metavar="FOLDER")]
    judge: Annotated[
        str | None, option("A model that says, blind, which answers are better: before or after.", metavar="MODEL")
    ]
    config: Config
    server: ServerOptions
    output_dir: Annotated[Path, option("Where finished trainings and the report are kept.", default=Path("output-student"))]
    markdown: Markdown
    quiet: Quiet
    as_json: Annotated[bool, option("The report as JSON on stdout, and nothing else there.", "--json")]
