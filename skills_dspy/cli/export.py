"""`export`, and `--export` of `run`: accepted rows as files that trainers read."""

import math
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from skills_dspy.base.errors import ExportError, SkillsError

FORMATS = ("messages", "alpaca", "sharegpt", "instructlab", "parquet", "hf")
_EVERY = 100_000  # rows between two lines of progress


def _a_share(_: click.Context, __: click.Parameter, share: float | None) -> float | None:
    if share is not None and math.isnan(share):  # which click takes for a number in any range
        raise click.BadParameter("nan is not in the range 0<x<1.")
    return share


run_export_option = click.option(
    "--export",
    "exports",
    multiple=True,
    type=click.Choice(FORMATS),
    help="When the run has ended, also if it stopped short, export its rows to OUTPUT_DIR/exports, anew each time; for more "
    "formats give it again.",
)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--format", "layout", required=True, type=click.Choice(FORMATS), help="What for: see above.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The file to write; a folder for instructlab and hf, and with --test-share.",
)
@click.option("--system-prompt", metavar="TEXT", help="The system turn.  [default: none; for instructlab, InstructLab's own]")
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    callback=_a_share,
    metavar="SHARE",
    help="Set this share of the rows apart for testing; near-duplicates stay on one side.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Decides which rows are for testing.  [default: 0]")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export at --out.")
@click.option(
    "--push-to-hub",
    "repo",
    metavar="REPO",
    help="With --format hf: upload it to this dataset on the Hugging Face Hub, private.",
)
@click.option("--public", is_flag=True, help="With --push-to-hub: let everybody read it.")
def export(
    runs: tuple[Path, ...],
    layout: str,
    out: Path,
    system_prompt: str | None,
    test_share: float | None,
    seed: int | None,
    overwrite: bool,
    repo: str | None,
    public: bool,
) -> int:
    """Write the accepted rows of runs as training data; RUN is a run's directory or a folder of runs, several are merged.

    \b
    messages     chat JSONL (TRL, axolotl, OpenAI): context, blank line, question; then the answer
    alpaca       instruction, input (the context), output
    sharegpt     conversations of from and value
    instructlab  skills_train_msgs, node_datasets, recipe and test files of InstructLab
    parquet      all of a row in typed columns: tags, verdicts, provenance
    hf           a folder that datasets.load_dataset reads, with a dataset card; --push-to-hub uploads it

    Nothing leaves this machine without --push-to-hub.
    """
    from skills_dspy.commands.export.card import Split
    from skills_dspy.commands.export.export import check
    from skills_dspy.commands.export.source import find_sources

    if seed is not None and test_share is None:
        raise ExportError("--seed decides which rows are for testing; give --test-share too, or leave it out")
    if repo is not None and layout != "hf":
        raise ExportError(f"--push-to-hub uploads a dataset with its card; use --format hf instead of {layout}")
    if public and repo is None:
        raise ExportError("--public is about --push-to-hub; give a repository, or leave it out")
    token = None
    if repo is not None:
        from skills_dspy.commands.export.hub import require_token

        token = require_token()
    with _ended_by_sigterm():
        split = None if test_share is None else Split(test_share, seed or 0)
        request = _request(find_sources(runs), layout, out, system=system_prompt, split=split, overwrite=overwrite)
        check(request)
        for run in request.runs:
            if run.running:
                click.echo(f"warning: a run is still writing in {run.paths.folder}; exported is what it has now", err=True)
        _export(request, click.echo)
        if repo is not None:
            _push(out, repo, public, token)
    return 0


def export_run(folders: Sequence[Path], output_dir: Path, exports: Sequence[str], *, err: bool) -> None:
    """Export the rows of a run that has ended, to `output_dir`/exports; each export takes the place of the last one.

    Args:
        folders: the directories of the run's tasks.
        output_dir: where runs live.
        exports: the formats.
        err: whether to say so on stderr.
    """
    from skills_dspy.commands.export.export import FOLDERS, SUFFIX
    from skills_dspy.commands.export.source import find_sources

    def say(text: str) -> None:
        click.echo(text, err=err)

    if not exports:
        return
    with _ended_by_sigterm():
        try:
            sources = find_sources(folders)
        except ExportError as error:
            click.echo(f"not exported: {error}", err=True)
            return
        for layout in dict.fromkeys(exports):
            suffix = "" if layout in FOLDERS else SUFFIX.get(layout, ".jsonl")
            _export(_request(sources, layout, output_dir / "exports" / f"{layout}{suffix}", overwrite=True), say)


def _request(sources: Any, layout: Any, out: Path, **options: Any) -> Any:
    from skills_dspy.commands.export.export import ExportRequest

    stamp = datetime.now().astimezone().strftime("%Y-%m-%dT%H_%M_%S")
    return ExportRequest(runs=sources, format=layout, out=out, stamp=stamp, **options)


def _export(request: Any, say: Callable[[str], None]) -> None:
    from skills_dspy.commands.export.export import export as write

    done = write(request, _progress)
    rows, runs = sum(done.rows.values()), sum(run.end > 0 for run in request.runs)
    sides = f" ({', '.join(f'{side} {count}' for side, count in done.rows.items())})" if request.split else ""
    say(f"{rows} row{'s' * (rows != 1)} of {runs} run{'s' * (runs != 1)} as {request.format}{sides}: {done.out}")
    for said in dict.fromkeys(run.facts.answered_by for run in request.runs):
        say(f"Answered by: {said}")
    if done.repeated:
        click.echo(f"{done.repeated} rows left out: another of the runs has a row with the same id", err=True)
    if done.mended:
        click.echo(f"{done.mended} rows held half a character, which UTF-8 cannot write: it became U+FFFD", err=True)
    for sentence in done.compared.sentences(rows) if done.compared else ():
        click.echo(sentence, err=True)
    for path in done.left_behind:
        click.echo(f"left by an export that was killed, delete it: {path}", err=True)


def _progress(doing: str, rows: int) -> None:
    if rows % _EVERY == 0:
        click.echo(f"{doing}: {rows} rows", err=True)


def _push(folder: Path, repo: str, public: bool, token: str | None) -> None:
    from skills_dspy.commands.export.hub import upload

    seen = "where everybody can read it" if public else "privately"
    click.echo(f"Uploading {folder} to the Hugging Face Hub as {repo}, {seen} ...", err=True)
    try:
        address = upload(folder, repo, public=public, token=token)
    except SkillsError as error:
        click.echo(f"The export itself is whole: {folder}", err=True)
        raise error from None
    click.echo(f"Uploaded: {address}")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, so that nothing half-written stays behind."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
