"""A candidate on its way: what it is, how far it came, and what became of it."""

import asyncio
from dataclasses import dataclass, field

from skills_dspy.base.errors import MissingReply
from skills_dspy.base.records import PairVerdict, QuestionVerdict, Reason, Tags
from skills_dspy.model.steps import Step
from skills_dspy.pipeline.draw import Draw, Example
from skills_dspy.similarity.nearest import Key, Vector
from skills_dspy.similarity.sight import ComparedText


@dataclass(frozen=True, slots=True)
class Passed:
    """A candidate that every judge and tag let through; only settling can still find it a duplicate."""

    answer: str
    question_verdict: QuestionVerdict
    pair_verdict: PairVerdict
    tags: Tags

    @property
    def tags_lost(self) -> int:
        """How many of its tags the server could not give."""
        lost = {"difficulty": self.tags.difficulty, "category": self.tags.category}
        return sum(
            tag is None and self.tags.explanations.get(name, "").startswith("server failed: ") for name, tag in lost.items()
        )


@dataclass(frozen=True, slots=True)
class Dropped:
    """A candidate that was rejected on its way."""

    stage: str
    reason: Reason
    detail: str
    answer: str | None = None
    raw: str | None = None


Outcome = Passed | Dropped | MissingReply
"""What a candidate's own way led to. A reply that a recording lacks matters only if the candidate has to settle."""


@dataclass(slots=True, eq=False)
class Candidate:
    """One question on its way; or, with no question, a draw whose writing failed."""

    draw: Draw
    index: int  # in its draw: the order of settling
    question: str | None
    context: str | None
    vector: Vector | None
    calls: dict[str, tuple[str, ...]]  # stage to the digests of its requests
    fitting: tuple[Example, ...] = ()  # the seeds that fit it best, which its answer and that one's judges are shown
    text: ComparedText | None = None  # what the vector is of, where that is to be looked at
    stage: str = "dedup"  # where it is now, a name in STAGES
    answer: str | None = None
    avoid: str | None = None  # what its answer, once it is written again, is to be without
    rewritten: str | None = None  # why it is written again
    turn: asyncio.Event = field(default_factory=asyncio.Event)  # everything before it is decided
    driver: asyncio.Task[None] | None = None  # drives it
    # Done when its own way ended, and when it was decided: True if accepted.
    outcome: asyncio.Future[Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    settled: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def key(self) -> Key:
        """Its place in the order of everything that dedup compares."""
        return (self.draw.number, self.index)

    def examples(self, step: Step) -> tuple[Example, ...]:
        """The examples that the prompt of a step about it shows."""
        return self.fitting if step.shows == "fitting" and self.fitting else self.draw.examples(step)

    @property
    def may_pass(self) -> bool:
        """Whether it may still be accepted."""
        return not self.outcome.done() or isinstance(self.outcome.result(), Passed)

    def end(self, outcome: Outcome) -> None:
        """Its own way ended."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def abandon(self) -> None:
        """It was found to be a duplicate while it was on its way: what it still asks for is not needed."""
        if self.driver is not None:
            self.driver.cancel()
        self.end(Dropped("dedup", "duplicate", ""))
