"""One training: TRL's SFTTrainer on rows, with PEFT's LoRA or in full. Nothing of it is done here by hand."""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from evals.data.rows import Row
from evals.student.model import LoadedStudent, ends_memory, quiet, turns_of
from skills_dspy.base.errors import MachineError

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
    student: LoadedStudent, rows: Sequence[Row], settings: TrainingSettings, seed: int, on_step: Callable[[], None]
) -> Iterator[Any]:
    """The student trained on rows, once each pass; afterwards it is as it was before.

    The seed decides LoRA's beginning and the order of rows. MachineError where memory ends.
    """
    before = {name: weights.clone() for name, weights in student.model.state_dict().items()} if settings.full else None
    model = student.model.requires_grad_(settings.full)  # PEFT has frozen what it was beside, and lets its own be trained
    with quiet(), tempfile.TemporaryDirectory() as folder:
        try:
            trainer = _trainer(student, rows, settings, seed, on_step, folder)
            model = trainer.model
            trainer.train()
            yield model
        except (MemoryError, RuntimeError) as error:
            if not ends_memory(error):
                raise
            raise MachineError(
                f"there is no memory for training {student.name} with {settings.batch} rows at once; give a smaller --batch or "
                "--window, or take a smaller student"
            ) from error
        finally:
            if before is not None:
                student.model.load_state_dict(before)
            elif hasattr(model, "unload"):
                model.unload()


def _trainer(
    student: LoadedStudent, rows: Sequence[Row], settings: TrainingSettings, seed: int, on_step: Callable[[], None], folder: str
) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback, TrainerCallback, set_seed
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    class Counted(TrainerCallback):
        """Tells of each step."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            """One more."""
            on_step()

    set_seed(seed % 2**32)
    cuda = student.device == "cuda"
    args = SFTConfig(
        output_dir=folder,
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
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=cuda,
    )
    chats = [dict(zip(("prompt", "completion"), turns_of(row), strict=True)) for row in rows]
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(
        model=student.model,
        args=args,
        train_dataset=Dataset.from_list(chats),
        processing_class=student.tokenizer,
        peft_config=None if settings.full else lora,
        callbacks=[Counted()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
