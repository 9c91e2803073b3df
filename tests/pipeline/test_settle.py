"""The scheduler: what it decides never depends on timing, and what it asks for early is no more than it needs."""

import asyncio
import itertools
import math
import random
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evals.bench import virtual_time
from signatures.examples import Axis
from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.base.errors import MissingReply, StorageError
from skills_dspy.base.records import Neighbour, PairVerdict, QuestionVerdict, Reason, SeedExample, Tags
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.hosts.call import Rank
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.room import longest, may_be_shown
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed
from skills_dspy.pipeline.draw import Draw, Example, plan_draw, seed_examples
from skills_dspy.pipeline.flow import Flow, Written
from skills_dspy.pipeline.funnel import STAGES
from skills_dspy.pipeline.settle import REMEMBERED, Settler
from skills_dspy.pipeline.variety import planned
from skills_dspy.screens.habits import TaskHabits, told
from skills_dspy.similarity.nearest import joined, squared_distance
from skills_dspy.tasks.spec import TaskSpec

CLUSTERS, STEPS_IN_CLUSTER = 4, 3
ANGLE = 0.15
"""Neighbours in a cluster are 0.0225 apart and count as duplicates; the first and the last of three are 0.089 apart."""

PASS = "pass"
MISSING = "missing"
REJECTING: tuple[tuple[str, Reason], ...] = (
    ("judge_question", "judged bad"),
    ("instruction_quality", "filtered"),
    ("write_answer", "truncated"),
    ("judge_pair", "unreadable"),
    ("sample_quality", "filtered"),
)


@dataclass(frozen=True)
class Fate:
    """One question of a draw: where its text lies, and what becomes of it when it is no duplicate."""

    cluster: int
    step: int = 0
    end: str = PASS
    wordy: bool = False


@dataclass(frozen=True)
class Page:
    """What a draw writes; `fails` is the stage where the writing itself goes wrong, or `missing`."""

    fates: tuple[Fate, ...] = ()
    context: int = 0
    fails: str | None = None
    moved_by_shown: bool = False


@dataclass(frozen=True)
class World:
    """All draws: a table that is gone through again and again."""

    pages: tuple[Page, ...]

    def page(self, draw: Draw) -> Page:
        """The page of a draw. Some depend on what the draw shows, as a model's replies do."""
        page = self.pages[draw.number % len(self.pages)]
        shift = zlib.crc32(",".join(e.id for e in draw.shown).encode()) if page.moved_by_shown else 0
        return replace(page, fates=tuple(replace(f, cluster=(f.cluster + shift) % CLUSTERS) for f in page.fates))


def text_of(fate: Fate, draw: int, index: int) -> str:
    """A question whose embedding follows from its first word, with words of its own; a wordy one is never shown."""
    return f"{fate.cluster}/{fate.step} asked in draw {draw} as {index}{' at some length' * fate.wordy}"


def vector_of(text: str) -> NDArray[np.float32]:
    """Each cluster has a plane of its own, and each step turns the vector a little in it."""
    cluster, step = map(int, text.split(maxsplit=1)[0].split("/"))
    vector = np.zeros(2 * CLUSTERS, dtype=np.float32)
    vector[2 * cluster : 2 * cluster + 2] = math.cos(step * ANGLE), math.sin(step * ANGLE)
    return vector


class InlineEmbedder(AsyncEmbedder):
    """Embeds on the loop's own thread, after a while: so many seconds, or after other tasks had so many turns."""

    def __init__(self, delay: Callable[[], float] = lambda: 0.0, turns: int = 0) -> None:
        self._delay = delay
        self._turns = turns

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the texts."""
        for _ in range(self._turns):
            await asyncio.sleep(0)
        await asyncio.sleep(self._delay())
        return np.stack([vector_of(text) for text in texts])


PASSED = Passed(
    "its answer",
    QuestionVerdict(explanation="fine", rating=1),
    PairVerdict(explanation="fine", rating=3),
    Tags(instruction_quality="good", sample_quality=5, difficulty="easy", category="others", explanations={}),
)


class FakeFlow(Flow):
    """The real order of steps, with fates instead of replies.

    Args:
        world: what every draw and question comes to.
        delay: seconds that a call takes, by step, draw and index.
        concurrency: calls at once.
    """

    def __init__(self, world: World, delay: Callable[[str, int, int], float], concurrency: int = 8) -> None:
        self._world = world
        self._delay = delay
        self.slots = Slots(concurrency)
        self.asked: list[tuple[str, int, int]] = []
        self.shown: dict[int, Draw] = {}

    async def write(self, draw: Draw, rank: Callable[[], Rank]) -> Written:
        """The draw's page."""
        self.shown[draw.number] = draw
        page = self._world.page(draw)
        context = f"{page.context}/0 context" if draw.kind == "grounded" else None
        await self._call("write_questions", draw.number, -1, rank)
        if page.fails == MISSING:
            raise MissingReply("not recorded")
        if page.fails is not None:
            return Written(context, (), {}, Dropped(page.fails, "unreadable", "no list", raw="?"))
        questions = tuple(text_of(fate, draw.number, i) for i, fate in enumerate(page.fates))
        return Written(context, questions, {})

    async def pursue(self, candidate: Candidate, novel: Callable[[Candidate], Any], rank: Callable[[], Rank]) -> Outcome:
        """The candidate's fate, step by step."""
        fate = self._world.page(candidate.draw).fates[candidate.index]
        if not await novel(candidate):
            return Dropped("dedup", "duplicate", "")
        for stage in STAGES[STAGES.index("judge_question") : STAGES.index("difficulty")]:
            if stage in ("answer_decontamination", "answer_habits"):  # they take no time, and this flow has none
                continue
            if stage == "write_answer" and not await novel(candidate):
                return Dropped("dedup", "duplicate", "")
            candidate.stage = stage
            await self._call(stage, candidate.draw.number, candidate.index, rank)
            if fate.end == stage:
                return Dropped(stage, dict(REJECTING)[stage], "so it was rated")
            if fate.end == MISSING and stage == "judge_pair":
                return MissingReply("not recorded")
        return PASSED

    async def tag(self, candidate: Candidate, passed: Passed, rank: Callable[[], Rank]) -> Passed:
        """Two tags that reject nobody."""
        for stage in ("difficulty", "category"):
            candidate.stage = stage
            await self._call(stage, candidate.draw.number, candidate.index, rank)
        return passed

    async def _call(self, step: str, draw: int, index: int, rank: Callable[[], Rank]) -> None:
        async with self.slots.take(rank):
            self.asked.append((step, draw, index))
            await asyncio.sleep(self._delay(step, draw, index))

    def judged(self) -> list[tuple[int, int]]:
        """Draw and index of every question that a judge was asked about."""
        return [(draw, index) for step, draw, index in self.asked if step == "judge_question"]


