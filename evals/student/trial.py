"""A trial: every lesson taught with every random seed, each once; a finished training is kept in a file and found again."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from evals.data.rows import Row
from evals.figures.tables import count_in_words
from evals.student.checkpoints import Checkpoints
from evals.student.keeping import Keeping
from evals.student.lessons import Curriculum, Lesson
from evals.student.memory import check_memory
from evals.student.model import LoadedStudent, SeedLoss
from evals.student.training import TrainingSettings, trained
from skills_dspy.base.errors import RequestError
from skills_dspy.store.aside import write_json
from skills_dspy.store.files import make_folder, storage_errors

_FORMAT = 2
"""Of what is measured: trainings that an older version kept under another number are made again."""


class StepScreen(Protocol):
    """Shows how far the trainings are."""

    def counting(self, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Count steps."""

    def say(self, line: str) -> None:
        """A line that stays."""


@dataclass(frozen=True, slots=True)
class Training:
    """One lesson taught with one random seed: its rows, the tokens of their answers, the loss on each measured seed."""

    lesson: str
    seed: int
    rows: int
    tokens: int
    losses: tuple[SeedLoss, ...]


@dataclass(frozen=True, slots=True)
class SeedTrial:
    """Losses on the measured seeds before, and after each training; `found` of these were finished earlier."""

    before: tuple[SeedLoss, ...]
    trainings: tuple[Training, ...]
    found: int


def run_trial(
    student: LoadedStudent,
    measured: Sequence[Row],
    curriculum: Curriculum,
    settings: TrainingSettings,
    seeds: Sequence[int],
    folder: Path,
    screen: StepScreen,
    first: Keeping,
) -> SeedTrial:
    """Teach every lesson with every seed, all rows first, whose model `first` may keep; finished ones lie in `trainings`.

    Raises:
        MachineError: there is no memory for it.
        RequestError: a training came to no number.
        StorageError: what is finished cannot be kept.
    """
    folder = folder / "trainings"
    make_folder(folder)
    planned = [(seed, lesson) for seed in seeds for lesson in curriculum.lessons(student.answer_tokens, seed)]
    files = [folder / f"{digest_of(student, measured, lesson, settings, seed)}.json" for seed, lesson in planned]
    known = [_kept(file, len(measured)) for file in files]
    if first.wants(files[0].stem):
        known[0] = None
    longest = max(student.length(row) for _, lesson in planned for row in lesson.rows)
    begun = [Checkpoints(file.with_suffix("")) for file in files]
    trials = list(zip(planned, known, begun, strict=True))
    left = sum(settings.steps(len(lesson.rows)) - kept.last()[1] for (_, lesson), one, kept in trials if one is None)
    if left:
        check_memory(student, longest, settings.batch, full=settings.full, copied=first.copies())
    done: list[Training] = []
    with screen.counting(left) as step:
        for ((seed, lesson), one, kept), file in zip(trials, files, strict=True):
            keep = None if done else first.keep
            done.append(one or _teach(student, measured, lesson, settings, seed, step, keep, kept))
            if one is None:
                write_json(file, asdict(done[-1]))
                screen.say(f"taught: {lesson.name}, {count_in_words(len(lesson.rows), 'row')}, seed {seed}")
            kept.clear()
    return SeedTrial(tuple(student.losses(measured)), tuple(done), sum(one is not None for one in known))


def _teach(
    student: LoadedStudent,
    measured: Sequence[Row],
    lesson: Lesson,
    settings: TrainingSettings,
    seed: int,
    on_step: Callable[[], None],
    keep: Callable[[Any], None] | None,
    kept: Checkpoints,
) -> Training:
    with trained(student, lesson.rows, settings, seed, on_step, kept) as model:
        losses = tuple(student.losses(measured, model))
        if not all(math.isfinite(loss.total) for loss in losses):
            kept.clear()
            raise RequestError(
                f"the training on {lesson.name}, seed {seed}, ran away: its loss is no number; give a smaller --learning-rate "
                f"than {settings.rate:g}"
            )
        if keep is not None:
            keep(model)
    return Training(lesson.name, seed, len(lesson.rows), lesson.tokens, losses)


def digest_of(student: LoadedStudent, measured: Sequence[Row], lesson: Lesson, settings: TrainingSettings, seed: int) -> str:
    """All that decides what a training comes to; of rows and seeds, the tokens that the student reads."""
    rows, seeds = ([student.encoded(row) for row in some] for some in (lesson.rows, measured))
    decides = [_FORMAT, student.mark, student.device, student.window, asdict(settings), seed, lesson.name, rows, seeds]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:24]


def _kept(file: Path, seeds: int) -> Training | None:
    """A training that was finished earlier, with its losses on so many seeds; None where there is none, or no such file."""
    with storage_errors("read", file):
        text = file.read_text("utf-8") if file.exists() else ""
    try:
        told = json.loads(text)
        losses = tuple(SeedLoss(**loss) for loss in told["losses"])
        return Training(**{**told, "losses": losses}) if len(losses) == seeds else None
    except (ValueError, KeyError, TypeError):
        return None
