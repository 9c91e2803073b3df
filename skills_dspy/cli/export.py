"""`export`, and `--export` of `run`: accepted rows as files that trainers read."""

import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from skills_dspy.base.errors import ExportError, NothingToExport, SkillsError
from skills_dspy.cli.shared.arguments import ExportOptions
from skills_dspy.cli.shared.interruptions import interrupted_by
from skills_dspy.cli.terminal.streams import echo, echo_json
from skills_dspy.commands.api.export import time_stamp
from skills_dspy.commands.export.card import Tally
from skills_dspy.commands.export.export import (
    FOLDERS,
    PREFERENCES,
    SUFFIX,
    WITH_CARD,
    ExportRequest,
    Format,
    odd_lines,
    refuse_wrong,
    running_lines,
    with_card_facts,
    write_export,
)
from skills_dspy.commands.export.source import find_sources
from skills_dspy.commands.export.split import Split

_EVERY = 100_000  # rows between two lines of progress
_BALANCED = 4 / 3  # so many times as many true as false ones need no weights, says TRL


def export_command(options: ExportOptions) -> int:
    """Export what was asked for, and upload it where that was asked for; returns the exit code."""
    if options.seed is not None and options.test_share is None:
        raise ExportError("--seed decides which rows are for testing; give --test-share too, or leave it out")
    layout = cast("Format", options.layout)
    if options.repo is not None and layout not in WITH_CARD:
        raise ExportError(f"--push-to-hub uploads a dataset with its card; use --format hf instead of {layout}")
    if options.public and options.repo is None:
        raise ExportError("--public is about --push-to-hub; give a repository, or leave it out")
    if options.repo is not None:
        from skills_dspy.commands.export.hub import require_token

        require_token()
    with interrupted_by(signal.SIGTERM):  # so that nothing half-written stays behind
        split = None if options.test_share is None else Split(options.test_share, options.seed or 0)
        sources = find_sources(options.runs, PREFERENCES.get(layout, "accepted"))
        how = (options.system_prompt, split, options.overwrite, options.thoughts, options.keep_residue, options.reviewed_only)
        request, said = with_card_facts(ExportRequest(sources, layout, options.out, time_stamp(), *how), options.judge_report)
        refuse_wrong(request)
        for line in running_lines(request):
            echo(f"warning: {line}", err=True)
        tell = partial(echo, err=options.as_json)
        done = _export(request, tell)
        for line in said:
            tell(line)
        address = None if options.repo is None else _push(options.out, options.repo, options.public, err=options.as_json)
    if options.as_json:
        echo_json({**_as_json(request, done), "uploaded": address})
    return 0


def export_run(folders: Sequence[Path], output_dir: Path, exports: Sequence[str], *, err: bool) -> None:
    """Export the rows of a run's tasks, once it has ended, to `output_dir`/exports, in the place of the last ones.

    With `err` it is said on stderr.
    """
    if not exports:
        return
    tell = partial(echo, err=err)
    try:
        with interrupted_by(signal.SIGTERM):
            sources = find_sources(folders)
            for layout in dict.fromkeys(exports):
                suffix = "" if layout in FOLDERS else SUFFIX.get(layout, ".jsonl")
                out = output_dir / "exports" / f"{layout}{suffix}"
                asked = ExportRequest(sources, cast("Format", layout), out, time_stamp(), overwrite=True)
                request, said = with_card_facts(asked)
                _export(request, tell)
                for line in said:
                    tell(line)
    except NothingToExport as error:
        echo(f"not exported: {error}", err=True)


def _as_json(request: ExportRequest, done: Tally) -> dict[str, object]:
    """What came of it, for a program."""
    return {
        "out": str(request.out),
        "format": request.format,
        "rows": dict(done.rows),
        "runs": [str(run.paths.folder) for run in request.runs],
        "answered_by": list(dict.fromkeys(run.facts.answered_by for run in request.runs)),
        "with_thoughts": done.thoughtful,
        "repeated": done.repeated,
        "left_out": list(done.left_over),
        "mended": done.mended,
        "labels": {str(label).lower(): done.labels[label] for label in (True, False)} if request.rows == "judged" else None,
        "reviews": {verdict: count for verdict, count in done.looked_at.items() if verdict != "none"},
    }


def _export(request: ExportRequest, say: Callable[[str], None]) -> Tally:
    done = write_export(request, _progress)
    rows = sum(done.rows.values())
    runs = sum((run.pairs_end if request.rows == "pairs" else run.end) > 0 for run in request.runs)
    sides = f" ({', '.join(f'{side} {count}' for side, count in done.rows.items())})" if request.split else ""
    what = "pair" if request.rows == "pairs" else "row"
    say(f"{rows} {what}{'s' * (rows != 1)} of {runs} run{'s' * (runs != 1)} as {request.format}{sides}: {request.out}")
    for line in _preferred(request, done):
        say(line)
    for said in dict.fromkeys(run.facts.answered_by for run in request.runs):
        say(f"Answered by: {said}")
    if (looked := done.reviews()) is not None:
        say(looked)
    if request.thoughts:
        none = (
            ""
            if done.thoughtful or done.spoilt
            else "; `think` in the configuration of a run says whether the generator has any"
        )
        say(f"{done.thoughtful} of {rows} rows have thoughts{none}")
    for line in odd_lines(request, done):
        echo(line, err=True)
    return done


def _preferred(request: ExportRequest, done: Tally) -> Iterator[str]:
    """What a trainer has to know of preferences: how many are on each side, and how long their answers are."""
    yield from done.lengths.sentences()
    if request.rows != "judged":
        return
    good, bad = done.labels[True], done.labels[False]
    yield f"Labels: {good} true, {bad} false"
    if not bad:
        border = "; `decide` with stricter thresholds moves the border"  # but not past what a person said
        yield "Nothing was rejected for its answer, so no row is false" + border * (done.read < good)
    elif good and not 1 <= good / bad <= _BALANCED:
        which, weight = ("undesirable", good / bad) if good > bad else ("desirable", bad / good)
        yield f"For as much weight on both sides give KTOConfig {which}_weight={weight:.2f}"


def _progress(doing: str, rows: int) -> None:
    if rows % _EVERY == 0:
        echo(f"{doing}: {rows} rows", err=True)


def _push(folder: Path, repo: str, public: bool, *, err: bool) -> str:
    from skills_dspy.commands.export.hub import upload

    seen = "where everybody can read it" if public else "privately"
    echo(f"Uploading {folder} to the Hugging Face Hub as {repo}, {seen} ...", err=True)
    try:
        address = upload(folder, repo, public=public)
    except SkillsError as error:
        echo(f"The export itself is whole: {folder}", err=True)
        raise error from None
    echo(f"Uploaded: {address}", err=err)
    return address
