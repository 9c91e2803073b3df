"""Many tasks at once: fair to each, slots full, few draws open; one that fails stops nobody else."""

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evals.bench import virtual_time
from evals.teacher.config import TeacherConfig
from skills_dspy.base.errors import (
    ContextTooLong,
    DiskFull,
    RunDirError,
    ServerError,
    StorageError,
    Unreadable,
    concerns_all,
    only_ours,
)
from skills_dspy.base.records import SeedExample
from skills_dspy.model.hosts.call import Call, Rank
from skills_dspy.model.hosts.lane import Lane
from skills_dspy.model.hosts.slots import Share, Slots
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed
from skills_dspy.pipeline.draw import Draw
from skills_dspy.pipeline.draw_places import DrawPlaces, most_open
from skills_dspy.pipeline.flow import Flow, Written
from skills_dspy.pipeline.settle import Settler
from skills_dspy.run.runner import Watcher
from skills_dspy.run.task import OpenTask, Standstill, TaskView
from skills_dspy.store import files
from skills_dspy.store.aside import write_json
from skills_dspy.store.files import AppendLog
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_config, a_spec
from tests.helpers.small_runs import freeform
from tests.pipeline.test_settle import PASSED, InlineEmbedder, ListLedger
from tests.run.test_runner import CROWS, FOXES, FullDisk, Going, at, broken, interrupted, run

# -- fairness, in virtual time --------------------------------------------------------------------------------------------


class BusySlots(Slots):
    """Counts the seconds in which slots are held."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.busy: list[tuple[float, float]] = []

    @asynccontextmanager
    async def take(self, rank: Callable[[], Rank], call: Call | None = None) -> AsyncIterator[Lane]:
        """Hold a slot."""
        async with super().take(rank, call) as lane:
            began = asyncio.get_running_loop().time()
            try:
                yield lane
            finally:
                self.busy.append((began, asyncio.get_running_loop().time()))

    def used(self, until: float) -> float:
        """The share of all slots' time that was used until then, 0 to 1."""
        return sum(min(end, until) - begin for begin, end in self.busy if begin < until) / (until * self.count)


@dataclass(frozen=True)
class Nature:
    """How a task is: seconds a call, and the chance that a question passes its judge."""

    seconds: float = 1.0
    chance: float = 0.8


class ChanceFlow(Flow):
    """The order of the real steps, with chances instead of replies; no two questions are alike."""

    def __init__(self, name: str, nature: Nature, share: Share) -> None:
        self._name = name
        self._nature = nature
        self._share = share

    async def write(self, draw: Draw, rank: Callable[[], Rank]) -> Written:
        """Five questions."""
        await self._call("write", (draw.number,), rank)
        return Written(None, tuple(f"{self._name} {draw.number} {index}" for index in range(5)), {})

    async def pursue(self, candidate: Candidate, novel: Callable[[Candidate], Any], rank: Callable[[], Rank]) -> Outcome:
        """The chance decides at the judge."""
        if not await novel(candidate):
            return Dropped("dedup", "duplicate", "")
        for stage in ("judge_question", "instruction_quality", "write_answer", "judge_pair", "sample_quality"):
            candidate.stage = stage
            await self._call(stage, candidate.key, rank)
            chance = Random(f"{self._name} {candidate.key}").random()
            if stage == "judge_question" and chance >= self._nature.chance:
                return Dropped(stage, "judged bad", "")
        return PASSED

    async def tag(self, candidate: Candidate, passed: Passed, rank: Callable[[], Rank]) -> Passed:
        """One call, which rejects nobody."""
        candidate.stage = "difficulty"
        await self._call("difficulty", candidate.key, rank)
        return passed

    async def _call(self, step: str, place: tuple[int, ...], rank: Callable[[], Rank]) -> None:
        async with self._share.take(rank):
            await asyncio.sleep(self._nature.seconds * Random(f"{self._name} {step} {place}").uniform(0.5, 1.5))


class WordEmbedder(InlineEmbedder):
    """Every text has a direction of its own."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the texts, a moment later."""
        await asyncio.sleep(0.01)
        rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=24) for text in texts]
        return np.stack([(row / np.linalg.norm(row)).astype(np.float32) for row in rows])


@dataclass
class Many:
    """Tasks that ran side by side.

    Attributes:
        ended: when each one did.
        settled: how many draws of each had settled whenever a candidate did, with the time.
        most_open: the most draws that were open at once.
    """

    runs: list[Settler]
    slots: BusySlots
    ended: dict[int, float] = field(default_factory=dict)
    settled: list[tuple[float, list[int]]] = field(default_factory=list)
    most_open: int = 0