Row = tuple[Any, ...]


@dataclass
class ListLedger:
    """Keeps the decisions."""

    rows: list[Row] = field(default_factory=list)

    def name(self, candidate: Candidate) -> str:
        """Where it stands."""
        return f"{candidate.draw.number}.{candidate.index}"

    def accept(self, candidate: Candidate, passed: Passed, neighbour: Neighbour | None) -> str:
        """Keep an acceptance."""
        self._keep(candidate, (passed.answer,), neighbour)
        return self.name(candidate)

    def reject(self, candidate: Candidate, dropped: Dropped, neighbour: Neighbour | None) -> None:
        """Keep a rejection."""
        self._keep(candidate, (dropped.stage, dropped.reason, dropped.detail), neighbour)

    def _keep(self, candidate: Candidate, what: Row, neighbour: Neighbour | None) -> None:
        near = None if neighbour is None else (neighbour.id, neighbour.distance)
        shown = tuple(example.id for example in candidate.draw.shown)
        plans = (candidate.draw.text_plan, candidate.draw.plan)
        self.rows.append((candidate.draw.number, candidate.index, candidate.question, *what, near, shown, plans))

    def accepted(self) -> list[tuple[int, int]]:
        """Draw and index of what was accepted."""
        return [row[:2] for row in self.rows if row[3] == PASSED.answer]

    def rejected(self) -> dict[tuple[int, int], tuple[str, str]]:
        """Draw and index to stage and reason of what was rejected."""
        return {row[:2]: row[3:5] for row in self.rows if row[3] != PASSED.answer}


AXES = (
    Axis(name="subject", of="text", values=("ponds", "lakes", "moors")),
    Axis(name="form", values=("a table", "a list")),
)


def spec_with(*seeds: SeedExample, per_prompt: int = 3, examples: int = 3) -> TaskSpec:
    """A task with these seeds; without any, one that is far from every cluster's first step."""
    return TaskSpec(
        task_name="a/task",
        created_by="somebody",
        task_description="",
        seed_examples=seeds or (freeform(Fate(CLUSTERS - 1, 2)),),
        num_icl_examples_per_prompt=examples,
        num_questions_to_generate_per_prompt=per_prompt,
        variety=AXES,
        path=Path("task.yaml"),
    )


def freeform(fate: Fate) -> SeedExample:
    """A seed without context."""
    return SeedExample(question=text_of(fate, -1, 0), answer="a")


def grounded(fate: Fate, context: int) -> SeedExample:
    """A seed with context."""
    return SeedExample(question=text_of(fate, -1, 0), answer="a", context=f"{context}/0 seed's context")


BUILT_IN = load_config()


def config_with(**draws: Any) -> RunConfig:
    """The built-in settings with other limits on draws."""
    return BUILT_IN.model_copy(update={"draws": BUILT_IN.draws.model_copy(update=draws)})


@dataclass
class Ran:
    """A run that has ended, and how."""

    run: Settler
    flow: FakeFlow
    ledger: ListLedger
    changes: int = 0
    error: BaseException | None = None


