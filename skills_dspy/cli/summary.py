"""What is shown when a run has ended: the funnel, what rejected most, the cost, the files, the next command."""

import json
import shlex
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skills_dspy.base.errors import SpecError
from skills_dspy.base.residue import THOUGHTS
from skills_dspy.base.yaml_lines import shown
from skills_dspy.cli.terminal.consoles import make_console, make_table, unmarked
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.server.connections import without_secrets
from skills_dspy.pipeline.funnel import HABITS, SCREENING, SELDOM, STAGES, Funnel, added_up
from skills_dspy.run.headway import FEW, headway_of, short_name
from skills_dspy.run.task import TaskView
from skills_dspy.screens.benchmark import Benchmark
from skills_dspy.store.run_json import used_in_words
from skills_dspy.tasks.held_out import held_out_in_words

_LONG = 150
"""So many characters are shown of what went wrong, and of a reply."""


def print_summary(
    tasks: Sequence[TaskView], *, replayed: bool, console: Console | None = None, slots: Slots | None = None
) -> None:
    """The end of a run, for a person, on stdout."""
    out = console or make_console(soft_wrap=True)
    if len(tasks) > FEW:
        _print_many(tasks, replayed, out)
    else:
        for task in tasks:
            _print_one(task, replayed, out)
    if told := held_out_in_words((task.spec.held_out, task.spec.seed_examples) for task in tasks):
        out.print(f"\nHeld out: {told} seeds, which no prompt shows.")
    for answered_by in dict.fromkeys(task.answered_by for task in tasks):
        out.print(f"\nAnswered by: {escape(answered_by)}")
    for line in _hosts(tasks, slots):
        out.print(escape(line))
    explained = next((task for task in tasks if task.run.funnel.accepted), None)
    if explained is not None:
        again = f"{command()} explain ROW_ID --output-dir {_quoted(explained.paths.folder)}"
        out.print(f"The story of a row: {escape(again)}")


def _hosts(tasks: Sequence[TaskView], slots: Slots | None) -> Iterator[str]:
    """A line for each of several hosts: what it has done for all tasks, and why it gets nothing."""
    total: dict[str, Counter[str]] = {}
    for name, used in (host for task in tasks for host in task.usage.get("by_host", {}).items()):
        total.setdefault(name, Counter()).update(used)
    why = {lane.name: lane.why for lane in slots.lanes if lane.why} if slots is not None else {}
    for name, used in total.items():
        yield f"  {name}: {used_in_words(used)}{f'; it got nothing in the end: {why[name]}' if name in why else ''}"


def _print_one(task: TaskView, replayed: bool, out: Console) -> None:
    funnel, name, status = task.run.funnel, escape(task.spec.task_name), escape(task.status)
    out.print(f"\n[bold]{name}[/bold]: {funnel.accepted} of {task.wanted} accepted, {status}")
    if task.description is not None:
        out.print(f"Description (derived): {escape(task.description)}")
    if task.variety is not None:
        out.print(f"Variety (planned): {escape(_variety(task))}")
    if task.error is not None and not funnel.candidates:
        return
    _print_funnel(funnel, task.evaluation, out)
    out.print(cost_line(task.usage, funnel.accepted, replayed))
    _print_soft([task], out)
    out.print(f"Data: {escape(str(task.paths.data))}")


