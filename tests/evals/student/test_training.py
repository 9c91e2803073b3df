"""A student of random weights in TRL's trainer: it learns what it is taught, and is afterwards as it was."""

import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from evals.data.rows import Row
from evals.student import model
from evals.student.keeping import Keeping
from evals.student.lessons import SHUFFLED, Curriculum
from evals.student.model import LoadedStudent, check_memory, chosen_device, load_student
from evals.student.training import TrainingSettings, trained
from evals.student.trial import run_trial
from skills_dspy.base.errors import MachineError, RequestError, SkillsError
from skills_dspy.cli.progress import Progress
from skills_dspy.store.student_report import ALL
from tests.helpers.tiny_student import ANIMALS, LESSONS, SOUNDS, one_thread, write_student

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the student lies."""
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")
        yield write_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def student(folder: Path) -> LoadedStudent:
    """Loaded once."""
    return load_student(str(folder), "cpu")


@pytest.fixture(scope="module")
def talker(student: LoadedStudent) -> Iterator[LoadedStudent]:
    """One that knows how an answer looks, and not which one is right: it was taught all answers to all questions."""
    every = [Row(row.question, sound) for row in LESSONS for sound in SOUNDS]
    with trained(student, every, TrainingSettings(full=True, epochs=3, rate=0.02, batch=8), 0, lambda: None):
        yield student


def mean_loss(student: LoadedStudent, trained_model: object = None) -> float:
    """Over all that there is to know."""
    return fmean(loss.mean for loss in student.losses(LESSONS, trained_model))


def test_right_answers_lower_the_loss_and_shuffled_ones_do_not(talker: LoadedStudent) -> None:
    """The answers themselves are learned; the same answers to each other's questions make it worse."""
    lessons = {one.name: one for one in Curriculum(LESSONS).lessons(talker.answer_tokens, 0)}
    before, after = mean_loss(talker), {}
    settings = TrainingSettings(full=True, epochs=15, rate=0.02, batch=4)
    for name in (ALL, SHUFFLED):
        steps: list[int] = []
        with trained(talker, lessons[name].rows, settings, 0, lambda steps=steps: steps.append(1)) as taught:  # type: ignore[misc]
            after[name] = mean_loss(talker, taught)
        assert len(steps) == settings.steps(len(ANIMALS)) == 30
        assert mean_loss(talker) == before
    assert after[ALL] < before - 0.2
    assert after[SHUFFLED] > before


def test_lora_leaves_the_student_as_it_was_and_the_seed_decides(student: LoadedStudent) -> None:
    """Its matrices are taken away again; with the same seed the losses are the same."""
    before, after = mean_loss(student), []
    for seed in (1, 1, 2):
        with trained(student, LESSONS, TrainingSettings(epochs=4, rate=0.02), seed, lambda: None) as taught:
            after.append(mean_loss(student, taught))
        assert mean_loss(student) == before
    assert after[0] == after[1] != after[2]
    assert after[0] < before


def test_only_the_answer_counts(student: LoadedStudent) -> None:
    """Its words and the end of the turn, given the question in the chat template."""
    assert [loss.tokens for loss in student.losses(LESSONS[:2])] == [2, 2]
    assert student.length(LESSONS[0]) == 10
    assert student.answer_tokens(replace(LESSONS[0], context="a fox")) == 2
    assert student.length(replace(LESSONS[0], context="a fox")) == 12


# ---- what cannot be used ---------------------------------------------------------------------------------------------


def test_a_student_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    """One without a chat template, and what is no model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare = write_student(tmp_path / "bare", None)
    with pytest.raises(RequestError, match=r"bare has no chat template, so it cannot be asked; take an instruct model"):
        load_student(str(bare), "cpu")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.gguf").write_bytes(b"GGUF of nothing")
    with pytest.raises(SkillsError, match=r"broken\.gguf"):
        load_student(str(tmp_path / "broken.gguf"), "cpu")
    for name in ("empty", "nowhere"):
        with pytest.raises(
            RequestError, match=r"cannot be loaded \(.*\); give a folder, a name on the Hugging Face Hub, or a GGUF"
        ):
            load_student(str(tmp_path / name), "cpu")


def test_memory_that_is_not_there_is_said_with_what_would_fit(student: LoadedStudent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rows at once where that is enough, else a shorter window or a smaller student."""
    a_row = model.row_bytes(student.model.config, 64)
    monkeypatch.setattr(model, "free_memory", lambda _: 2.5 * a_row + student.model.num_parameters())
    check_memory(student, 64, 2, full=False)
    with pytest.raises(
        MachineError, match=r"on 4 rows of up to 64 tokens at once needs some .* GiB are free; --batch 2 would fit"
    ):
        check_memory(student, 64, 4, full=False)
    with pytest.raises(MachineError, match=r"a shorter --window, no --full or a smaller student would fit"):
        check_memory(student, 4096, 4, full=True)


