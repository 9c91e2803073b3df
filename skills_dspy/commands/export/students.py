"""What a student learned from the rows of a run, for the card of a dataset: what a report of `eval student` says of them."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

from skills_dspy.commands.export.source import SourceRun
from skills_dspy.store.files import storage_errors

STUDENT_REPORT = "student.json"
"""What `eval student` calls its report."""
_USUAL_PLACE = "output-student"
"""Where it puts it unless it is told otherwise, beside the folder of runs."""


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    student: str
    runs: dict[str, str]
    verdicts: tuple[str, ...]


def students_of(runs: Sequence[SourceRun]) -> tuple[tuple[str, ...], list[str]]:
    """What students learned, in sentences, by the reports that lie with the runs and are about exactly these rows.

    A report lies with a run in its own folder, in the folder of all runs, or in `output-student` beside that. Returned is also
    what is to be said of reports that were not used.
    """
    found, said = dict[str, None](), dict[str, None]()
    for run in runs:
        for path in filter(Path.is_file, _places(run)):
            with storage_errors("read", path):
                text, rows = path.read_bytes(), run.paths.data.read_bytes()
            try:
                report = _Report.model_validate(json.loads(text))
            except (ValidationError, ValueError, RecursionError):
                said[f"{path} was not used: it is no report of `eval student`"] = None
                continue
            if hashlib.sha256(rows).hexdigest() not in report.runs.values():
                said[f"{path} was not used: it is about other rows than those of {run.facts.task_name} now"] = None
            elif report.verdicts:
                found[f"{Path(report.student).name}: {report.verdicts[0]}"] = None
    return tuple(found), list(said)


def students_section(learned: Sequence[str]) -> str:
    """The end of a card; empty where nothing was measured."""
    lines = "\n".join(f"- {line}" for line in learned)
    return f"\n## What a student learned\n\nMeasured by `eval student`, on seeds held out:\n\n{lines}\n" if learned else ""


def _places(run: SourceRun) -> Iterable[Path]:
    folder = run.paths.folder.absolute()
    root = folder.parents[min(len(PurePosixPath(run.facts.task_name).parts), len(folder.parents)) - 1]
    return folder / STUDENT_REPORT, root / STUDENT_REPORT, root.parent / _USUAL_PLACE / STUDENT_REPORT
