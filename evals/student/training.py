"""One training: TRL's SFTTrainer on rows, with PEFT's LoRA or in full. Nothing of it is done here by hand."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.data.rows import Row
from evals.student.checkpoints import Checkpoints
from evals.student.memory import machine_errors
from evals.student.model import LoadedStudent, quiet, turns_of

RANK = 16
"""Of LoRA's matrices, which stand beside all linear layers."""
LORA_RATE, FULL_RATE = 2e-4, 5e-5


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How is trained: all weights or LoRA, passes over the rows, the highest learning rate, rows in a step."""

    full: bool = False
    epochs: int = 3
    rate: float = LORA_RATE
    batch: int = 4

    def steps(self, rows: int) -> int:
        """How many steps so many rows take."""
        return math.ceil(rows / self.batch) * self.epochs


@contextmanager
def trained(
    student: LoadedStudent,
    rows: Sequence[Row],
    settings: TrainingSettings,
    seed: int,
    on_step: Callable[[], None],
    unfinished: Checkpoints,
) -> Iterator[Any]:
    """The student trained on rows, once each pass; afterwards, however that ends, it is as it was before.

    The seed decides LoRA's beginning and the order of rows. An `unfinished` training goes on from its last checkpoint, to the
    same end as an undisturbed one.

    Raises:
        MachineError: memory ends, or the GPU fails.
        StorageError: a checkpoint cannot be written.
    """
    from peft import get_peft_model
    from transformers import set_seed

    lasting = {name: weights.clone() for name, weights in student.model.state_dict().items()} if settings.full else None
    before = _wraps(student.model)
    model = student.model.requires_grad_(settings.full)  # PEFT has frozen what it was beside, and lets its own be trained
    no_memory = (
        f"there is no memory for training {student.name} with {settings.batch} rows at once; give a smaller --batch or "
        "--window, or take a smaller student"
    )
    with quiet(), machine_errors(no_memory):
        try:
            set_seed(seed % 2**32)
            if not settings.full:
                model = get_peft_model(model, _lora())
                model.peft_config["default"].base_model_name_or_path = ""  # or a checkpoint asks the Hub for it by name
            unfinished.train(_trainer(student, model, rows, settings, seed, unfinished.folder, unfinished.callback(on_step)))
            _unwrap(model, {})
            _unwrap(student.model, before)  # so that it is measured in the precision that it was measured in before
            yield model
        finally:
            if lasting is not None:
                student.model.load_state_dict(lasting)
            elif model is not student.model:
                model.unload()
            _unwrap(student.model, before)


def _wraps(model: Any) -> dict[str, Any]:
    """What stands in place of the class's own `forward`: TRL and accelerate put theirs there, and leave them."""
    return {name: model.__dict__[name] for name in ("forward", "_original_forward") if name in model.__dict__}


def _unwrap(model: Any, before: Mapping[str, Any]) -> None:
    for name in _wraps(model):
        delattr(model, name)
    model.__dict__.update(before)


def _lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")


def _trainer(
    student: LoadedStudent, model: Any, rows: Sequence[Row], settings: TrainingSettings, seed: int, folder: Path, stepping: Any
) -> Any:
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    cuda = student.device == "cuda"
    args = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch,
        num_train_epochs=settings.epochs,
        learning_rate=settings.rate,
        lr_scheduler_type="cosine",
        seed=seed % 2**32,
        data_seed=seed % 2**32,
        use_cpu=not cuda,
        bf16=cuda,
        gradient_checkpointing=False,
        max_length=student.window,
        logging_strategy="no",
        save_strategy="no",  # by steps; `stepping` has them saved by the clock
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=cuda,
    )
    args._n_gpu = min(1, args.n_gpu)  # of several GPUs the first: the student is on it, and the trainer would spread it
    chats = [dict(zip(("prompt", "completion"), turns_of(row), strict=True)) for row in rows]
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=Dataset.from_list(chats),
        processing_class=student.tokenizer,
        callbacks=[stepping],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
