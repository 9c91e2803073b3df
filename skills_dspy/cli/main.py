"""The command line's commands and options; what they do is imported when they are called, so that --help is quick."""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from skills_dspy import __version__
from skills_dspy.base.errors import SkillsError
from skills_dspy.cli.deciding import decide
from skills_dspy.cli.evaluate import evaluate
from skills_dspy.cli.export import export, run_export_option
from skills_dspy.cli.optimizing import optimize
from skills_dspy.cli.options import (
    DEFAULT_HOST,
    ManyPaths,
    base_url_option,
    concurrency_option,
    config_option,
    decontaminate_option,
    embedder_option,
    judge_option,
    model_option,
    note_option,
    program_option,
    quiet_option,
    tagger_option,
    task_paths_option,
    taxonomy_base_option,
)

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="skills_dspy")
def cli() -> None:
    """Turn a few seed examples of a skill into validated training data with a teacher model on your own machine."""


@cli.command(cls=ManyPaths)
@task_paths_option
@taxonomy_base_option
@click.option(
    "-n",
    "--num-outputs-to-generate",
    "wanted",
    type=click.IntRange(1, 10_000_000),
    help="Accepted pairs wanted, per task.  [default: 20; with --replay, the recorded run's]",
)
@click.option(
    "--output-dir", type=click.Path(path_type=Path), default=Path("output"), show_default=True, help="Where runs live."
)
@config_option
@model_option
@judge_option
@tagger_option
@base_url_option
@concurrency_option
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), help="The run's random seed.  [default: 0; with --replay, the recorded run's]"
)
@click.option(
    "--restart",
    is_flag=True,
    help="Set an existing run aside (renamed, never deleted) and start anew; without it the run is resumed.",
)
@click.option(
    "--replay", metavar="RUN", help="Answer every model call from a recorded run's directory; `demo` names the shipped one."
)
@program_option
@embedder_option
@decontaminate_option
@note_option
@quiet_option
@run_export_option
@click.option("--json", "as_json", is_flag=True, help="A machine-readable summary on stdout, and nothing else there.")
def run(
    task_paths: tuple[Path, ...],
    taxonomy_base: str | None,
    wanted: int | None,
    output_dir: Path,
    config: Path | None,
    model: str | None,
    judge_model: str | None,
    tagger_model: str | None,
    base_url: str,
    concurrency: int,
    seed: int | None,
    restart: bool,
    replay: str | None,
    program: Path | None,
    embedder: str | None,
    decontaminate: tuple[Path, ...],
    note: str | None,
    quiet: bool,
    exports: tuple[str, ...],
    as_json: bool,
) -> int:
    """Write N accepted pairs for each task.

    Exit codes: 0 every task has its N pairs; 1 stopped short, or a file in a folder is broken, and it is said why; 2 the
    request or the machine is at fault; 130 interrupted, everything is kept and the same command goes on.
    """
    from skills_dspy.base.config import Overrides
    from skills_dspy.cli.run import Options, run_command

    options = Options(
        task_paths=task_paths,
        wanted=wanted,
        output_dir=output_dir,
        config=config,
        overrides=Overrides(model=model, judge_model=judge_model, tagger_model=tagger_model, embedder=embedder),
        base_url=base_url,
        concurrency=concurrency,
        seed=seed,
        restart=restart,
        replay=replay,
        note=note,
        quiet=quiet,
        as_json=as_json,
        program=program,
        taxonomy_base=taxonomy_base,
        decontaminate=decontaminate,
        exports=exports,
    )
    return run_command(options)


@cli.command()
@click.argument("row_id")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("output"),
    show_default=True,
    help="Where runs live, or one run's directory.",
)
def explain(row_id: str, output_dir: Path) -> int:
    """Print the whole story of one row or rejection: examples shown, prompts and replies, verdicts, neighbour."""
    from skills_dspy.cli.explain import explain_command

    return explain_command(row_id, output_dir)