def side_by_side(natures: Sequence[Nature], wanted: int, slots: int = 8) -> Many:
    """Run tasks of these natures."""
    config = a_config({"habits": {"watched": False}})  # all questions here have a word in common

    async def main() -> Many:
        shared = BusySlots(slots)
        places_of_all = DrawPlaces(most_open(config.draws.window, slots))
        many = Many([], shared)

        def changed() -> None:
            now = asyncio.get_running_loop().time()
            many.settled.append((now, [run.draws[0] for run in many.runs]))
            many.most_open = max(many.most_open, sum(run.draws[1] for run in many.runs if not run.done))

        for number, nature in enumerate(natures):
            name = f"task {number}"
            many.runs.append(
                Settler(
                    a_spec(name=name),
                    config,
                    seed=1,
                    wanted=wanted,
                    flow=ChanceFlow(name, nature, Share(shared)),
                    embedder=WordEmbedder(),
                    ledger=ListLedger(),
                    on_change=changed,
                    place=places_of_all.join(),
                    wake=shared.look_again,
                )
            )

        async def run(number: int) -> None:
            await many.runs[number].run()
            many.ended[number] = asyncio.get_running_loop().time()

        async with asyncio.TaskGroup() as group:
            for number in range(len(natures)):
                group.create_task(run(number))
        return many

    return virtual_time.play(main())


UNEVEN = [Nature(seconds, chance) for seconds in (0.2, 1.0, 4.0) for chance in (0.15, 0.6, 0.95)]


@pytest.fixture(scope="module")
def uneven() -> Many:
    """Twenty-seven tasks of nine natures: twenty times slower than another, six times less yield."""
    return side_by_side(UNEVEN * 3, 10)


def test_slots_stay_full_across_tasks(uneven: Many) -> None:
    """95 % and more until the last task alone has work; the tail belongs to that one."""
    *others, _ = sorted(uneven.ended.values())
    assert uneven.slots.used(others[-1]) >= 0.95


def test_open_draws_are_bounded_over_all_tasks(uneven: Many) -> None:
    """Sixteen for eight slots, not sixteen for each task."""
    assert uneven.most_open <= 16
    assert all(run.done for run in uneven.runs)


def test_no_task_starves(uneven: Many) -> None:
    """While all still want draws, a task that is slow or yields little has no fewer than the others but for those under way."""
    first = min(uneven.ended.values())
    for when, draws in uneven.settled:
        if when < first:
            assert max(draws) - min(draws) <= 2


@pytest.mark.parametrize(("tasks", "slots"), [(2, 8), (12, 20), (20, 1)])
def test_slots_stay_full_whatever_their_number(tasks: int, slots: int) -> None:
    """Few tasks on few slots, fewer tasks than slots, and one slot for many."""
    many = side_by_side([Nature(1.0, 0.7)] * tasks, 40 if tasks < 10 else 12, slots)
    *others, _ = sorted(many.ended.values())
    # At the very end of a few tasks the open draws are what is left of them, and each task ends with its own tail.
    assert many.slots.used(0.9 * others[-1]) >= 0.95
    assert many.most_open <= most_open(16, slots)


# -- one that fails -------------------------------------------------------------------------------------------------------


