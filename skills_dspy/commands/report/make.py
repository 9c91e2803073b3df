"""One report from the runs' directories to its place on the disk."""

from dataclasses import dataclass
from pathlib import Path

from skills_dspy.base.errors import RequestError
from skills_dspy.commands.report.content import FindCopies, OnRow, gather_content
from skills_dspy.commands.report.page import is_report, make_page
from skills_dspy.commands.report.reading import read_runs
from skills_dspy.store.aside import Known, check_free, write_text
from skills_dspy.store.files import make_folder


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What is asked for.

    Attributes:
        places: runs, and folders of runs.
        other: another one, to be compared with these; None to compare nothing.
        overwrite: whether an earlier report at `out` is replaced.
        version: of skills_dspy, for the page's last line.
    """

    places: tuple[Path, ...]
    other: Path | None
    out: Path
    overwrite: bool
    version: str


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of it: how many runs and rows the page shows, its size in bytes, and what it remarks of the runs."""

    runs: int
    accepted: int
    rejected: int
    size: int
    remarks: tuple[str, ...]


def write_report(request: ReportRequest, find_copies: FindCopies, progress: OnRow = lambda *_: None) -> Reported:
    """Write a report: aside, and then to its place.

    Raises:
        ExportError: something stands at its place that is not to be replaced.
        RequestError: a run is to be compared with itself.
        RunDirError: a place holds no run, or a file of one is broken.
        StorageError: something cannot be read or written.
    """
    check_free(request.out, folder=False, overwrite=request.overwrite, ours=Known(lambda _: False, is_report))
    runs = read_runs(request.places)
    others = () if request.other is None else read_runs([request.other])
    if both := {run.paths.folder.resolve() for run in runs} & {run.paths.folder.resolve() for run in others}:
        raise RequestError(f"--compare: {min(both)} is on both sides; give another run")
    sides = [""] * len(runs) + [str(request.other)] * len(others)
    content = gather_content((*runs, *others), sides, find_copies, progress)
    page = make_page(content, request.version)
    make_folder(request.out.parent)
    write_text(request.out, page)
    accepted = sum(stage < 0 for stage in content.columns["stage"])
    remarks = dict.fromkeys(remark for view in content.summary["views"] if len(view["runs"]) == 1 for remark in view["remarks"])
    return Reported(len(runs) + len(others), accepted, content.summary["rows"] - accepted, len(page.encode()), tuple(remarks))
