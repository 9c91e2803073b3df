"""The student: a model of transformers with its tokenizer, how long rows are for it, and what its losses are.

The only door to torch and transformers here; both are imported when a student is loaded.
"""

import hashlib
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from logging import ERROR, getLogger
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from evals.data.rows import Row
from evals.student.memory import check_loading, memory_of
from skills_dspy.base.errors import MachineError, RequestError
from skills_dspy.commands.export.layouts import user_turn
from skills_dspy.model.server.gguf import count_weights, read_model_file

NEEDED = ("torch", "transformers", "trl", "peft", "datasets", "gguf")
_LONGEST = 2048
"""Tokens of a window where nobody says how long: longer rows cost memory with the length of the batch."""

_LONGEST_ANSWER = 512
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?(?<!\.gguf)")
_UNLOADED = "--student {name} cannot be loaded ({why}); give a folder, a name on the Hugging Face Hub, or a GGUF file"

Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class SeedLoss:
    """The loss of one answer given its question: the sum over its tokens, in nats, and how many they are."""

    total: float
    tokens: int

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.total / self.tokens


@dataclass(frozen=True, slots=True, eq=False)
class LoadedStudent:
    """A loaded model.

    Attributes:
        name: as it was given.
        window: the most tokens of a row.
        mark: a digest of its weights: the same model under another name has the same.
    """

    name: str
    model: Any
    tokenizer: Any
    window: int
    device: str
    mark: str

    def length(self, row: Row) -> int:
        """How many tokens a row is, with the chat template."""
        return len(self.encoded(row)[0])

    def answer_tokens(self, row: Row) -> int:
        """How many of them are learned from: those of the answer, and of the end of the turn."""
        whole, start = self.encoded(row)
        return len(whole) - start

    def losses(self, rows: Sequence[Row], model: Any = None) -> list[SeedLoss]:
        """The loss of each answer; of `model`, a trained form of the student, in place of its own."""
        import torch

        asked = self.model if model is None else model
        asked.eval()
        found = []
        with memory_of(self.name, self.device), torch.inference_mode():
            for row in rows:
                whole, start = self.encoded(row)
                ids = torch.tensor([whole], device=self.device)
                logits = asked(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, start - 1 : -1].float()
                total = torch.nn.functional.cross_entropy(logits, ids[0, start:], reduction="sum")
                found.append(SeedLoss(float(total), len(whole) - start))
        return found

    def answers(self, rows: Sequence[Row], model: Any = None) -> list[str]:
        """What is answered to each question, without chance, 512 tokens at most; see `losses`."""
        import torch

        asked = self.model if model is None else model
        asked.eval()
        found = []
        with quiet(), memory_of(self.name, self.device), torch.inference_mode():
            for row in rows:
                prompt = self._tokens(turns_of(row)[0], add_generation_prompt=True)
                room = max(1, min(_LONGEST_ANSWER, self.window - len(prompt)))
                ids = torch.tensor([prompt], device=self.device)
                said = asked.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=room, do_sample=False)
                found.append(str(self.tokenizer.decode(said[0, len(prompt) :], skip_special_tokens=True)).strip())
        return found

    def encoded(self, row: Row) -> tuple[list[int], int]:
        """The tokens of a row, and where those of the answer begin, 1 or later."""
        asked, told = turns_of(row)
        prompt = self._tokens(asked, add_generation_prompt=True)
        whole = self._tokens([*asked, *told], add_generation_prompt=False)
        pairs = enumerate(zip(prompt, whole, strict=False))
        start = next((place for place, (one, other) in pairs if one != other), min(len(prompt), len(whole)))
        return whole, min(max(1, start), len(whole) - 1)

    def _tokens(self, turns: Turns, *, add_generation_prompt: bool) -> list[int]:
        found: list[int] = self.tokenizer.apply_chat_template(
            turns, add_generation_prompt=add_generation_prompt, return_dict=False
        )
        return found


def turns_of(row: Row) -> tuple[Turns, Turns]:
    """What the user says, with the context before the question, and what is answered, as chats have it."""
    asked = {"role": "user", "content": user_turn(row.question, row.context)}
    return [asked], [{"role": "assistant", "content": row.answer}]