class Listener(Watcher):
    """Hears what failed."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def failed(self, task: TaskView) -> None:
        """A task has failed."""
        self.heard.append(task.spec.task_name)


JAYS = a_spec(freeform("jay", "pike"), name="test/jays", description="Knowing jays.", count=3)


@pytest.fixture
def three(tmp_path: Path) -> Going:
    """Three tasks, the second of which will fail."""
    return Going(tmp_path / "output", (FOXES, CROWS, JAYS))


CheckOthers = Callable[[Going, Sequence[TaskView], str], None]


@pytest.fixture(scope="module")
def check_others(tmp_path_factory: pytest.TempPathFactory) -> CheckOthers:
    """The second has failed with a sentence, the others are what they are alone."""
    alone = Going(tmp_path_factory.mktemp("alone"), (FOXES, JAYS))
    for spec in alone.specs:
        replace(alone, specs=(spec,)).go()

    def check(going: Going, tasks: Sequence[TaskView], said: str) -> None:
        assert [task.status for task in tasks][::2] == ["complete", "complete"]
        assert tasks[1].status == f"failed: {tasks[1].error}"
        assert said in tasks[1].status
        assert replace(going, specs=alone.specs).bytes() == alone.bytes()

    return check


def test_a_directory_of_something_else_stops_nobody_else(three: Going, check_others: CheckOthers) -> None:
    """Refused before anything is written there, and the others run."""
    theirs = three.paths(CROWS).folder / "thesis.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    ran = three.go()
    check_others(three, ran.tasks, "holds files of something else")
    assert [file.name for file in theirs.parent.iterdir()] == ["thesis.txt"]
    assert isinstance(ran.tasks[1].run, Standstill)


def test_other_inputs_stop_nobody_else(three: Going, check_others: CheckOthers) -> None:
    """The run that lies there is untouched."""
    replace(three, specs=(CROWS,), seed=9).go()
    before = three.paths(CROWS).run_json.read_bytes()
    check_others(three, three.go().tasks, "begun with other inputs (seed: 9 then, 0 now)")
    assert three.paths(CROWS).run_json.read_bytes() == before


def test_a_prompt_that_fits_into_no_window_stops_nobody_else(three: Going, check_others: CheckOthers) -> None:
    """And the window is what the others need."""
    three = replace(three, config={"max_num_ctx": 4096})
    replace(three, folder=three.folder / "few", specs=(FOXES, JAYS)).go()
    long = SeedExample(question="Why? " * 1_000, answer="So.", line=3)
    huge = a_spec((long,), name="test/crows")
    tasks = replace(three, specs=(FOXES, huge, JAYS)).go().tasks
    check_others(three, tasks, "foxes.yaml:3: a prompt of")
    assert three.run_json(FOXES)["windows"] == replace(three, folder=three.folder / "few").run_json(FOXES)["windows"]


def test_a_prompt_that_the_server_finds_too_long_stops_nobody_else(three: Going, check_others: CheckOthers) -> None:
    """It shows while the tasks run: it is told at once, and the failed one's run.json says why."""

    class Dense(FakeServer):
        async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
            body = await super().chat(payload)
            crows = CROWS.task_description in payload["messages"][-1]["content"]
            return {**body, "prompt_eval_count": 10**6} if crows else body

    listener = Listener()
    server = Dense()
    tasks = three.go(server, watcher=listener).tasks
    check_others(three, tasks, "set num_ctx to")
    assert listener.heard == ["test/crows"]
    assert three.run_json(CROWS)["status"] == tasks[1].status
    assert three.go().tasks[1].status == "complete"