async def start(
    world: World,
    spec: TaskSpec,
    config: RunConfig,
    wanted: int,
    *,
    delay: Callable[[str, int, int], float] = lambda *_: 1.0,
    concurrency: int = 8,
    embedder: AsyncEmbedder | None = None,
    flow: FakeFlow | None = None,
    decided: tuple[int, int] | None = None,
) -> Ran:
    """Run to the end; what went wrong is kept."""
    flow = flow or FakeFlow(world, delay, concurrency)
    ledger = ListLedger()
    ran = Ran(
        Settler(
            spec,
            config,
            seed=5,
            wanted=wanted,
            flow=flow,
            embedder=embedder or InlineEmbedder(),
            ledger=ledger,
            last_decided=decided,
            wake=flow.slots.look_again,
            on_change=lambda: setattr(ran, "changes", ran.changes + 1),
        ),
        flow,
        ledger,
    )
    try:
        await ran.run.run()
    except BaseExceptionGroup as group:
        ran.error = group
    return ran


def reference(world: World, spec: TaskSpec, config: RunConfig, wanted: int) -> tuple[list[Row], str | None]:
    """What a run has to write, worked out one candidate after the other; and how it ends: None, a limit, or `missing`."""
    seeds, draws, limit = seed_examples(spec.seed_examples), config.draws, config.dedup.max_squared_distance
    fixed = [((-1, k), s.id, embedded(s.question, s.context)) for k, s in enumerate(seeds)]
    rows: list[Row] = []
    habits = TaskHabits(spec, config.habits)
    accepted: list[tuple[int, Example]] = []
    tellings: list[tuple[int, str, bool]] = []  # draw, an axis with its value, whether a question was accepted that was told it
    count = stalled = 0
    for number in itertools.count():
        known = [example for draw, example in accepted if draw <= number - draws.window]
        draw = plan_draw(
            number,
            seeds,
            known[-REMEMBERED:],
            task=spec.task_name,
            run_seed=5,
            examples=spec.num_icl_examples_per_prompt,
            accepted_share=draws.accepted_share,
        )
        had_effect = [(pair, good) for told_in, pair, good in tellings if told_in <= number - draws.window]
        often = Counter(pair for pair, _ in had_effect)
        fruitful = {pair for pair, good in had_effect if good}
        draw = planned(draw, spec, 5, {pair for pair in often if often[pair] >= 3} - fruitful)
        plans = (draw.text_plan, draw.plan)
        page, ids, had = world.page(draw), tuple(e.id for e in draw.shown), count
        context = f"{page.context}/0 context" if draw.kind == "grounded" else None
        for index, text, end in written(page, number):
            vector = None if text is None else embedded(text, context)
            distance, _, name = min(distances(fixed, vector), default=(9.0, (), ""))
            near = (name, distance) if name else None
            if distance < limit:
                said: Row = ("dedup", "duplicate", f"squared distance {distance:.4f} to {name}")
            elif overused := habits.of_question(text or ""):
                said = ("question_habits", "overused", told(overused, "questions"))
            elif end == MISSING:
                return rows, MISSING
            else:
                said = ENDS[end]
            rows.append((number, index, text, *said, near, ids, plans))
            lines = (draw.text_plan, *(() if text is None else draw.plan[index : index + 1]))
            pairs = [pair for line in lines if line is not None for pair in line.split("; ")]
            tellings += [(number, pair, said == ENDS[PASS]) for pair in pairs if not {"unreadable", "truncated"} & set(said)]
            if said == ENDS[PASS]:
                assert text is not None
                assert vector is not None
                fixed.append(((number, index), f"{number}.{index}", vector))
                habits.add(text, PASSED.answer)
                count += 1
                if may_be_shown(text, context, longest(spec.seeds(draw.kind))):
                    accepted.append((number, Example(f"{number}.{index}", text, PASSED.answer, context)))
            if count == wanted:
                return rows, None
        stalled = 0 if count > had else stalled + 1
        # What counts as many draws is said for draws of five questions, and these have fewer.
        too_many = stalled * spec.num_questions_to_generate_per_prompt >= 5 * draws.max_stalled
        if too_many or number + 1 == draws.max_draws:
            return rows, limit_in_words(stalled if too_many else 0, number + 1)
    raise AssertionError("unreachable")


ENDS: dict[str, Row] = {
    PASS: (PASSED.answer,),
    "write_context": ("write_context", "unreadable", "no list"),
    "write_questions": ("write_questions", "unreadable", "no list"),
    **{stage: (stage, reason, "so it was rated") for stage, reason in REJECTING},
}


def written(page: Page, draw: int) -> list[tuple[int, str | None, str]]:
    """Index, text and end of everything that a draw comes to."""
    if page.fails is not None:
        return [(0, None, page.fails)]
    return [(index, text_of(fate, draw, index), fate.end) for index, fate in enumerate(page.fates)]


def distances(fixed: list[tuple[Any, str, Any]], vector: NDArray[np.float32] | None) -> list[tuple[float, Any, str]]:
    """Distance, place and name of everything of the same kind: vectors of grounded questions are twice as long."""
    same = [one for one in fixed if vector is not None and len(one[2]) == len(vector)]
    return [(squared_distance(other, vector), key, name) for key, name, other in same if vector is not None]


def limit_in_words(stalled: int, made: int) -> str:
    """Which limit it was; of two, the one on draws without success."""
    if stalled:
        return f"{stalled} draws in a row gave no accepted pair (draws.max_stalled)"
    return f"{made} draws were made (draws.max_draws)"


