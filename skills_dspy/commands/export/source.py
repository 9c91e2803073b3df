"""The accepted rows of runs, in one fixed order, read twice if need be and the same both times."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skills_dspy.base.columns import whole
from skills_dspy.base.errors import NothingToExport, RunDirError
from skills_dspy.base.records import HumanReview, Record, seed_texts
from skills_dspy.base.residue import residue_of_pair
from skills_dspy.commands.export.facts import RunFacts, facts_of
from skills_dspy.store.files import storage_errors
from skills_dspy.store.reviews import Review, read_reviews, review_place, standing, verdict_on
from skills_dspy.store.run_dir import RunPaths, find_runs
from skills_dspy.store.run_json import read_run_json, run_json_errors

_BLOCK = 1 << 20
_KEPT = ("accept", "edit")


@dataclass(frozen=True, slots=True)
class SourceRun:
    """One run to export.

    Attributes:
        end: bytes of whole rows in its data.jsonl when the export began; rows that a running run adds later do not count.
        running: whether a run was writing there then.
        reviews: what people said of its rows, by their ids.
    """

    paths: RunPaths
    facts: RunFacts
    end: int
    running: bool
    reviews: Mapping[str, Review] = field(default_factory=dict)


def find_sources(places: Sequence[Path]) -> tuple[SourceRun, ...]:
    """The runs at and below these places, each once, by task name, then by seed, then by path.

    Raises:
        RunDirError: a place holds no run, or a run.json is broken.
        NothingToExport: none of the runs has an accepted row.
    """
    found: dict[Path, RunPaths] = {}
    for paths in (paths for place in places for paths in _runs_at(place)):
        found.setdefault(paths.folder.resolve(), paths)
    sources = sorted(map(_open, found.values()), key=lambda run: (run.facts.task_name, run.facts.seed, run.paths))
    if not any(source.end for source in sources):
        where = sources[0].paths.data if len(sources) == 1 else f"the {len(sources)} runs given"
        raise NothingToExport(f"there is no accepted row in {where}, so there is nothing to export")
    return tuple(sources)


def _runs_at(place: Path) -> list[RunPaths]:
    with storage_errors("read", place):
        if not place.exists():
            raise RunDirError(f"there is no run at {place}; give a run's directory, or a folder of runs")
        if not place.is_dir():
            raise RunDirError(f"{place} is a file; give the run's directory, {place.parent}")
    runs = find_runs(place)
    if not runs:
        raise RunDirError(f"there is no run at or below {place}; give a run's directory, or a folder of runs")
    return runs


def _open(paths: RunPaths) -> SourceRun:
    running = paths.in_use()
    run = read_run_json(paths)
    if run is None:
        raise RunDirError(f"{paths.run_json} is missing, so nothing is known of this run; restore the file")
    with run_json_errors(paths):
        facts = facts_of(run)
    reviews = standing(read_reviews(review_place(paths, run)))
    return SourceRun(paths, facts, _whole_rows(paths.data), running, reviews)


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


def reviewed_record(row: Record, review: Review) -> Record:
    """A row with what a person did in its provenance: of an edited one, which has the texts of the edit, both texts."""
    if review.verdict not in _KEPT:
        return row
    noted = HumanReview(verdict="accept")
    if review.verdict == "edit":
        noted = HumanReview(
            verdict="edit",
            question_before=row.instruction,
            question_after=review.instruction,
            answer_before=row.response,
            answer_after=review.response,
        )
        row = row.model_copy(update={"instruction": review.instruction, "response": review.response})
    return row.model_copy(update={"provenance": row.provenance.model_copy(update={"reviewed": noted})})


@dataclass(slots=True)
class ExportRows:
    """The rows of some runs. Iterate over it as often as needed; the last round counts what was left out or changed.

    Attributes:
        repeated: rows left out because an earlier run of the same task and seed has their id: a copy of that run, or the same
            questions put to another model.
        left_over: file, line and what is wrong of each row left out because it holds what a machine leaves behind, whatever
            let it in, and neither the seeds nor the text it was written for have it as well; `keep_residue` keeps them.
        mended: rows where half of a surrogate pair, which a model may emit and UTF-8 cannot write, became U+FFFD.
        looked_at: rows that a person accepted, edited, which are given as edited, or rejected, which are left out; as `none`
            those that nobody looked at, which `reviewed_only` leaves out too.
        elsewhere: how many rows a person accepted or edited that are not among the accepted ones, or have another text now.
    """

    runs: tuple[SourceRun, ...]
    keep_residue: bool = False
    reviewed_only: bool = False
    left_over: list[str] = field(default_factory=list)
    repeated: int = 0
    mended: int = 0
    looked_at: Counter[str] = field(default_factory=Counter)

    @property
    def elsewhere(self) -> int:
        """See above; known after a round."""
        wanted = {(review.id, review.text) for run in self.runs for review in run.reviews.values() if review.verdict in _KEPT}
        return max(0, len(wanted) - sum(self.looked_at[verdict] for verdict in _KEPT))

    def __iter__(self) -> Iterator[tuple[int, Record]]:
        """Each row with the number of its run in `runs`; RunDirError, with file and line, when one is no row of a dataset."""
        self.repeated = self.mended = 0
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
            for place, texts, row in self._records(run):
                review = verdict_on(run.reviews, row) or verdict_on(others, row)
                verdict = "none" if review is None else review.verdict
                record = row if review is None else reviewed_record(row, review)
                read = (record.instruction, record.response, texts[2]) if verdict == "edit" else texts
                found = None if self.keep_residue or verdict == "reject" else residue_of_pair(*read, known)
                if found is not None:
                    self.left_over.append(f"{place}: {found}")
                    continue
                if record.id in seen:
                    self.repeated += verdict != "reject"
                    continue
                if inputs.count(inputs[number]) > 1:
                    own.add(record.id)
                self.looked_at[verdict] += 1
                if verdict in _KEPT or (verdict == "none" and not self.reviewed_only):
                    yield number, record
            seen |= own

    def _records(self, run: SourceRun) -> Iterator[tuple[str, tuple[str, str, str | None], Record]]:
        """Each row with its place, and with question, answer and context as they stand there."""
        path, left = run.paths.data, run.end
        if not left:
            return
        with storage_errors("read", path), path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                left -= len(line)
                if left < 0 or not line.endswith(b"\n"):
                    break
                yield (f"{path}:{number}", *self._record(path, number, line))
                if not left:
                    return
        raise RunDirError(f"{path} has changed while it was read; wait for the run that writes there, then export again")

    def _record(self, path: Path, number: int, line: bytes) -> tuple[tuple[str, str, str | None], Record]:
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")
            before: dict[str, Any] = row
            if b"\\ud" in line:  # all that can follow from a lone surrogate, and rarely something else
                mended = whole(row)
                self.mended += mended != row
                row = mended
            record = Record.model_validate(row)
            return (before["instruction"], before["response"], before["context"]), record
        except (ValueError, RecursionError) as error:
            why = "this line is not a JSON object"
            if isinstance(error, ValidationError):
                first = error.errors(include_url=False)[0]
                why = f"this row is not one of a dataset: {'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise RunDirError(f"{path}:{number}: {why}; restore the file, or make the run again") from error
