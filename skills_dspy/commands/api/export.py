"""`export` from Python."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from skills_dspy.commands.api.blocking import asynchronous
from skills_dspy.commands.api.loaded import AnyPath, path_of, paths_of
from skills_dspy.commands.export.export import (
    PREFERENCES,
    ExportRequest,
    Format,
    odd_lines,
    running_lines,
    with_card_facts,
    write_export,
)
from skills_dspy.commands.export.source import find_sources
from skills_dspy.commands.export.split import Split

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to.

    Attributes:
        out: the file or folder that was written.
        rows: `train` and, with a share for testing, `test`, to how many rows each has.
        left_out: file, line and fault of each row that was left out because it holds what a machine leaves behind.
        repeated: how many rows were left out because another of the runs has them.
    """

    out: Path
    rows: Mapping[str, int]
    left_out: tuple[str, ...]
    repeated: int


def export(
    runs: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    *,
    format: Format = "messages",  # noqa: A002 - as the option is called
    system_prompt: str | None = None,
    test_share: float | None = None,
    seed: int = 0,
    thoughts: bool = False,
    keep_residue: bool = False,
    reviewed_only: bool = False,
    judge_report: AnyPath | None = None,
    overwrite: bool = False,
    on_progress: Callable[[str, int], None] | None = None,
) -> Exported:
    """Write the accepted rows of runs as files that trainers read; nothing leaves this machine, and nothing is printed.

    Args:
        runs: a run's directory or a folder of runs; of several the rows are merged.
        out: the file to write; a folder for `instructlab`, `hf`, `kto` and `dpo`, and with `test_share`.
        test_share: the share of the rows that is set apart for testing, above 0 and below 1; near-duplicates stay on one side.
        seed: decides which rows those are.
        thoughts: put what the generator thought beside its answers.
        keep_residue: keep rows that hold think blocks, turn tokens and the like.
        reviewed_only: take only rows that a person looked at in `review`.
        judge_report: a report of `eval judges` for the card of `hf`, `kto` and `dpo`; else the one that lies with the runs.
        overwrite: replace an earlier export.
        on_progress: told `comparing` or `writing` and how many rows are through, in the thread that writes.

    Raises:
        ExportError: it cannot be made as asked for; nothing was written.
        RunDirError, StorageError: a run, or the disk, is at fault.
    """
    split = None if test_share is None else Split(test_share, seed)
    sources = find_sources(paths_of(runs), PREFERENCES.get(format, "accepted"))
    how = (system_prompt, split, overwrite, thoughts, keep_residue, reviewed_only)
    request, said = with_card_facts(ExportRequest(sources, format, Path(out), time_stamp(), *how), path_of(judge_report))
    for line in running_lines(request):
        _LOG.warning("%s", line)
    done = write_export(request, on_progress or (lambda *_: None))
    for line in said:
        _LOG.info("%s", line)
    for line in odd_lines(request, done):
        _LOG.warning("%s", line)
    return Exported(Path(out), dict(done.rows), tuple(done.left_over), done.repeated)


aexport = asynchronous(export)


def time_stamp() -> str:
    """The time now, as it ends the names of InstructLab's files."""
    return datetime.now().astimezone().strftime("%Y-%m-%dT%H_%M_%S")
