"""Whole runs against a stand-in for the server: what they write, how they end, and how they go on."""

import asyncio
import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evals.bench.hash_embedder import HashEmbedder
from evals.teacher.config import TeacherConfig
from skills_dspy.base.errors import EmbedderMissing, MissingReply, ModelMissing, RunDirError, ServerError, StorageError
from skills_dspy.base.records import Record, Rejection, SeedExample
from skills_dspy.model.embedding.embedder import Embedder
from skills_dspy.run import task as run_task
from skills_dspy.run.past import PastRun, find_recorded
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Watcher
from skills_dspy.run.task import TaskView
from skills_dspy.store import aside, files
from skills_dspy.store.journal import Journal, JournalReader
from skills_dspy.store.run_dir import RunPaths, taken
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.disk import journaled
from tests.helpers.fake_server import DIGEST, FakeServer
from tests.helpers.making import a_config, a_spec
from tests.helpers.small_runs import MAIN, accepted_in, freeform, rejected_in, rows_of, run_to_its_end

NAME = "test/foxes"
WANTED = 5
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def grounded(*subjects: str) -> tuple[SeedExample, ...]:
    """Seeds with context."""
    return tuple(
        SeedExample(question=f"What does the {s} do?", answer="It runs.", context=f"A {s} runs home.", line=1) for s in subjects
    )


FOXES = a_spec(freeform("fox", "badger", "marten"), count=3)
MIXED = a_spec((*freeform("fox", "badger"), *grounded("hare", "stoat")), count=3)
CROWS = a_spec(freeform("crow", "jay"), name="test/crows", description="Knowing crows.", count=3)


class Clock:
    """A clock that moves on by a minute whenever it is read."""

    def __init__(self) -> None:
        self.now = START - timedelta(minutes=1)

    def __call__(self) -> datetime:
        """The time in UTC."""
        self.now += timedelta(minutes=1)
        return self.now


@dataclass
class Going:
    """What a run in this folder is to be, and what it came to; each `go` is a program started anew."""

    folder: Path
    specs: tuple[TaskSpec, ...] = (FOXES,)
    wanted: int = WANTED
    concurrency: int = 4
    seed: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    teacher: TeacherConfig | None = None

    def request(self, **more: Any) -> RunRequest:
        """What is asked for."""
        asked = RunRequest(
            self.specs, a_config(self.config), self.wanted, self.folder, seed=self.seed, concurrency=self.concurrency
        )
        return replace(asked, **more)

    def go(
        self,
        server: FakeServer | None = None,
        embedder: Embedder | None = None,
        watcher: Watcher | None = None,
        **more: Any,
    ) -> "Ran":
        """Run to the end."""
        server = server or FakeServer(self.teacher)
        return Ran(server, run(self.request(**more), server, embedder, watcher))

    def paths(self, spec: TaskSpec | None = None) -> RunPaths:
        """Where the files of a task are."""
        return RunPaths(self.folder / (spec or self.specs[0]).task_name)

    def run_json(self, spec: TaskSpec | None = None) -> dict[str, Any]:
        """The content of run.json."""
        content: dict[str, Any] = json.loads(self.paths(spec).run_json.read_bytes())
        return content

    def rows(self, spec: TaskSpec | None = None) -> tuple[list[Record], list[Rejection]]:
        """What was accepted and rejected."""
        return accepted_in(self.paths(spec)), rejected_in(self.paths(spec))

    def bytes(self) -> list[bytes]:
        """The bytes of the rows of all tasks."""
        return [part for spec in self.specs for part in rows_of(self.paths(spec))]

    def recorded(self) -> dict[str, PastRun]:
        """The runs to replay, by the names of their tasks."""
        return {past.spec.task_name: past for past in find_recorded(str(self.folder))}

    def journaled(self) -> set[str]:
        """The digests of all replies in the journals."""
        found: set[str] = set()
        for spec in self.specs:
            found |= journaled(self.paths(spec).journal)
        return found