def test_a_disk_that_refuses_one_file_stops_nobody_else(
    three: Going, check_others: CheckOthers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of that file; its journal keeps what came."""
    append = AppendLog.append

    def refuse(self: AppendLog, row: Mapping[str, Any]) -> None:
        if row["task_name"] == CROWS.task_name:
            raise StorageError("cannot write crows: Input/output error; check the disk")
        append(self, row)

    with monkeypatch.context() as patched:
        patched.setattr(AppendLog, "append", refuse)
        tasks = three.go().tasks
    check_others(three, tasks, "cannot write crows")
    assert three.run_json(CROWS)["status"].startswith("failed: cannot write crows")


def test_a_full_disk_ends_all(three: Going, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others would meet it, too, and pay for what cannot be kept."""
    with monkeypatch.context() as patched:
        patched.setattr(files, "os", FullDisk(0))
        with pytest.raises(DiskFull, match="free some space"):
            three.go()
    assert {three.run_json(spec)["status"].split(":")[0] for spec in three.specs} == {"failed"}


def test_a_server_that_is_gone_ends_all(three: Going) -> None:
    """Whoever asked, and whatever the others did."""
    with pytest.raises(ServerError):
        three.go(FakeServer(before=at(30, broken)))
    assert {three.run_json(spec)["status"].split(":")[0] for spec in three.specs} <= {"failed", "complete"}


def test_an_interruption_reaches_all(three: Going) -> None:
    """Nothing is marked as failed that was only interrupted."""
    with pytest.raises(asyncio.CancelledError):
        three.go(FakeServer(before=at(10, interrupted)))
    assert {three.run_json(spec)["status"] for spec in three.specs} == {"interrupted"}


def test_a_task_that_goes_on_says_so_once(three: Going, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run.json stands there: it is written again with what the model says of the task, and when it has ended."""
    written: list[str] = []

    def write(path: Path, content: Mapping[str, Any]) -> None:
        written.append(content["status"])
        write_json(path, content)

    monkeypatch.setattr(sys.modules[OpenTask.__module__], "write_json", write)
    with pytest.raises(asyncio.CancelledError):
        three.go(FakeServer(before=at(30, interrupted)))
    assert sorted(written) == 3 * ["interrupted"] + 6 * ["running"]
    written.clear()
    three.go()
    assert sorted(written) == 3 * ["complete"] + 3 * ["running"]


class Early(Watcher):
    """Interrupts a run before its tasks begin."""

    def started(self, tasks: Sequence[TaskView], slots: Slots) -> None:
        """All are ready."""
        super().started(tasks, slots)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


def test_a_row_that_cannot_be_read_hides_no_interruption(three: Going) -> None:
    """Somebody has changed it: that task keeps what it noted, and the others say that they were interrupted."""
    three = replace(three, config={"soft_ratings": True})
    three.go()
    with three.paths(FOXES).data.open("a") as file:
        file.write("not JSON\n")
    with pytest.raises(asyncio.CancelledError):
        replace(three, wanted=9).go(watcher=Early())
    assert [three.run_json(spec)["status"] for spec in (CROWS, JAYS)] == ["interrupted"] * 2


@pytest.mark.parametrize("others", [(), (CROWS, JAYS)])
def test_a_run_that_ends_before_a_task_begins_keeps_what_it_has_noted(three: Going, others: tuple[TaskSpec, ...]) -> None:
    """Its result with the faults of its hosts; where it was still to wait for others its run.json is as it was."""
    foxes, early = replace(three, specs=(FOXES,)), Early()
    foxes.go()
    noted = foxes.run_json()
    noted["result"]["usage"]["by_host"] = {"http://a": {"calls": 1, "prompt_tokens": 0, "output_tokens": 0, "faults": 5}}
    write_json(foxes.paths().run_json, noted)
    with pytest.raises(asyncio.CancelledError):
        replace(three, specs=(*others, FOXES), wanted=6, concurrency=1).go(watcher=early)
    found = foxes.run_json()
    assert found == noted if others else (found["status"], found["wanted"]) == ("interrupted", 6)
    assert [found["result"][part] for part in ("draws", "funnel")] == [noted["result"][part] for part in ("draws", "funnel")]
    faults = [view.usage["by_host"]["http://a"]["faults"] for view in (early.tasks[-1], *replace(foxes, wanted=6).go().tasks)]
    assert faults == [5, 5]
    assert {three.run_json(spec)["status"] for spec in others} <= {"interrupted"}


def test_when_every_task_fails_the_run_fails(three: Going) -> None:
    """With the first one's error; all of them were shown."""
    for spec in three.specs:
        three.paths(spec).folder.mkdir(parents=True)
        (three.paths(spec).folder / "mine.txt").write_text("mine")
    listener = Listener()
    with pytest.raises(RunDirError, match="test/foxes holds files of something else"):
        three.go(watcher=listener)
    assert [task.error is not None for task in listener.tasks] == [True, True, True]


def test_a_recording_that_lacks_one_task_replays_the_others(three: Going) -> None:
    """Nothing is made up for it."""
    replace(three, specs=(FOXES, JAYS)).go()
    going = replace(three, folder=three.folder / "again")
    tasks = run(going.request(recorded=three.recorded()), None)
    assert [task.status for task in tasks][::2] == ["complete", "complete"]
    assert "holds no run of the task test/crows" in tasks[1].status


def test_what_has_ended_holds_nothing(three: Going) -> None:
    """Its lock, files and memory are free while others still run."""
    seen: list[tuple[bool, bool]] = []

    class Looking(Watcher):
        def changed(self) -> None:
            ended = [task for task in self.tasks if task.status == "complete"]
            seen.extend((task.paths.running.exists(), isinstance(task.run, Standstill)) for task in ended)

    quick = replace(three, specs=(FOXES, *(a_spec(freeform(f"crow{n}", f"jay{n}"), name=f"test/{n}") for n in range(4))))
    quick.go(FakeServer(TeacherConfig(pass_rate=0.7)), watcher=Looking())
    assert seen
    assert set(seen) == {(False, True)}


def test_an_error_that_concerns_all_is_told_before_one_that_does_not() -> None:
    """And a group with anything that is not ours is a bug."""
    own, host = ContextTooLong("too long"), ServerError("gone")
    assert only_ours(ExceptionGroup("", [own, ExceptionGroup("", [host])])) is host
    assert only_ours(own) is own
    assert only_ours(ExceptionGroup("", [own, RuntimeError("a bug")])) is None
    assert not concerns_all(own)
    assert not any(map(concerns_all, (RunDirError("x"), StorageError("x"), Unreadable("x", ""))))
