"""The rows of runs, in one fixed order, read twice if need be and the same both times.

They are the accepted ones; beside them those that were rejected for their answers (`judged`); or pairs of answers (`pairs`).
"""

import heapq
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skills_dspy.base.columns import whole
from skills_dspy.base.errors import NothingToExport, RunDirError
from skills_dspy.base.records import AnswerPair, Record, Rejection, seed_texts
from skills_dspy.base.residue import residue_of_pair
from skills_dspy.commands.export.facts import RunFacts, facts_of
from skills_dspy.commands.export.reviewed import LET_BE, ExportRow, FileRow, Rows, exported_answer, honoured, review_of
from skills_dspy.store.files import storage_errors
from skills_dspy.store.reviews import Review, read_reviews, review_place, standing, text_mark
from skills_dspy.store.run_dir import RunPaths, runs_at
from skills_dspy.store.run_json import known_run, run_json_errors

_BLOCK = 1 << 20

_Texts = tuple[str, str, str | None]
"""Question, answer and context."""

_Read = tuple[str, tuple[_Texts, ...], FileRow]
"""A row with its place, and with its texts as they stand there; twice for a pair of answers."""

_JUDGED = (
    ("judge_pair", "judged bad"),
    ("sample_quality", "filtered"),
    *(("answer_habits", reason) for reason in ("judged bad", "filtered")),  # of an answer that was written again
)
"""Stage and reason of those rejections that are a verdict on an answer."""


@dataclass(frozen=True, slots=True)
class SourceRun:
    """One run to export.

    Attributes:
        end: bytes of whole rows in its data.jsonl when the export began; rows that a running run adds later do not count.
        running: whether a run was writing there then.
        rejected_end, pairs_end: the same as `end` for its rejected.jsonl and its pairs.jsonl.
        reviews: what people said of its rows, by their ids.
    """

    paths: RunPaths
    facts: RunFacts
    end: int
    running: bool
    rejected_end: int = 0
    pairs_end: int = 0
    reviews: Mapping[str, Review] = field(default_factory=dict)


def find_sources(places: Sequence[Path], rows: Rows = "accepted") -> tuple[SourceRun, ...]:
    """The runs at and below these places, each once, by task name, then by seed, then by path.

    Raises:
        RunDirError: a place holds no run, or a run.json is broken.
        NothingToExport: none of the runs has an accepted row, or a pair where `rows` are those.
    """
    sources = sorted(map(_open, runs_at(places)), key=lambda run: (run.facts.task_name, run.facts.seed, run.paths))
    if rows == "pairs":
        if not any(source.pairs_end for source in sources):
            empty = next((source.paths.pairs for source in sources if source.paths.pairs.exists()), None)
            raise NothingToExport(
                f"there are no pairs of answers in {sources[0].paths.folder}: `decide RUN --pairs K` asks for second answers "
                "and puts a dataset with pairs beside the run; give that one"
                if empty is None
                else f"{empty} is empty: no second answer made a pair, and `decide` says why; ask for more from a larger run"
            )
    elif not any(source.end for source in sources):
        where = sources[0].paths.data if len(sources) == 1 else f"the {len(sources)} runs given"
        raise NothingToExport(f"there is no accepted row in {where}, so there is nothing to export")
    return tuple(sources)


def _open(paths: RunPaths) -> SourceRun:
    running = paths.in_use()
    run = known_run(paths)
    with run_json_errors(paths):
        facts = facts_of(run)
    reviews = standing(read_reviews(review_place(paths, run)))
    ends = (_whole_rows(paths.rejected), _whole_rows(paths.pairs))
    return SourceRun(paths, facts, _whole_rows(paths.data), running, *ends, reviews)


def _whole_rows(path: Path) -> int:
    """Where the last whole line of a file ends, in bytes; 0 when there is none."""
    with storage_errors("read", path):
        if not path.exists():
            return 0
        with path.open("rb") as file:
            start = file.seek(0, 2)
            while start:
                end, start = start, max(0, start - _BLOCK)
                file.seek(start)
                if (newline := file.read(end - start).rfind(b"\n")) >= 0:
                    return start + newline + 1
    return 0


