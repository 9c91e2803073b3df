"""One export from its runs to its place on the disk."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from skills_dspy.base.errors import ExportError
from skills_dspy.base.records import Record
from skills_dspy.commands.export.card import Split, SplitBasis, Tally, card
from skills_dspy.commands.export.instructlab import INSTRUCTLAB_NAMES, InstructLabWriter
from skills_dspy.commands.export.jsonl import JsonLines
from skills_dspy.commands.export.layouts import INSTRUCTLAB_PROMPT, alpaca_row, messages_row, sharegpt_row
from skills_dspy.commands.export.parquet import HF_NAMES, ParquetFile, Shards
from skills_dspy.commands.export.source import Rows, SourceRun
from skills_dspy.commands.export.split import set_apart
from skills_dspy.store.aside import check_free, left_behind, replacing
from skills_dspy.store.files import storage_errors

Format = Literal["messages", "alpaca", "sharegpt", "instructlab", "parquet", "hf"]
FORMATS: tuple[Format, ...] = get_args(Format)
WITH_SYSTEM: tuple[Format, ...] = ("messages", "sharegpt", "instructlab")
"""Those that have a place for a system prompt."""

FOLDERS: tuple[Format, ...] = ("instructlab", "hf")
"""Those that are a folder even without a test side."""

SUFFIX = {"parquet": ".parquet"}
"""How a single file's name ends, if not in .jsonl."""


class File(Protocol):
    """Takes the records of one side one by one."""

    def write(self, record: Record) -> None:
        """Write one record."""

    def finish(self) -> None:
        """All have come."""

    def close(self) -> None:
        """Let go of it, finished or not."""


class Writer(Protocol):
    """Takes the records of all sides one by one."""

    def write(self, record: Record, side: str) -> None:
        """Write one record, for `train` or `test`."""

    def finish(self) -> None:
        """All have come."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is asked for.

    Attributes:
        runs: as `find_sources` gives them.
        format: the layout.
        out: the file or folder to write.
        stamp: ends InstructLab's names.
        system: a system prompt; none for the format's own.
        split: how to set rows apart for testing; none to train on all.
        overwrite: whether an earlier export there is replaced.
    """

    runs: tuple[SourceRun, ...]
    format: Format
    out: Path
    stamp: str
    system: str | None = None
    split: Split | None = None
    overwrite: bool = False

    @property
    def sides(self) -> tuple[str, ...]:
        """Where rows go."""
        return ("train",) if self.split is None else ("train", "test")

    @property
    def folder(self) -> bool:
        """Whether the target is a folder."""
        return self.format in FOLDERS or self.split is not None

    def ours(self, name: str) -> bool:
        """Whether such an export writes a file of this path into its folder."""
        if self.format == "hf":
            return HF_NAMES.fullmatch(name) is not None
        if self.format == "instructlab":
            return INSTRUCTLAB_NAMES.fullmatch(name) is not None
        suffix = SUFFIX.get(self.format, ".jsonl")
        return name in (f"train{suffix}", f"test{suffix}")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        out: where.
        rows: by side.
        repeated: rows left out because another of the runs has them.
        mended: rows in which half a character was replaced.
        compared: by what rows were compared; none without a test side.
        left_behind: what exports to the same place that were killed have left.
    """

    out: Path
    rows: dict[str, int]
    repeated: int
    mended: int
    compared: SplitBasis | None
    left_behind: tuple[Path, ...]


def export(request: ExportRequest, passed: Callable[[str, int], None] = lambda *_: None) -> Exported:
    """Write an export: aside, and then to its place.

    Args:
        request: what is asked for.
        passed: is told what is being done, `comparing` or `writing`, and how many rows are through.

    Raises:
        ExportError: it cannot be made as asked for.
        RunDirError: a row is broken, or the rows change meanwhile.
        StorageError: the disk is full or refuses.
    """
    check(request)
    rows, tally = Rows(request.runs), Tally()
    aside = replacing(request.out, folder=request.folder, overwrite=request.overwrite, ours=request.ours)
    with aside as place:
        testing, compared = _set_apart(request, rows, passed)
        with ExitStack() as stack:
            writer = _writer(request, place, stack)
            for number, (_, record) in enumerate(rows):
                side = "test" if testing is not None and testing[number] else "train"
                writer.write(record, side)
                tally.add(record, side)
                passed("writing", number + 1)
            writer.finish()
        if request.format == "hf":
            facts = [run.facts for run in request.runs]
            text = card(facts, tally, request.split, rows.repeated, rows.mended, compared)
            (place / "README.md").write_text(text, "utf-8")
    return Exported(request.out, tally.by_side, rows.repeated, rows.mended, compared, tuple(left_behind(request.out)))


def check(request: ExportRequest) -> None:
    """Refuse what can be seen to be wrong before a row is read.

    Raises:
        ExportError: the target is taken, lies in a run's directory or holds one, or an option has no place in the format.
    """
    if request.system is not None and request.format not in WITH_SYSTEM:
        raise ExportError(
            f"--system-prompt: {request.format} has no place for a system prompt; leave it out, or use {', '.join(WITH_SYSTEM)}"
        )
    out = request.out.absolute()
    with storage_errors("read", out):
        place = out.resolve()
        for run in request.runs:
            folder = run.paths.folder.resolve()
            if place == folder or place in folder.parents:
                raise ExportError(f"--out {request.out} would take the place of the run in {run.paths.folder}; choose another")
            if place.parent == folder:
                raise ExportError(f"--out {request.out} lies among the files of the run in {run.paths.folder}; choose another")
    check_free(request.out, folder=request.folder, overwrite=request.overwrite, ours=request.ours)


def _set_apart(
    request: ExportRequest, rows: Rows, passed: Callable[[str, int], None]
) -> tuple[NDArray[np.bool_] | None, SplitBasis | None]:
    if request.split is None:
        return None, None

    def watched() -> Iterator[tuple[int, Record]]:
        for number, row in enumerate(rows):
            passed("comparing", number + 1)
            yield row

    return set_apart(watched(), request.runs, request.split.share, request.split.seed)


class _SideFiles:
    """A file for each side, or a folder of them."""

    def __init__(self, open_side: Callable[[str], File], sides: tuple[str, ...], stack: ExitStack) -> None:
        self._files: dict[str, File] = {}
        for side in sides:
            self._files[side] = file = open_side(side)
            stack.callback(file.close)

    def write(self, record: Record, side: str) -> None:
        self._files[side].write(record)

    def finish(self) -> None:
        for file in self._files.values():
            file.finish()


def _writer(request: ExportRequest, place: Path, stack: ExitStack) -> Writer:
    sides, system = request.sides, request.system

    def files(open_file: Callable[[Path], File]) -> Writer:
        suffix = SUFFIX.get(request.format, ".jsonl")
        return _SideFiles(lambda side: open_file(place / f"{side}{suffix}" if request.folder else place), sides, stack)

    match request.format:
        case "messages":
            return files(partial(JsonLines, layout=partial(messages_row, system=system)))
        case "alpaca":
            return files(partial(JsonLines, layout=alpaca_row))
        case "sharegpt":
            return files(partial(JsonLines, layout=partial(sharegpt_row, system=system)))
        case "parquet":
            return files(ParquetFile)
        case "hf":
            (place / "data").mkdir()
            return _SideFiles(partial(Shards, place / "data"), sides, stack)
        case "instructlab":
            facts = tuple(run.facts for run in request.runs)
            prompt = INSTRUCTLAB_PROMPT if system is None else system
            return InstructLabWriter(place, sides, facts, prompt, request.stamp, stack)
