"""One export from its runs to its place on the disk."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from skills_dspy.base.errors import ExportError, NothingToExport
from skills_dspy.base.records import Record
from skills_dspy.base.validation import require
from skills_dspy.commands.export.card import Tally, card
from skills_dspy.commands.export.instructlab import INSTRUCTLAB_NAMES, instructlab_files
from skills_dspy.commands.export.jsonl import json_lines
from skills_dspy.commands.export.judges import JudgeRates, judge_rates
from skills_dspy.commands.export.layouts import (
    INSTRUCTLAB_PROMPT,
    alpaca_row,
    begins_export,
    dpo_row,
    kto_row,
    messages_row,
    sharegpt_row,
)
from skills_dspy.commands.export.parquet import HF_NAMES, parquet_file, shards
from skills_dspy.commands.export.reviewed import ExportRow, Rows
from skills_dspy.commands.export.source import ExportRows, SourceRun
from skills_dspy.commands.export.split import Split, set_apart
from skills_dspy.commands.export.students import students_of, students_section
from skills_dspy.commands.export.thoughts import thoughts_of
from skills_dspy.store.aside import Known, check_free, left_behind, replacing
from skills_dspy.store.files import storage_errors

_CARD = b"made with skills_dspy"
"""Stands in every card."""

Format = Literal["messages", "alpaca", "sharegpt", "instructlab", "parquet", "hf", "kto", "dpo"]
PREFERENCES: Mapping[Format, Rows] = {"kto": "judged", "dpo": "pairs"}
"""Those that hold preferences, and of which rows."""

FORMATS: tuple[Format, ...] = tuple(layout for layout in get_args(Format) if layout not in PREFERENCES)
"""Those of accepted rows."""

WITH_SYSTEM: tuple[Format, ...] = ("messages", "sharegpt", "instructlab", *PREFERENCES)
"""Those that have a place for a system prompt."""

WITH_CARD: tuple[Format, ...] = ("hf", *PREFERENCES)
"""Those that come with a card, so that they can be uploaded."""

FOLDERS: tuple[Format, ...] = ("instructlab", *WITH_CARD)
"""Those that are a folder even without a test side."""

_SHOWN = 5
"""So many of the rows that are left out are named."""

SUFFIX = {"parquet": ".parquet"}
"""How a single file's name ends, if not in .jsonl."""

File = AbstractContextManager[Callable[[Any], None]]
"""Opens a file, or a folder of shards, and gives what writes one record to it; whole when the block ends well."""

Writer = AbstractContextManager[Callable[[Any, str], None]]
"""The same for the files of all sides; the second argument is `train` or `test`."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is asked for.

    Attributes:
        runs: as `find_sources` gives them.
        stamp: ends InstructLab's names.
        system: a system prompt; none for the format's own.
        split: how to set rows apart for testing; none to train on all.
        overwrite: whether an earlier export there is replaced.
        thoughts: whether the generator's thoughts stand beside its answers.
        keep_residue: whether rows are kept that hold what a machine leaves behind.
        reviewed_only: whether rows are left out that no person looked at.
        rates: how often the judges of these runs err, as far as it was measured; the card tells it.
        learned: what students learned from these rows, in sentences; the card ends with it.
    """

    runs: tuple[SourceRun, ...]
    format: Format
    out: Path
    stamp: str
    system: str | None = None
    split: Split | None = None
    overwrite: bool = False
    thoughts: bool = False
    keep_residue: bool = False
    reviewed_only: bool = False
    rates: tuple[JudgeRates, ...] = ()
    learned: tuple[str, ...] = ()

    @property
    def rows(self) -> Rows:
        """Which rows it is about."""
        return PREFERENCES.get(self.format, "accepted")

    @property
    def reviewed(self) -> bool:
        """Whether anybody has looked at rows of these runs."""
        return any(run.reviews for run in self.runs)

    @property
    def folder(self) -> bool:
        """Whether the target is a folder."""
        return self.format in FOLDERS or self.split is not None

    @property
    def known(self) -> Known:
        """By what an earlier export of this format is known."""
        return Known(self.ours, partial(begins_export, self.format))

    def ours(self, name: str) -> bool:
        """Whether such an export writes a file of this path into its folder; a README there has to be a card of ours."""
        if name == "README.md" and _CARD not in (self.out / name).read_bytes():
            return False
        if self.format == "hf":
            return HF_NAMES.fullmatch(name) is not None
        if self.format == "instructlab":
            return INSTRUCTLAB_NAMES.fullmatch(name) is not None
        if self.format in PREFERENCES:
            return name in ("README.md", "data/train.jsonl", "data/test.jsonl")
        suffix = SUFFIX.get(self.format, ".jsonl")
        return name in (f"train{suffix}", f"test{suffix}")