def test_memory_that_ends_while_a_student_is_loaded_or_asked_is_said(
    student: LoadedStudent, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU that another program has filled; any other fault of torch's stays one."""
    import torch

    def ends(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(torch.nn.Module, "to", ends)
    monkeypatch.setattr(model, "chosen_device", lambda wanted: wanted)
    with pytest.raises(MachineError, match=r"^there is no memory for /\S*; end what else runs, or take a smaller student$"):
        load_student(str(folder), "cpu")
    with pytest.raises(MachineError, match=r"; give --device cpu, end what else is on the GPU, or take a smaller"):
        load_student(str(folder), "cuda")
    for ask in (student.losses, student.answers):
        monkeypatch.setattr(student.model, "forward", ends)
        with pytest.raises(MachineError, match="there is no memory for"):
            ask(LESSONS[:1])
        monkeypatch.setattr(student.model, "forward", fails)
        with pytest.raises(RuntimeError, match="shapes"):
            ask(LESSONS[:1])


def test_a_gpu_that_is_there_but_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether torch only finds out when it computes, or warns of an old driver and finds none."""
    import torch

    def refuses(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nand more")

    def warns() -> bool:
        warnings.warn("CUDA initialization: the driver is too old", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", warns)
    with pytest.raises(
        MachineError, match=r"there is a GPU, but torch cannot use it \(CUDA initialization: .*; give --device cpu"
    ):
        chosen_device("auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", refuses)
    with pytest.raises(MachineError, match=r"cannot use it \(CUDA error: no kernel image is available\); give --device cpu"):
        chosen_device("auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (chosen_device("auto"), chosen_device("cpu")) == ("cpu", "cpu")
    with pytest.raises(MachineError, match=r"--device cuda: torch finds no GPU here; leave the option out"):
        chosen_device("cuda")


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("model.safetensors", "cut off", r"cannot be loaded \(.*\); give a folder, a name"),
        (
            "chat_template.jinja",
            "{{ raise_exception('system first') }}",
            r"^--student /\S*: .* cannot be used \(system first\)",
        ),
        ("chat_template.jinja", "{% for m in messages %}{{ m.role", r"chat template cannot be used \(.*end of template"),
        ("chat_template.jinja", "{{ messages[0].content }}", r"chat template leaves out what is answered"),
    ],
)
def test_a_broken_student_is_said(folder: Path, tmp_path: Path, file: str, text: str, why: str) -> None:
    """Weights that are cut off, and a template that cannot tell a question and its answer."""
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / file).write_text(text, "utf-8")
    with pytest.raises(RequestError, match=why):
        load_student(str(broken), "cpu")


def test_a_training_that_runs_away_is_said(student: LoadedStudent, tmp_path: Path) -> None:
    """Its losses are no numbers, and nothing is kept that a later run would take for finished."""
    wild, rows = TrainingSettings(full=True, rate=1e30, epochs=2), Curriculum(LESSONS[:1])
    screen = Progress(quiet=True)
    keeping = Keeping(student, LESSONS, tmp_path, None, answers=False)
    with pytest.raises(RequestError, match=r"all rows, seed 0, .* no number; give a smaller --learning-rate than 1e\+30"):
        run_trial(student, LESSONS, rows, wild, [0], tmp_path, screen, keeping)
    assert not list((tmp_path / "trainings").iterdir())


def test_a_place_to_save_that_cannot_be_is_said_before_training(student: LoadedStudent, tmp_path: Path) -> None:
    """And not after the first one."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SkillsError, match=r"a file is in the way"):
        Keeping(student, LESSONS, tmp_path, tmp_path / "file" / "saved", answers=False).wants("digest")
