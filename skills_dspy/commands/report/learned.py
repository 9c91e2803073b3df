"""What students learned from the rows of runs, as the page draws it."""

from collections.abc import Iterator, Sequence
from typing import Any

from skills_dspy.base.visible import visible_line
from skills_dspy.commands.report.reading import ShownRun
from skills_dspy.store.student_report import ALL, HALF, QUARTER, NotedStudent


def students_json(runs: Sequence[ShownRun]) -> Iterator[dict[str, Any]]:
    """Each report of `eval student` once, with the numbers of the runs whose rows it is about."""
    reports = {report.model_dump_json(): report for run in runs for report in run.students}
    for report in reports.values():
        if report.before is not None and report.taught:
            yield _student_json(report, [number for number, run in enumerate(runs) if report in run.students])


def _student_json(report: NotedStudent, runs: Sequence[int]) -> dict[str, Any]:
    """One for the page; `curve` are the places of its lessons with more and more rows."""
    lessons = [one.lesson for one in report.taught]
    said = (*report.verdicts, *(() if report.judged is None else (report.judged.in_words,)))
    return {
        "student": visible_line(report.name),
        "runs": runs,
        "names": [visible_line(name) for name in report.together or report.runs],
        "before": report.before,
        "taught": [one.model_dump() | {"lesson": visible_line(one.lesson)} for one in report.taught],
        "curve": [lessons.index(name) for name in (QUARTER, HALF, ALL) if name in lessons],
        "verdicts": [visible_line(line) for line in said],
    }
