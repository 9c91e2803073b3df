"""A real student: it is loaded from a GGUF file, trained for a few steps, and written as a folder that loads again."""

from pathlib import Path

import pytest

from evals.data.rows import Row
from evals.student.keeping import Keeping
from evals.student.lessons import Curriculum
from evals.student.model import LoadedStudent, load_student
from evals.student.training import TrainingSettings
from evals.student.trial import run_trial
from skills_dspy.cli.progress import TrainingProgress
from skills_dspy.model.server.gguf import ModelFile

ROWS = tuple(Row(f"Zorb {n}?", f"Zorb {n} makes {n + 1} blips, and then it sleeps.") for n in range(8))


@pytest.fixture(scope="module")
def student(model_file: ModelFile) -> LoadedStudent:
    """SmolLM2-135M-Instruct."""
    return load_student(str(model_file.path), "cpu", 128)


def test_a_few_steps_lower_the_loss_on_seeds_that_are_like_the_rows(student: LoadedStudent, tmp_path: Path) -> None:
    """Two passes over eight rows are enough for an answer that always looks alike; what is saved loads, and has learned."""
    measured = [
        Row("Zorb 40?", "Zorb 40 makes 41 blips, and then it sleeps."),
        Row("Zorb 52?", "Zorb 52 makes 53 blips, and then it sleeps."),
    ]
    keeping = Keeping(student, measured, tmp_path, tmp_path / "saved", answers=False)
    settings = TrainingSettings(epochs=2)
    trial = run_trial(student, measured, Curriculum(ROWS[:4]), settings, [0], tmp_path, TrainingProgress(quiet=True), keeping)
    before, after = (sum(loss.mean for loss in losses) for losses in (trial.before, trial.trainings[0].losses))
    assert after < before - 0.2
    saved = load_student(str(tmp_path / "saved"), "cpu", 128)
    assert sum(loss.mean for loss in saved.losses(measured)) == pytest.approx(after, abs=0.01)