@dataclass
class Ran:
    """A run that has ended well."""

    server: FakeServer
    tasks: tuple[TaskView, ...]

    @property
    def task(self) -> TaskView:
        """The only task."""
        (task,) = self.tasks
        return task


def run(
    request: RunRequest, server: FakeServer | None, embedder: Embedder | None = None, watcher: Watcher | None = None
) -> tuple[TaskView, ...]:
    """Run a request by a clock of its own."""
    return run_to_its_end(request, server, embedder, watcher, now=Clock())


def at(number: int, happens: Callable[[], Awaitable[None]]) -> Callable[[int], Awaitable[None]]:
    """Something that happens instead of the reply to the request of that number, and of all after it."""

    async def before(count: int) -> None:
        if count >= number:
            await happens()

    return before


async def broken() -> None:
    """The server is gone for good."""
    raise ServerError("The server at http://fake:11434 kept failing.")


async def interrupted() -> None:
    """Somebody presses Ctrl-C, and no reply comes any more."""
    next(task for task in asyncio.all_tasks() if task.get_name() == MAIN).cancel()
    await asyncio.Event().wait()


@pytest.fixture
def going(tmp_path: Path) -> Going:
    """A run of four pairs about foxes."""
    return Going(tmp_path / "output")


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output directory of a run that is complete."""
    folder = tmp_path_factory.mktemp("finished") / "output"
    Going(folder).go()
    return folder


@pytest.fixture
def finished(finished_once: Path, tmp_path: Path) -> Going:
    """A run of five pairs about foxes that is complete, in a directory of its own."""
    shutil.copytree(finished_once, tmp_path / "output")
    return Going(tmp_path / "output")


# -- what a run writes --------------------------------------------------------------------------------------------------


def test_a_complete_run_accounts_for_everything(going: Going) -> None:
    """N accepted; every candidate in one file; the counts, calls and tokens of run.json are those of rows and journal."""
    ran = going.go()
    accepted, rejected = going.rows()
    manifest, result = going.run_json(), going.run_json()["result"]
    assert len(accepted) == WANTED
    assert rejected
    assert ran.task.status == manifest["status"] == "complete"
    assert result["funnel"]["candidates"] == len(accepted) + len(rejected)
    assert result["funnel"]["accepted"] == WANTED
    counted = {(row["stage"], row["reason"]): row["count"] for row in result["funnel"]["rejected"]}
    assert counted == {key: sum((r.stage, r.reason) == key for r in rejected) for key in counted}
    assert sum(counted.values()) == len(rejected)
    assert len(set(ran.server.asked)) == len(ran.server.asked)
    assert (
        result["usage"]["calls"] == len(going.journaled()) == sum(step["calls"] for step in result["usage"]["by_step"].values())
    )
    assert ran.task.meter.live == ran.server.answered >= result["usage"]["calls"]
    assert result["usage"] == ran.task.usage
    assert ran.server.closed
    assert not going.paths().running.exists()


def test_run_json_says_what_was_asked_for_and_what_it_was_made_with(going: Going) -> None:
    """Inputs, models with digests, windows, versions, weights, times."""
    going.go(note="a stand-in")
    manifest = going.run_json()
    assert manifest["format"] == 1
    assert manifest["wanted"] == WANTED
    assert manifest["server"] == {"host": "http://fake:11434", "version": "0.0.0-fake", "note": "a stand-in"}
    assert manifest["embedder"] == {"name": "hash", "weights": HashEmbedder.weights}
    assert manifest["inputs"]["seed"] == 0
    model = {"name": "mistral-small3.2", "digest": DIGEST}
    assert manifest["inputs"]["models"] == {"generator": model, "validator": model, "tagger": model}
    assert set(manifest["windows"]) == {"generator", "validator", "tagger"}
    assert manifest["versions"]["dspy"]
    assert (manifest["started"], manifest["ended"]) == ("2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z")
    assert TaskSpec.model_validate({**manifest["task"], "path": FOXES.path}) == FOXES


def test_every_row_can_be_traced_to_its_replies(going: Going) -> None:
    """The digests of a row stand in the journal, the prompts are named for the same stages, ids differ."""
    going = replace(going, specs=(MIXED,), wanted=8)
    going.go()
    accepted, rejected = going.rows()
    journal = going.journaled()
    assert len({r.id for r in accepted} | {r.id for r in rejected}) == len(accepted) + len(rejected)
    rows: list[Record | Rejection] = [*accepted, *rejected]
    for row in rows:
        asked = row.provenance.calls
        assert {digest for tries in asked.values() for digest in tries} <= journal
        assert list(row.provenance.prompts) == list(asked)
        if isinstance(row, Rejection) and row.stage == "dedup":
            assert set(asked) <= {"write_context", "write_questions"}  # how far it came is chance
    assert {row.context is None for row in rows} == {True, False}
    assert any(row.stage == "dedup" for row in rejected)
    for record in accepted:
        assert ("write_context" in record.provenance.calls) == (record.context is not None)
        assert record.provenance.calls.keys() >= {"judge_question", "write_answer", "judge_pair", "difficulty", "category"}


@pytest.mark.parametrize("tagging", ["separate", "fused"])
def test_the_bytes_depend_neither_on_concurrency_nor_on_timing(tmp_path: Path, tagging: str) -> None:
    """Both kinds of seeds, unreadable and truncated replies among them, at three concurrencies."""
    teacher = TeacherConfig(pass_rate=0.8, duplicate_rate=0.2, faults=(("unreadable", 0.25), ("truncated", 0.2)))
    seen = []
    for concurrency in (1, 3, 100):
        folder = tmp_path / str(concurrency)
        going = Going(folder, (MIXED,), 3, concurrency, config={"tagging": tagging}, teacher=teacher)
        going.go(FakeServer(teacher, seed=concurrency))
        seen.append(going.bytes())
    assert seen[0] == seen[1] == seen[2]
    reasons = {rejection.reason for rejection in going.rows()[1]}
    assert reasons & {"unreadable", "truncated"}
    assert len(reasons) > 1


def test_fused_tagging_asks_one_tag_call_less(going: Going) -> None:
    """Quality, difficulty and category come in one reply, before the answer."""
    going = replace(going, config={"tagging": "fused"})
    ran = going.go()
    steps = ran.task.usage["by_step"]
    assert "tag_fused" in steps
    assert not steps.keys() & {"tag_instruction_quality", "tag_difficulty", "tag_category"}
    for record in going.rows()[0]:
        assert record.tags.explanations["difficulty"] == record.tags.explanations["category"]
        assert "difficulty" not in record.provenance.calls


def test_two_tasks_share_the_slots(going: Going) -> None:
    """They run at once, never more requests than slots are in flight, and each is what it is alone."""
    both = replace(going, specs=(FOXES, CROWS), concurrency=3)
    ran = both.go()
    assert ran.server.most_in_flight == 3
    described = ["foxes" if "foxes" in prompt else "crows" for prompt in ran.server.prompts]
    assert {"foxes", "crows"} <= set(described[:6])
    assert [task.status for task in ran.tasks] == ["complete", "complete"]
    alone = replace(going, folder=going.folder / "alone", specs=(CROWS,))
    alone.go()
    assert alone.bytes() == both.bytes()[2:]


def test_a_limit_stops_the_run_and_a_raised_limit_lets_it_go_on(going: Going) -> None:
    """The status says which; the rows are all there; with the limit raised it goes on where it stopped."""
    short = replace(going, wanted=50, config={"draws": {"max_draws": 2}})
    ran = short.go()
    assert ran.task.status == going.run_json()["status"] == "stopped: 2 draws were made (draws.max_draws)"
    assert going.run_json()["result"]["draws"] == 2
    accepted, rejected = going.rows()
    assert len(accepted) + len(rejected) == 6
    calls = len(ran.server.asked)
    whole = replace(going, folder=going.folder / "whole", wanted=9)
    whole.go()
    further = replace(going, wanted=9).go()
    assert further.task.status == "complete"
    assert going.bytes() == whole.bytes()
    assert further.task.meter.remembered >= calls


# -- going on -----------------------------------------------------------------------------------------------------------


def test_a_complete_run_that_is_started_again_asks_for_nothing(finished: Going) -> None:
    """All that its rows took is in the journal, and nothing beyond them is begun; the files stay the same bytes."""
    before, result = finished.bytes(), finished.run_json()["result"]
    again = replace(finished, concurrency=1).go()
    assert again.server.asked == []
    assert again.task.status == "complete"
    assert again.task.meter.live == 0
    assert finished.bytes() == before
    assert finished.run_json()["result"] == result


def test_more_wanted_goes_on_and_equals_one_go(finished: Going) -> None:
    """Only what is missing is asked for."""
    first = finished.journaled()
    more = replace(finished, wanted=8)
    ran = more.go()
    whole = replace(more, folder=finished.folder / "whole")
    whole.go()
    assert more.bytes() == whole.bytes()
    assert not first & set(ran.server.asked)


def test_fewer_wanted_than_there_are_is_refused(finished: Going) -> None:
    """Accepted pairs are not thrown away."""
    before = finished.bytes()
    with pytest.raises(RunDirError, match="already holds 5 accepted pairs, more than the 3 asked for"):
        replace(finished, wanted=3).go()
    assert finished.bytes() == before


def test_restart_sets_the_run_aside(finished: Going) -> None:
    """Renamed, not deleted, and everything is asked for anew."""
    before = finished.bytes()
    ran = finished.go(restart=True)
    (aside,) = finished.folder.glob("test/foxes.old-*")
    assert (aside / "data.jsonl").read_bytes() == before[0] == finished.bytes()[0]
    assert len(ran.server.asked) >= finished.run_json()["result"]["usage"]["calls"] > 0


def test_a_second_run_in_the_same_directory_is_refused(going: Going) -> None:
    """The first is not disturbed."""
    with taken(going.folder, NAME), pytest.raises(RunDirError, match="another run"):
        going.go()
    assert not going.paths().data.exists()
    going.go()


class OtherWeights(HashEmbedder):
    """The same name with other weights."""

    weights = "other weights"


def test_other_weights_of_the_embedding_model_are_refused(finished: Going) -> None:
    """Distances would be others. The rows stay; with the first weights the run goes on."""
    before = finished.bytes()
    more = replace(finished, wanted=9)
    with pytest.raises(RunDirError, match="other weights of the embedding model"):
        more.go(embedder=OtherWeights())
    assert all(now.startswith(then) for now, then in zip(finished.bytes(), before, strict=True))
    assert more.go().task.status == "complete"
    whole = replace(more, folder=finished.folder / "whole")
    whole.go()
    assert whole.bytes() == more.bytes()


def test_a_journal_that_is_closed_while_vectors_are_written_waits_for_them(tmp_path: Path) -> None:
    """An interruption cannot stop the thread that writes them; closing under its hands would crash the program."""
    for turn in range(4):
        journal = Journal.open(tmp_path / f"{turn}.sqlite")
        rows = [(f"{turn} {n}", bytes(1536)) for n in range(2000)]
        with ThreadPoolExecutor() as pool:
            writing = pool.submit(journal.put_vectors, rows)
            while journal._lock.acquire(blocking=False):  # until the thread has it
                journal._lock.release()
            journal.close()
        assert writing.exception() is None
        with JournalReader.open(tmp_path / f"{turn}.sqlite") as recording:
            assert recording.vector(f"{turn} 1999") == bytes(1536)


class Noting(HashEmbedder):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of the texts."""
        self.asked += texts
        return super().embed(texts)


