"""`decide`: what other thresholds would have accepted, as a diff of the funnel, and a new dataset beside the old."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skills_dspy.base.errors import Interrupted, RequestError
from skills_dspy.base.records import Reason
from skills_dspy.cli.progress import Progress
from skills_dspy.cli.shared.arguments import DecideOptions
from skills_dspy.cli.shared.sessions import open_server, run_until_done
from skills_dspy.cli.summary import typed_again
from skills_dspy.cli.terminal.consoles import make_console, make_table
from skills_dspy.cli.terminal.streams import echo, echo_json
from skills_dspy.commands.decide.again import DecideResult
from skills_dspy.commands.decide.dataset import DecideRequest, decide_run, prepare
from skills_dspy.commands.decide.pairs import PairCounts
from skills_dspy.commands.decide.thresholds import Bounds
from skills_dspy.model.replies import Meter
from skills_dspy.pipeline.funnel import FunnelDiff, ranked


def decide_command(options: DecideOptions) -> int:
    """Decide a run anew; returns the exit code."""
    bounds = Bounds(
        options.min_sample_quality, options.min_instruction_quality, options.min_pair_rating, options.max_squared_distance
    )
    request = DecideRequest(
        options.run,
        options.config,
        bounds,
        options.out,
        options.dry_run,
        options.server.concurrency,
        options.note,
        pairs=options.pairs,
        fill=options.fill,
    )
    asking = "--fill" if options.fill else "--pairs" if options.pairs is not None else None
    if asking and options.dry_run:
        raise RequestError(f"--dry-run writes nothing, and {asking} asks for replies to keep; leave one of the two out")
    prepared = prepare(request)
    progress = Progress(quiet=options.quiet)
    progress.update("reading the run ...")

    def count(total: int, diff: FunnelDiff, meter: Meter) -> None:
        asked = f", {meter.live} calls" if meter.live else ""
        progress.update(f"{diff.after.candidates} of {total} candidates decided, {diff.after.accepted} accepted{asked}")

    def count_pairs(found: int, asked: int, meter: Meter) -> None:
        progress.update(f"{found} of {options.pairs} pairs, {asked} second answers, {meter.live} calls")

    async def work() -> DecideResult:
        asked, connection = options.server.over(prepared.config), options.server.connection
        server = open_server(connection, asked, progress.fault, progress.say) if asking else None
        return await decide_run(request, prepared, server, count, on_pair=count_pairs)

    try:
        with progress:
            done = run_until_done(work())
    except Interrupted:
        kept = "the replies that came are kept in the run's journal" if asking else "nothing was written"
        echo(f"Interrupted; {kept}. Go on with: {typed_again()}", err=True)
        raise
    if options.as_json:
        echo_json(result_json(done))
    else:
        print_decided(done, bool(asking))
    return 0


def print_decided(done: DecideResult, filled: bool, console: Console | None = None) -> None:
    """What came of it, for a person, on stdout."""
    out = console or make_console(soft_wrap=True)
    diff, prepared = done.diff, done.prepared
    before, after = diff.before.accepted, diff.after.accepted
    out.print(f"\n[bold]{escape(prepared.recorded.spec.task_name)}[/bold]: {before} accepted before, {after} now")
    for keys, old, new in prepared.changed:
        then, now = (escape(json.dumps(value, ensure_ascii=False)) for value in (old, new))
        out.print(f"{'.'.join(keys)}: {then} then, {now} now")
    if not prepared.changed:
        out.print("The thresholds are those that the run was made with.")
    if not prepared.finished:
        out.print(
            f"The run is not finished ({escape(prepared.status)}): decided are the {diff.after.candidates} candidates that it "
            "has settled."
        )
    out.print(diff_table(diff))
    out.print(side_line("Lost", diff.lost_to, diff.lost, "to"))
    out.print(side_line("Gained", diff.gained_from, diff.gained, "from"))
    _print_unasked(done, out)
    if filled:
        lost = f", and {done.lost} that the server could not answer, though it answered others" if done.lost else ""
        out.print(f"Asked now: {done.live} calls{lost}; all else was in the journal.")
    if done.paired is not None:
        _print_pairs(done.paired, out)
    if done.dataset is None:
        out.print("Nothing was written (--dry-run).")
        return
    if done.set_aside is not None:
        out.print(f"The older dataset of that name is now {escape(str(done.set_aside))}")
    out.print(f"Data: {escape(str(done.dataset / 'data.jsonl'))}")
    if done.paired is not None and done.paired.found:
        out.print(f"Pairs: {escape(str(done.dataset / 'pairs.jsonl'))}, which `export --format dpo` makes training data of")


def _print_pairs(paired: PairCounts, out: Console) -> None:
    """How many pairs there are, why not more, and how long their answers are."""
    why = "; ".join(f"{count} {reason}" for reason, count in sorted(paired.lost.items(), key=lambda item: (-item[1], item[0])))
    without = f", {paired.lost.total()} without a pair ({why})" if why else ""
    out.print(f"Pairs: {paired.found} of the {paired.wanted} wanted, from {paired.asked} second answers{without}.")
    if paired.found < paired.wanted:
        again = "each was asked again" if paired.short else "so there is nobody to ask again"
        out.print(f"There are no more: the answers of {paired.short or 'no'} candidates were rejected or middling, {again}.")
    for sentence in paired.lengths.sentences():
        out.print(sentence)


def _print_unasked(done: DecideResult, out: Console) -> None:
    """Who lacks a reply that was never asked for, and how to ask."""
    if missing := done.diff.not_asked:
        stages = ", ".join(f"{count} from {stage} on" for stage, count in missing.items())
        count = sum(missing.values())
        candidates = f"{count} candidate{'s' * (count != 1)} ({stages})"
        out.print(f"Left out, because that would need replies which were never asked for: {candidates}.")
    if done.untagged:
        out.print(f"Accepted without difficulty or category, which were never asked for: {done.untagged}.")
    if done.calls_left:
        again = typed_again(without=("--dry-run", "--fill"), more=("--fill",))
        out.print(f"--fill asks for those alone, about {done.calls_left} calls: {escape(again)}")


def diff_table(diff: FunnelDiff) -> Table:
    """The funnel before and after: who was rejected where and why, and who was accepted."""
    numbers = ("before", "after", "change")
    table = make_table("stage", "why", *numbers, numbers=numbers)
    for stage, reason, old, new in diff.changes():
        table.add_row(stage, reason, str(old), str(new), _signed(new - old))
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


def result_json(done: DecideResult) -> dict[str, Any]:
    """What came of it, for a program."""
    return {
        "task_name": done.prepared.recorded.spec.task_name,
        "run": str(done.prepared.recorded.paths.folder),
        "run_status": done.prepared.status,
        "changed": [{"setting": ".".join(keys), "then": old, "now": new} for keys, old, new in done.prepared.changed],
        **done.diff.as_json(),
        "calls_left": done.calls_left,
        "calls_made": done.live,
        **({} if done.paired is None else {"pairs": done.paired.as_json()}),
        "dataset": None if done.dataset is None else str(done.dataset),
        "set_aside": None if done.set_aside is None else str(done.set_aside),
    }


def _signed(change: int) -> str:
    return f"{change:+d}" if change else "0"