def write_export(request: ExportRequest, passed: Callable[[str, int], None] = lambda *_: None) -> Tally:
    """Write an export: aside, and then to its place.

    `passed` is told what is being done, `comparing` or `writing`, and how many rows are through.

    Raises:
        ExportError: it cannot be made as asked for.
        RunDirError: a row is broken, or the rows change meanwhile.
    """
    refuse_wrong(request)
    rows, tally = ExportRows(request.runs, request.keep_residue, request.rows, request.reviewed_only), Tally()
    aside = replacing(
        request.out,
        folder=request.folder,
        overwrite=request.overwrite,
        ours=request.known,
    )
    with aside as place:
        testing: NDArray[np.bool_] | None = None
        if request.split is not None:
            testing, tally.compared = set_apart(_watched(rows, partial(passed, "comparing")), request.runs, request.split)
        with ExitStack() as stack:
            thoughts = stack.enter_context(thoughts_of(request.runs)) if request.thoughts else None
            write = stack.enter_context(_writer(request, place))
            for number, (run, row) in enumerate(_watched(rows, partial(passed, "writing"))):
                side = "test" if testing is not None and testing[number] else "train"
                record = thoughts.beside(run, row) if thoughts is not None and isinstance(row, Record) else row
                write(record, side)
                tally.add(record, side)
            tally.spoilt = 0 if thoughts is None else thoughts.spoilt
        tally.repeated, tally.mended, tally.left_over = rows.repeated, rows.mended, rows.left_over
        if request.reviewed:
            tally.looked_at, tally.read = rows.looked_at, rows.read
            tally.elsewhere = rows.elsewhere() if request.rows == "accepted" else Counter()
        if not tally.rows and (rows.looked_at.keys() - {"none"} or request.reviewed_only):
            why = "a person has rejected them" if request.rows == "accepted" else "a person contradicts them"
            if request.reviewed_only:
                why = "--reviewed-only leaves out what no person looked at; see `review`"
            raise NothingToExport(f"none of the rows is left to export: {why}")
        if rows.left_over and not tally.rows:
            raise NothingToExport(
                f"every row ({len(rows.left_over)} in all) holds what a machine leaves behind, so nothing is left to export; "
                f"the first is {rows.left_over[0]}; `export --keep-residue` exports them all the same"
            )
        if request.format in WITH_CARD:
            facts = [run.facts for run in request.runs]
            told = card(facts, tally, request.rows, request.rates) + students_section(request.learned)
            (place / "README.md").write_text(told, "utf-8")
    return tally


def with_card_facts(request: ExportRequest, report: Path | None = None) -> tuple[ExportRequest, list[str]]:
    """The same with what its card tells of judges and students, and what is to be said of that; as it is where it has no card.

    Raises:
        ExportError: a report is given, and there is no card, or it is no report of the judges of these runs.
    """
    if request.format not in WITH_CARD:
        if report is not None:
            raise ExportError(f"--judge-report is told by the card of a dataset; use --format hf instead of {request.format}")
        return request, []
    rates, said = judge_rates(request.runs, report)
    learned, unused = students_of(request.runs)
    return replace(request, rates=rates, learned=learned), [*said, *unused]


def running_lines(request: ExportRequest) -> list[str]:
    """Which runs go on while they are exported."""
    folders = [run.paths.folder for run in request.runs if run.running]
    return [f"a run is still writing in {folder}; exported is what it has now" for folder in folders]


