"""A student of some thousand random weights, in a folder as Hugging Face has them: nothing is fetched."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evals.data.rows import Row
from evals.student.checkpoints import Checkpoints
from evals.student.model import LoadedStudent
from evals.student.training import TrainingSettings, trained

ANIMALS = ("fox", "badger", "marten", "jay", "pike", "hare", "stoat", "crow")
SOUNDS = ("barks", "grunts", "hisses", "chatters", "bubbles", "drums", "trills", "caws")
TEMPLATE = (
    "{% for m in messages %}{{ m.role }} {{ m.content }} [EOS] {% endfor %}{% if add_generation_prompt %}assistant {% endif %}"
)

LESSONS = tuple(Row(f"what does a {animal} do", sound) for animal, sound in zip(ANIMALS, SOUNDS, strict=True))
"""Rows whose answers only their question tells."""


@contextmanager
def one_thread() -> Iterator[None]:
    """So little work is only slowed by more threads, and by looks at all of torch, which each training has for garbage."""
    import torch
    import trl.trainer.sft_trainer  # noqa: F401

    gc.freeze()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_student(folder: Path, template: str | None = TEMPLATE) -> Path:
    """Write the model and its tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    names = ("[UNK]", "[PAD]", "[EOS]", "assistant", "user", "what", "does", "a", "do", *ANIMALS, *SOUNDS)
    made: Any = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    kind: Any = PreTrainedTokenizerFast
    tokenizer = kind(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", eos_token="[EOS]", chat_template=template)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config: Any = LlamaConfig
    model: Any = LlamaForCausalLM(
        config(vocab_size=len(names), max_position_embeddings=64, pad_token_id=1, eos_token_id=2, bos_token_id=2, **sizes)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def trained_once(
    student: LoadedStudent,
    rows: Sequence[Row],
    settings: TrainingSettings,
    seed: int,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[Any]:
    """The student trained on rows, without a checkpoint that stays."""
    with TemporaryDirectory() as folder, trained(student, rows, settings, seed, on_step, Checkpoints(Path(folder))) as model:
        yield model
