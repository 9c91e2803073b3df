"""All that a report shows, as the page reads it: a summary, a column for each property of the rows, parcels of details."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skills_dspy.base.records import Record, Rejection
from skills_dspy.base.visible import visible
from skills_dspy.commands.report.diversity import Point, draw_map
from skills_dspy.commands.report.learned import students_json
from skills_dspy.commands.report.packing import Lines, Packed, pack_rows
from skills_dspy.commands.report.reading import ShownRow, ShownRun
from skills_dspy.commands.report.stories import RATED_ON, Story, stories_of
from skills_dspy.commands.report.summary import funnel_of, remarks_of, view_json, views_of
from skills_dspy.model.replies import NO_REPLY
from skills_dspy.model.soft import in_words
from skills_dspy.pipeline.funnel import STAGES
from skills_dspy.similarity.text import words
from skills_dspy.store.journal_reader import JournaledReply
from skills_dspy.store.said import said_in

OnRow = Callable[[int, int], None]
"""What hears how many rows of how many are through."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Near-copies among texts.

    Attributes:
        pairs: by the places of the texts.
        bound: from which ROUGE-L on two texts are such.
        complete: whether these are all of them.
    """

    pairs: Sequence[tuple[int, int]]
    bound: float
    complete: bool


FindCopies = Callable[[Sequence[str]], Copies]
"""From texts to the near-copies among them."""


@dataclass(frozen=True, slots=True)
class Content:
    """A report before it is a page. `columns` has one list for each property, as long as there are rows."""

    summary: dict[str, Any]
    columns: dict[str, list[Any]]
    details: Packed


@dataclass(slots=True)
class _Rows:
    """What is gathered row by row."""

    columns: dict[str, list[Any]]
    lines: Lines = field(default_factory=Lines)
    details: list[Any] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)  # of the accepted rows of one run, by their ids


_LISTED = 50  # pairs of near-copies that are listed of a run
_COLUMNS = ("run", "id", "question", "stage", "reason", "words", "distance", "near", "point", "ratings", "soft")


def gather_content(
    runs: Sequence[ShownRun], sides: Sequence[str], find_copies: FindCopies, progress: OnRow = lambda *_: None
) -> Content:
    """Gather what a page shows of runs; beside each stands the name of its side, where two sides are to be compared.

    Raises:
        StorageError: a journal cannot be read.
        RunDirError: a file is no journal, or a vector in it is broken.
    """
    chart, funnels = draw_map(runs), [funnel_of(run) for run in runs]
    rows, remarks = _Rows({name: [] for name in _COLUMNS}), []
    total = sum(len(run.rows) for run in runs)
    for number, run in enumerate(runs):
        missing, unrated = _gather(rows, number, run, chart.rows[number], lambda: progress(len(rows.details), total))
        remarks.append([*remarks_of(run, funnels[number], missing, unrated)])
    for number in chart.left_out:
        remarks[number].append("its vectors are of another embedding model, so it has no place on the map of diversity.")
    views = views_of(runs, sides)
    summary = {
        "views": [view_json(view, runs, funnels, remarks) for view in views],
        "beside": next((place for place, view in enumerate(views) if sides[view.runs[0]] != sides[0]), None),
        "stages": STAGES,
        "reasons": list(rows.reasons),
        "scales": [_scale_json(scale) for scale in RATED_ON],
        "map": None if chart.shown is None else round(chart.shown, 3),
        "seeds": [_seeds_json(run, points) for run, points in zip(runs, chart.seeds, strict=True)],
        "bounds": [_bound(run) for run in runs],
        "students": [*students_json(runs)],
        "copies": [*_copies_json(runs, find_copies)],
        "listed": _LISTED,
        "rows": total,
    }
    return Content(summary, rows.columns, pack_rows(rows.details, rows.lines))


def _gather(
    rows: _Rows, number: int, run: ShownRun, points: Sequence[Point | None], told: Callable[[], None]
) -> tuple[int, int]:
    """Gather the rows of a run; gives how many replies its journal lacks, and how many rejected rows lack one."""
    questions, missing, unrated = _questions(run), 0, 0
    rows.places.clear()
    with stories_of(run) as stories:
        for row, point in zip(run.rows, points, strict=True):
            story = stories.of(row)
            missing += story.missing
            unrated += bool(story.missing and isinstance(row, Rejection))
            _add(rows, number, row, point, story, questions)
            told()
    return missing, unrated


def _add(rows: _Rows, number: int, row: ShownRow, point: Point | None, story: Story, questions: Mapping[str, str]) -> None:
    """Gather a row; of its nearest neighbour the place among all rows is given, or below 0 that of a seed: -1 is the first."""
    rejected = row if isinstance(row, Rejection) else None
    neighbour = row.provenance.neighbour
    values: dict[str, Any] = {
        "run": number,
        "id": row.id,
        "question": visible(row.instruction or ""),
        "stage": -1 if rejected is None else STAGES.index(rejected.stage),
        "reason": -1 if rejected is None else rows.reasons.setdefault(rejected.reason, len(rows.reasons)),
        "words": [_words(text) for text in (row.instruction, row.response, row.context)],
        "distance": None if neighbour is None else neighbour.distance,
        "near": None if neighbour is None else _near(neighbour.id, rows.places),
        "point": point,
        "ratings": [
            scale.labels.index(story.ratings[scale.name]) if scale.name in story.ratings else None for scale in RATED_ON
        ],
        "soft": [round(story.soft[scale.name].expected, 3) if scale.name in story.soft else None for scale in RATED_ON],
    }
    if rejected is None:
        rows.places[row.id] = len(rows.details)
    for name, value in values.items():
        rows.columns[name].append(value)
    rows.details.append(_detail(row, story, questions, rows.lines))


def _near(name: str, places: Mapping[str, int]) -> int | None:
    kind, _, seed = name.partition(":")
    return -1 - int(seed) if kind == "seed" else places.get(name)


def _detail(row: ShownRow, story: Story, questions: Mapping[str, str], lines: Lines) -> dict[str, Any]:
    """What is shown of a row once it is opened, in the order in which it is shown; what it does not have is left out."""
    source, text = row.provenance, lines.text

    def named(names: Sequence[str]) -> list[list[Any]]:
        return [[name, text(questions.get(name, ""))] for name in names]

    found: dict[str, Any] = {
        "context": None if row.context is None else text(row.context),
        "answer": None if row.response is None else text(row.response),
        "soft": {name: in_words(soft) for name, soft in story.soft.items()},
        "place": [source.draw, source.index],
        "shown": named(source.shown),
        "fitting": named(source.fitting),
        "rewritten": None if source.rewritten is None else text(source.rewritten),
        "neighbour": None if source.neighbour is None else named([source.neighbour.id])[0],
        "calls": [_call_json(which, found, lines) for which, found in story.calls],
        "missing": story.missing,
    }
    if isinstance(row, Record):
        found["said"] = {name: text(said) for name, said in _explanations(row)}
        found["others"] = ", ".join(row.tags.other_categories)
    else:
        found["why"] = text(row.detail)
        found["raw"] = None if row.raw_reply is None else text(row.raw_reply)
    return {key: value for key, value in found.items() if value not in (None, [], {}, "", 0)}


def _explanations(row: Record) -> Iterator[tuple[str, str]]:
    yield "question_verdict", row.question_verdict.explanation
    yield "pair_verdict", row.pair_verdict.explanation
    yield from row.tags.explanations.items()


def _call_json(which: str, found: JournaledReply, lines: Lines) -> list[Any]:
    """Name, facts, messages, thoughts and reply of a call; in the reply's place stands why there is none."""
    body, said = found.reply, said_in(found.reply, found.request)
    messages = [
        [turn["role"], lines.text(turn["content"], whole=turn["role"] == "system")] for turn in found.request["messages"]
    ]
    thoughts = lines.text(said.thoughts) if said.thoughts else None
    heading = "no reply" if NO_REPLY in body else "reply (cut)" if body.get("done_reason") == "length" else "reply"
    reply = str(body[NO_REPLY]) if NO_REPLY in body else said.text
    return [which, visible(_about(found)), messages, thoughts, heading, lines.text(reply)]


