"""A student of random weights in TRL's trainer: it learns what it is taught, and is afterwards as it was."""

import copy
import json
import re
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from evals.data.rows import Row
from evals.student.keeping import Keeping
from evals.student.lessons import SHUFFLED, Curriculum, Lesson
from evals.student.model import LoadedStudent, _mark_of, chosen_device, load_student
from evals.student.training import TrainingSettings
from evals.student.trial import digest_of, run_trial
from skills_dspy.base.errors import MachineError, RequestError, SkillsError, StorageError
from skills_dspy.cli.progress import Progress
from skills_dspy.store.student_report import ALL
from tests.helpers.tiny_student import ANIMALS, LESSONS, SOUNDS, one_thread, trained_once, write_student

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def talker(student: LoadedStudent) -> Iterator[LoadedStudent]:
    """One that knows how an answer looks, and not which one is right: it was taught all answers to all questions."""
    every = [Row(row.question, sound) for row in LESSONS for sound in SOUNDS]
    with trained_once(student, every, TrainingSettings(full=True, epochs=3, rate=0.02, batch=8), 0):
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
        with trained_once(talker, lessons[name].rows, settings, 0, lambda steps=steps: steps.append(1)) as taught:  # type: ignore[misc]
            after[name] = mean_loss(talker, taught)
        assert len(steps) == settings.steps(len(ANIMALS)) == 30
        assert mean_loss(talker) == before
    assert after[ALL] < before - 0.2
    assert after[SHUFFLED] > before


def test_lora_leaves_the_student_as_it_was_and_the_seed_decides(student: LoadedStudent) -> None:
    """Its matrices are taken away again; with the same seed the losses are the same."""
    before, after = mean_loss(student), []
    for seed in (1, 1, 2):
        with trained_once(student, LESSONS, TrainingSettings(epochs=4, rate=0.02), seed) as taught:
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


def config_with(monkeypatch: pytest.MonkeyPatch, gpus: int, **settings: object) -> None:
    """Let the trainer find so many GPUs, and have other settings."""
    from trl.trainer import sft_config

    class Config(sft_config.SFTConfig):
        """As on another machine."""

        def __post_init__(self) -> None:
            """What it finds."""
            super().__post_init__()  # type: ignore[no-untyped-call]
            self._n_gpu = gpus

    monkeypatch.setattr(sft_config, "SFTConfig", lambda **given: Config(**{**given, **settings}))


