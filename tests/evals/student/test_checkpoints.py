"""A training that is stopped goes on from its last whole checkpoint, to the same end."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from evals.student import checkpoints
from evals.student.checkpoints import Checkpoints
from evals.student.keeping import Keeping
from evals.student.lessons import Curriculum
from evals.student.model import LoadedStudent, SeedLoss
from evals.student.training import TrainingSettings, trained
from evals.student.trial import Training, _kept, run_trial
from skills_dspy.base.errors import StorageError
from skills_dspy.cli.progress import Progress
from tests.helpers.tiny_student import LESSONS

pytestmark = pytest.mark.torch

SETTINGS = TrainingSettings(epochs=2, rate=0.02)
"""Of eight rows, four steps."""


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after each step."""
    monkeypatch.setattr(checkpoints, "EVERY", -1.0)


def losses(student: LoadedStudent, kept: Checkpoints, settings: TrainingSettings, stop: int = 0) -> tuple[float, int]:
    """What a training comes to, and how many steps it took; somebody presses Ctrl-C at a step."""
    steps: list[int] = []

    def on_step() -> None:
        steps.append(1)
        if len(steps) == stop:
            raise KeyboardInterrupt

    with trained(student, LESSONS, settings, 3, on_step, kept) as taught:
        return sum(loss.total for loss in student.losses(LESSONS, taught)), len(steps)


@pytest.mark.parametrize("full", [False, True], ids=["lora", "full"])
def test_a_stopped_training_comes_to_the_same_end(student: LoadedStudent, tmp_path: Path, full: bool) -> None:
    """Weights, moments, rate and the order of rows go on where they were; what is there in part is not used."""
    settings = TrainingSettings(full=full, epochs=2, rate=0.02)
    whole, kept = losses(student, Checkpoints(tmp_path / "whole"), settings), Checkpoints(tmp_path / "training")
    with pytest.raises(KeyboardInterrupt):
        losses(student, kept, settings, stop=3)
    last, steps = kept.last()
    assert (steps, last) == (2, kept.folder / "checkpoint-2")
    (kept.folder / "checkpoint-3").mkdir()
    (kept.folder / "checkpoint-3" / "trainer_state.json").write_text("{")
    assert losses(student, kept, settings) == (whole[0], 2)
    assert whole[1] == 4
    assert kept.last()[1] == 3
    assert [one.name for one in kept.folder.glob("checkpoint-*")] == ["checkpoint-3"]
    kept.clear()
    assert not kept.folder.exists()


def test_a_checkpoint_of_other_libraries_is_left(student: LoadedStudent, tmp_path: Path) -> None:
    """They may not read it, or go on in another way: the training is made from its beginning."""
    kept = Checkpoints(tmp_path / "training")
    with pytest.raises(KeyboardInterrupt):
        losses(student, kept, SETTINGS, stop=2)
    (kept.folder / "checkpoint-1" / "whole").write_text("torch 1.0")
    assert kept.last() == (None, 0)
    assert losses(student, kept, SETTINGS)[1] == 4


def test_a_trial_goes_on_within_a_training_and_leaves_nothing(student: LoadedStudent, tmp_path: Path) -> None:
    """Steps that were made are not counted again; with the last training the last checkpoint goes."""
    screen = Screen()
    with pytest.raises(KeyboardInterrupt):
        teach(student, tmp_path, screen, stop=3)
    trial = teach(student, tmp_path, screen)
    assert screen.totals == [12, 10]  # of the first training four, and two are kept
    assert len(trial) == len(list((tmp_path / "trainings").iterdir())) == 4


def test_a_kept_training_without_its_losses_is_none(tmp_path: Path) -> None:
    """Its file is there, but somebody or a broken disk has emptied it in part: it is made again."""
    file, whole = tmp_path / "kept.json", Training("all rows", 0, 2, 4, (SeedLoss(1.0, 2), SeedLoss(2.0, 2)))
    for losses_left, known in ((2, whole), (1, None), (0, None)):
        file.write_text(json.dumps({**asdict(whole), "losses": asdict(whole)["losses"][:losses_left]}), "utf-8")
        assert _kept(file, 2) == known


def test_a_checkpoint_that_cannot_be_written_is_said(
    student: LoadedStudent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever library comes upon it."""
    import torch

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        StorageError, match=r"^cannot write a checkpoint to /\S*/training: PytorchStreamWriter .*; free some space"
    ):
        losses(student, Checkpoints(tmp_path / "training"), SETTINGS)
    kept = Checkpoints(tmp_path / "other")
    kept.folder.mkdir()
    (kept.folder / "checkpoint-1").write_text("in the way")
    with pytest.raises(StorageError, match=r"^cannot write /\S*/other: .*in the way"):
        losses(student, kept, SETTINGS)


class Screen(Progress):
    """Remembers how many steps were to come; somebody presses Ctrl-C at one of them."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.totals: list[int] = []
        self.stops_at = 0

    @contextmanager
    def counting(self, total: int) -> Iterator[Callable[[], None]]:
        """Count, and stop."""
        self.totals.append(total)
        steps: list[int] = []

        def step() -> None:
            steps.append(1)
            if len(steps) == self.stops_at:
                raise KeyboardInterrupt

        yield step


def teach(student: LoadedStudent, folder: Path, screen: Screen, stop: int = 0) -> tuple[object, ...]:
    """All rows, a half, a quarter, and answers shuffled."""
    screen.stops_at = stop
    keeping = Keeping(student, LESSONS, folder, None, answers=False)
    return run_trial(student, LESSONS, Curriculum(LESSONS), SETTINGS, [0], folder, screen, keeping).trainings
