"""What is kept of the first training on all rows: the student itself with a card, and its answers to the measured questions."""

import copy
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.data.rows import Row
from evals.figures.tables import markdown
from evals.student.checkpoints import weights_written
from evals.student.model import LoadedStudent, quiet
from skills_dspy.base.errors import RequestError
from skills_dspy.store.aside import write_json, written_aside
from skills_dspy.store.files import make_folder, storage_errors

if TYPE_CHECKING:
    from evals.student.report import StudentReport

_MARK = "training.json"
"""Says in a saved student's folder which training it came of."""
_FOLDERS = re.compile(r"(?<![\w.~/])/(?:[^\s/]+/)+")
"""Of a place in a sentence, from the root on."""


class Keeping:
    """Writes what is wanted of a trained model, unless it is there already.

    Args:
        save: where the student goes; None for nowhere.
        answers: whether it is to answer the measured questions, into `folder`.
    """

    def __init__(
        self, student: LoadedStudent, measured: Sequence[Row], folder: Path, save: Path | None, *, answers: bool
    ) -> None:
        self._student = student
        self._measured = measured
        self._folder = folder
        self._save = save
        self._answers = answers
        self._digest = ""

    def wants(self, digest: str) -> bool:
        """Whether the model of this training is needed, also where its losses are known; called once, before `keep`.

        Raises:
            RequestError, StorageError: there is something else where the student is to be saved, or it cannot be.
        """
        self._digest = digest
        if self._save is not None:
            make_folder(self._save.parent)
        return self._unsaved() or (self._answers and not self._file.exists())

    def keep(self, model: Any) -> None:
        """Write what is wanted of the trained model."""
        if self._answers and not self._file.exists():
            after = self._student.answers(self._measured, model)
            write_json(self._file, {"after": after})
        if self._save is not None and self._unsaved():
            merged = copy.deepcopy(model).merge_and_unload() if hasattr(model, "merge_and_unload") else model
            with quiet(), written_aside(self._save, folder=True) as place, weights_written("the student", self._save):
                merged.save_pretrained(place)
                self._student.tokenizer.save_pretrained(place)
                write_json(place / _MARK, {"training": self._digest, "of": self._student.name})

    def copies(self) -> bool:
        """Whether what LoRA has learned is put into a copy of the student: taken out again, it would not be quite as before."""
        return self._unsaved()

    def answered(self) -> list[tuple[str, str]]:
        """The answers to the measured questions, before and after."""
        with storage_errors("read", self._file):
            after = json.loads(self._file.read_text("utf-8"))["after"]
        return list(zip(self._student.answers(self._measured), after, strict=True))

    @property
    def _file(self) -> Path:
        return self._folder / "trainings" / f"{self._digest}.answers.json"

    def _unsaved(self) -> bool:
        if self._save is None:
            return False
        with storage_errors("read", self._save):
            if not self._save.exists() or (self._save.is_dir() and not any(self._save.iterdir())):
                return True
            mark = self._save / _MARK
            told = mark.read_text("utf-8") if mark.is_file() else ""
        if self._digest not in told:
            raise RequestError(
                f"--save {self._save} exists already, and is not the student of this training; choose another folder"
            )
        return False


def card_of(report: "StudentReport") -> str:
    """The README.md of a saved student: what it was, what it has learned from, how, and what that came to."""
    based = "" if Path(report.student).exists() else f"base_model: {report.student}\n"
    data, notes = map(_without_folders, report.data), (_FOLDERS.sub("", note) for note in report.notes)
    report = replace(report, student=_without_folders(report.student), data=tuple(data), notes=tuple(notes))
    base = Path(report.student).name
    front = f"---\nlibrary_name: transformers\n{based}tags:\n- skills_dspy\n- sft\n---\n\n# {base}, taught a skill\n\n"
    what = (
        f"{report.student} after supervised fine-tuning on rows of {', '.join(report.data)}, which are synthetic: made with "
        f"skills_dspy from seed examples. How it was trained, and what that came to on {report.outcome.seeds_in_words}:\n\n"
    )
    return front + what + markdown(report.sections())


def _without_folders(place: str) -> str:
    """What is told others of a place: where it lies on this machine is nobody's business."""
    return Path(place).name if Path(place).is_absolute() else place
