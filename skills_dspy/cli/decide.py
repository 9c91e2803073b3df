"""`decide`: what other thresholds would have accepted, as a diff of the funnel, and a new dataset beside the old."""

import asyncio
import json
import os
import random
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Reason
from skills_dspy.cli.arguments import DecideOptions
from skills_dspy.cli.summary import command
from skills_dspy.commands.decide.dataset import DecideRequest, Redecided, prepare, redecide
from skills_dspy.commands.decide.decided import Prepared
from skills_dspy.commands.decide.thresholds import Bounds
from skills_dspy.model.ollama import OllamaServer, without_secrets
from skills_dspy.model.replies import Meter
from skills_dspy.pipeline.funnel_diff import FunnelDiff, ranked

DONE, INTERRUPTED = 0, 130
_LINE_EVERY = 15.0
"""Seconds between two lines of progress where there is no terminal."""


def decide_command(options: DecideOptions) -> int:
    """Decide a run anew; returns the exit code.

    Raises:
        SkillsError: the run, the thresholds, the server or the disk are not as they should be.
    """
    bounds = Bounds(
        options.min_sample_quality, options.min_instruction_quality, options.min_pair_rating, options.max_squared_distance
    )
    request = DecideRequest(
        options.run, options.config, bounds, options.out, options.dry_run, options.server.concurrency, options.note
    )
    if options.fill and options.dry_run:
        raise RequestError("--dry-run writes nothing, and --fill asks for replies to keep; leave one of the two out")
    prepared = prepare(request)
    progress = _Progress(options.quiet)
    try:
        with progress.shown:
            done = asyncio.run(_decide(request, options, prepared, progress))
    except (KeyboardInterrupt, asyncio.CancelledError):
        kept = "the replies that came are kept in the run's journal" if options.fill else "nothing was written"
        again = without_secrets(shlex.join(sys.argv[1:]))
        click.echo(f"Interrupted; {kept}. Go on with: {command()} {again}", err=True)
        return INTERRUPTED
    if options.as_json:
        click.echo(json.dumps(as_json(done), ensure_ascii=False, indent=2))
    else:
        print_decided(done, options.fill)
    return DONE


async def _decide(request: DecideRequest, options: DecideOptions, prepared: Prepared, progress: "_Progress") -> Redecided:
    main = asyncio.current_task()
    assert main is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
    server = None
    if options.fill:
        server = OllamaServer(
            options.server.base_url,
            prepared.config.server,
            concurrency=request.concurrency,
            jitter=random.Random(os.getpid()),
            on_fault=lambda fault, pause: progress.say(f"{fault.error} Asking again in {pause:.0f} s."),
        )
    return await redecide(request, prepared, server, progress.told)


class _Progress:
    """One line that changes in a terminal, now and then a line elsewhere; on stderr."""

    def __init__(self, quiet: bool) -> None:
        self._status: Status | None = None
        self._quiet = quiet
        self._printed = time.monotonic()
        self.shown: AbstractContextManager[object] = nullcontext()
        if not quiet and sys.stderr.isatty():
            self.shown = self._status = Console(stderr=True).status("reading the run ...")

    def told(self, total: int, diff: FunnelDiff, meter: Meter) -> None:
        """A candidate was decided."""
        due = time.monotonic() - self._printed >= (0.2 if self._status is not None else _LINE_EVERY)
        if due and not self._quiet:
            asked = f", {meter.live} calls" if meter.live else ""
            self.say(f"{diff.after.candidates} of {total} candidates decided, {diff.after.accepted} accepted{asked}")

    def say(self, line: str) -> None:
        """Show a line."""
        self._printed = time.monotonic()
        if self._status is not None:
            self._status.update(escape(line))
        elif not self._quiet:
            click.echo(line, err=True)


def print_decided(done: Redecided, filled: bool, console: Console | None = None) -> None:
    """What came of it, for a person, on stdout."""
    out = console or Console(highlight=False, soft_wrap=True, emoji=False)
    diff = done.decided.diff
    before, after = diff.before.accepted, diff.after.accepted
    out.print(f"\n[bold]{escape(done.task_name)}[/bold]: {before} accepted before, {after} now")
    for keys, old, new in done.changed:
        out.print(f"{'.'.join(keys)}: {escape(_shown(old))} then, {escape(_shown(new))} now")
    if not done.changed:
        out.print("The thresholds are those that the run was made with.")
    if not done.finished:
        out.print(
            f"The run is not finished ({escape(done.status)}): decided are the {diff.after.candidates} candidates that it has "
            "settled."
        )
    out.print(diff_table(diff))
    out.print(side_line("Lost", diff.lost_to, diff.lost, "to"))
    out.print(side_line("Gained", diff.gained_from, diff.gained, "from"))
    missing = diff.not_asked
    if missing:
        stages = ", ".join(f"{count} from {stage} on" for stage, count in missing.items())
        out.print(f"Left out, because that would need replies which were never asked for: {_candidates(missing)} ({stages}).")
        out.print(f"--fill asks for those alone, about {done.decided.calls_left} calls: {escape(_fill_command())}")
    if filled:
        out.print(f"Asked now: {done.decided.live} calls; all else was in the journal.")
    if done.dataset is None:
        out.print("Nothing was written (--dry-run).")
        return
    if done.set_aside is not None:
        out.print(f"The older dataset of that name is now {escape(str(done.set_aside))}")
    out.print(f"Data: {escape(str(done.dataset / 'data.jsonl'))}")


def diff_table(diff: FunnelDiff) -> Table:
    """The funnel before and after: who was rejected where and why, and who was accepted."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("why")
    for heading in ("before", "after", "change"):
        table.add_column(heading, justify="right")
    for row in diff.changes():
        table.add_row(row.stage, row.reason, str(row.before), str(row.after), _signed(row.after - row.before))
    before, after = diff.before.accepted, diff.after.accepted
    table.add_row("accepted", "", str(before), str(after), _signed(after - before))
    return table


def side_line(name: str, fates: Mapping[tuple[str, Reason], int], ids: list[str], way: str) -> str:
    """How many rows were gained or lost, from or to where, and the first few ids."""
    count = sum(fates.values())
    if not count:
        return f"{name}: none"
    where = ", ".join(f"{number} {way} {stage} ({reason})" for stage, reason, number in ranked(fates))
    return f"{name}: {count} ({where}): {', '.join(ids)}{' ...' if count > len(ids) else ''}"


def as_json(done: Redecided) -> dict[str, Any]:
    """What came of it, for a program."""
    return {
        "task_name": done.task_name,
        "run": str(done.run),
        "run_status": done.status,
        "changed": [{"setting": ".".join(keys), "then": old, "now": new} for keys, old, new in done.changed],
        **done.decided.diff.as_json(),
        "calls_left": done.decided.calls_left,
        "calls_made": done.decided.live,
        "dataset": None if done.dataset is None else str(done.dataset),
        "set_aside": None if done.set_aside is None else str(done.set_aside),
    }


def _candidates(missing: Mapping[str, int]) -> str:
    count = sum(missing.values())
    return "1 candidate" if count == 1 else f"{count} candidates"


def _signed(change: int) -> str:
    return f"{change:+d}" if change else "0"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _fill_command() -> str:
    """This command with --fill."""
    words = [word for word in sys.argv[1:] if word not in ("--dry-run", "--fill")]
    return f"{command()} {without_secrets(shlex.join([*words, '--fill']))}"
