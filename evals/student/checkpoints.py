"""Checkpoints of a training that lasts: the trainer's own, one every minute, of which only a whole one is gone on from."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from skills_dspy.base.errors import StorageError
from skills_dspy.store.aside import write_text
from skills_dspy.store.files import storage_errors, sync

EVERY = 60.0
"""Seconds from one checkpoint to the next: no more than that is done again."""
_WHOLE = "whole"
"""Stands in a checkpoint when all of it is on the disk, with the libraries that wrote it, for others may not read it."""
_LIBRARIES = ("torch", "transformers", "peft", "trl")
_CANNOT_WRITE = ("PytorchStreamWriter", "inline_container", "Parent directory")
"""How torch says that a file cannot be written, in an error without a kind of its own."""


@contextmanager
def weights_written(what: str, place: Path) -> Iterator[None]:
    """StorageError where the libraries cannot write weights, of which each has an error of its own."""
    from safetensors import SafetensorError

    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in _CANNOT_WRITE):
            raise
        why = str(error).splitlines()[0][:160]
        raise StorageError(f"cannot write {what} to {place}: {why}; free some space and run the same command again") from error


class Checkpoints:
    """Those of one training, in a folder that nothing else is in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made_with = " ".join(f"{name} {version(name)}" for name in _LIBRARIES)

    def last(self) -> tuple[Path | None, int]:
        """The last checkpoint that is whole, None where there is none, and how many steps were made then."""
        with storage_errors("read", self.folder):
            marks = [mark for mark in self.folder.glob(f"checkpoint-*/{_WHOLE}") if mark.read_text("utf-8") == self._made_with]
        found = {int(mark.parent.name.rpartition("-")[2]): mark.parent for mark in marks}
        steps = max(found, default=0)
        return found.get(steps), steps

    def train(self, trainer: Any) -> None:
        """Train, from the last checkpoint where there is one; a StorageError says that one cannot be written."""
        last, _ = self.last()
        with storage_errors("write", self.folder):
            self._keep_only(last)  # a kill may have left a part of one
            with weights_written("a checkpoint", self.folder):
                trainer.train(resume_from_checkpoint=None if last is None else str(last))

    def clear(self) -> None:
        """Remove what is left of a training that is finished, or will not be."""
        with storage_errors("remove", self.folder):
            if self.folder.exists():
                shutil.rmtree(self.folder)

    def callback(self, on_step: Callable[[], None]) -> Any:
        """For the trainer: tells of each step, lets it write a checkpoint when it is time, and marks what is whole."""
        from transformers import TrainerCallback

        kept = self

        class Stepping(TrainerCallback):
            """Of one training."""

            _due = time.monotonic() + EVERY

            def on_step_end(self, *told: Any, **_: Any) -> None:
                """After each step but the last one, which needs none."""
                _settings, state, control = told
                if time.monotonic() >= self._due and state.global_step < state.max_steps:
                    control.should_save = True
                on_step()

            def on_save(self, *told: Any, **_: Any) -> None:
                """When all files are written, before the next step."""
                kept._mark(kept.folder / f"checkpoint-{told[1].global_step}")
                self._due = time.monotonic() + EVERY

        return Stepping()

    def _mark(self, place: Path) -> None:
        with storage_errors("write", place):
            for file in place.iterdir():
                sync(file)
        write_text(place / _WHOLE, self._made_with)
        with storage_errors("remove", self.folder):
            self._keep_only(place)  # now, and not before, the one before it is not needed

    def _keep_only(self, one: Path | None) -> None:
        for other in self.folder.glob("checkpoint-*"):
            if other != one:
                shutil.rmtree(other)
