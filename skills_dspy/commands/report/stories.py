"""The story of a row: the calls that led to it, from the journal of its run, and how each of them rated it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from skills_dspy.base.records import Record, SoftRating
from skills_dspy.base.scales import CONTEXT, SCALES, Label
from skills_dspy.commands.report.reading import ShownRow, ShownRun
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.replies import NO_REPLY
from skills_dspy.pipeline.funnel import latest
from skills_dspy.pipeline.ratings import Rating, own_ratings, replied_ratings
from skills_dspy.store.journal_reader import JournaledReply, JournalReader, journal_at
from skills_dspy.store.said import said_in

RATED_ON = (CONTEXT, *SCALES)
"""What a candidate may be rated on, in the order in which that is asked."""


@dataclass(frozen=True, slots=True)
class StoryCall:
    """One request with its reply.

    Attributes:
        about: model, sampling options, tokens and time, in words.
        messages: role and text of each, in order.
        reply: what came, or why nothing did; `heading` says which of the two it is.
    """

    stage: str
    attempt: int
    attempts: int
    about: str
    messages: tuple[tuple[str, str], ...]
    thoughts: str
    heading: str
    reply: str


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of how a row came about; `missing` says how many of its replies the journal lacks.

    `ratings` are labels by the names of scales, `soft` how probable they were.
    """

    calls: tuple[StoryCall, ...] = ()
    ratings: Mapping[str, Label] = field(default_factory=dict)
    soft: Mapping[str, SoftRating] = field(default_factory=dict)
    missing: int = 0


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
                    calls.append(_call(stage, attempt, len(digests), found))
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


def _call(stage: str, attempt: int, attempts: int, found: JournaledReply) -> StoryCall:
    body, request = found.reply, found.request
    said = said_in(body, request)
    heading = "no reply" if NO_REPLY in body else "reply (cut)" if body.get("done_reason") == "length" else "reply"
    messages = tuple((str(message["role"]), str(message["content"])) for message in request["messages"])
    reply = str(body[NO_REPLY]) if NO_REPLY in body else said.text
    return StoryCall(stage, attempt, attempts, _about(found), messages, said.thoughts, heading, reply)


@contextmanager
def stories_of(run: ShownRun) -> Iterator[Stories]:
    """The stories of a run's rows, while its journal is open."""
    with journal_at(run.paths.journal) as journal:
        yield Stories(journal)


def _about(found: JournaledReply) -> str:
    tokens = f"{found.reply.get('prompt_eval_count', '?')} + {found.reply.get('eval_count', '?')} tokens"
    settings = ", ".join(f"{name} {value}" for name, value in found.request.get("options", {}).items())
    return f"{found.request.get('model', '?')}: {settings}; {tokens}, {found.seconds:.2f} s; reply {found.digest[:12]}"