def _about(found: JournaledReply) -> str:
    """Model, sampling options, tokens and time of a call."""
    tokens = f"{found.reply.get('prompt_eval_count', '?')} + {found.reply.get('eval_count', '?')} tokens"
    settings = ", ".join(f"{name} {value}" for name, value in found.request.get("options", {}).items())
    return f"{found.request.get('model', '?')}: {settings}; {tokens}, {found.seconds:.2f} s; reply {found.digest[:12]}"


def _questions(run: ShownRun) -> dict[str, str]:
    """The questions of seeds and accepted rows, by the names that provenance gives them."""
    seeds = {f"seed:{number}": seed.question for number, seed in enumerate(run.seeds)}
    return seeds | {row.id: row.instruction for row in run.rows if isinstance(row, Record)}


def _seeds_json(run: ShownRun, points: Sequence[Point | None]) -> list[list[Any]]:
    """Of each seed: question, words of question, answer and context, and its place on the map."""
    return [
        [visible(seed.question), [_words(text) for text in (seed.question, seed.answer, seed.context)], point]
        for seed, point in zip(run.seeds, points, strict=True)
    ]


def _scale_json(scale: Any) -> dict[str, Any]:
    return {
        "name": scale.name,
        "labels": [str(label) for label in scale.labels],
        "ordered": scale.ordered,
        "numbers": [scale.position(label) if isinstance(label, str) else label for label in scale.labels],
    }


def _words(text: str | None) -> int | None:
    return None if text is None else len(words(text))


def _bound(run: ShownRun) -> float | None:
    bound = (run.about.config or {}).get("dedup", {}).get("max_squared_distance")
    return float(bound) if isinstance(bound, int | float) else None


def _copies_json(runs: Sequence[ShownRun], find_copies: FindCopies) -> Iterator[dict[str, Any]]:
    """For each run, how many pairs of its answers are near-copies, and the first ones by their places among all rows."""
    start = 0
    for run in runs:
        accepted = [(start + place, row.response) for place, row in enumerate(run.rows) if isinstance(row, Record)]
        found = find_copies([text for _, text in accepted])
        pairs = [(accepted[one][0], accepted[other][0]) for one, other in found.pairs[:_LISTED]]
        yield {"pairs": pairs, "count": len(found.pairs), "complete": found.complete, "bound": found.bound}
        start += len(run.rows)