@cli.command(cls=ManyPaths)
@task_paths_option
@taxonomy_base_option
@click.option(
    "-n",
    "--num-outputs-to-generate",
    "wanted",
    type=click.IntRange(1, 10_000_000),
    default=20,
    show_default=True,
    help="Accepted pairs wanted, per task.",
)
@config_option
@model_option
@judge_option
@tagger_option
@base_url_option
@concurrency_option
@embedder_option
@click.option("--pull", is_flag=True, help="Pull the models that are missing.")
def check(
    task_paths: tuple[Path, ...],
    taxonomy_base: str | None,
    wanted: int,
    config: Path | None,
    model: str | None,
    judge_model: str | None,
    tagger_model: str | None,
    base_url: str,
    concurrency: int,
    embedder: str | None,
    pull: bool,
) -> int:
    """Find out before the night what would go wrong in it: host, models, windows, replies, speed, hours."""
    from skills_dspy.base.config import Overrides
    from skills_dspy.cli.check import CheckOptions, check_command

    overrides = Overrides(model=model, judge_model=judge_model, tagger_model=tagger_model, embedder=embedder)
    options = CheckOptions(task_paths, wanted, config, overrides, base_url, concurrency, pull, taxonomy_base)
    return check_command(options)


@cli.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@taxonomy_base_option
@config_option
@click.option("--strict", is_flag=True, help="Exit with 1 on any warning, not only on an error.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "json", "github"]),
    help="text for people, json for programs, github for annotations in GitHub Actions.  [default: text]",
)
@click.option("--rules", is_flag=True, help="List the rules instead.")
def tasks(
    paths: tuple[Path, ...],
    taxonomy_base: str | None,
    config: Path | None,
    strict: bool,
    as_json: bool,
    layout: str | None,
    rules: bool,
) -> int:
    """List the tasks of task files, qna.yaml files and taxonomies, and say what is wrong with them, without a model.

    Exit codes: 0 nothing keeps a file from being used; 1 an error was found, or with --strict a warning; 2 the request is at
    fault.
    """
    from skills_dspy.cli.tasks import TasksOptions, rules_command, tasks_command

    if as_json and layout not in (None, "json"):
        raise click.UsageError(f"--json and --format {layout} exclude one another")
    if rules:
        return rules_command()
    return tasks_command(TasksOptions(paths, taxonomy_base, config, strict, "json" if as_json else layout or "text"))


@cli.command(cls=ManyPaths)
@click.argument("name", required=False)
@task_paths_option
@config_option
@program_option
def prompts(name: str | None, task_paths: tuple[Path, ...], config: Path | None, program: Path | None) -> int:
    """Print each prompt, or the one named, as it will be sent, and where its text comes from.

    With --program: the compiled prompts beside the originals, as a diff.
    """
    from skills_dspy.cli.prompts import prompts_command

    return prompts_command(name, task_paths, config, program)


cli.add_command(decide)
cli.add_command(optimize)
cli.add_command(evaluate)
cli.add_command(export)


def start(argv: Sequence[str]) -> int:
    """Run a command; returns its exit code. A SkillsError becomes one sentence on stderr."""
    # Taken out of the environment: the ollama package reads it when it is imported, and trips over what is no address.
    host = os.environ.pop("OLLAMA_HOST", "") or DEFAULT_HOST
    with_host = {"base_url": host}
    defaults = {
        **dict.fromkeys(("run", "check", "decide", "optimize"), with_host),
        "eval": dict.fromkeys(("judges", "program"), with_host),
    }
    try:
        code = int(cli.main(args=list(argv), prog_name="skills_dspy", standalone_mode=False, default_map=defaults) or 0)
        sys.stdout.flush()
        return code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SkillsError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe went away, as `head` does: no error, but nothing more can be written there.
        _silence_stdout()
        return 1
    except OSError as error:
        # What a run writes has its own errors; this is stdout, on a full disk.
        if error.errno != errno.ENOSPC:
            raise
        _silence_stdout()
        click.echo(f"error: what is printed cannot be written: {error.strerror}; the run's files are whole", err=True)
        return 2


def _silence_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