def test_of_several_gpus_one_is_used(student: LoadedStudent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer would spread the student over all of them, which TRL refuses."""
    config_with(monkeypatch, gpus=2)
    with trained_once(student, LESSONS[:4], TrainingSettings(epochs=1), 0) as taught:
        assert mean_loss(student, taught) > 0


@pytest.mark.parametrize("full", [False, True], ids=["lora", "full"])
def test_a_student_is_measured_in_one_precision(student: LoadedStudent, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    """On a GPU it is trained in half precision, which the measure after it has no part in, nor anything later."""
    import torch

    config_with(monkeypatch, gpus=0, bf16=True)
    before = mean_loss(student)
    with trained_once(student, LESSONS[:4], TrainingSettings(full=full, epochs=1, rate=0.02), 0) as taught:
        logits = taught.eval()(input_ids=torch.arange(9)[None]).logits
        assert (logits != logits.bfloat16().float()).any()
        assert mean_loss(student, taught) != before
    assert mean_loss(student) == before
    assert "forward" not in vars(student.model)


@pytest.mark.parametrize("stops", ["_trainer", "step"])
def test_a_training_that_fails_leaves_the_student_as_it_was(
    student: LoadedStudent, monkeypatch: pytest.MonkeyPatch, stops: str
) -> None:
    """Wherever it fails: also before there is a trainer."""
    names, before = sorted(student.model.state_dict()), mean_loss(student)

    def fail(*_: object) -> None:
        raise ValueError("stop")

    if stops == "_trainer":
        monkeypatch.setattr("trl.trainer.sft_trainer.SFTTrainer._prepare_dataset", fail)
    with pytest.raises(ValueError, match="stop"), trained_once(student, LESSONS, TrainingSettings(epochs=1), 0, fail):
        pass
    assert sorted(student.model.state_dict()) == names
    assert mean_loss(student) == before


def test_nobody_is_told_of_a_training(student: LoadedStudent, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL sends its makers word of each one, where nothing says that it must not."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _telemetry

    sent: list[object] = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(constants, "is_offline_mode", lambda: False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr(_telemetry, "_start_telemetry_thread", lambda: sent.append("word"))
    with trained_once(student, LESSONS[:4], TrainingSettings(epochs=1), 0):
        assert sent == []


def test_the_mark_is_that_of_the_weights_alone() -> None:
    """With another number of threads it is the same, and with one bit of one weight another."""
    import torch

    torch.manual_seed(0)
    weights, some = torch.nn.Module(), torch.randn(2000, 2000) * 0.02
    weights.register_buffer("some", some)
    with one_thread():
        mark = _mark_of(weights)
    with one_thread():
        torch.set_num_threads(3)
        assert _mark_of(weights) == mark
    some[0, 0] = torch.nextafter(some[0, 0], torch.tensor(9.0))
    assert _mark_of(weights) != mark


@pytest.mark.parametrize("other", ["template", "device", "answer"])
def test_a_training_is_told_from_others_by_all_that_decides_it(student: LoadedStudent, other: str) -> None:
    """The tokens that the student reads, whatever made them, and where it computes."""
    lesson = Lesson(ALL, LESSONS, 16)
    told = digest_of(student, LESSONS, lesson, TrainingSettings(), 0)
    assert told == digest_of(replace(student, name="another"), LESSONS, lesson, TrainingSettings(), 0)
    rows = (replace(LESSONS[0], answer="drums"), *LESSONS[1:]) if other == "answer" else LESSONS
    changed = replace(student, device="cuda") if other == "device" else student
    if other == "template":
        tokenizer = copy.deepcopy(student.tokenizer)
        tokenizer.chat_template = tokenizer.chat_template.replace("[EOS]", "[PAD]")
        changed = replace(student, tokenizer=tokenizer)
    assert digest_of(changed, rows, lesson, TrainingSettings(), 0) != told
    assert digest_of(changed, LESSONS, replace(lesson, rows=rows), TrainingSettings(), 0) != told


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
    (tmp_path / "rows.jsonl").write_text("{}", "utf-8")
    for name, why in (
        ("empty", "the folder has no config.json, so it holds no model"),
        ("nowhere", "there is no such folder or file"),
        ("nowhere.gguf", "there is no such folder or file"),
        ("rows.jsonl", "the file is not called .gguf"),
    ):
        what = f"{name} cannot be loaded ({why}); give a folder, a name on the Hugging Face Hub, or a GGUF file"
        with pytest.raises(RequestError, match=re.escape(what)):
            load_student(str(tmp_path / name), "cpu")
    with pytest.raises(
        RequestError, match=r"^--student nobody/nothing cannot be loaded \(there is no such folder, and of the Hub"
    ):
        load_student("nobody/nothing", "cpu")


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


def test_a_student_that_brings_code_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked on the terminal whether it may run."""
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", asked.append)
    foreign = tmp_path / "foreign"
    shutil.copytree(folder, foreign)
    config = {"model_type": "zorb", "auto_map": {"AutoConfig": "zorb.Config", "AutoModelForCausalLM": "zorb.Model"}}
    (foreign / "config.json").write_text(json.dumps(config), "utf-8")
    (foreign / "zorb.py").write_text("raise SystemExit('it runs')", "utf-8")
    with pytest.raises(RequestError, match=r"^--student /\S* brings program code of its own, which is not run; take one that"):
        load_student(str(foreign), "cpu")
    assert asked == []


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


def test_a_student_that_cannot_be_written_is_said(
    student: LoadedStudent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sentence, by the library that writes weights as well, and nothing is left of it."""
    from safetensors import SafetensorError

    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(student.model, "save_pretrained", full, raising=False)
    keeping = Keeping(student, LESSONS, tmp_path, tmp_path / "saved", answers=False)
    assert keeping.wants("digest")
    with pytest.raises(StorageError, match=r"^cannot write the student to /\S*/saved: .*No space left .*; free some space and"):
        keeping.keep(student.model)
    assert not list(tmp_path.iterdir())
