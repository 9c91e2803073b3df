"""The story of a row: the calls that led to it, from the journal of its run, and how each of them rated it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from skills_dspy.base.columns import TAG_NAMES
from skills_dspy.base.errors import Unreadable
from skills_dspy.base.records import Record, SoftRating
from skills_dspy.base.scales import CONTEXT, SCALES, Label
from skills_dspy.commands.report.reading import ShownRow, ShownRun
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.replies import NO_REPLY
from skills_dspy.model.soft import soft_of
from skills_dspy.model.steps import STEPS
from skills_dspy.store.journal import JournaledReply, JournalReader
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
        soft: how probable the labels were, by the name of a scale.
    """

    stage: str
    attempt: int
    attempts: int
    about: str
    messages: tuple[tuple[str, str], ...]
    thoughts: str
    heading: str
    reply: str
    ratings: Mapping[str, Label] = field(default_factory=dict)
    soft: Mapping[str, SoftRating] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of how a row came about; `missing` says how many of its replies the journal lacks."""

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
                    calls.append(self._call(stage, attempt, len(digests), found))
        own = _own_ratings(row) if isinstance(row, Record) else ({}, {})
        ratings = {name: label for call in calls for name, label in call.ratings.items()} | own[0]
        soft = {name: rating for call in calls for name, rating in call.soft.items()} | own[1]
        return Story(tuple(calls), ratings, soft, missing)

    def _full(self, digest: str) -> JournaledReply | None:
        if digest not in self._shared:
            self._shared[digest] = None if self._journal is None else self._journal.full(digest)
        return self._shared[digest]

    def _call(self, stage: str, attempt: int, attempts: int, found: JournaledReply) -> StoryCall:
        body, request = found.reply, found.request
        said, step = said_in(body, request), STEPS.get(found.step)
        heading = "no reply" if NO_REPLY in body else "reply (cut)" if body.get("done_reason") == "length" else "reply"
        ratings: dict[str, Label] = {}
        if step is not None and step.rates and NO_REPLY not in body:
            with suppress(Unreadable):  # which has no rating, and is no error here
                values = self._adapter.plan(step.source).read(said.text)
                ratings = {scale.name: values[scale.field] for scale in step.rates}
        fields = soft_of(body, request) if step is not None else {}
        soft = {scale.name: fields[scale.field] for scale in (step.rates if step else ()) if scale.field in fields}
        messages = tuple((str(message["role"]), str(message["content"])) for message in request["messages"])
        reply = str(body[NO_REPLY]) if NO_REPLY in body else said.text
        return StoryCall(stage, attempt, attempts, _about(found), messages, said.thoughts, heading, reply, ratings, soft)


@contextmanager
def stories_of(run: ShownRun) -> Iterator[Stories]:
    """The stories of a run's rows, while its journal is open."""
    if not run.paths.journal.is_file():
        yield Stories(None)
        return
    with JournalReader.open(run.paths.journal) as journal:
        yield Stories(journal)


def _about(found: JournaledReply) -> str:
    tokens = f"{found.reply.get('prompt_eval_count', '?')} + {found.reply.get('eval_count', '?')} tokens"
    settings = ", ".join(f"{name} {value}" for name, value in found.request.get("options", {}).items())
    return f"{found.request.get('model', '?')}: {settings}; {tokens}, {found.seconds:.2f} s; reply {found.digest[:12]}"


def _own_ratings(row: Record) -> tuple[dict[str, Label], dict[str, SoftRating]]:
    """How an accepted row says it was rated."""
    tags, question, pair = row.tags, row.question_verdict, row.pair_verdict
    labels: dict[str, Label | None] = {"question_verdict": question.rating, "pair_verdict": pair.rating}
    labels |= {name: getattr(tags, name) for name in TAG_NAMES}
    soft = {"question_verdict": question.soft, "pair_verdict": pair.soft, **tags.soft}
    return (
        {name: label for name, label in labels.items() if label is not None},
        {name: rating for name, rating in soft.items() if rating is not None},
    )
