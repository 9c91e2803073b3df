"""`eval student` from what is asked for to its report: data, seeds, student, lessons, figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evals.data.datasets import Dataset, read_datasets
from evals.data.rows import Row
from evals.figures.tables import count_in_words
from evals.student.judging import AnsweredTwice
from evals.student.keeping import Keeping, card_of
from evals.student.lessons import OTHER, Curriculum, Fit, fit_rows
from evals.student.model import LoadedStudent, check_installed, load_student
from evals.student.outcome import outcome_of
from evals.student.report import StudentReport
from evals.student.training import TrainingSettings
from evals.student.trial import StepScreen, run_trial
from evals.student.unseen import FEWEST_UNSEEN, UnseenSeeds, rows_of, unseen_seeds
from skills_dspy.base.errors import RequestError
from skills_dspy.store.aside import write_text
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.student_report import ALL, digest_of_rows


@dataclass(frozen=True, slots=True)
class StudentRequest:
    """What is asked for.

    Attributes:
        data: runs, exports or files of rows to learn from, together.
        seeds: task files, folders of them, or runs with held-out seeds.
        student: a folder, a name on the Hugging Face Hub, or a GGUF file.
        other, control: what the data is compared with, and rows of another skill; None for none.
        window: the most tokens of a row; None for the student's, 2048 at most.
        device: auto, cpu or cuda.
        seed, runs: the first random seed, and how many are tried.
        folder: keeps finished trainings.
        save: where the student that all rows have taught goes; None for nowhere.
        answers: whether answers to the measured questions are wanted, before and after.
    """

    data: tuple[Path, ...]
    seeds: tuple[Path, ...]
    student: str
    folder: Path
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    other: Path | None = None
    control: Path | None = None
    window: int | None = None
    device: str = "auto"
    seed: int = 0
    runs: int = 1
    save: Path | None = None
    answers: bool = False


def examine_student(request: StudentRequest, screen: StepScreen) -> tuple[StudentReport, tuple[AnsweredTwice, ...]]:
    """Do all that is asked for; the answers are empty where none were wanted.

    Raises:
        RequestError: data, seeds or student are not what they should be, or no row is left.
        MachineError: there is no memory for the training, or the GPU cannot be used.
    """
    check_installed()
    data = [one for path in request.data for one in read_datasets(path)]
    digests = digests_of(data)  # now: a run that is still going on has more rows later
    other, control = (() if path is None else read_datasets(path) for path in (request.other, request.control))
    _refuse_itself(data, {"--compare": other, "--control": control})
    _refuse_same_skill(data, control)
    seeds = unseen_seeds(request.seeds, data, [*other, *control])
    student = load_student(request.student, request.device, request.window)
    measured, notes = _measured(student, seeds)
    given = {"the data": data, "the other dataset": other, "another skill": control}
    rows = {name: _rows(datasets) for name, datasets in given.items()} | {"the seeds": list(seeds.taught)}
    empty = {name: sum(one.left_out + one.labelled_false for one in datasets) for name, datasets in given.items()}
    fits = {
        name: replace(fit_rows(some, measured, seeds.taught, student.length, student.window), empty=empty.get(name, 0))
        for name, some in rows.items()
        if some
    }
    if not fits["the data"].rows:
        raise RequestError(_nothing_left(request, fits["the data"], student))
    curriculum = Curriculum(
        fits["the data"].rows,
        *(_fit(fits, "the seeds"), _fit(fits, "another skill"), _fit(fits, "the other dataset")),
        fits=lambda row: student.length(row) <= student.window,
    )
    keeping = Keeping(student, measured, request.folder, request.save, answers=request.answers)
    random_seeds = range(request.seed, request.seed + request.runs)
    trial = run_trial(student, measured, curriculum, request.settings, random_seeds, request.folder, screen, keeping)
    if trial.found:
        screen.say(
            f"{trial.found} of {len(trial.trainings)} trainings were finished earlier, and are taken from {request.folder}"
        )
    report = StudentReport(
        student=request.student,
        data=tuple(map(str, request.data)),
        tasks=seeds.tasks,
        left_out=fits,
        settings=request.settings,
        window=student.window,
        device=student.device,
        seed=request.seed,
        runs=request.runs,
        outcome=outcome_of(trial, request.seed, {ALL: seeds.unsaid_of(data), OTHER: seeds.unsaid_of(other)}),
        notes=(*notes, *curriculum.shuffled_in_words(request.seed), *_by_word(request)),
        runs_of_data=digests,
    )
    if request.save is not None:
        write_text(request.save / "README.md", card_of(report))
    pairs = keeping.answered() if request.answers else ()
    return report, tuple(AnsweredTwice(row, *both) for row, both in zip(measured, pairs, strict=False))


def _refuse_itself(data: Sequence[Dataset], others: Mapping[str, Sequence[Dataset]]) -> None:
    """RequestError where nothing but the data itself is put beside it, under whatever name; its part may be compared."""
    places, rows = {one.path.resolve() for one in data}, _told(data)
    for option, datasets in others.items():
        for one in datasets:
            if one.path.resolve() in places:
                raise RequestError(f"{option} {one.path}: it is among the data; give other rows")
        told = _told(datasets)
        same = "rows" if told == rows else None
        if option == "--control" and {question for question, _ in told} <= {question for question, _ in rows}:
            same = same or "questions"
        if datasets and same is not None:
            raise RequestError(f"{option} {datasets[0].path}: the data has the very same {same}; give other rows")


def _refuse_same_skill(data: Sequence[Dataset], control: Sequence[Dataset]) -> None:
    """RequestError where runs say that the control is of a task of the data; of files nobody knows."""
    tasks = {one.name for one in data if one.run is not None}
    for one in control:
        if one.run is not None and one.name in tasks:
            raise RequestError(
                f"--control {one.path}: it is of {one.name}, as the data is, and no other skill; give rows of another task, or "
                "put these beside the data with --compare"
            )


def _told(datasets: Sequence[Dataset]) -> set[tuple[str, str]]:
    return {row for dataset in datasets for row in rows_of(dataset)}


def digests_of(data: Sequence[Dataset]) -> dict[str, str]:
    """Task to the SHA-256 of its rows, of those that are runs; of several of one task the later ones with their folder."""
    found: dict[str, str] = {}
    for one in data:
        if one.run is not None:
            found[f"{one.name} ({one.path})" if one.name in found else one.name] = digest_of_rows(RunPaths(one.path))
    return found


def _by_word(request: StudentRequest) -> tuple[str, ...]:
    return () if request.control is None else ("Another skill: that --control is one was not looked at.",)


def _rows(datasets: Sequence[Dataset]) -> list[Row]:
    """All of them; one that does not say its task is of the task of its file."""
    return [row if row.task else replace(row, task=dataset.name) for dataset in datasets for row in dataset.rows]


def _fit(fits: Mapping[str, Fit], name: str) -> tuple[Row, ...]:
    return fits[name].rows if name in fits else ()


def _measured(student: LoadedStudent, seeds: UnseenSeeds) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The seeds that fit into the window, and the notes."""
    measured = tuple(row for row in seeds.measured if student.length(row) <= student.window)
    if len(measured) < FEWEST_UNSEEN:
        raise RequestError(
            f"of {len(seeds.measured)} held-out seeds {len(measured)} fit into a window of {student.window} tokens; give a "
            "longer --window, or a student that has one"
        )
    left = len(seeds.measured) - len(measured)
    return measured, (
        *seeds.notes,
        *([f"{count_in_words(left, 'held-out seed')} longer than the window left out."] if left else ()),
    )


def _nothing_left(request: StudentRequest, fit: Fit, student: LoadedStudent) -> str:
    empty = f", {fit.empty} are blank or labelled false" if fit.empty else ""
    return (
        f"no row of {', '.join(map(str, request.data))} is left: {fit.near} are near copies of held-out seeds, {fit.long} "
        f"are longer than the window of {student.window} tokens{empty}; give other rows, or a longer --window"
    )
