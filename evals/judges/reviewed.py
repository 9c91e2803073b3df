"""What a person said of a run's rows as labelled cases, and what the run's own judges had said of them: no model is asked.

A person accepts or rejects a row, and judges and taggers rate its question or the pair. So of an accepted row both are good; of
one that was rejected for its answer alone the question is good; and what a person had to edit was not good as it was.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.figures.tables import as_json
from evals.judges.ask import Judged
from evals.judges.card import ReportCard, report_card
from evals.judges.cases import ACCEPTED, ANSWER_ALONE, EDITED, IN_WORDS, SCALE_OF_STEP, Case, refuse_unknown
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Reason, SeedExample
from skills_dspy.commands.review.rated import RatedRow, StageVerdict, rated_rows, settings_of
from skills_dspy.model.steps import STEPS
from skills_dspy.pipeline.draw import seed_examples, standard_of
from skills_dspy.store.reviews import DID, Review, read_reviews, review_place, standing, verdict_on
from skills_dspy.store.run_dir import RunPaths, runs_at
from skills_dspy.store.run_json import NotedServer, RunJson, known_run, needed, run_json_errors
from skills_dspy.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class ReviewedRow:
    """A row that a person has looked at.

    Attributes:
        review: what counts of what was said.
        again: whether something else had been said before, so that what the judges said was known.
        cases: what follows from it, each case with what the run's own judge said, if it was asked.
    """

    rated: RatedRow
    review: Review
    again: bool
    cases: tuple[tuple[Case, StageVerdict | None], ...]


@dataclass(frozen=True, slots=True)
class ReviewedRun:
    """A run that a person has looked at.

    Attributes:
        config: the usual one, with the thresholds of the run.
        rows: those that were decided, in the order of the files.
    """

    paths: RunPaths
    run: RunJson
    config: RunConfig
    rows: tuple[ReviewedRow, ...]


def read_reviewed(places: Sequence[Path]) -> tuple[ReviewedRun, ...]:
    """The runs at and below these places that a person has looked at, each row once.

    Raises:
        RunDirError: a place holds no run, or a file of one is broken.
        RequestError: nobody has looked at any.
    """
    found, seen = [], set[tuple[str, str]]()
    for paths in runs_at(places):
        run = known_run(paths)
        said = read_reviews(review_place(paths, run))
        reviews, decided = standing(said), Counter(review.id for review in said if review.verdict not in ("skip", "undo"))
        rows = []
        for rated in rated_rows(paths) if reviews else ():
            review = verdict_on(reviews, rated.row)
            if review is not None and (review.id, review.text) not in seen:
                seen.add((review.id, review.text))
                rows.append(ReviewedRow(rated, review, decided[review.id] > 1, tuple(_cases(paths, run, rated, review))))
        if rows:
            found.append(ReviewedRun(paths, run, settings_of(paths, run), tuple(rows)))
    if not found:
        raise RequestError(f"nobody has looked at a row of {', '.join(map(str, places))} yet; see `review`")
    return tuple(found)


def reviewed_cases(runs: Sequence[ReviewedRun]) -> tuple[Case, ...]:
    """All cases of some runs, to ask judges about or to train them on."""
    return tuple(case for run in runs for row in run.rows for case, _ in row.cases)


def reviewed_tasks(runs: Sequence[ReviewedRun]) -> tuple[TaskSpec, ...]:
    """The tasks of some runs, as their run.json has them, each once; RunDirError where one is broken."""
    found: dict[str, TaskSpec] = {}
    for run in runs:
        with run_json_errors(run.paths):
            spec = TaskSpec.model_validate({**run.run.content["task"], "path": run.paths.run_json})
        found.setdefault(spec.task_name, spec)
    return tuple(found.values())


def card_of_reviews(runs: Sequence[ReviewedRun], judges: Sequence[str]) -> tuple[ReportCard, dict[str, Any]]:
    """The report card of the judges that the runs were made with, or of those named; and all of the report as JSON.

    Raises:
        RequestError: a judge is none, or there is no verdict of one, or the runs had different thresholds.
    """
    refuse_unknown(judges)
    config = runs[0].config
    for other in runs[1:]:
        if (other.config.judges, other.config.filter) != (config.judges, config.filter):
            raise RequestError(
                f"{runs[0].paths.folder} and {other.paths.folder} were made with different thresholds; give one of them, or "
                "ask the judges anew with --ask"
            )
    pairs = [pair for run in runs for row in run.rows for pair in row.cases if pair[0].step in (judges or SCALE_OF_STEP)]
    judged = [_judged(case, verdict) for case, verdict in pairs if verdict is not None and _is_known(verdict)]
    for name in judges:
        if all(one.step != name for one in judged):
            raise RequestError(f"{name} has rated none of the rows that were looked at; leave it out")
    unknown = sum(verdict is not None and not _is_known(verdict) for _, verdict in pairs)
    if not judged:
        raise RequestError(
            "the judges' labels of the rows that were looked at stand in the journal, which is not there; restore it"
        )
    card = report_card(judged, (), config)
    return card, {**_facts(runs, unknown), **as_json(card)}


def head_of_reviews(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of that report for people."""
    counts = content["reviews"]
    ways = ", ".join(f"{counts[name]} {did}" for name, did in DID.items() if counts.get(name))
    facts = [
        ("Answered by", "; ".join(content["answered_by"])),
        ("Models", f"judge {', '.join(content['judge_models'])}, tagger {', '.join(content['tagger_models'])}"),
        ("Reviews", f"{sum(counts.values())} rows of {', '.join(content['tasks'])} that a person looked at: {ways}"),
        ("Asked", "nobody: this is what the judges said when the rows were made"),
    ]
    if again := content.get("decided_again"):
        facts.append(("Decided again", f"{again} of these rows, after what the judges said of them was shown"))
    if unknown := content.get("unknown_verdicts"):
        facts.append(("Left out", f"{unknown} verdicts whose labels stand in a journal that is not there"))
    return facts


