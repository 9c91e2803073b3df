"""Opening a run for review: its rows in the order asked for, and the file of its reviews."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skills_dspy.base.errors import RequestError, RunDirError
from skills_dspy.commands.review.desk import ReviewDesk, ReviewTask
from skills_dspy.commands.review.order import Order, in_order
from skills_dspy.commands.review.rated import rated_rows, settings_of
from skills_dspy.store.reviews import ReviewLog, review_place
from skills_dspy.store.run_dir import RunPaths, runs_at
from skills_dspy.store.run_json import known_run, needed, run_json_errors


@dataclass(frozen=True, slots=True)
class OpenedReview:
    """A run that is looked at.

    Attributes:
        reviews: where they are written.
        rows: how many there are to look at.
        running: whether a run is writing there; rows that it adds from now on are not shown.
    """

    reviews: Path
    rows: int
    desk: ReviewDesk
    running: bool


def open_review(place: Path, order: Order, now: Callable[[], str]) -> OpenedReview:
    """Open the run there.

    Raises:
        RunDirError: there is no run, or more than one, or a file of it is broken.
        RequestError: it has no row that can be looked at in this order.
    """
    paths = one_run(place)
    run = known_run(paths)
    with run_json_errors(paths):
        task = needed(run.task, "task")
        name, seeds = needed(task.task_name, "task_name"), needed(task.seed_examples, "seed_examples")
    subject = ReviewTask(name, run.description(), seeds)
    rows = in_order(rated_rows(paths), order, settings_of(paths, run))
    if not rows:
        why = "nothing was rejected that has a question" if order == "rejected" else "it has no row yet that was judged"
        raise RequestError(f"{paths.folder}: there is nothing to look at: {why}")
    kept = review_place(paths, run)
    return OpenedReview(kept.reviews, len(rows), ReviewDesk(subject, rows, ReviewLog(kept), now), paths.in_use())


def one_run(place: Path) -> RunPaths:
    """The one run at or below a place; RunDirError where there is none, or another one too."""
    runs = runs_at([place], "a run's directory")
    if len(runs) > 1:
        listed = ", ".join(str(run.folder) for run in runs[:5])
        raise RunDirError(
            f"there are {len(runs)} runs below {place}; give the directory of one: {listed}{', ...' * (len(runs) > 5)}"
        )
    return runs[0]
