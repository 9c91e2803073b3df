"""What a report says of runs as a whole: their funnels, and facts and remarks in words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from skills_dspy.base.records import Rejection
from skills_dspy.base.visible import visible_line
from skills_dspy.commands.report.reading import ShownRun
from skills_dspy.pipeline.funnel import HABITS, SCREENING, SELDOM, STAGES, Funnel, added_up
from skills_dspy.store.run_json import NotedServer
from skills_dspy.tasks.held_out import held_out_in_words

_OF_CONTEXTS = ("write_context", "judge_context")
"""Stages that a candidate without a context does not have."""


@dataclass(frozen=True, slots=True)
class View:
    """One run, or several together, as a page can show it by itself or beside another; `runs` are their numbers."""

    name: str
    runs: tuple[int, ...]


def views_of(runs: Sequence[ShownRun], sides: Sequence[str]) -> tuple[View, ...]:
    """What can be chosen of runs, each of which stands on the side that is named beside it: a side, and each run."""
    names = [run.name for run in runs]
    found = []
    for side in dict.fromkeys(sides):
        own = tuple(number for number, other in enumerate(sides) if other == side)
        if len(own) > 1:
            name = "both runs" if len(own) == 2 else f"all {len(own)} runs"
            found.append(View(f"{side}: {name}" if side else name, own))
        for number in own:
            same = names.count(names[number]) > 1
            found.append(View(f"{names[number]} ({runs[number].paths.folder})" if same else names[number], (number,)))
    return tuple(found)


def funnel_of(run: ShownRun) -> Funnel:
    """The funnel of the rows that are there."""
    funnel = Funnel()
    for row in run.rows:
        if isinstance(row, Rejection):
            funnel.reject(row.stage, row.reason)
        else:
            funnel.accept()
    return funnel


def came_to(run: ShownRun, funnel: Funnel) -> Counter[str]:
    """How many rows of a run came to each stage, of those that have it: some only contexts have, and some only some runs."""
    own = {stage for stage in STAGES if stage not in (*SCREENING, *HABITS) or funnel.rejections(stage)}
    if run.about.decontamination is not None:
        own.update(SCREENING)
    if (run.about.config or {}).get("habits", {}).get("watched"):
        own.update(HABITS)
    came = Counter[str]()
    for row in run.rows:
        end = row.stage if isinstance(row, Rejection) else STAGES[-1]
        ways = (stage for stage in STAGES[: STAGES.index(end) + 1] if stage in own)
        came.update(way for way in ways if way not in _OF_CONTEXTS or way == end or way in row.provenance.calls)
    return came


def view_json(
    view: View, runs: Sequence[ShownRun], funnels: Sequence[Funnel], remarks: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """A view for the page."""
    chosen = [runs[number] for number in view.runs]
    funnel = added_up(funnels[number] for number in view.runs)
    came = sum((came_to(runs[number], funnels[number]) for number in view.runs), Counter[str]())
    several = len(chosen) > 1
    return {
        "name": visible_line(view.name),
        "runs": view.runs,
        "candidates": funnel.candidates,
        "accepted": funnel.accepted,
        "funnel": [_stage(funnel, stage, came[stage]) for stage in STAGES if funnel.rejections(stage) or stage not in SELDOM],
        "facts": [[label, visible_line(text)] for label, text in _facts(chosen, funnel)],
        "remarks": [
            visible_line(f"{runs[number].name}: {remark}" if several else remark)
            for number in view.runs
            for remark in remarks[number]
        ],
    }


def _stage(funnel: Funnel, stage: str, came: int) -> dict[str, Any]:
    rejected = funnel.rejections(stage)
    why = {reason: count for at, reason, count in funnel.rows() if at == stage}
    return {"stage": stage, "came": came, "rejected": why, "on": came - rejected}


def _facts(runs: Sequence[ShownRun], funnel: Funnel) -> Iterator[tuple[str, str]]:
    if len(runs) == 1:
        yield from _described(runs[0])
    if held := held_out_in_words((run.about.held_out, run.seeds) for run in runs):
        yield "seeds held out", held
    yield "candidates", str(funnel.candidates)
    share = f" ({100 * funnel.accepted / funnel.candidates:.1f} %)" if funnel.candidates else ""
    wanted = [run.about.wanted for run in runs]
    asked = f" of {sum(filter(None, wanted))} wanted" if all(wanted) else ""
    yield "accepted", f"{funnel.accepted}{asked}{share}"
    if worst := funnel.rows():
        stage, reason, count = max(worst, key=lambda row: row[2])
        yield "most rejected", f"{count} by {stage} ({reason})"
    used = [run.about.result.usage for run in runs if run.about.result is not None]
    if used and all(isinstance(usage.get("calls"), int) for usage in used):
        calls = sum(usage["calls"] for usage in used)
        tokens = sum(usage.get("prompt_tokens", 0) + usage.get("output_tokens", 0) for usage in used)
        each = (
            f", {calls / funnel.accepted:.1f} and {tokens / funnel.accepted:.0f} for each accepted" if funnel.accepted else ""
        )
        yield "calls and tokens", f"{calls} and {tokens}{each}"
    ends = Counter(run.about.status or "unknown" for run in runs)
    yield "status", "; ".join(f"{count} {end}" if len(runs) > 1 else end for end, count in ends.items())
    yield "answered by", _each(_answered_by(run) for run in runs)
    if hosts := _each(_hosts(runs)):
        yield "hosts", hosts
    yield "models", _each(_models(run) for run in runs)
    yield "run seed", _each("unknown" if run.about.inputs is None else str(run.about.inputs.seed) for run in runs)
    yield "embedding model", _each(run.about.embedder.name or "unknown" for run in runs)


def _each(values: Iterator[str] | Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def _described(run: ShownRun) -> Iterator[tuple[str, str]]:
    """What the prompts said that the skill is, and the axes along which questions were to differ."""
    yield "skill", run.about.description(marked=True)
    if run.about.variety is not None and run.about.variety.axes:
        yield "varied by", ", ".join(axis.name for axis in run.about.variety.axes)


def _answered_by(run: ShownRun) -> str:
    server = run.about.server or NotedServer()
    return server.answered_by if server.note or server.version else "unknown"


def _hosts(runs: Sequence[ShownRun]) -> Iterator[str]:
    for run in runs:
        usage = {} if run.about.result is None else run.about.result.usage
        yield from (host.in_words(usage) for host in (run.about.server or NotedServer()).hosts)


def _models(run: ShownRun) -> str:
    models = {} if run.about.inputs is None else run.about.inputs.models or {}
    roles: dict[str, list[str]] = {}
    for role, model in models.items():
        roles.setdefault(f"{model.name} (digest {model.digest[:12]})", []).append(role)
    return ", ".join(f"{name} as {' and '.join(own)}" for name, own in roles.items()) or "unknown"


def remarks_of(run: ShownRun, funnel: Funnel, missing: int, unrated: int) -> Iterator[str]:
    """What a reader should know who looks at the rows of a run.

    `missing` is how many replies of the rows' stories the journal lacks, `unrated` how many rejected rows lack one for that.
    """
    if run.running:
        yield "a run is still writing there; shown is what it had."
    if not run.paths.journal.is_file():
        yield (
            "there is no journal (journal.sqlite), so the page has no prompts and replies, no ratings of rejected candidates "
            "and no place on the map of diversity."
        )
    elif missing:
        yield f"the journal lacks {missing} replies of these rows' stories; {unrated} rejected rows may lack ratings for that."
    counted = None if run.about.result is None else run.about.result.funnel
    if counted is not None and (counted.candidates, counted.accepted) != (funnel.candidates, funnel.accepted):
        yield (
            f"run.json counts {counted.candidates} candidates and {counted.accepted} accepted ones, and the rows are "
            f"{funnel.candidates} and {funnel.accepted}; shown is what the rows say."
        )
    if run.about.decided is not None:
        yield "its rows were decided anew from another run (`decide`)."
    yield from run.unused_students