def test_a_text_is_embedded_once_in_the_life_of_a_run(finished: Going) -> None:
    """A run that goes through its journal, and a replay of it, computes no vector of a text that has a row.

    A draw that was under way when the run had its pairs may have been written, and not embedded any more.
    """
    before, noting = finished.bytes(), Noting()
    accepted, rejected = finished.rows()
    assert finished.go(embedder=noting).task.status == "complete"
    replayed = replace(finished, folder=finished.folder.parent / "replayed")
    run(replayed.request(recorded=finished.recorded()), None, noting)
    assert replayed.bytes() == finished.bytes() == before
    known = {row.instruction for row in accepted} | {row.instruction for row in rejected if row.instruction}
    assert not known & set(noting.asked)


# -- ending badly -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_number", [1, 2, 25])
def test_a_server_that_breaks_down_loses_nothing(finished: Going, request_number: int) -> None:
    """The error is the server's own; all replies that came are kept; the next run asks only for the rest."""
    whole = finished.bytes()
    kept = replace(finished, folder=finished.folder / "kept")
    server = FakeServer(before=at(request_number, broken))
    with pytest.raises(ServerError, match="kept failing"):
        kept.go(server)
    assert kept.run_json()["status"].startswith("failed")
    assert len(kept.journaled()) == server.answered
    beginning = kept.bytes()
    assert all(part == full[: len(part)] for part, full in zip(beginning, whole, strict=True))
    known = kept.journaled()
    ran = kept.go()
    assert kept.bytes() == whole
    assert kept.run_json()["status"] == "complete"
    assert not known & set(ran.server.asked)


