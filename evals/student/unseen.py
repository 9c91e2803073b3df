"""Which seeds a student is measured on: those of task files, or of a run's held-out ones, that no dataset was made from."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.data.datasets import Dataset, read_datasets
from evals.data.rows import Row
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import SeedExample
from skills_dspy.store.run_dir import RunPaths, find_runs
from skills_dspy.store.run_json import known_run, needed, run_json_errors
from skills_dspy.tasks.files import load_tasks

FEWEST_UNSEEN = 2
"""With one seed nothing can be said of the next one."""

_Named = tuple[str, SeedExample]
"""The task's name, and a seed of it."""


@dataclass(frozen=True, slots=True)
class UnseenSeeds:
    """What is measured, and what a prompt could show.

    Attributes:
        measured: seeds that nothing was made from, as rows, FEWEST_UNSEEN or more.
        taught: the other seeds: what there was before any row.
        tasks: how many are measured, by task.
        notes: what could not be found out.
    """

    measured: tuple[Row, ...]
    taught: tuple[Row, ...]
    tasks: Mapping[str, int]
    notes: tuple[str, ...]


def unseen_seeds(places: Sequence[Path], data: Sequence[Dataset], others: Sequence[Dataset] = ()) -> UnseenSeeds:
    """Find the seeds to measure on at `places`: task files, folders of them, or runs that held seeds out.

    `data` is what the student is to learn from, `others` what it is compared with; no seed that any of them shows is measured.
    Where all of `data` are runs, only their tasks' seeds are.

    Raises:
        RequestError: fewer than FEWEST_UNSEEN are left, or a file has rows of which nobody can say what they were made from.
    """
    of_runs = [place for place in places if place.is_dir() and find_runs(place)]
    files = [place for place in places if place not in of_runs]
    loaded = load_tasks(files) if files else None
    of_files = [(spec.task_name, seed) for spec in (loaded.specs if loaded else ()) for seed in spec.seed_examples]
    seeds = [*_held_out(of_runs), *of_files]
    names = {dataset.name for dataset in data}
    if all(dataset.run is not None for dataset in data) and any(name in names for name, _ in seeds):
        seeds = [(name, seed) for name, seed in seeds if name in names]
    unsaid = [one for one in (*data, *others) if one.run is None and not _rows_of(one) <= _rows_of_runs(of_runs)]
    _refuse_unsaid(unsaid)
    shown = {_key(seed) for dataset in (*data, *others) for seed in dataset.seeds}
    unseen = {_key(seed): (name, seed) for name, seed in seeds if _key(seed) not in shown}
    if len(unseen) < FEWEST_UNSEEN:
        raise RequestError(_too_few(places, len(unseen), seeds, (*data, *others)))
    taught = {_key(seed): seed for dataset in data for seed in dataset.seeds}
    notes = [f"Broken, and left out: {error}" for error in (loaded.broken if loaded else ())]
    notes += [
        f"{one.name} does not say which seeds it was made from: it is taken to know none of those measured." for one in unsaid
    ]
    return UnseenSeeds(
        tuple(_row(seed) for _, seed in unseen.values()),
        tuple(map(_row, taught.values())),
        Counter(name for name, _ in unseen.values()),
        tuple(notes),
    )


def _rows_of(dataset: Dataset) -> set[tuple[str, str]]:
    """Its rows, as one can tell them from others."""
    return {(row.question, row.answer) for row in dataset.rows}


def _rows_of_runs(places: Sequence[Path]) -> set[tuple[str, str]]:
    """Those of all runs at some places: a file that holds no others was made from their seeds."""
    return {row for place in places for dataset in read_datasets(place) for row in _rows_of(dataset)}


def _held_out(places: Sequence[Path]) -> Iterator[_Named]:
    for paths in dict.fromkeys(run for place in places for run in find_runs(place)):
        yield from _of_run(paths)


def _of_run(paths: RunPaths) -> Iterator[_Named]:
    run = known_run(paths)
    with run_json_errors(paths):
        name = needed(needed(run.task, "task").task_name, "task_name")
    if not run.held_out:
        raise RequestError(
            f"{paths.folder}: no seed was held out of this run; make it anew with `run --hold-out K`, or give --seeds task "
            "files with seeds that it was not made from"
        )
    yield from ((name, seed) for seed in run.held_out)


def _refuse_unsaid(datasets: Sequence[Dataset]) -> None:
    """Rows that name seeds which were shown, without the run that knows them, may be made from any of the seeds."""
    for dataset in datasets:
        if any(name.startswith("seed:") for row in dataset.rows for name in row.shown or ()):
            raise RequestError(
                f"{dataset.path}: its rows were made from seeds that the file does not name; give the run's directory in its "
                "place, or as --seeds, so that its held-out seeds are known"
            )


def _too_few(places: Sequence[Path], unseen: int, seeds: Sequence[_Named], datasets: Sequence[Dataset]) -> str:
    where = ", ".join(map(str, places))
    if not seeds:
        return f"--seeds {where}: there is no seed; give the task files that the rows were made for"
    if unseen:
        return f"--seeds {where}: {unseen} seed is unseen by the rows, and {FEWEST_UNSEEN} or more are needed; hold out more"
    keys = {_key(seed) for _, seed in seeds}
    names = list(dict.fromkeys(str(one.path) for one in datasets if keys & set(map(_key, one.seeds))))
    return (
        f"--seeds {where}: {', '.join(names)} {'was' if len(names) == 1 else 'were'} made from all {len(seeds)} of these "
        "seeds, so nothing is left to measure on; make it anew with `run --hold-out K`"
    )


def _key(seed: SeedExample) -> tuple[str, str, str]:
    question, answer, context = (" ".join(text.split()) for text in (seed.question, seed.answer, seed.context or ""))
    return question, answer, context


def _row(seed: SeedExample) -> Row:
    return Row(seed.question, seed.answer, seed.context)
