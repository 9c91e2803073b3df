"""The story of a row: the calls that led to it, from the journal of its run, and how each of them rated it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from skills_dspy.base.records import Record, SoftRating
from skills_dspy.base.scales import CONTEXT, SCALES, Label
from skills_dspy.commands.report.reading import ShownRow, ShownRun
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.pipeline.funnel import latest
from skills_dspy.pipeline.ratings import Rating, own_ratings, replied_ratings
from skills_dspy.store.journal_reader import JournaledReply, JournalReader, journal_at

RATED_ON = (CONTEXT, *SCALES)
"""What a candidate may be rated on, in the order in which that is asked."""


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of how a row came about.

    Attributes:
        calls: stage, which of several tries if there were several, and the reply with its request.
        ratings: labels by the names of scales; `soft` is how probable they were.
        missing: how many of its replies the journal lacks.
    """

    calls: tuple[tuple[str, JournaledReply], ...]
    ratings: Mapping[str, Label]
    soft: Mapping[str, SoftRating]
    missing: int


class Stories:
    """Tells the stories of one run's rows; without a journal, what the rows themselves say of their ratings."""

    def __init__(self, journal: JournalReader | None) -> None:
        self._journal = journal
        self._adapter = SkillsAdapter()
        self._shared: dict[str, JournaledReply | None] = {}
        self._draw = -1

    def of(self, row: ShownRow) -> Story:
        """The story of a row; rows of one draw, which share calls, are best asked for one after the other."""
        if row.provenance.draw != self._draw:
            self._draw = row.provenance.draw
            self._shared.clear()
        calls, missing = [], 0
        for stage, digests in row.provenance.calls.items():
            for attempt, digest in enumerate(digests, start=1):
                found = self._full(digest)
                if found is None:
                    missing += 1
                else:
                    calls.append((f"{stage}, try {attempt} of {len(digests)}" if len(digests) > 1 else stage, found))
        rated: dict[str, Rating] = {}
        for digest in (digest for digests in latest(row.provenance.calls).values() for digest in digests):
            if (found := self._full(digest)) is not None:
                rated |= replied_ratings(found, self._adapter)
        if isinstance(row, Record):
            rated |= own_ratings(row)
        ratings = {name: rating.label for name, rating in rated.items()}
        soft = {name: rating.soft for name, rating in rated.items() if rating.soft is not None}
        return Story(tuple(calls), ratings, soft, missing)

    def _full(self, digest: str) -> JournaledReply | None:
        if digest not in self._shared:
            self._shared[digest] = None if self._journal is None else self._journal.full(digest)
        return self._shared[digest]


@contextmanager
def stories_of(run: ShownRun) -> Iterator[Stories]:
    """The stories of a run's rows, while its journal is open."""
    with journal_at(run.paths.journal) as journal:
        yield Stories(journal)