@pytest.mark.parametrize("request_number", [1, 20])
def test_an_interruption_loses_nothing(finished: Going, request_number: int) -> None:
    """run.json says so; the next run asks only for the rest and ends with the same bytes."""
    whole = finished.bytes()
    kept = replace(finished, folder=finished.folder / "kept")
    server = FakeServer(before=at(request_number, interrupted))
    with pytest.raises(asyncio.CancelledError):
        kept.go(server)
    assert kept.run_json()["status"] == "interrupted"
    assert server.closed
    known = kept.journaled()
    assert len(known) == server.answered
    ran = kept.go()
    assert kept.bytes() == whole
    assert not known & set(ran.server.asked)


def test_a_mistake_in_the_program_is_not_dressed_up(going: Going) -> None:
    """It comes out as what it is, with its traceback; run.json says failed."""

    async def bug() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        going.go(FakeServer(before=at(9, bug)))
    assert "a bug" in "".join(str(error) for error in flat(caught.value))
    assert going.run_json()["status"].startswith("failed")


def flat(error: BaseException) -> list[BaseException]:
    """An error with all that it holds and all that caused it."""
    inner = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    inner += [error.__cause__] if error.__cause__ is not None else []
    return [error, *(found for one in inner for found in flat(one))]


class FullDisk:
    """Writes to the rows' files until so many bytes are written; then as much as fits, and then nothing."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, data: bytes) -> int:
        """Like os.write."""
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fits = data[: self.room]
        self.room -= len(fits)
        return os.write(descriptor, fits)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.95])
def test_a_full_disk_loses_nothing(finished: Going, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both files end after a whole row; run.json says failed; with room again the run ends with the same bytes."""
    whole = finished.bytes()
    room = int(share * sum(map(len, whole)))
    kept = replace(finished, folder=finished.folder / "kept")
    with monkeypatch.context() as patched:
        patched.setattr(files, "os", FullDisk(room))
        with pytest.raises(StorageError, match="free some space"):
            kept.go()
    assert kept.run_json()["status"].startswith("failed")
    for part, full in zip(kept.bytes(), whole, strict=True):
        assert part == full[: len(part)]
        assert not part or part.endswith(b"\n")
    kept.go()
    assert kept.bytes() == whole


