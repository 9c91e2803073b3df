"""What is scored as one: a run of ours with what its directory knows, or a file or folder of rows, whoever made it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evals.data.rows import LAYOUTS, Row, read_pairs, row_of
from skills_dspy.base.errors import FileError, RequestError, RunDirError
from skills_dspy.base.records import SeedExample
from skills_dspy.pipeline.funnel import STAGES, Funnel
from skills_dspy.store.files import read_rows, storage_errors
from skills_dspy.store.run_dir import RunPaths, find_runs
from skills_dspy.store.run_json import FunnelCounts, needed, read_run_json, run_json_errors
from skills_dspy.store.tables import ending_of

_INSTRUCTLAB = (r"(skills|knowledge)_(train|test)_msgs_.*\.jsonl", r"train_.*\.jsonl", r"messages_.*\.jsonl")
"""What its training reads, as it is called today and as it was."""
_EXPORTED = ("alpaca", "messages", "parquet", "sharegpt")
"""What `run --export` calls its files: each has all rows."""
_KINDS = (".parquet", ".arrow", ".jsonl", ".csv", ".tsv", ".json")
"""Of these endings the first that a folder has is that of its rows."""
_NO_ROWS = ("dataset_info.json", "dataset_dict.json", "state.json", "run.json")


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """How a run stands or ended, what gave its replies, where its vectors are; `funnel` is None until it is written down."""

    status: str
    answered_by: str
    funnel: Funnel | None
    embedder: str
    journal: Path


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is scored as one; its name is that of the task, or the path of the file or folder.

    Attributes:
        seeds: empty when nobody knows.
        left_out: rows whose question or answer is null or blank.
        labelled_false: further rows, whose answer was rejected.
        chosen: rows that are the better one of two answers.
        files: how many files of a folder the rows are of; 0 for one file or a run.
    """

    name: str
    path: Path
    rows: tuple[Row, ...]
    seeds: tuple[SeedExample, ...] = ()
    run: RunOrigin | None = None
    left_out: int = 0
    files: int = 0
    labelled_false: int = 0
    chosen: int = 0


def read_datasets(path: Path) -> tuple[Dataset, ...]:
    """What lies at a path: a run (its `data.jsonl` stands for it), all runs below a folder, by path, or the rows of others.

    Those are in a file, or in the files of a folder: an export of ours, InstructLab's, one of datasets, or all files of a kind.

    Raises:
        RequestError: there is nothing at the path that can be scored.
        FileError: a row is not what it should be; file and line are named.
        RunDirError: a run's files are broken.
        StorageError: something cannot be read.
    """
    with storage_errors("read", path):
        is_folder, exists = path.is_dir(), path.exists()
    if not exists:
        raise RequestError(f"{path}: there is no such file or directory; give a run's directory or a file of rows")
    own = RunPaths(path.parent)
    runs = find_runs(path) if is_folder else [own] if path.name == own.data.name and own.holds_run() else []
    if runs:
        return tuple(read_run(run) for run in runs)
    files = _files_of_rows(path) if is_folder else [path]
    if not files:
        raise RequestError(f"{path} holds no run and no file of rows; give a run's directory or a file of rows")
    found = [row for file in files for row in read_pairs(file)]
    read = [row for row in found if row is not None]
    rows = tuple(row for row in read if row.preference != "rejected")
    if read and not rows:
        raise FileError("every row has the label false, and rejected answers are not scored; give a file with others", path)
    if found and not rows:
        raise FileError("in no row are both question and answer more than null or blank", path)
    if not rows:
        raise FileError(f"the file is empty; each line should hold {LAYOUTS}", path)
    dataset = Dataset(str(path), path, rows, left_out=len(found) - len(read), files=len(files) if is_folder else 0)
    chosen = sum(row.preference == "chosen" for row in rows)
    return (replace(dataset, labelled_false=len(read) - len(rows), chosen=chosen),)


