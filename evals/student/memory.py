"""The memory that a student takes and a machine has: refusals before it ends, and a sentence where it does."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skills_dspy.base.errors import MachineError

if TYPE_CHECKING:
    from evals.student.model import LoadedStudent

_ENDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "alloc_failed")
"""How torch and what it stands on say it; an "illegal memory access" is something else."""
_FLOAT = 4
_LOADING = 1.7
"""How many times its weights, as floats, a GGUF file takes while it is loaded, as measured (others take no more than these)."""


def check_loading(name: str, parameters: int, device: str, *, gguf: bool) -> None:
    """Refuse a student that would not fit into memory; MachineError says which would.

    It is loaded beside the processor first, whatever the device; as floats of four bytes.
    """
    each = _FLOAT * (_LOADING if gguf else 1.0)
    for where, bytes_each in {"cpu": each, device: each if device == "cpu" else _FLOAT}.items():
        free, needed = free_memory(where), parameters * bytes_each
        if free is not None and needed > free:
            on_it = " on the GPU" if where == "cuda" else ""
            raise MachineError(
                f"loading {name} with its {parameters / 1e6:.0f} million weights needs some {needed / 2**30:.1f} GiB{on_it}, "
                f"and {free / 2**30:.1f} GiB are free; a student of {free / bytes_each / 1e6:.0f} million or fewer would fit"
            )


def check_memory(student: "LoadedStudent", longest: int, batch: int, *, full: bool, copied: bool = False) -> None:
    """Refuse a training that would not fit into memory; MachineError says what would.

    Counted are what a full training keeps beside each weight (gradient, two moments, a copy), and the activations and logits of
    a batch, all in four bytes; or, where that is more, the copy that LoRA is merged into (`copied`), which is made after the
    batches. Roughly what is taken, and never a guarantee.
    """
    free = free_memory(student.device)
    parameters = student.model.num_parameters()
    fixed = (4 * _FLOAT if full else 0.5) * parameters  # the weights themselves are there already
    a_row = row_bytes(student.model.config, longest)
    copy = _FLOAT * parameters if copied and not full else 0
    if free is None or fixed + max(batch * a_row, copy) <= free:
        return
    there = f"{free / 2**30:.1f} GiB are free"
    if fixed + copy > free >= fixed + batch * a_row:
        raise MachineError(
            f"saving {student.name} with what it has learned needs some {(fixed + copy) / 2**30:.1f} GiB, and {there}; "
            "without --save it would fit, and so would a smaller student"
        )
    fits = int((free - fixed) // a_row)
    shorter = f"a shorter --window{', no --full' if full else ''} or a smaller student would fit"
    todo = f"--batch {fits} would fit" if fits > 0 else shorter
    raise MachineError(
        f"training {student.name} on {batch} rows of up to {longest} tokens at once needs some "
        f"{(fixed + batch * a_row) / 2**30:.1f} GiB, and {there}; {todo}"
    )


def row_bytes(config: Any, tokens: int) -> float:
    """About how many bytes a row of so many tokens takes in training: logits three times, and the layers' activations.

    Of a model that sees as well, the part that reads is counted.
    """
    text = config.get_text_config()
    layers, width = getattr(text, "num_hidden_layers", 1), getattr(text, "hidden_size", 1)
    return float(_FLOAT * tokens * (3 * text.vocab_size + 34 * layers * width))


def free_memory(device: str, root: Path = Path("/")) -> float | None:
    """Bytes that may be taken; None where the system, which is asked below `root`, does not tell.

    Of what the machine has and what its container or other control groups allow, the least.
    """
    if device == "cuda":
        import torch

        return float(torch.cuda.mem_get_info()[0])
    told = root / "proc/meminfo"
    if told.exists():
        found = [line.split() for line in told.read_text("ascii").splitlines() if line.startswith("MemAvailable:")]
        return min([float(line[1]) * 1024 for line in found] + list(_allowed(root)), default=None)
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) if hasattr(os, "sysconf") else None


def _allowed(root: Path) -> Iterator[float]:
    """What each control group above this process leaves: its limit, less what is taken and is no cache of files."""
    mine = root / "proc/self/cgroup"
    for line in mine.read_text("utf-8").splitlines() if mine.exists() else ():
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        if controllers:  # the older kind, with a tree for each controller
            top, files, cache = (
                root / "sys/fs/cgroup/memory",
                ("memory.limit_in_bytes", "memory.usage_in_bytes"),
                "total_inactive_file",
            )
        else:
            top, files, cache = root / "sys/fs/cgroup", ("memory.max", "memory.current"), "inactive_file"
        folder = top / name.strip("/")  # a container sees its own group as the top, by whatever name
        for group in (folder, *folder.parents):
            if group != top and top not in group.parents:
                break
            limit, taken = (_number(group / file) for file in files)
            if limit is not None and taken is not None:
                yield max(0.0, limit - taken + _cached(group / "memory.stat", cache))


def _number(file: Path) -> int | None:
    """What a file of a control group says; None for `max`, or where there is none."""
    text = file.read_text("ascii").strip() if file.exists() else ""
    return int(text) if text.isdecimal() else None


def _cached(file: Path, name: str) -> int:
    lines = file.read_text("ascii").splitlines() if file.exists() else []
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)


@contextmanager
def memory_of(name: str, device: str) -> Iterator[None]:
    """While a student is loaded and asked: MachineError where the memory of the machine, or of its GPU, ends."""
    other = "give --device cpu, end what else is on the GPU" if device == "cuda" else "end what else runs"
    with machine_errors(f"there is no memory for {name}; {other}, or take a smaller student"):
        yield


@contextmanager
def machine_errors(no_memory: str) -> Iterator[None]:
    """MachineError for what the machine is to blame for: memory that ends, in these words, and a GPU that fails."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if isinstance(error, MemoryError) or any(words in text.lower() for words in _ENDS):
            raise MachineError(no_memory) from error
        if not text.startswith("CUDA error"):
            raise
        raise MachineError(f"the GPU has failed ({text.splitlines()[0][:160]}); give --device cpu, or mend it") from error
