"""Which seeds a student is measured on: those of task files, or of a run's held-out ones, that no dataset was made from."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.data.datasets import Dataset, read_datasets
from evals.data.rows import Row
from evals.figures.tables import count_in_words
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import SeedExample
from skills_dspy.similarity.text import squeezed
from skills_dspy.store.run_dir import RunPaths, find_runs
from skills_dspy.store.run_json import known_run, needed, run_json_errors
from skills_dspy.tasks.files import load_tasks
from skills_dspy.tasks.shown import seen_by

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
        unsaid: the datasets, by name, that do not say what they were made from: they may know what is measured.
        notes: what could not be found out.
    """

    measured: tuple[Row, ...]
    taught: tuple[Row, ...]
    tasks: Mapping[str, int]
    unsaid: tuple[str, ...]
    notes: tuple[str, ...]

    def unsaid_of(self, datasets: Sequence[Dataset]) -> tuple[str, ...]:
        """The names of those datasets that do not say what they were made from."""
        return tuple(one.name for one in datasets if one.name in self.unsaid)


@dataclass(frozen=True, slots=True)
class _Origin:
    """A dataset, and the runs that have rows of it: it itself, if it is one; `said` if they have all of them."""

    dataset: Dataset
    runs: tuple[Dataset, ...]
    said: bool

    @property
    def seeds(self) -> Iterator[SeedExample]:
        """Those that it was made from, as far as the runs say."""
        yield from self.dataset.seeds
        yield from (seed for run in self.runs for seed in run.seeds)


def unseen_seeds(places: Sequence[Path], data: Sequence[Dataset], others: Sequence[Dataset] = ()) -> UnseenSeeds:
    """Find the seeds to measure on at `places`: task files, folders of them, or runs that held seeds out.

    `data` is what the student is to learn from, `others` what it is compared with; no seed that any of them shows is measured,
    nor one that their compiled prompts have seen. Where runs say of all of `data` what they are of, only the seeds of these
    tasks are.

    Raises:
        RequestError: fewer than FEWEST_UNSEEN are left, or a file has rows of which nobody can say what they were made from.
    """
    of_runs = [place for place in places if place.is_dir() and find_runs(place)]
    files = [place for place in places if place not in of_runs]
    loaded = load_tasks(files) if files else None
    of_files = [(spec.task_name, seed) for spec in (loaded.specs if loaded else ()) for seed in spec.seed_examples]
    known = [*(one for one in (*data, *others) if one.run is not None), *(one for at in of_runs for one in read_datasets(at))]
    origins = [_origin(one, known) for one in (*data, *others)]
    taught_by = origins[: len(data)]
    seeds = [*_held_out(of_runs, alone=not of_files), *of_files]
    names = {run.name for origin in taught_by for run in origin.runs}
    if all(origin.said for origin in taught_by) and any(name in names for name, _ in seeds):
        seeds = [(name, seed) for name, seed in seeds if name in names]
    _refuse_unsaid(origins)
    shown = {_key(seed) for origin in origins for seed in origin.seeds}
    left = {_key(seed): (name, seed) for name, seed in seeds if _key(seed) not in shown}
    compiled = [seen_by(program) for program in _programs(origins)]
    unseen = {key: (name, seed) for key, (name, seed) in left.items() if not any(seen(seed) for seen in compiled)}
    by_prompts = len(left) - len(unseen)
    if len(unseen) < FEWEST_UNSEEN:
        raise RequestError(_too_few(places, len(unseen), by_prompts, seeds, origins))
    taught = {_key(seed): seed for origin in taught_by for seed in origin.seeds}
    unsaid = tuple(origin.dataset.name for origin in origins if not origin.said)
    notes = [f"Broken, and left out: {error}" for error in (loaded.broken if loaded else ())]
    notes += [
        f"{Path(name).name} does not say which seeds it was made from: it is taken to know none of those measured."
        for name in unsaid
    ]
    notes += [] if taught else ["No lesson with the seeds alone: nothing says which seeds the rows were made from."]
    notes += (
        [f"{count_in_words(by_prompts, 'seed')} left out that the compiled prompts of the data have seen."]
        if by_prompts
        else []
    )
    return UnseenSeeds(
        tuple(_row(seed) for _, seed in unseen.values()),
        tuple(map(_row, taught.values())),
        Counter(name for name, _ in unseen.values()),
        unsaid,
        tuple(notes),
    )