def test_a_journal_without_room_loses_nothing(finished: Going, monkeypatch: pytest.MonkeyPatch) -> None:
    """The replies that it has are kept, and none that it lacks has decided anything."""
    kept = replace(finished, folder=finished.folder / "kept")
    commit, written = Journal._commit, []

    def full(self: Journal, batch: Any) -> Any:
        written.extend(batch)
        if len(written) > 30:
            raise sqlite3.OperationalError("database or disk is full")
        return commit(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "_commit", full)
        with pytest.raises(StorageError, match="database or disk is full"):
            kept.go()
    assert kept.run_json()["status"].startswith("failed")
    known = kept.journaled()
    assert kept.run_json()["result"]["usage"]["calls"] == len(known) <= 30
    accepted, rejected = kept.rows()
    for source in (*(row.provenance for row in accepted), *(row.provenance for row in rejected)):
        assert {digest for tries in source.calls.values() for digest in tries} <= known
    ran = kept.go()
    assert not known & set(ran.server.asked)
    assert kept.bytes() == finished.bytes()


def test_rows_that_cannot_be_seen_to_the_disk_at_the_end_are_no_success(going: Going, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step fails, and nothing else has: the run must say so."""

    def no_sync(self: files.AppendLog) -> None:
        raise StorageError(f"cannot write rows: {self}")

    with monkeypatch.context() as patched:
        patched.setattr(files.AppendLog, "finish", no_sync)
        with pytest.raises(StorageError, match="cannot write rows"):
            going.go()
    assert going.run_json()["status"].startswith("failed")
    assert going.go().task.status == "complete"


def test_a_run_json_that_cannot_be_written_at_the_end_is_no_success(going: Going, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads it later would take the run for one that is still running."""
    written: list[str] = []
    real = aside.write_json

    def write_once(path: Path, data: Mapping[str, Any]) -> None:
        written.append(data["status"])
        if data["status"] != "running":
            raise StorageError("cannot write run.json: No space left on device")
        real(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(run_task, "write_json", write_once)
        with pytest.raises(StorageError, match=r"run\.json"):
            going.go()
    assert written == ["running", "running", "complete"]  # the second has the plan of variety


class DoneWatcher(Watcher):
    """Tells when the first task is done."""

    def __init__(self) -> None:
        super().__init__()
        self.first_is_done = asyncio.Event()

    def changed(self) -> None:
        """A candidate has settled."""
        if self.tasks[0].run.done:
            self.first_is_done.set()


class NoCrows(FakeServer):
    """Breaks down when it is asked about crows, once there is nothing more to ask about foxes."""

    def __init__(self, watcher: DoneWatcher) -> None:
        super().__init__()
        self._watcher = watcher

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply's body."""
        if "crow" in payload["messages"][-1]["content"]:
            await self._watcher.first_is_done.wait()
            await broken()
        return await super().chat(payload)


def test_a_task_that_is_complete_is_finished_though_another_one_fails(finished: Going) -> None:
    """An earlier run had rejected more than the foxes need for fewer pairs: its rows are cut off all the same."""
    accepted, rejected = ([(r.provenance.draw, r.provenance.index) for r in rows] for rows in finished.rows())
    wanted = next(n for n in range(1, WANTED) if any(accepted[n - 1] < place < accepted[n] for place in rejected))
    lines = finished.paths().data.read_bytes().splitlines(keepends=True)
    finished.paths().data.write_bytes(b"".join(lines[:wanted]))  # as if killed before the next pair was accepted
    both = replace(finished, specs=(FOXES, CROWS), wanted=wanted)
    watcher = DoneWatcher()
    with pytest.raises(ServerError):
        both.go(NoCrows(watcher), watcher=watcher)
    assert both.run_json(FOXES)["status"] == "complete"
    assert both.run_json(CROWS)["status"].startswith("failed")
    assert len(both.rows(FOXES)[0]) == wanted
    assert len(both.rows(FOXES)[1]) == both.run_json(FOXES)["result"]["funnel"]["candidates"] - wanted < len(rejected)


# -- refusals before anything is written ----------------------------------------------------------------------------------


class NoEmbedder(HashEmbedder):
    """Its weights are nowhere."""

    def load(self) -> None:
        """Refuse."""
        raise EmbedderMissing("the embedding model 'x' is nowhere")


def test_a_model_that_is_not_pulled_is_refused_before_anything_is_written(going: Going) -> None:
    """Each model is asked for once."""
    server = FakeServer()
    with pytest.raises(ModelMissing):
        replace(going, config={"validator": {"model": "missing-judge"}}).go(server)
    assert server.models_asked == ["mistral-small3.2", "missing-judge"]
    assert server.closed
    assert not going.folder.exists()


def test_an_embedder_that_cannot_be_loaded_ends_the_run(going: Going) -> None:
    """It is said in its own words, and a later run goes on."""
    with pytest.raises(EmbedderMissing, match="is nowhere"):
        going.go(embedder=NoEmbedder())
    assert going.go().task.status == "complete"


# -- replay ---------------------------------------------------------------------------------------------------------------


def test_a_replay_gives_the_same_bytes_without_a_server(going: Going) -> None:
    """The recording is a run's directory; the replay's own directory can be replayed again."""
    going = replace(going, specs=(MIXED,))
    going.go(note="a stand-in")
    for turn in range(2):
        recorded = going.recorded()
        assert [r.answered_by for r in recorded.values()] == ["a stand-in"]
        replayed = replace(going, folder=going.folder.parent / f"replayed-{turn}", concurrency=9)
        (task,) = run(replayed.request(recorded=recorded), None)
        assert task.status == "complete"
        assert replayed.bytes() == going.bytes()
        assert task.meter.live == 0
        assert all(r.no_model for r in recorded.values())
        said = {"host": None, "version": "replay", "note": "a stand-in", "no_model": True}
        assert replayed.run_json()["server"] == said
        going = replayed


def test_a_replay_of_more_than_was_recorded_fails_and_keeps_what_there_is(finished: Going) -> None:
    """The first draw that has to settle and lacks a reply ends it; the sentence names what may differ."""
    replayed = replace(finished, folder=finished.folder.parent / "replayed", wanted=200)
    with pytest.raises(MissingReply, match=r"has no reply to a request of .* the task, the configuration, the seed or a"):
        run(replayed.request(recorded=finished.recorded()), None)
    assert replayed.run_json()["status"].startswith("failed")
    assert replayed.bytes()[0].startswith(finished.bytes()[0])


class Leaving(FakeServer):
    """Leaves residue in an answer, and none when it is asked again."""

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = super()._body(payload)
        if "format" not in payload and self.prompts.count(payload["messages"][-1]["content"]) == 1:
            body["message"]["content"] += "</s>"
        return body


@pytest.mark.parametrize("before", [False, True])
def test_a_recording_that_ends_between_two_tries_decides_nothing_but_where_there_were_none(going: Going, before: bool) -> None:
    """Where a run asks again for residue it would have come to another reply when it went on; older ones never asked."""
    going.go(Leaving(TeacherConfig(pass_rate=1.0)))
    (first, *_), _ = going.rows()
    _, second = first.provenance.calls["write_answer"]
    with closing(sqlite3.connect(going.paths().journal)) as journal, journal:
        journal.execute("DELETE FROM replies WHERE digest = ?", (second,))
        journal.execute("DELETE FROM meta WHERE key = 'residue' AND ?", (before,))
    for turn in range(2):  # a replay is a recording, too
        recorded = going.recorded()
        going = replace(going, folder=going.folder.parent / f"replayed-{turn}")
        with pytest.raises(MissingReply):
            run(going.request(recorded=recorded), None)
        _, rejected = going.rows()
        assert [row.reason for row in rejected if row.stage == "write_answer"] == ["residue"] * before


class Seeing(HashEmbedder):
    """Gives all texts one vector."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same for each."""
        return np.stack([super().embed(["?"])[0]] * len(texts))


def test_a_model_that_gives_all_texts_one_vector_takes_none_for_another(tmp_path: Path) -> None:
    """What differs as a text is no duplicate, and a repetition is one; a replay without the model comes to the same bytes."""
    going = Going(tmp_path / "run")
    assert going.go(embedder=Seeing()).task.status == "complete"
    accepted, _ = going.rows()
    assert len({row.instruction for row in accepted}) == WANTED
    assert all(row.provenance.neighbour is not None and row.provenance.neighbour.distance >= 0.1 for row in accepted)
    replayed = replace(going, folder=tmp_path / "replayed")
    run(replayed.request(recorded=going.recorded()), None, Noting())
    assert replayed.bytes() == going.bytes()