def _facts(runs: Sequence[ReviewedRun], unknown: int) -> dict[str, Any]:
    counts = Counter[str](row.review.verdict for run in runs for row in run.rows)
    again = sum(row.again for run in runs for row in run.rows)
    models = [row.rated.row.provenance.models for run in runs for row in run.rows]

    def answered(run: ReviewedRun) -> str:
        with run_json_errors(run.paths):
            return (run.run.server or NotedServer(version="unknown")).answered_by

    return {
        "answered_by": list(dict.fromkeys(map(answered, runs))),
        "judge_models": list(dict.fromkeys(names.get("validator", "unknown") for names in models)),
        "tagger_models": list(dict.fromkeys(names.get("tagger", "unknown") for names in models)),
        "tasks": list(dict.fromkeys(row.rated.row.task_name for run in runs for row in run.rows)),
        "reviews": {name: counts[name] for name in DID if counts[name]},
        **({"decided_again": again} if again else {}),
        **({"unknown_verdicts": unknown} if unknown else {}),
    }


def _cases(paths: RunPaths, run: RunJson, rated: RatedRow, review: Review) -> Iterator[tuple[Case, StageVerdict | None]]:
    """Two cases of the question, and two of the pair where there is an answer; none where the run names no seed of its kind."""
    row, said = rated.row, {verdict.stage: verdict for verdict in rated.verdicts}
    with run_json_errors(paths):
        task = needed(run.task, "task")
        examples = _standard(needed(task.seed_examples, "seed_examples"), rated)
        name = needed(task.task_name, "task_name")
    kind = "freeform" if row.context is None else "grounded"
    for step in (f"judge_question_{kind}", "tag_instruction_quality", f"judge_pair_{kind}", "tag_sample_quality"):
        scale = SCALE_OF_STEP[step]
        if not examples or (scale.about == "pair" and row.response is None):
            continue
        good = _is_good(rated, review, pair=scale.about == "pair")
        case = Case(
            id=f"{step}/{name}/review-{row.id}",
            step=step,
            task=name,
            task_description=run.description(),
            examples=examples,
            context=row.context,
            question=row.instruction or "",
            answer=row.response if scale.about == "pair" else None,
            label=scale.labels[-1 if good else 0],
            good=good,
            reason=_reason(review, good),
            origin="review",
            where=f"{paths.folder}, row {row.id}",
        )
        yield case, said.get(STEPS[step].stage)


def _is_good(rated: RatedRow, review: Review, *, pair: bool) -> bool:
    if review.verdict == "accept":
        return True
    if pair:
        return False
    return review.about == "answer" if review.verdict == "reject" else review.instruction == rated.row.instruction


def _reason(review: Review, good: bool) -> str:
    if good:
        return ACCEPTED if review.verdict == "accept" else ANSWER_ALONE
    return EDITED if review.verdict == "edit" else review.reason or IN_WORDS


def _standard(seeds: Sequence[SeedExample], rated: RatedRow) -> tuple[SeedExample, ...]:
    """The seeds that the run's judges saw, or could see."""
    own = [one for one in seed_examples(seeds) if (one.context is None) == (rated.row.context is None)]
    shown = [one for one in own if one.id in rated.row.provenance.shown]
    return tuple(seeds[int(one.id.removeprefix("seed:"))] for one in standard_of(shown, own))


def _is_known(verdict: StageVerdict) -> bool:
    return verdict.passed is None or verdict.label is not None


def _judged(case: Case, verdict: StageVerdict) -> Judged:
    failure: Reason | None = "unreadable" if verdict.passed is None else None
    return Judged(case, case.step, 0, verdict.label, verdict.soft, verdict.explanation, failure)