def _print_many(tasks: Sequence[TaskView], replayed: bool, out: Console) -> None:
    """A line for each task, then the funnel of all together, what failed, and what it cost."""
    numbers = ("accepted", "candidates", "calls")
    table = make_table("task", *numbers, "ended", numbers=numbers)
    for task in tasks:
        funnel, calls = task.run.funnel, task.usage.get("calls", "")
        # What failed is told below, in a sentence.
        ended = "failed" if task.error is not None else task.status
        accepted = f"{funnel.accepted} of {task.wanted}"
        table.add_row(unmarked(short_name(task)), accepted, str(funnel.candidates), str(calls), unmarked(ended))
    out.print()
    out.print(table)
    total, funnel = headway_of(tasks), added_up([task.run.funnel for task in tasks])
    out.print(f"\n[bold]total[/bold]: {total.counted()}, {total.accepted} of {total.wanted} pairs accepted")
    _print_funnel(funnel, tasks[0].evaluation, out)
    known = [task.usage for task in tasks if task.usage]
    usage = {name: sum(usage[name] for usage in known) for name in ("calls", "prompt_tokens", "output_tokens")} if known else {}
    out.print(cost_line(usage, funnel.accepted, replayed))
    _print_soft(tasks, out)
    derived = sum(task.description is not None for task in tasks)
    if derived:
        out.print(f"Descriptions (derived): of {derived} tasks; each stands in the task's run.json.")
    for task in tasks:
        if task.error is not None:
            out.print(f"[red]failed[/red] {escape(task.spec.task_name)}: {escape(str(task.error))}")


def _variety(task: TaskView) -> str:
    """The axes with a few of their values."""
    few = [f"{axis.name} ({', '.join(axis.values[:3])}{', ...' * (len(axis.values) > 3)})" for axis in task.variety or ()]
    return "; ".join(few) or f"none, for the model named nothing that can be used ({task.unplanned})"


def _print_funnel(funnel: Funnel, evaluation: Benchmark | None, out: Console) -> None:
    out.print(funnel_table(funnel, screened=evaluation is not None))
    most = max(funnel.rows(), key=lambda row: row[2], default=None)
    if most is not None:
        out.print(f"Most rejected by {most[0]} ({most[1]}): {most[2]} of {funnel.candidates} candidates.")
    for line in _failures(funnel):
        out.print(escape(line))
    lost = sum(funnel.rejections(stage) for stage in HABITS)
    if lost or funnel.rewritten:
        out.print(f"Like too many others: {funnel.rewritten} answers were written again, {lost} candidates rejected (habits).")
    if evaluation is not None:
        files = ", ".join(f"{file.name} ({file.questions})" for file in evaluation.files)
        against = f"Decontaminated against {len(evaluation.questions)} evaluation questions: {files}."
        out.print(escape(against))


def _failures(funnel: Funnel) -> Iterator[str]:
    """What went wrong where that is what most failed for, and what was lost because of the server."""
    for (stage, reason), (detail, raw) in funnel.first.items():
        if reason != "server failed" and 2 * funnel.rejected[stage, reason] >= funnel.candidates and not funnel.accepted:
            yield f"The first of them: {shown(detail, _LONG)}; the reply: {shown(raw, _LONG) or 'empty'}"
            if reason in ("unreadable", "truncated") or (reason == "residue" and THOUGHTS in detail):
                yield f"`{command()} check` tries whether the model can be used with another `think`, and names it."
    lost = {stage: count for stage, reason, count in funnel.rows() if reason == "server failed"}
    if lost:
        where = ", ".join(f"{stage} {count}" for stage, count in lost.items())
        why = shown(funnel.first.get((next(iter(lost)), "server failed"), ("it is not known why", ""))[0], 2 * _LONG)
        yield f"Lost to the server: {sum(lost.values())} of {funnel.candidates} candidates ({where}). The first: {why}"
    if funnel.tags_lost:
        yield f"Lost to the server: {funnel.tags_lost} tags of accepted pairs; they are empty, and their explanations say why."
    if lost or funnel.tags_lost:
        yield "What it could not answer is noted in the journal, and is not asked again."


def funnel_table(funnel: Funnel, *, screened: bool = False) -> Table:
    """Stage by stage: how many came, went on, or were rejected for what; `screened` shows decontamination in any case."""
    numbers = ("came", "rejected", "went on")
    table = make_table("stage", *numbers, "why", numbers=numbers)
    for stage in STAGES:
        came, lost = funnel.reached(stage), funnel.rejections(stage)
        if not lost and stage in SELDOM and not (screened and stage in SCREENING):
            continue
        why = ", ".join(f"{reason} {count}" for at, reason, count in funnel.rows() if at == stage)
        table.add_row(stage, str(came), str(lost), str(came - lost), why)
    table.add_row("accepted", "", "", str(funnel.accepted), "")
    return table


