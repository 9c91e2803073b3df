"""What a run has decided, read back from its rows in settled order: draws, their candidates, what became of each."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from skills_dspy.base.errors import RunDirError
from skills_dspy.base.records import Record, Rejection
from skills_dspy.pipeline.candidate import Dropped
from skills_dspy.pipeline.draw import Draw, Example, seed_examples, standard_of
from skills_dspy.pipeline.funnel import STAGES, Fate
from skills_dspy.pipeline.rows import WRITING
from skills_dspy.pipeline.variety import Tried, planned
from skills_dspy.store.files import typed_rows
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.tasks.spec import TaskSpec

_SEED = "seed:"


@dataclass(frozen=True, slots=True)
class OldRow:
    """One candidate as a run decided it.

    Attributes:
        where: the row's file and line, as messages name them.
        place: draw and index.
        question: None when the draw's writing failed.
        shown: names of the examples in its draw's prompts.
        calls: step to the digests of its requests.
        dropped: how it was rejected; None when it was accepted.
        answer: a digest of an accepted one's: a large run is not held in memory for a comparison.
        rewritten: why that was written again, if it was.
    """

    id: str
    where: str
    place: tuple[int, int]
    question: str | None
    context: str | None
    shown: tuple[str, ...]
    calls: dict[str, tuple[str, ...]]
    dropped: Dropped | None
    answer: bytes = b""
    rewritten: str | None = None

    @property
    def fate(self) -> Fate:
        """What became of it."""
        return None if self.dropped is None else (self.dropped.stage, self.dropped.reason)

    @property
    def writing(self) -> dict[str, tuple[str, ...]]:
        """The calls that its whole draw shares."""
        return {step: digests for step, digests in self.calls.items() if step in WRITING}


@dataclass(frozen=True, slots=True)
class OldDraw:
    """A draw with those of its candidates that were decided, in their order; at least one. Its plan is still to be told."""

    draw: Draw
    candidates: tuple[OldRow, ...]


def text_digest(text: str) -> bytes:
    """Sixteen bytes that tell texts apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def read_old_rows(paths: RunPaths, spec: TaskSpec) -> tuple[OldDraw, ...]:
    """All draws of a run of which something was decided, from the first on, in order.

    Raises:
        RunDirError: a row is not one that a run writes, or one is missing between the others; file and line are named.
    """
    rows = heapq.merge(_old_rows(paths.data, Record), _old_rows(paths.rejected, Rejection), key=lambda row: row.place)
    draws: list[OldDraw] = []
    accepted: dict[str, Example] = {}
    for number, group in groupby(rows, key=lambda row: row.place[0]):
        candidates = tuple(group)
        for index, candidate in enumerate(candidates):
            if candidate.place != (len(draws), index):
                raise RunDirError(
                    f"{candidate.where}: question {candidate.place[1]} of draw {number} stands where question {index} of draw "
                    f"{len(draws)} should: a row is missing, twice there, or out of order; restore the files, or resume the "
                    "run, which writes its rows anew from its journal"
                )
            if candidate.shown != candidates[0].shown:
                raise RunDirError(f"{candidate.where}: `provenance.shown` is not that of draw {number}; restore the file")
        draws.append(OldDraw(_draw(candidates[0], spec, accepted), candidates))
        accepted |= {row.id: Example(row.id, row.question or "", "", row.context) for row in candidates if row.dropped is None}
    return tuple(draws)


def replanned(draws: Iterable[OldDraw], spec: TaskSpec, run_seed: int, window: int) -> tuple[OldDraw, ...]:
    """The draws with the plans that they were told: those follow from what had become of the draws `window` before each."""
    tried, found = Tried(), []
    for old in draws:
        draw = planned(old.draw, spec, run_seed, tried.barren(old.draw.number - window))
        found.append(replace(old, draw=draw))
        for row in old.candidates:
            tried.note(draw, row.place[1], row.dropped, written=row.question is not None)
    return tuple(found)


def _draw(row: OldRow, spec: TaskSpec, accepted: Mapping[str, Example]) -> Draw:
    """The draw again, as far as it is looked at once more; of accepted examples, which only writers see, not their answers."""
    seeds = {example.id: example for example in seed_examples(spec.seed_examples)}
    names = [name for name in row.shown if name.startswith(_SEED)]
    unknown = [name for name in names if name not in seeds]
    if unknown or not names:
        what = f"there is no {unknown[0]} in the run's task" if unknown else "no seed was shown"
        raise RunDirError(f"{row.where}: {what}, so this is no row of this run; restore the file")
    shown = tuple(seeds[name] for name in names)
    own = [seed for seed in seeds.values() if (seed.context is None) == (shown[0].context is None)]
    return Draw(
        number=row.place[0],
        kind="freeform" if shown[0].context is None else "grounded",
        seeds=shown,
        accepted=tuple(accepted.get(name, Example(name, "", "", None)) for name in row.shown if not name.startswith(_SEED)),
        standard=standard_of(shown, own),
    )


def _old_rows(path: Path, kind: type[Record | Rejection]) -> Iterator[OldRow]:
    for number, row in typed_rows(path, kind):
        where = f"{path}:{number}"
        dropped = None
        if isinstance(row, Rejection):
            if row.stage not in STAGES:
                raise RunDirError(f"{where}: {row.stage!r} is no stage that this version knows; restore the file")
            dropped = Dropped(row.stage, row.reason, row.detail, row.response, row.raw_reply)
        yield OldRow(
            id=row.id,
            where=where,
            place=(row.provenance.draw, row.provenance.index),
            question=row.instruction,
            context=row.context,
            shown=row.provenance.shown,
            calls=row.provenance.calls,
            dropped=dropped,
            answer=text_digest(row.response) if isinstance(row, Record) else b"",
            rewritten=row.provenance.rewritten,
        )
