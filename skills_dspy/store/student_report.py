"""Reports of `eval student` beside runs: where they lie, and which are about exactly the rows that a run has now."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import FiniteFloat

from skills_dspy.base.records import Noted
from skills_dspy.store.files import storage_errors
from skills_dspy.store.run_dir import RunPaths

STUDENT_REPORT = "student.json"
"""What `eval student` calls its report."""
USUAL_PLACE = "output-student"
"""Where it puts it unless it is told otherwise, beside the folder of runs."""

ALL, HALF, QUARTER = "all rows", "1/2 of the rows", "1/4 of the rows"
"""The lessons that are a learning curve, as reports name them."""


class NotedDifference(Noted):
    """How much lower one loss is than another, in nats per token, and its interval of 95 %; below 0 is better."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class NotedLesson(Noted):
    """What one lesson came to: its rows, the tokens of their answers, nats per token on held-out seeds, how they compare.

    Attributes:
        spread: the lowest and the highest loss of trainings with different random seeds; None with a single one.
        change: against the student before.
        all_rows_less_this: all rows against this lesson; None for all rows themselves.
    """

    lesson: str
    rows: int
    tokens: int
    loss: FiniteFloat
    spread: tuple[FiniteFloat, FiniteFloat] | None = None
    change: NotedDifference
    all_rows_less_this: NotedDifference | None = None


class _Judged(Noted):
    in_words: str


class NotedStudent(Noted):
    """What a report says.

    Attributes:
        data: the places of all rows that it was taught, as they were given; empty where an older report does not say.
        runs: task to the SHA-256 of the rows of each run among them; of several runs of a task the others have their folder
            behind the name, in brackets.
        verdicts: what the figures come to, the most important first.
        before: the loss of the untrained student; None in a report without figures.
    """

    student: str
    data: tuple[str, ...] = ()
    runs: dict[str, str]
    verdicts: tuple[str, ...]
    before: FiniteFloat | None = None
    taught: tuple[NotedLesson, ...] = ()
    judged: _Judged | None = None

    @property
    def name(self) -> str:
        """The student, without the folders where it lies."""
        return Path(self.student).name

    @property
    def together(self) -> tuple[str, ...]:
        """What was taught, without folders, where it is more than the rows of one run."""
        if max(len(self.data), len(self.runs)) <= 1:
            return ()
        several = self.data if len(self.data) > 1 else [name.partition(" (")[0] for name in self.runs]
        return tuple(Path(name).name or name for name in several)

    def knows(self, task_name: str) -> bool:
        """Whether rows of the task were taught, then."""
        return any(name == task_name or name.startswith(f"{task_name} (") for name in self.runs)


def digest_of_rows(paths: RunPaths) -> str:
    """The SHA-256 of the rows that a run has now, of no bytes where it has none. StorageError where they cannot be read."""
    with storage_errors("read", paths.data):
        return hashlib.sha256(paths.data.read_bytes() if paths.data.exists() else b"").hexdigest()


def read_student_report(path: Path) -> NotedStudent | None:
    """The report in a file; None where it is none. StorageError where it cannot be read."""
    with storage_errors("read", path):
        text = path.read_bytes()
    try:
        return NotedStudent.model_validate(json.loads(text))
    except (ValueError, RecursionError):
        return None


def student_reports(paths: RunPaths, task_name: str) -> tuple[tuple[NotedStudent, ...], tuple[str, ...]]:
    """The reports that lie with a run and are about the rows it has now, and what is to be said of those that are not.

    They lie in its own folder, in the folder of all runs, or in `output-student` beside that, or a folder in it. Others' rows
    may have been taught with it: `NotedStudent.together`. StorageError where one of these files, or the rows, cannot be read.
    """
    found, said = list[NotedStudent](), list[str]()
    rows = digest_of_rows(paths)
    for path in filter(Path.is_file, _places(paths, task_name)):
        report = read_student_report(path)
        if report is None:
            said.append(f"{path} was not used: it is no report of `eval student`")
            continue
        if rows in report.runs.values():
            found.append(report)
        elif report.knows(task_name):
            said.append(f"{path} was not used: it is about other rows than those of {task_name} now")
    return tuple(found), tuple(said)


def _places(paths: RunPaths, task_name: str) -> Iterator[Path]:
    folders = paths.report_folders(task_name, USUAL_PLACE)
    yield from (folder / STUDENT_REPORT for folder in folders)
    yield from sorted(folders[-1].glob(f"*/{STUDENT_REPORT}"))