def cost_line(usage: Mapping[str, Any], accepted: int, replayed: bool) -> str:
    """Calls and tokens, in all and for each accepted pair; some servers tell no tokens."""
    if not usage:
        return "Cost: unknown, because the journal cannot be read."
    calls, tokens = usage["calls"], usage["prompt_tokens"] + usage["output_tokens"]
    source = " (all from the recording)" if replayed else ""
    if calls and not tokens:
        each = f", {calls / accepted:.1f} for each accepted pair" if accepted else ""
        return f"Cost: {calls} calls{each}{source}; the server does not tell how many tokens."
    each = f", {calls / accepted:.1f} calls and {tokens / accepted:.0f} tokens for each accepted pair" if accepted else ""
    return f"Cost: {calls} calls, {tokens} tokens{each}{source}."


def _print_soft(tasks: Sequence[TaskView], out: Console) -> None:
    """From how many replies soft ratings could be read, where they were asked for."""
    counts = [task.soft_ratings for task in tasks if task.soft_ratings and task.soft_ratings["asked"]]
    if counts:
        asked, read = (sum(count[name] for count in counts) for name in ("asked", "read"))
        others = "" if read == asked else "; with the others came no log-probabilities, or none that tell of their labels"
        out.print(f"Soft ratings: read from {read} of {asked} rated replies{others}.")


def json_summary(tasks: Sequence[TaskView], broken: Sequence[SpecError] = ()) -> str:
    """The end of a run, for a program; `broken` are the files that could not be used."""
    rows = [
        {
            "task_name": task.spec.task_name,
            "status": task.status,
            "derived_description": task.description,
            "variety": None if task.variety is None else {axis.name: axis.values for axis in task.variety},
            **({"held_out": len(task.spec.held_out)} if task.spec.held_out else {}),
            "wanted": task.wanted,
            "answered_by": task.answered_by,
            "funnel": task.run.funnel.as_json(),
            "usage": task.usage,
            "soft_ratings": task.soft_ratings,
            "data": str(task.paths.data),
            "rejected": str(task.paths.rejected),
            "run": str(task.paths.run_json),
        }
        for task in tasks
    ]
    left_out = [{"path": str(error.path), "line": error.line, "message": str(error)} for error in broken]
    return json.dumps({"tasks": rows, "broken": left_out}, ensure_ascii=False, indent=2)


def resume_line(tasks: Sequence[TaskView]) -> str:
    """What to do after an interruption."""
    accepted = ", ".join(f"{t.run.funnel.accepted} of {t.wanted} for {t.spec.task_name}" for t in tasks)
    if len(tasks) > FEW:
        total = headway_of(tasks)
        accepted = f"{total.accepted} of {total.wanted} for {total.tasks} tasks"
    kept = f"Interrupted; everything is kept ({accepted})." if tasks else "Interrupted before anything was asked."
    return f"{kept} Go on with: {typed_again(without=('--restart',))}"


def typed_again(*, without: Collection[str] = (), more: Sequence[str] = ()) -> str:
    """The command that was typed, with no secret in it, so that it works when it is pasted: less some words, and with more."""
    words = [word for word in sys.argv[1:] if word not in without]
    return f"{command()} {without_secrets(shlex.join([*words, *more]))}"


def command() -> str:
    """How the program was started, so that a command that is shown works when it is pasted."""
    if Path(sys.argv[0]).name == "skills-dspy":
        return "skills-dspy"
    python = Path(sys.executable)
    return f"{_quoted(python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python)} -m skills_dspy"


def _quoted(path: object) -> str:
    return shlex.quote(str(path))