def embedded(question: str, context: str | None) -> NDArray[np.float32]:
    """What a question is compared by."""
    return vector_of(question) if context is None else joined(vector_of(question), vector_of(context))


fates = st.builds(
    Fate,
    cluster=st.integers(0, CLUSTERS - 1),
    step=st.integers(0, STEPS_IN_CLUSTER - 1),
    end=st.sampled_from([PASS, PASS, PASS, *(stage for stage, _ in REJECTING)]),
    wordy=st.sampled_from([False, False, False, True]),
)
rarely_missing = st.integers(0, 15).map(lambda n: n == 0)
pages = st.builds(
    Page,
    fates=st.lists(fates, min_size=1, max_size=4).map(tuple),
    context=st.integers(0, 1),
    fails=st.sampled_from([None, None, None, None, None, "write_context", "write_questions"]),
    moved_by_shown=st.booleans(),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Tables of draws, now and then with a reply that no recording has."""
    table = draw(st.lists(pages, min_size=1, max_size=12))
    if draw(rarely_missing):
        place = draw(st.integers(0, len(table) - 1))
        lost = draw(st.sampled_from([Page(fails=MISSING), Page((Fate(0), Fate(1, 0, MISSING), Fate(1)))]))
        table[place] = lost
    return World(tuple(table))


seeds_of_both_kinds = st.lists(
    st.one_of(fates.map(freeform), st.builds(grounded, fates, st.integers(0, 1))), min_size=1, max_size=5
)
limits = st.fixed_dictionaries(
    {
        "window": st.integers(1, 6),
        "accepted_share": st.sampled_from([0.0, 1 / 3, 1.0]),
        "max_stalled": st.integers(1, 6),
        "max_draws": st.one_of(st.none(), st.integers(1, 30)),
    }
)
timings = st.tuples(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 8, 100]))


def random_delay(seed: int) -> Callable[..., float]:
    """Delays of all sizes, many of them none at all."""
    rng = random.Random(seed)
    return lambda *_: rng.choice([0.0, 0.0, 0.001, 1.0, 1.0, rng.random(), 40.0])


@settings(max_examples=4 * settings().max_examples, deadline=None)
@given(worlds(), seeds_of_both_kinds, limits, st.integers(1, 12), timings, timings, st.integers(0, 100))
def test_timing_decides_nothing(
    world: World,
    seeds: list[SeedExample],
    draws: dict[str, Any],
    wanted: int,
    first: tuple[int, int],
    second: tuple[int, int],
    decided: int,
) -> None:
    """Whatever the delays, the concurrency and what was decided before, the rows are those of a walk through all candidates."""
    spec, config = spec_with(*seeds), config_with(**draws)
    rows, end = reference(world, spec, config, wanted)
    last = rows[decided % len(rows)][:2] if rows else None
    for (seed, concurrency), known in ((first, None), (second, last)):
        delay = random_delay(seed)
        embedder, flow = InlineEmbedder(delay), FakeFlow(world, delay, concurrency)
        ran = virtual_time.play(start(world, spec, config, wanted, embedder=embedder, flow=flow, decided=known))
        assert ran.ledger.rows == rows
        if end == MISSING:
            assert isinstance(ran.error, ExceptionGroup)
            assert [type(error) for error in ran.error.exceptions] == [MissingReply]
        else:
            assert ran.error is None
            assert ran.run.stopped == end
            assert ran.run.done == (end is None)
        assert {(draw, index) for step, draw, index in flow.asked if step == "category"} == set(ran.ledger.accepted())
        funnel = ran.run.funnel
        assert funnel.candidates == len(rows) == ran.changes
        assert funnel.accepted == len(ran.ledger.accepted()) <= wanted
        assert funnel.accepted + funnel.rejected.total() == funnel.candidates


def one_question_draws(*questions: Fate) -> World:
    """A draw for each question."""
    return World(tuple(Page((question,)) for question in questions))


def slow(times: dict[tuple[str, int], float]) -> Callable[[str, int, int], float]:
    """Calls of a second each, but for some, by step and draw."""
    return lambda step, draw, _: times.get((step, draw), 1.0)


def test_a_near_one_waits_and_is_judged_only_after_the_earlier_was_rejected() -> None:
    """The later one of two near questions is parked, then released; while it was parked nothing was asked about it."""
    world = one_question_draws(Fate(0, 0, "judge_pair"), Fate(0), Fate(1))
    ran = virtual_time.play(start(world, spec_with(), config_with(), 2, delay=slow({("judge_pair", 0): 50.0})))
    order = [call for call in ran.flow.asked if call[0] in ("judge_pair", "judge_question") and call[1] < 2]
    assert order == [("judge_question", 0, 0), ("judge_pair", 0, 0), ("judge_question", 1, 0), ("judge_pair", 1, 0)]
    assert ran.ledger.accepted() == [(1, 0), (2, 0)]


def test_a_parked_one_is_released_when_the_earlier_is_rejected_not_when_that_is_decided() -> None:
    """Draw 0 holds up all decisions for a long time; what became of draw 1 is clear long before."""
    world = one_question_draws(Fate(1), Fate(0, 0, "judge_question"), Fate(0))

    async def check() -> None:
        ran = await start(world, spec_with(), config_with(), 2, delay=slow({("judge_pair", 0): 100.0}))
        assert ran.ledger.accepted() == [(0, 0), (2, 0)]
        assert asyncio.get_running_loop().time() == 107.0

    virtual_time.play(check())


def test_a_near_one_is_never_judged_when_the_earlier_is_accepted() -> None:
    """It is parked until the earlier settles and then is a duplicate that has cost no call."""
    world = one_question_draws(Fate(0), Fate(0, 1), Fate(1))
    ran = virtual_time.play(start(world, spec_with(), config_with(), 2))
    assert ran.flow.judged() == [(0, 0), (2, 0)]
    assert ran.ledger.rejected() == {(1, 0): ("dedup", "duplicate")}


def test_a_parked_one_waits_for_the_settling_of_an_earlier_one_that_has_passed() -> None:
    """Draw 1 passes early, but draw 0, which comes late, makes it a duplicate: then draw 2 may not be one of draw 1."""
    world = one_question_draws(Fate(0, 0), Fate(0, 1), Fate(0, 2), Fate(1))
    ran = virtual_time.play(start(world, spec_with(), config_with(), 3, delay=slow({("write_questions", 0): 90.0})))
    assert ran.ledger.accepted() == [(0, 0), (2, 0), (3, 0)]
    assert ran.ledger.rejected() == {(1, 0): ("dedup", "duplicate")}


def test_a_question_of_a_habit_waits_for_its_turn_and_costs_no_call_where_it_is_rejected() -> None:
    """Three rows have a word, as draws 3 and 5 have; draw 5 is let in when draw 4 is accepted, which has it not."""
    config = config_with().model_copy(update={"habits": BUILT_IN.habits.model_copy(update={"subject_share": 0.8})})
    wordy = [Fate(cluster, step, wordy=True) for step in (0, 2) for cluster in range(CLUSTERS)]
    world = one_question_draws(*wordy[:4], Fate(0, 2), wordy[5])
    late = slow({("write_questions", 3): 30.0, ("write_questions", 5): 30.0, ("judge_pair", 4): 60.0})
    ran = virtual_time.play(start(world, spec_with(freeform(Fate(3, 2))), config, 5, delay=late))
    assert ran.ledger.rejected() == {(3, 0): ("question_habits", "overused")}
    assert ran.ledger.rows[3][5] == '3 of 3 accepted questions have the word "length"'
    assert (3, 0) not in ran.flow.judged()
    assert ran.flow.asked.index(("judge_pair", 4, 0)) < ran.flow.asked.index(("judge_question", 5, 0))
    assert ran.ledger.accepted() == [(0, 0), (1, 0), (2, 0), (4, 0), (5, 0)]


def test_a_copy_of_a_seed_is_never_judged() -> None:
    """Seeds count as accepted from the start, however long their embedding takes, for their own kind of question."""
    world = one_question_draws(Fate(0, 1), Fate(1))
    waits = itertools.chain([100.0], itertools.repeat(0.0))
    embedder = InlineEmbedder(lambda: next(waits))
    ran = virtual_time.play(start(world, spec_with(freeform(Fate(0))), config_with(), 1, embedder=embedder))
    assert ran.flow.judged() == [(1, 0)]
    assert ran.ledger.rows[0][3:7] == ("dedup", "duplicate", "squared distance 0.0225 to seed:0", ("seed:0", 0.022458))


def test_only_its_row_and_those_after_it_wait_for_the_last_tags_of_a_pair() -> None:
    """Draw 0's pair is long without its difficulty: others are decided meanwhile, and then all rows are written in order."""
    world = one_question_draws(Fate(0), Fate(1, 0, "judge_pair"), Fate(2))

    async def check() -> None:
        flow, seen = FakeFlow(world, slow({("difficulty", 0): 100.0})), []
        run = asyncio.create_task(start(world, spec_with(), config_with(window=1), 2, flow=flow))
        await asyncio.sleep(50)
        seen.append(max(draw for _, draw, _ in flow.asked))
        ran = await run
        assert seen == [2]
        assert [row[:2] for row in ran.ledger.rows] == [(0, 0), (1, 0), (2, 0)]
        assert asyncio.get_running_loop().time() < 120

    virtual_time.play(check())


def test_an_abandoned_duplicate_stops_asking() -> None:
    """It was on its way to an answer when an earlier draw came in late with the same question: its calls end there."""
    world = one_question_draws(Fate(0), Fate(0), Fate(1))

    async def check() -> None:
        times = {("write_questions", 0): 3.5, ("write_answer", 1): 1000.0}
        ran = await start(world, spec_with(per_prompt=1), config_with(), 2, delay=slow(times))
        assert [step for step, draw, _ in ran.flow.asked if draw == 1][-1] == "write_answer"
        assert ran.ledger.rejected() == {(1, 0): ("dedup", "duplicate")}
        assert asyncio.get_running_loop().time() < 20.0

    virtual_time.play(check())


@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_draw_shows_nothing_accepted_less_than_a_window_before_it(window: int) -> None:
    """And from a window on it does show it."""
    steps = [Fate(cluster, 0) for cluster in range(CLUSTERS - 1)]
    world = World((*(Page((step,)) for step in steps), *(Page(fails="write_questions") for _ in range(12))))
    config = config_with(window=window, accepted_share=1.0, max_draws=12)
    ran = virtual_time.play(start(world, spec_with(), config, 100, delay=random_delay(window)))
    for number, draw in ran.flow.shown.items():
        allowed = {f"{n}.0" for n in range(len(steps)) if n <= number - window}
        assert {example.id for example in draw.accepted} <= allowed
        assert len(draw.accepted) == min(2, len(allowed))
    assert any(draw.accepted for draw in ran.flow.shown.values())


def test_a_draw_remembers_only_the_latest_accepted_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays flat: what a draw may show is bounded, and which pairs these are does not depend on timing."""
    monkeypatch.setattr("skills_dspy.pipeline.settle.REMEMBERED", 2)
    world = World((*(Page((Fate(cluster),)) for cluster in range(CLUSTERS - 1)), Page(fails="write_questions")))
    config = config_with(window=1, accepted_share=1.0, max_draws=20, max_stalled=1000)
    for seed in range(5):
        ran = virtual_time.play(start(world, spec_with(), config, 100, delay=random_delay(seed)))
        shown = {example.id for n, draw in ran.flow.shown.items() if n >= 3 for example in draw.accepted}
        assert shown == {"1.0", "2.0"}


def test_draws_under_way_stay_within_the_window() -> None:
    """While draw 0 takes its time, draws up to the window are begun, and none beyond it."""
    world = World(tuple(Page((Fate(cluster % 3, 0, "judge_pair"),)) for cluster in range(50)))
    delay = slow({("write_questions", 0): 1000.0})
    ran = virtual_time.play(start(world, spec_with(per_prompt=1), config_with(window=7, max_draws=20), 1000, delay=delay))
    before = itertools.takewhile(lambda call: call[0] != "judge_question" or call[1] != 0, ran.flow.asked)
    assert {draw for _, draw, _ in before} == set(range(7))


def test_draws_under_way_follow_the_yield() -> None:
    """One is wanted, of draws with three questions each: one draw is begun, and another one when all of it were rejected."""
    bad, good = (Page(tuple(Fate(cluster, 0, end) for cluster in range(3))) for end in ("judge_pair", PASS))
    for pages, draws in (((good,), {0}), ((bad, good), {0, 1})):
        ran = virtual_time.play(start(World(pages), spec_with(per_prompt=3), config_with(window=16), 1, concurrency=100))
        assert set(ran.flow.shown) == draws


def test_two_draws_are_begun_where_two_are_enough() -> None:
    """Eight pairs of ten questions, with slots for many more; and with few slots nothing is asked about the last questions."""
    world = World(tuple(Page(tuple(Fate(n % 4, n // 4) for n in range(first, first + 5))) for first in (0, 5)))
    spec, config = spec_with(per_prompt=5), config_with()
    config = config.model_copy(update={"dedup": config.dedup.model_copy(update={"max_squared_distance": 0.001})})
    wide, narrow = (virtual_time.play(start(world, spec, config, 8, concurrency=slots)) for slots in (100, 2))
    assert set(wide.flow.shown) == set(narrow.flow.shown) == {0, 1}
    assert wide.ledger.accepted() == narrow.ledger.accepted() == [*((0, n) for n in range(5)), *((1, n) for n in range(3))]
    assert len(narrow.flow.judged()) <= 9


def test_the_earliest_draw_goes_first_and_in_it_what_is_farthest() -> None:
    """With one slot two questions of draw 0 go their way before its third is judged, and only then one of draw 1."""
    world = World((Page((Fate(0), Fate(1), Fate(2))), Page((Fate(0, 2), Fate(1, 2), Fate(2, 2)))))
    ran = virtual_time.play(start(world, spec_with(per_prompt=3), config_with(), 5, concurrency=1))
    asked = [call for call in ran.flow.asked if call[0] != "write_questions"]
    assert asked.index(("sample_quality", 0, 1)) < asked.index(("judge_question", 0, 2)) < asked.index(("judge_question", 1, 0))


def test_too_many_draws_without_success_stop_the_run_in_words() -> None:
    """Draws 1 to 3 give nothing; failed writings count as draws, too. It is said for draws of five questions."""
    world = World((Page((Fate(0),)), Page((Fate(1, 0, "judge_question"),)), Page(fails="write_questions"), Page((Fate(0),))))
    ran = virtual_time.play(start(world, spec_with(per_prompt=5), config_with(max_stalled=3), 5))
    assert ran.run.stopped == "3 draws in a row gave no accepted pair (draws.max_stalled)"
    assert not ran.run.done
    assert ran.run.draws[0] == 4
    assert [row[:2] for row in ran.ledger.rows] == [(0, 0), (1, 0), (2, 0), (3, 0)]


@pytest.mark.parametrize(("per_prompt", "draws"), [(1, 10), (4, 3), (5, 2), (20, 2)])
def test_small_draws_count_for_less(per_prompt: int, draws: int) -> None:
    """A draw of one question is a fifth of a draw of five; larger ones count once."""
    world = World((Page((Fate(0, 0, "judge_question"),)),))
    ran = virtual_time.play(start(world, spec_with(per_prompt=per_prompt), config_with(max_stalled=2), 5))
    assert ran.run.stopped == f"{draws} draws in a row gave no accepted pair (draws.max_stalled)"


def test_a_limit_on_draws_stops_the_run_in_words() -> None:
    """No draw beyond the limit is even started."""
    world = World((Page((Fate(0, 0, "judge_question"),)),))
    ran = virtual_time.play(start(world, spec_with(), config_with(max_draws=4, max_stalled=100), 5))
    assert ran.run.stopped == "4 draws were made (draws.max_draws)"
    assert sorted(ran.flow.shown) == [0, 1, 2, 3]


def test_nothing_is_started_after_a_limit_has_stopped_the_run() -> None:
    """The run is over: another draw would only be cancelled."""
    world = World((Page((Fate(0, 0, "judge_question"),)),))

    async def check() -> None:
        ran = await start(world, spec_with(per_prompt=5), config_with(max_stalled=2, window=1), 5)
        assert ran.run.stopped
        assert ran.run.draws == (2, 0)

    virtual_time.play(check())


def test_nothing_beyond_what_an_earlier_run_decided_is_asked_before_that_is_decided_again() -> None:
    """Draw 1's second question was the last: no other draw and no later question of that draw is begun before it."""
    world = World(tuple(Page((Fate(n % 2), Fate(2, 0, "judge_pair"), Fate(n % 2, 1, "judge_pair"))) for n in range(8)))
    ran = virtual_time.play(start(world, spec_with(per_prompt=1), config_with(max_draws=4), 50, decided=(1, 1)))
    last = max(n for n, call in enumerate(ran.flow.asked) if call[1:] == (1, 1))
    assert all(call[1:] <= (1, 1) for call in ran.flow.asked[:last])
    assert {call[1] for call in ran.flow.asked} == {0, 1, 2, 3}


def test_a_run_that_was_complete_asks_for_nothing_beyond_its_last_row() -> None:
    """Its last row was the last wanted pair: the rest of that draw, and all later draws, are nobody's business."""
    world = World((Page((Fate(0), Fate(1), Fate(2))),))
    ran = virtual_time.play(start(world, spec_with(), config_with(), 2, decided=(0, 1)))
    assert ran.run.done
    assert {call[1:] for call in ran.flow.asked} == {(0, -1), (0, 0), (0, 1)}


@pytest.mark.parametrize("limit", [{"max_draws": 1}, {"max_stalled": 1}])
def test_a_limit_that_was_lowered_takes_back_nothing_that_was_decided(limit: dict[str, int]) -> None:
    """Draw 3 was the last one that an earlier run decided: the limit counts from there."""
    world = World((Page((Fate(0),)), Page((Fate(1, 0, "judge_pair"),)), Page((Fate(2),)), Page((Fate(1, 0, "judge_pair"),))))
    ran = virtual_time.play(start(world, spec_with(per_prompt=5), config_with(**limit), 3, decided=(3, 0)))
    assert ran.ledger.accepted() == [(0, 0), (2, 0)]
    assert len(ran.ledger.rows) == 4
    assert ran.run.stopped


def test_a_missing_reply_of_a_draw_that_never_settles_does_not_matter() -> None:
    """The recording ends where the recorded run ended: draws that were started beyond it need no reply."""
    world = World((Page((Fate(0), Fate(1))), Page(fails=MISSING), Page((Fate(2, 0, MISSING),))))
    config = config_with()
    spec = spec_with(per_prompt=1)
    ran = virtual_time.play(start(world, spec, config, 2, delay=slow({("judge_question", 0): 500.0})))
    assert 1 in ran.flow.shown
    assert ran.error is None
    assert ran.run.done


def test_a_missing_reply_about_a_duplicate_does_not_matter() -> None:
    """Settling finds the duplicate without the reply."""
    world = World((Page((Fate(0),)), Page((Fate(0, 1, MISSING),)), Page((Fate(1),))))
    ran = virtual_time.play(start(world, spec_with(), config_with(), 2, delay=slow({("write_questions", 0): 30.0})))
    assert ran.error is None
    assert ran.ledger.rejected() == {(1, 0): ("dedup", "duplicate")}


class Turning(FakeFlow):
    """Every call takes so many turns of other tasks, and no time."""

    def __init__(self, world: World, turns: int) -> None:
        super().__init__(world, lambda *_: 0.0, concurrency=3)
        self._turns = turns

    async def _call(self, step: str, draw: int, index: int, rank: Callable[[], Rank]) -> None:
        await super()._call(step, draw, index, rank)
        for _ in range(self._turns):
            await asyncio.sleep(0)


class Broken(FakeFlow):
    """Goes wrong at one call."""

    def __init__(self, world: World, at: tuple[str, int, int], error: Exception) -> None:
        super().__init__(world, lambda *_: 1.0)
        self._at = at
        self._error = error

    async def _call(self, step: str, draw: int, index: int, rank: Callable[[], Rank]) -> None:
        await super()._call(step, draw, index, rank)
        if (step, draw, index) == self._at:
            raise self._error


@pytest.mark.parametrize("at", [("write_questions", 1, -1), ("judge_pair", 1, 0), ("judge_pair", 3, 0)])
@pytest.mark.parametrize("error", [RuntimeError("a bug"), StorageError("the disk is full")])
def test_an_error_that_no_candidate_is_to_blame_for_ends_the_run_as_it_is(at: tuple[str, int, int], error: Exception) -> None:
    """Neither a mistake in the program nor a broken machine becomes a rejection, and no task is left behind."""
    world = World(tuple(Page((Fate(n % 3, 0, "sample_quality"),)) for n in range(6)))
    flow = Broken(world, at, error)
    ran = virtual_time.play(start(world, spec_with(per_prompt=1), config_with(), 50, flow=flow))
    assert isinstance(ran.error, ExceptionGroup)
    assert list(ran.error.exceptions) == [error]


def test_an_embedder_that_fails_ends_the_run_as_it_is() -> None:
    """Before anything was decided."""

    class NoEmbedder(InlineEmbedder):
        async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            await asyncio.sleep(0.5)
            raise StorageError(f"cannot read the weights for {len(texts)} texts")

    ran = virtual_time.play(start(World((Page((Fate(0),)),)), spec_with(), config_with(), 1, embedder=NoEmbedder()))
    assert isinstance(ran.error, ExceptionGroup)
    assert {type(error) for error in ran.error.exceptions} == {StorageError}
    assert ran.ledger.rows == []


def test_an_answer_is_shown_the_seeds_that_are_nearest_to_its_question() -> None:
    """As dedup compares, of its own kind, in the file's order; the draw's own examples have no say."""
    seeds = [freeform(Fate(3, 2)), grounded(Fate(1), 1), *(freeform(Fate(cluster, 2)) for cluster in (2, 1, 0))]

    class Looking(FakeFlow):
        fitting: dict[int, tuple[str, ...]]

        async def pursue(self, candidate: Candidate, novel: Callable[[Candidate], Any], rank: Callable[[], Rank]) -> Outcome:
            if candidate.draw.kind == "freeform":
                self.fitting[candidate.index] = tuple(seed.id for seed in candidate.fitting)
            return await super().pursue(candidate, novel, rank)

    flow = Looking(World((Page((Fate(0), Fate(1), Fate(3)), context=2),)), lambda *_: 1.0)
    flow.fitting = {}
    virtual_time.play(start(World(()), spec_with(*seeds, examples=1), config_with(), 3, flow=flow))
    assert flow.fitting == {0: ("seed:4",), 1: ("seed:3",), 2: ("seed:0",)}
    flow.fitting = {}
    virtual_time.play(start(World(()), spec_with(*seeds), config_with(), 3, flow=flow))
    assert flow.fitting == {
        0: ("seed:0", "seed:2", "seed:4"),
        1: ("seed:0", "seed:2", "seed:3"),
        2: ("seed:0", "seed:2", "seed:3"),
    }


def test_a_ledger_that_fails_ends_the_run_as_it_is() -> None:
    """A full disk while a row is written: no row after it is tried."""

    class FullLedger(ListLedger):
        def reject(self, candidate: Candidate, dropped: Dropped, neighbour: Neighbour | None) -> None:
            raise StorageError(f"no room for {candidate.key}, {dropped.stage}, {neighbour is None}")

    async def check() -> None:
        world = World((Page((Fate(0), Fate(0), Fate(1))),))
        flow, ledger = FakeFlow(world, lambda *_: 1.0), FullLedger()
        run = Settler(spec_with(), config_with(), seed=5, wanted=9, flow=flow, embedder=InlineEmbedder(), ledger=ledger)
        with pytest.raises(ExceptionGroup) as caught:
            await run.run()
        assert [type(error) for error in caught.value.exceptions] == [StorageError]
        assert ledger.accepted() == [(0, 0)]

    virtual_time.play(check())


def test_an_interruption_at_any_moment_is_an_interruption_and_leaves_no_task_behind() -> None:
    """Whatever the run is about to do in that very moment: write, embed, judge, settle or end."""
    world = World((Page((Fate(0), Fate(0, 1), Fate(1, 0, "judge_pair"))), Page((Fate(2), Fate(1)))))

    async def interrupted_after(ticks: int, turns: int) -> bool:
        loop = asyncio.get_running_loop()
        flow, embedder = Turning(world, turns % 3), InlineEmbedder(turns=turns // 3)
        task = loop.create_task(start(world, spec_with(), config_with(), 3, flow=flow, embedder=embedder))

        def tick(left: int) -> None:
            if left:
                loop.call_soon(tick, left - 1)
            else:
                task.cancel()

        tick(ticks)
        try:
            ran = await task
        except asyncio.CancelledError:
            return True
        assert ran.error is None
        return False

    for turns, most in ((1, 60), (5, 100)):
        interrupted = [virtual_time.play(interrupted_after(ticks, turns)) for ticks in range(most)]
        assert interrupted[0]
        assert not interrupted[-1]
        assert interrupted == sorted(interrupted, reverse=True)