def check_installed() -> None:
    """Refuse where a library is missing; RequestError says how to get it."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise RequestError(
            f"`eval student` trains with {', '.join(missing)}, which is not here: pip install 'skills-dspy[student]'"
        )


def load_student(name: str, device: str = "auto", window: int | None = None) -> LoadedStudent:
    """Load a folder of Hugging Face's, a name on its Hub, or a GGUF file.

    Raises:
        RequestError: nothing can be loaded from there, or not without running what it brings, or it has no chat template.
        MachineError: there is no memory for it, or the GPU that is there cannot be used.
    """
    check_installed()
    device = chosen_device(device)
    with quiet(), redirect_stderr(StringIO()):  # a bar of its own has the reader of GGUF files
        tokenizer, model = _loaded(name, device)
        with memory_of(name, device):
            model = model.to(device)
    most = getattr(model.config.get_text_config(), "max_position_embeddings", None) or _LONGEST
    if window is not None and window > most:
        raise RequestError(f"--window {window} is more than the {most} tokens that --student {name} takes; give {most} at most")
    return LoadedStudent(name, model, tokenizer, window or min(_LONGEST, most), device, _mark_of(model))


def _loaded(name: str, device: str) -> tuple[Any, Any]:
    """Tokenizer and model, beside the processor; nothing of the model is read before there is room for it."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    auto: Any = AutoModelForCausalLM
    faults = (
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
        ImportError,
        EOFError,
        UnpicklingError,
        SafetensorError,
        struct.error,
    )
    path = Path(name)
    if (missing := _missing(path)) is not None:
        raise RequestError(_UNLOADED.format(name=name, why=missing))
    place, how = name, {}
    if path.suffix == ".gguf":
        read_model_file(path)  # whose faults are said in a sentence; transformers' are anything
        check_loading(name, count_weights(path), device, gguf=True)
        place, how = str(path.parent), {"gguf_file": path.name}
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(place, trust_remote_code=False, **how)
        if getattr(tokenizer, "chat_template", None) is None:
            raise RequestError(f"--student {name} has no chat template, so it cannot be asked; take an instruct model")
        _check_template(name, tokenizer)
        if not how:
            with torch.device("meta"):  # all but the numbers
                config = AutoConfig.from_pretrained(place, trust_remote_code=False)
                empty = auto.from_config(config, trust_remote_code=False)
            check_loading(name, empty.num_parameters(), device, gguf=False)
        with memory_of(name, "cpu"):
            model = auto.from_pretrained(place, dtype=torch.float32, trust_remote_code=False, **how)
    except faults as error:
        if "trust_remote_code" in str(error):
            raise RequestError(
                f"--student {name} brings program code of its own, which is not run; take one that transformers knows"
            ) from error
        why = next(iter(str(error).splitlines()), type(error).__name__)[:160]
        here = "" if path.exists() else "there is no such folder, and of the Hub it is said: "
        raise RequestError(_UNLOADED.format(name=name, why=f"{here}{why}")) from error
    if how:
        _forget_quantization(model)
    return tokenizer, model


def _missing(path: Path) -> str | None:
    """Why nothing can be loaded from here, where that is plain; None also for what may be a name on the Hub."""
    if path.is_dir():
        return None if (path / "config.json").is_file() else "the folder has no config.json, so it holds no model"
    if path.is_file():
        return None if path.suffix == ".gguf" else "the file is not called .gguf"
    return None if _HUB_NAME.fullmatch(str(path)) else "there is no such folder or file"


def _check_template(name: str, tokenizer: Any) -> None:
    """RequestError where the chat template cannot tell of a question and its answer."""
    from jinja2 import TemplateError

    asked, told = turns_of(Row("question", "answer"))
    try:
        chat = str(tokenizer.apply_chat_template([*asked, *told], tokenize=False))
    except TemplateError as error:
        raise RequestError(
            f"--student {name}: its chat template cannot be used ({error}); take another instruct model"
        ) from error
    if "answer" not in chat.rpartition("question")[2]:
        raise RequestError(f"--student {name}: its chat template leaves out what is answered; take another instruct model")


def _forget_quantization(model: Any) -> None:
    """What came of a GGUF file are plain floats now; transformers would neither train nor write them otherwise."""
    model.hf_quantizer, model.is_quantized = None, False
    for holder, attribute in ((model, "quantization_method"), (model.config, "quantization_config")):
        if hasattr(holder, attribute):
            delattr(holder, attribute)


def _mark_of(model: Any) -> str:
    """A digest of the bytes of all weights: sums of them change with the number of threads."""
    import torch

    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        digest.update(weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def chosen_device(wanted: str) -> str:
    """Where to compute, for `auto`: on a GPU if there is one; MachineError where that is there but cannot be used."""
    if wanted == "cpu":
        return wanted
    import torch

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        there = torch.cuda.is_available()
    fault = next((str(one.message) for one in told if "CUDA" in str(one.message)), None)
    if there:
        try:
            torch.ones(2, device="cuda").sum().item()
            return "cuda"
        except RuntimeError as error:
            fault = str(error)
    if fault is not None:
        raise MachineError(
            f"there is a GPU, but torch cannot use it ({fault.splitlines()[0][:160]}); give --device cpu, or mend it"
        )
    if wanted == "cuda":
        raise MachineError("--device cuda: torch finds no GPU here; leave the option out")
    return "cpu"


@contextmanager
def quiet() -> Iterator[None]:
    """While libraries load and train: none of their warnings, logs and bars, for errors are said in a sentence of ours.

    Nor do they send anybody word of what is done.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datasets
        from huggingface_hub import constants
        from transformers.utils import logging

        constants.HF_HUB_DISABLE_TELEMETRY = True  # TRL would tell its makers of each training
        getLogger("huggingface_hub").setLevel(ERROR)
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        datasets.disable_progress_bars()
        yield