def odd_lines(request: ExportRequest, done: Tally) -> Iterator[str]:
    """What was left out of an export, or changed, or is odd about it."""
    if done.elsewhere:
        yield _elsewhere(done.elsewhere)
    if done.spoilt:
        yield f"{done.spoilt} rows without theirs: they hold tokens of a chat template, or control characters"
    if done.repeated:
        yield f"{done.repeated} rows left out: another of the runs has a row with the same id"
    if rows := done.left_over:
        yield f"{len(rows)} row{'s' * (len(rows) != 1)} left out for what a machine left in them; --keep-residue keeps them:"
        yield from (f"  {row}" for row in rows[:_SHOWN])
    if len(rows) > _SHOWN:
        yield f"  and {len(rows) - _SHOWN} more"
    if done.mended:
        yield f"{done.mended} rows held half a character, which UTF-8 cannot write: it became U+FFFD"
    if done.compared is not None:
        yield from done.compared.sentences(sum(done.rows.values()))
    yield from (f"left by an export that was killed, delete it: {path}" for path in left_behind(request.out))


def _elsewhere(found: Counter[tuple[str, str] | None]) -> str:
    """What stopped rows that a person let be; `decide` can help where that was a threshold."""
    stops = [(*stop, count) for stop, count in found.items() if stop is not None]
    stops.sort(key=lambda one: (-one[2], one))
    parts = [f"{count} {'rejected ' * (not place)}by {stage} ({why})" for place, (stage, why, count) in enumerate(stops)]
    parts += [f"{found[None]} gone or with another text"] if found[None] else []
    judged = any(why in ("judged bad", "filtered") for _, why, _ in stops)
    return (
        f"{found.total()} of the rows that a person accepted or edited {'are' if found.total() > 1 else 'is'} not among the "
        f"accepted ones of these runs: {', '.join(parts)}"
        + "; `decide` with other thresholds can let in what the judges rejected"
        * judged
    )


def refuse_wrong(request: ExportRequest) -> None:
    """Refuse what can be seen to be wrong before a row is read.

    Raises:
        ExportError: the target is taken, lies in a run's directory or holds one, or an option has no place in the format.
    """
    *others, last = get_args(Format)
    require(request.format in get_args(Format), "--format", request.format, f"{', '.join(others)} or {last}")
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
    if request.thoughts and request.format in PREFERENCES:
        raise ExportError(f"--thoughts: {request.format} holds answers that are compared, without thoughts; leave it out")
    check_free(
        request.out,
        folder=request.folder,
        overwrite=request.overwrite,
        ours=request.known,
    )


def _watched(rows: ExportRows, passed: Callable[[int], None]) -> Iterator[tuple[int, ExportRow]]:
    for number, row in enumerate(rows, start=1):
        yield row
        passed(number)


@contextmanager
def _side_files(open_side: Callable[[str], File], sides: Iterable[str]) -> Iterator[Callable[[Any, str], None]]:
    """A file for each side, or a folder of them."""
    with ExitStack() as stack:
        write = {side: stack.enter_context(open_side(side)) for side in sides}
        yield lambda row, side: write[side](row)


def _writer(request: ExportRequest, place: Path) -> Writer:
    sides, system = ("train",) if request.split is None else ("train", "test"), request.system

    def files(open_file: Callable[[Path], File]) -> Writer:
        suffix = SUFFIX.get(request.format, ".jsonl")
        return _side_files(lambda side: open_file(place / f"{side}{suffix}" if request.folder else place), sides)

    match request.format:
        case "messages":
            return files(partial(json_lines, layout=partial(messages_row, system=system)))
        case "alpaca":
            return files(partial(json_lines, layout=alpaca_row))
        case "sharegpt":
            return files(partial(json_lines, layout=partial(sharegpt_row, system=system)))
        case "parquet":
            return files(partial(parquet_file, thoughts=request.thoughts, reviewed=request.reviewed))
        case "hf":
            (place / "data").mkdir()
            typed = partial(shards, place / "data", thoughts=request.thoughts, reviewed=request.reviewed)
            return _side_files(typed, sides)
        case "kto" | "dpo" as layout:
            (place / "data").mkdir()
            row: Callable[..., dict[str, Any]] = kto_row if layout == "kto" else dpo_row
            lines = partial(json_lines, layout=partial(row, system=system))
            return _side_files(lambda side: lines(place / "data" / f"{side}.jsonl"), sides)
        case "instructlab":
            prompt = INSTRUCTLAB_PROMPT if system is None else system
            return instructlab_files(place, sides, [run.facts for run in request.runs], prompt, request.stamp)
