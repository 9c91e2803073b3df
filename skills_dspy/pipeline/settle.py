"""The scheduler of one task: draws run at once, settle in order, and only settling decides.

What a run writes depends on the order of draws, never on that of replies: a candidate repeats seeds or pairs before it,
or not, and is decided when all before it is. What runs earlier only saves calls that the decision does not need.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, get_args

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import MissingReply, SpecError, Unanswered
from skills_dspy.base.records import Kind
from skills_dspy.model.ask import WHOLE_DRAW
from skills_dspy.model.embedding.embedder import VectorSource
from skills_dspy.model.hosts.call import Rank
from skills_dspy.model.room import Lengths, longest, may_be_shown
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed
from skills_dspy.pipeline.draw import Draw, Example, plan_draw, seed_examples
from skills_dspy.pipeline.draw_places import DrawPlaces, Place
from skills_dspy.pipeline.fitting import FittingSeeds
from skills_dspy.pipeline.flow import Flow, Written
from skills_dspy.pipeline.funnel import Funnel
from skills_dspy.pipeline.habits import SetLook
from skills_dspy.pipeline.novelty import Novelty, vectors_of
from skills_dspy.pipeline.outlook import Outlook
from skills_dspy.pipeline.variety import Tried, planned
from skills_dspy.pipeline.writing import Ledger, RowsInOrder, SettledRow
from skills_dspy.similarity.nearest import Vector
from skills_dspy.similarity.sight import Sight, compared_text
from skills_dspy.tasks.spec import TaskSpec

_T = TypeVar("_T")

REMEMBERED = 512
"""How many of the latest accepted pairs a draw may show: keeps memory flat in a long run."""

_USUAL = 5
"""How many questions a draw usually has; draws.max_stalled counts draws of so many."""


@dataclass(slots=True)
class _Open:
    """A draw that has not settled: its candidates, once they are written."""

    arrived: asyncio.Future[list[Candidate]]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Settler:
    """One task on its way to `wanted` accepted pairs, 1 or more.

    Args:
        last_decided: draw and index of the last candidate that an earlier run of the same inputs decided. All that it took
            is in the journal, so nothing beyond it is begun before it is decided again: that might ask for what nobody needs.
        on_change: called after every settled candidate; of an accepted one when it has its last tags.
        place: its door to the places for open draws, where other tasks run beside it.
        plan: what a draw shows, by its number, where that was decided before; none to choose it.
        wake: called when calls that waited with the rank LATER may go on; needed where slots are given by rank.
        sight: what the vectors may be asked, called when there is one.
    """

    def __init__(
        self,
        spec: TaskSpec,
        config: RunConfig,
        *,
        seed: int,
        wanted: int,
        flow: Flow,
        embedder: VectorSource,
        ledger: Ledger,
        last_decided: tuple[int, int] | None = None,
        on_change: Callable[[], None] = lambda: None,
        place: Place | None = None,
        plan: Callable[[int], Draw] | None = None,
        wake: Callable[[], None] = lambda: None,
        sight: Callable[[], Sight] = lambda: "trusted",
    ) -> None:
        self.spec = spec
        self.wanted = wanted
        self.funnel = Funnel()
        self.stopped: str | None = None
        self._config = config
        self._seed = seed
        self._flow = flow
        self._embedder = embedder
        self._ledger = ledger
        self._on_change = on_change
        self._plan = plan or self._choose
        self._wake = wake
        self._sight = sight
        self._seeds = seed_examples(spec.seed_examples)
        self._lengths: dict[Kind, Lengths] = {kind: longest(spec.seeds(kind)) for kind in get_args(Kind)}
        count = spec.num_questions_to_generate_per_prompt
        self._accepted: deque[tuple[int, Example]] = deque(maxlen=REMEMBERED + config.draws.window * count)
        self._fitting = FittingSeeds(spec.num_icl_examples_per_prompt)
        self._novelty = Novelty(config.dedup.max_squared_distance)
        self._look = SetLook(spec, config.habits, flow, self._novelty, self._fitting)
        self._tried, self._rows = Tried(), RowsInOrder(ledger)
        self._tagging: set[asyncio.Task[None]] = set()
        self._met: str | None = None  # the limit that stops the run, which is said when all rows are written
        self._place = place or DrawPlaces(config.draws.window).join()
        self._open: dict[int, _Open] = {}
        self._opened = asyncio.Event()
        self._outlook = Outlook(count)
        self._next = 0
        self._settled_draws = 0
        self._stalled = 0
        self._group = asyncio.TaskGroup()
        self._seeded = asyncio.Event()
        self._resumed = last_decided or (-1, -1)
        self._recalled = asyncio.Event()
        self._recall(0, -1)

    @property
    def done(self) -> bool:
        """Whether all wanted pairs are accepted and written down."""
        return self._enough and not self._rows.waiting

    @property
    def _enough(self) -> bool:
        return self.funnel.accepted >= self.wanted

    @property
    def draws(self) -> tuple[int, int]:
        """How many draws have settled, and how many are open."""
        return self._settled_draws, len(self._open)

    async def run(self) -> None:
        """Until all wanted pairs are accepted, or a limit stops it (`stopped` says which).

        Raises an ExceptionGroup of SkillsErrors that no candidate can be blamed for.
        """
        try:
            async with self._group as group:
                embedding = group.create_task(self._embed_seeds())
                watching = group.create_task(self._place.watch(self._issue))
                self._issue()
                await embedding
                try:
                    await self._settle()
                except MissingReply:  # what was decided before it stays
                    await self._tagged()
                    raise
                for task in (watching, *(task for opened in self._open.values() for task in opened.tasks)):
                    task.cancel()
                await self._tagged()
                self.stopped = self._met
        finally:
            self._place.leave()

    def _issue(self) -> None:
        """Start draws while those under way are not expected to be enough, and there is a place for one more.

        What waits for a slot looks again whether it is wanted now.
        """
        while self._wants_draw() and self._place.enter():
            opened = self._open[self._next] = _Open(asyncio.get_running_loop().create_future())
            opened.tasks.append(self._group.create_task(self._draw(self._next, opened)))
            self._next += 1
            self._opened.set()
        self._wake()

    def _wants_draw(self) -> bool:
        """Whether one more draw is wanted, and none of the limits forbids it."""
        draws = self._config.draws
        open_draws = [
            (number, opened.arrived.result() if opened.arrived.done() else None) for number, opened in self._open.items()
        ]
        return (
            self._outlook.too_little(self.funnel, self.wanted - self.funnel.accepted, open_draws)
            and self._next < self._settled_draws + draws.window
            and (self._next <= self._resumed[0] or (self._recalled.is_set() and self._next < (draws.max_draws or math.inf)))
        )

    def _choose(self, number: int) -> Draw:
        """What the draw shows, of the seeds and of what was accepted long enough before it."""
        horizon = number - self._config.draws.window
        known = [example for draw, example in self._accepted if draw <= horizon][-REMEMBERED:]
        draw = plan_draw(
            number,
            self._seeds,
            known,
            task=self.spec.task_name,
            run_seed=self._seed,
            examples=self.spec.num_icl_examples_per_prompt,
            accepted_share=self._config.draws.accepted_share,
        )
        return planned(draw, self.spec, self._seed, self._tried.barren(horizon))

    async def _draw(self, number: int, opened: _Open) -> None:
        """Write the draw's questions and set them on their way."""
        draw = self._plan(number)
        lost: Outcome | None
        try:
            written = await self._flow.write(draw, lambda: self._outlook.rank(number, WHOLE_DRAW))
            lost, vectors = written.failed, await vectors_of(self._embedder, written.questions, written.context)
        except MissingReply as missing:
            written, lost, vectors = Written(None, (), {}), missing, []
        if lost is not None:
            candidate = Candidate(draw, 0, None, written.context, None, written.calls)
            candidate.end(lost)
            self._arrive(opened, [candidate])
            return
        await self._seeded.wait()
        candidates = [self._candidate(draw, index, written, vector) for index, vector in enumerate(vectors)]
        self._arrive(opened, candidates)
        for candidate in candidates:
            if candidate.vector is None:
                continue
            self._novelty.begin(candidate)
            candidate.driver = self._group.create_task(self._pursue(candidate))
            opened.tasks.append(candidate.driver)

    def _candidate(self, draw: Draw, index: int, written: Written, vector: Vector | Unanswered) -> Candidate:
        """A question that a draw has written; one without a vector can be compared with nothing, and is lost."""
        question, calls = written.questions[index], dict(written.calls)
        if isinstance(vector, Unanswered):
            candidate = Candidate(draw, index, question, written.context, None, calls)
            candidate.end(Dropped("dedup", "server failed", str(vector)))
            return candidate
        text = compared_text(self._sight(), question, written.context)
        return Candidate(draw, index, question, written.context, vector, calls, self._fitting.of(draw.kind, vector, text), text)

    def _arrive(self, opened: _Open, candidates: list[Candidate]) -> None:
        opened.arrived.set_result(candidates)
        self._issue()

    async def _pursue(self, candidate: Candidate) -> None:
        if candidate.key > self._resumed:
            await self._recalled.wait()
        candidate.end(await self._flow.pursue(candidate, self._look.novel, lambda: self._rank(candidate)))
        self._issue()

    def _rank(self, candidate: Candidate) -> Rank:
        return self._outlook.rank(candidate.draw.number, candidate.index, candidate.stage)

    async def _embed_seeds(self) -> None:
        """Seeds are compared like everything that is accepted."""
        for number, seed in enumerate(self._seeds):
            (vector,) = await vectors_of(self._embedder, (seed.question,), seed.context)
            if isinstance(vector, Unanswered):
                todo, line = "change this seed, or take another embedding model", self.spec.seed_examples[number].line
                raise SpecError(f"{vector} Nothing can be compared with it: {todo}", self.spec.path, line)
            kind: Kind = "freeform" if seed.context is None else "grounded"
            text = compared_text(self._sight(), seed.question, seed.context)
            self._novelty.fix((-1, number), vector, seed.id, kind, text)
            self._fitting.add(seed, vector, text)
        self._seeded.set()

    async def _settle(self) -> None:
        """Decide every candidate in order, until enough are accepted or a limit is met."""
        while not self._enough and self._met is None:
            opened = await self._begun(self._settled_draws)
            before = self.funnel.accepted
            for candidate in await _result(opened.arrived):
                await self._decide(candidate)
                self._recall(candidate.draw.number, candidate.index)
                self._issue()
                if self._enough:
                    return
            del self._open[self._settled_draws]
            self._settled_draws += 1
            self._place.free()
            self._recall(self._settled_draws, -1)
            self._stalled = 0 if self.funnel.accepted > before else self._stalled + 1
            self._met = self._limit()
            if self._met is None:
                self._issue()

    async def _begun(self, number: int) -> _Open:
        """A draw, once there was a place for it."""
        while number not in self._open:
            self._opened.clear()
            await self._opened.wait()
        return self._open[number]

    def _recall(self, draw: int, index: int) -> None:
        """All before this place, and the place itself, is decided: perhaps all that ever was."""
        if (draw, index) >= self._resumed:
            self._recalled.set()

    async def _decide(self, candidate: Candidate) -> None:
        neighbour = self._novelty.neighbour(candidate)
        outcome: Outcome | None = self._novelty.repeats(neighbour) or self._look.question(candidate)
        if outcome is None:
            passed = await _result(candidate.outcome)
            outcome = await self._look.answer(candidate, passed, lambda: self._rank(candidate))
            self.funnel.rewritten += candidate.avoid is not None
        else:
            candidate.abandon()
        self._novelty.end(candidate)
        if isinstance(outcome, MissingReply):
            raise outcome
        self._tried.note(candidate.draw, candidate.index, outcome, written=candidate.question is not None)
        if isinstance(outcome, Dropped):
            self.funnel.reject(outcome.stage, outcome.reason, outcome.detail, outcome.raw)
            self._rows.add(candidate, neighbour, outcome)
            candidate.settled.set_result(False)
            self._on_change()
            return
        self.funnel.accept()
        self._look.add(candidate, outcome)
        name = self._ledger.name(candidate)
        tagging = self._group.create_task(self._tag(self._rows.add(candidate, neighbour, None), outcome))
        self._tagging.add(tagging)
        tagging.add_done_callback(self._tagging.discard)
        assert candidate.question is not None
        assert candidate.vector is not None
        self._novelty.fix(candidate.key, candidate.vector, name, candidate.draw.kind, candidate.text)
        if may_be_shown(candidate.question, candidate.context, self._lengths[candidate.draw.kind]):
            self._accepted.append((candidate.draw.number, Example(name, candidate.question, outcome.answer, candidate.context)))
        candidate.settled.set_result(True)

    async def _tag(self, row: SettledRow, passed: Passed) -> None:
        """Give an accepted pair its last tags. Nobody waits for them but its row, and the rows after it."""
        try:
            row.outcome = tagged = await self._flow.tag(row.candidate, passed, lambda: self._rank(row.candidate))
            self.funnel.tags_lost += tagged.tags_lost
        except MissingReply as missing:  # the rows before it may still come
            row.outcome = missing
        self._rows.write()
        self._on_change()

    async def _tagged(self) -> None:
        """Wait until every accepted pair has its last tags, or none can be had any more."""
        while self._tagging:
            await asyncio.wait(self._tagging)

    def _limit(self) -> str | None:
        """Which limit stops the run, in words; one that was lowered since takes back nothing that was decided before."""
        draws = self._config.draws
        if self._enough or not self._recalled.is_set():
            return None
        # A draw of one question is a fifth of a draw of five.
        if self._stalled * min(_USUAL, self.spec.num_questions_to_generate_per_prompt) >= draws.max_stalled * _USUAL:
            return f"{self._stalled} draws in a row gave no accepted pair (draws.max_stalled)"
        if draws.max_draws is not None and self._settled_draws >= draws.max_draws:
            return f"{self._settled_draws} draws were made (draws.max_draws)"
        return None


async def _result(future: "asyncio.Future[_T]") -> _T:
    """What a future holds. Unlike a bare `await`, an interruption leaves it open for the task that is about to set it."""
    await asyncio.wait([future])
    return future.result()
