"""`report`: runs as one page to look at."""

from collections.abc import Sequence

from evals.data.collapse import COPY_WORDS, NEAR_COPY
from evals.data.material import compared_words
from evals.data.near_copies import has_near_copy, near_copy_pairs
from skills_dspy import __version__
from skills_dspy.cli.progress import Progress
from skills_dspy.cli.shared.arguments import ReportOptions
from skills_dspy.cli.terminal.streams import echo, echo_json
from skills_dspy.commands.report.content import Copies
from skills_dspy.commands.report.make import ReportRequest, write_report
from skills_dspy.similarity.text import words

_LARGE = 25_000_000  # bytes: some 10,000 rows of long texts, in about two seconds
_COMPARED = 500  # near-copies that are put together in pairs


def report_command(options: ReportOptions) -> int:
    """Write the page and say what is on it; returns the exit code."""
    request = ReportRequest(options.runs, options.other, options.out, options.overwrite, __version__)
    progress = Progress(quiet=options.quiet)
    with progress:
        done = write_report(request, near_copies, lambda row, rows: progress.update(f"{row} of {rows} rows read"))
    if options.as_json:
        echo_json(
            {
                "out": str(request.out),
                "runs": done.runs,
                "accepted": done.accepted,
                "rejected": done.rejected,
                "bytes": done.size,
                "remarks": list(done.remarks),
            }
        )
        return 0
    echo(
        f"{done.runs} run{'s' * (done.runs != 1)}, {done.accepted} accepted and {done.rejected} rejected candidates, "
        f"{done.size / 1e6:.1f} MB: {request.out}"
    )
    if done.size > _LARGE:
        echo("note: so large a page takes a browser many seconds to open; give fewer runs for a quicker one", err=True)
    for remark in done.remarks:
        echo(f"note: {remark}", err=True)
    return 0


def near_copies(texts: Sequence[str]) -> Copies:
    """Pairs of texts that are near-copies of one another; of very many only the first are put together."""
    found = [(place, own) for place, text in enumerate(texts) if len(own := compared_words(text, words(text))) >= COPY_WORDS]
    flags = has_near_copy([own for _, own in found], NEAR_COPY)
    copies = [one for one, copied in zip(found, flags, strict=True) if copied]
    pairs = near_copy_pairs([own for _, own in copies[:_COMPARED]], NEAR_COPY)
    return Copies([(copies[one][0], copies[other][0]) for one, other in pairs], NEAR_COPY, len(copies) <= _COMPARED)