def _files_of_rows(folder: Path) -> list[Path]:
    """The files of a folder that hold its rows, by path; RequestError where several may each hold all of them.

    InstructLab writes the same rows for each leaf and in an older layout, too, and its `test_*.jsonl` are the seeds.
    """
    with storage_errors("read", folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in _NO_ROWS)
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    same = [file.name for file in files if file.parent == folder and file.stem in _EXPORTED]
    if len(same) > 1:
        raise RequestError(f"{folder} holds {', '.join(same)}, each with the same rows in another format; give one of them")
    for pattern in _INSTRUCTLAB:
        if mixed := [file for file in files if re.fullmatch(pattern, file.name)]:
            return mixed
    return next(filter(None, ([file for file in files if ending_of(file) == ending] for ending in _KINDS)), [])


def with_seeds(datasets: Sequence[Dataset], seeds: Sequence[SeedExample]) -> tuple[Dataset, ...]:
    """Datasets with these seeds for the files among them; RequestError if there is none, since a run knows its own."""
    if all(dataset.run is not None for dataset in datasets):
        raise RequestError("--seeds is for a file of rows, and a run knows its own seeds; leave it out")
    return tuple(dataset if dataset.run is not None else replace(dataset, seeds=tuple(seeds)) for dataset in datasets)


def paired(first: Sequence[Dataset], second: Sequence[Dataset]) -> list[tuple[Dataset, Dataset]]:
    """Which datasets of two places belong side by side: the only ones, else those of one name; RequestError if one has none."""
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    names = [Counter(dataset.name for dataset in place) for place in (first, second)]
    for place, counts in zip((first, second), names, strict=True):
        for dataset in place:
            if counts[dataset.name] > 1:
                raise RequestError(
                    f"{dataset.path} is one of {counts[dataset.name]} runs of {dataset.name} on one side; "
                    "give the directory of one run on either side"
                )
    for dataset in (*first, *second):
        if not all(dataset.name in counts for counts in names):
            raise RequestError(
                f"{dataset.path} holds {dataset.name}, which has no partner of that name on the other side; "
                "give the directory of one run, or one file, on either side"
            )
    by_name = {dataset.name: dataset for dataset in second}
    return [(dataset, by_name[dataset.name]) for dataset in first]


def read_run(paths: RunPaths) -> Dataset:
    """One run of ours, ended or not; a torn last line is left out. Raises as `read_datasets`."""
    broken = "this is not what a run writes there; restore the file"
    run = read_run_json(paths, broken)
    if run is None:
        raise RunDirError(
            f"{paths.folder}: there are replies but no run.json: either this run has not begun yet, or it is the "
            "folder of an evaluation; give the directory of a run"
        )
    with run_json_errors(paths, broken):
        task = needed(run.task, "task")
        name, seeds = needed(task.task_name, "task_name"), needed(task.seed_examples, "seed_examples")
        origin = RunOrigin(
            status=needed(run.status, "status"),
            answered_by=needed(run.server, "server").answered_by,
            funnel=None if run.result is None else _funnel(needed(run.result.funnel, "funnel")),
            embedder=needed(run.embedder.name, "embedder"),
            journal=paths.journal,
        )
    with storage_errors("read", paths.data):
        begun = paths.data.exists()
    found = [row_of(content, paths.data, number) for number, content in read_rows(paths.data)] if begun else []
    rows = tuple(row for row in found if row is not None)
    return Dataset(name, paths.folder, rows, seeds, origin, len(found) - len(rows))


def _funnel(counts: FunnelCounts) -> Funnel:
    """The funnel of run.json; ValueError when it does not balance or names a stage that there is not."""
    rejected = Counter({(entry.stage, entry.reason): entry.count for entry in counts.rejected})
    if not {stage for stage, _ in rejected} <= set(STAGES):
        raise ValueError("there is no such stage")
    if counts.candidates != counts.accepted + sum(rejected.values()):
        raise ValueError("the counts do not balance")
    return Funnel(counts.candidates, counts.accepted, rejected)
