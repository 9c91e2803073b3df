"""What a student takes of the machine's memory is looked at before it is taken, and said in a sentence where it ends."""

from pathlib import Path

import pytest

from evals.student import memory, model
from evals.student.memory import check_memory, free_memory, machine_errors, row_bytes
from evals.student.model import LoadedStudent, load_student
from skills_dspy.base.errors import MachineError
from tests.helpers.tiny_student import LESSONS

pytestmark = pytest.mark.torch


def test_memory_that_is_not_there_is_said_with_what_would_fit(student: LoadedStudent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rows at once where that is enough, else a shorter window or a smaller student."""
    a_row = row_bytes(student.model.config, 64)
    monkeypatch.setattr(memory, "free_memory", lambda _: 2.5 * a_row + student.model.num_parameters())
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

    monkeypatch.setattr(memory, "free_memory", lambda _: None)
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


def test_a_copy_to_save_is_counted(student: LoadedStudent, monkeypatch: pytest.MonkeyPatch) -> None:
    """LoRA is put into a copy of the student after the last batch: where that alone does not fit, --save is named."""
    parameters = student.model.num_parameters()
    monkeypatch.setattr(memory, "free_memory", lambda _: 4.4 * parameters)
    check_memory(student, 1, 1, full=False)
    with pytest.raises(MachineError, match=r"^saving /\S* with what .* are free; without --save it would fit, and so would a"):
        check_memory(student, 1, 1, full=False, copied=True)


def test_a_student_is_not_loaded_where_it_cannot_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are counted before any is read, beside the processor and on the GPU; what would fit is said."""
    import transformers

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", None)  # which nobody calls
    monkeypatch.setattr(model, "chosen_device", lambda wanted: wanted)
    monkeypatch.setattr(memory, "free_memory", lambda where: 400.0 if where == "cpu" else 0.0)
    sentence = (
        r"^loading /\S* with its 0 million weights needs some 0.0 GiB{}, and 0.0 GiB are free; a student of 0 million or f"
    )
    with pytest.raises(MachineError, match=sentence.format("")):
        load_student(str(folder), "cpu")
    monkeypatch.setattr(memory, "free_memory", lambda where: 1e9 if where == "cpu" else 0.0)
    with pytest.raises(MachineError, match=sentence.format(" on the GPU")):
        load_student(str(folder), "cuda")


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 8192),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "1\n"}, 8192),
        (
            {
                "proc/self/cgroup": "0::/box\n",
                "sys/fs/cgroup/memory.max": "5000\n",  # of a container, which knows itself by another name
                "sys/fs/cgroup/memory.current": "3000\n",
                "sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 500\n",
            },
            2500,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu:/\n4:memory:/a/b\n0::/\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "4000\n",
                "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "4500\n",
                "sys/fs/cgroup/memory/a/memory.stat": "inactive_file 9\ntotal_inactive_file 600\n",
                "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/a/b/memory.usage_in_bytes": "1\n",
            },
            100,
        ),
    ],
    ids=["machine", "no limit", "container", "older kind"],
)
def test_a_limit_of_the_container_counts(tmp_path: Path, files: dict[str, str], free: int) -> None:
    """The least that the machine and any control group above leave; caches of files do not count as taken."""
    for name, text in {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:       8 kB\n", **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert free_memory("cpu", tmp_path) == free


def test_a_model_that_sees_is_counted_by_the_part_that_reads() -> None:
    """Its configuration has the size of its vocabulary in a part of its own."""
    from transformers import Gemma3Config

    config = Gemma3Config()
    assert row_bytes(config, 2) == row_bytes(config.text_config, 2) > 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried"), "no memory"),
        (RuntimeError("CUDA error: out of memory"), "no memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "no memory"),
        (MemoryError(), "no memory"),
        (
            RuntimeError("CUDA error: an illegal memory access was encountered\nand more"),
            "the GPU has failed (CUDA error: an illegal memory access was encountered); give --device cpu, or mend it",
        ),
    ],
)
def test_what_the_machine_is_to_blame_for_is_told_apart(error: Exception, said: str) -> None:
    """Memory that ends, by whatever words, is not a GPU that fails."""
    with pytest.raises(MachineError) as told, machine_errors("no memory"):
        raise error
    assert str(told.value) == said


def test_another_fault_that_speaks_of_memory_stays_one() -> None:
    """It is no want of it."""
    with pytest.raises(RuntimeError, match="pinned"), machine_errors("no memory"):
        raise RuntimeError("cannot use pinned memory twice")