def _origin(dataset: Dataset, known: Sequence[Dataset]) -> _Origin:
    if dataset.run is not None:
        return _Origin(dataset, (dataset,), said=True)
    rows = rows_of(dataset)
    runs = tuple(run for run in known if rows & rows_of(run))
    return _Origin(dataset, runs, rows <= {row for run in runs for row in rows_of(run)})


def rows_of(dataset: Dataset) -> set[tuple[str, str]]:
    """Its rows, as one can tell them from others; some exports have the text and what is asked of it in one."""
    return {(squeezed(f"{row.context or ''} {row.question}"), squeezed(row.answer)) for row in dataset.rows}


def _programs(origins: Sequence[_Origin]) -> Iterator[Mapping[str, object]]:
    """The compiled prompts of their runs."""
    for folder in dict.fromkeys(run.path for origin in origins for run in origin.runs):
        program = known_run(RunPaths(folder)).program
        if program is not None:
            yield program


def _held_out(places: Sequence[Path], *, alone: bool) -> Iterator[_Named]:
    """The seeds held out of runs; RequestError where none has any and there are no task files beside them."""
    runs = dict.fromkeys(run for place in places for run in find_runs(place))
    if alone and runs and not any(known_run(paths).held_out for paths in runs):
        raise RequestError(
            f"{next(iter(runs)).folder}: no seed was held out of this run; make it anew with `run --hold-out K`, or give "
            "--seeds task files with seeds that it was not made from"
        )
    for paths in runs:
        run = known_run(paths)
        with run_json_errors(paths):
            name = needed(needed(run.task, "task").task_name, "task_name")
        yield from ((name, seed) for seed in run.held_out)


def _refuse_unsaid(origins: Sequence[_Origin]) -> None:
    """Rows that name seeds which were shown, without the run that knows them, may be made from any of the seeds."""
    for dataset in (origin.dataset for origin in origins if not origin.said):
        if any(name.startswith("seed:") for row in dataset.rows for name in row.shown or ()):
            raise RequestError(
                f"{dataset.path}: its rows were made from seeds that the file does not name; give the run's directory in its "
                "place, or as one more of --seeds, beside those that held seeds out, so that it is known which"
            )


def _too_few(places: Sequence[Path], unseen: int, by_prompts: int, seeds: Sequence[_Named], origins: Sequence[_Origin]) -> str:
    where = ", ".join(map(str, places))
    if not seeds:
        return f"--seeds {where}: there is no seed; give the task files that the rows were made for"
    if by_prompts:
        return (
            f"--seeds {where}: {unseen} seed{'s are' if unseen != 1 else ' is'} unseen by the rows and their compiled prompts, "
            f"which have seen {by_prompts} more, and {FEWEST_UNSEEN} or more are needed; make the data anew with "
            "`run --hold-out K`, which holds out none that the program has seen, or without --program"
        )
    if unseen:
        return f"--seeds {where}: {unseen} seed is unseen by the rows, and {FEWEST_UNSEEN} or more are needed; hold out more"
    keys = {_key(seed) for _, seed in seeds}
    names = list(dict.fromkeys(str(one.dataset.path) for one in origins if keys & set(map(_key, one.seeds))))
    return (
        f"--seeds {where}: {', '.join(names)} {'was' if len(names) == 1 else 'were'} made from all {len(seeds)} of these "
        "seeds, so nothing is left to measure on; make it anew with `run --hold-out K`"
    )


def _key(seed: SeedExample) -> tuple[str, str, str]:
    question, answer, context = (" ".join(text.split()) for text in (seed.question, seed.answer, seed.context or ""))
    return question, answer, context


def _row(seed: SeedExample) -> Row:
    return Row(seed.question, seed.answer, seed.context)
