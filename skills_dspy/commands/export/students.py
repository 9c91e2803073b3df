"""What a student learned from the rows of a run, for the card of a dataset: what a report of `eval student` says of them."""

from collections.abc import Sequence

from skills_dspy.commands.export.source import SourceRun
from skills_dspy.store.student_report import NotedStudent, student_reports


def students_of(runs: Sequence[SourceRun]) -> tuple[tuple[str, ...], list[str]]:
    """What students learned, in sentences, by the reports that lie with the runs.

    They are about all accepted rows of a run as it wrote them, before any review or split; what else was taught is named.

    Returned is also what is to be said of reports that were not used.
    """
    found, said = dict[str, None](), dict[str, None]()
    for run in runs:
        reports, unused = student_reports(run.paths, run.facts.task_name)
        found |= {f"{_taught(report)}: {report.verdicts[0]}": None for report in reports if report.verdicts}
        said |= dict.fromkeys(unused)
    return tuple(found), list(said)


def _taught(report: NotedStudent) -> str:
    """The student, and what it was taught, where that is more than one run."""
    *most, last = report.together or ("",)
    return f"{report.name}, taught {', '.join(most)} and {last} together" if most else report.name


def students_section(learned: Sequence[str]) -> str:
    """The end of a card; empty where nothing was measured."""
    lines = "\n".join(f"- {line}" for line in learned)
    said = (
        "Measured by `eval student` on seeds held out, with all accepted rows of the run as it wrote them, and with others "
        "where they are named:"
    )
    return f"\n## What a student learned\n\n{said}\n\n{lines}\n" if learned else ""