@dataclass(slots=True)
class ExportRows:
    """The rows of some runs. Iterate over it as often as needed; the last round counts what was left out or changed.

    Attributes:
        kind: which rows.
        repeated: rows left out because an earlier run of the same task and seed has their id: a copy of that run, or the same
            questions put to another model.
        left_over: file, line and what is wrong of each row left out because it holds what a machine leaves behind, whatever
            let it in, and neither the seeds nor the text it was written for have it as well; `keep_residue` keeps them.
        mended: rows where half of a surrogate pair, which a model may emit and UTF-8 cannot write, became U+FFFD.
        looked_at: rows that a person accepted, edited, which are given as edited, or rejected, which are left out; as `none`
            those that nobody looked at, which `reviewed_only` leaves out too. See `honoured` for judged answers and pairs.
        read: how many of the rows that were given a person looked at.
        there: ids and marks of the rows that a person looked at and that are there.
    """

    runs: tuple[SourceRun, ...]
    keep_residue: bool = False
    kind: Rows = "accepted"
    reviewed_only: bool = False
    left_over: list[str] = field(default_factory=list)
    repeated: int = 0
    mended: int = 0
    looked_at: Counter[str] = field(default_factory=Counter)
    read: int = 0
    there: set[tuple[str, str]] = field(default_factory=set)

    def elsewhere(self) -> Counter[tuple[str, str] | None]:
        """What became of rows that a person accepted or edited and that no round had among the accepted ones.

        It is the stage and the reason of their rejection; None where they are gone, or have another text now.
        """
        said = (review for run in self.runs for review in run.reviews.values() if review.verdict in LET_BE)
        wanted = {(review.id, review.text) for review in said} - self.there
        found = Counter[tuple[str, str] | None]()
        for run in self.runs if wanted else ():
            for _, _, row in self._read(run.paths.rejected, run.rejected_end, Rejection):
                assert isinstance(row, Rejection)
                if (mark := (row.id, text_mark(row))) in wanted:
                    wanted.remove(mark)
                    found[row.stage, row.reason] += 1
        found[None] = len(wanted)
        return +found

    def __iter__(self) -> Iterator[tuple[int, ExportRow]]:
        """Each row with the number of its run in `runs`; RunDirError, with file and line, when one is no row of a dataset."""
        self.repeated = self.mended = self.read = 0
        self.left_over = []
        self.looked_at = Counter()
        # A copy of a run is of the same rows, which were looked at once.
        others = {name: review for run in self.runs for name, review in run.reviews.items() if review.verdict != "skip"}
        inputs = [(run.facts.task_name, run.facts.seed) for run in self.runs]
        seen: set[str] = set()
        for number, run in enumerate(self.runs):
            if number and inputs[number - 1] != inputs[number]:
                seen = set()
            own = set()
            known = (run.facts.description, *seed_texts(run.facts.seeds))
            for place, texts, row in self._rows(run):
                review = review_of(row, run.reviews, others)
                verdict = "none" if review is None else review.verdict
                if review is not None:
                    self.there.add((review.id, review.text))
                kept = honoured(row, review, self.kind)
                if (found := self._residue(kept, texts, known, edited=verdict == "edit")) is not None:
                    self.left_over.append(f"{place}: {found}")
                    continue
                if row.id in seen:
                    self.repeated += kept is not None
                    continue
                if inputs.count(inputs[number]) > 1:
                    own.add(row.id)
                self.looked_at[verdict] += 1
                if kept is not None and (verdict != "none" or not self.reviewed_only):
                    self.read += verdict != "none"
                    yield number, kept
            seen |= own

    def _residue(self, kept: ExportRow | None, texts: tuple[_Texts, ...], known: Sequence[str], *, edited: bool) -> str | None:
        """What a machine has left in a row that is to be exported, by its texts as they stand there or were `edited`."""
        if self.keep_residue or kept is None:
            return None
        if edited:
            texts = ((kept.instruction, exported_answer(kept), texts[0][2]), *texts[1:])
        return next(filter(None, (residue_of_pair(*each, known) for each in texts)), None)

    def _rows(self, run: SourceRun) -> Iterator[_Read]:
        if self.kind == "pairs":
            return self._read(run.paths.pairs, run.pairs_end, AnswerPair)
        accepted = self._read(run.paths.data, run.end, Record)
        if self.kind == "accepted":
            return accepted
        rejected = self._read(run.paths.rejected, run.rejected_end, Rejection)
        return heapq.merge(accepted, filter(_judged, rejected), key=_draw)  # both are in the order in which they were decided

    def _read(self, path: Path, left: int, kind: type[FileRow]) -> Iterator[_Read]:
        if not left:
            return
        with storage_errors("read", path), path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                left -= len(line)
                if left < 0 or not line.endswith(b"\n"):
                    break
                yield (f"{path}:{number}", *self._row(path, number, line, kind))
                if not left:
                    return
        raise RunDirError(f"{path} has changed while it was read; wait for the run that writes there, then export again")

    def _row(self, path: Path, number: int, line: bytes, kind: type[FileRow]) -> tuple[tuple[_Texts, ...], FileRow]:
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")
            before: dict[str, Any] = row
            if b"\\ud" in line:  # all that can follow from a lone surrogate, and rarely something else
                mended = whole(row)
                self.mended += mended != row
                row = mended
            made = kind.model_validate(row)
            question, context = before["instruction"] or "", before["context"] or None
            if isinstance(made, AnswerPair):
                return tuple((question, before[side]["answer"], context) for side in ("chosen", "rejected")), made
            return ((question, before["response"] or "", context),), made
        except (ValueError, RecursionError) as error:
            why = "this line is not a JSON object"
            if isinstance(error, ValidationError):
                first = error.errors(include_url=False)[0]
                why = f"this row is not one of a dataset: {'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise RunDirError(f"{path}:{number}: {why}; restore the file, or make the run again") from error


def _judged(read: _Read) -> bool:
    """Whether it was rejected for what a judge or tagger said of its answer."""
    row = read[2]
    return isinstance(row, Rejection) and (row.stage, row.reason) in _JUDGED and bool(row.instruction and row.response)


def _draw(read: _Read) -> tuple[int, int]:
    """The place of a row that was decided."""
    row = read[2]
    assert not isinstance(row, AnswerPair)
    return row.provenance.draw, row.provenance.index
