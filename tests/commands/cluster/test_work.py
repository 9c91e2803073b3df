"""What a worker of a cluster does with its tasks, in this process."""

import asyncio
import itertools
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.base import errors
from skills_dspy.base.errors import RequestError, SkillsError
from skills_dspy.commands.api.request import RunSettings, run_request
from skills_dspy.commands.api.server import Connection
from skills_dspy.commands.cluster.news import AllSlots, BatchEnd, News, Reporter
from skills_dspy.commands.cluster.work import KeptEmbedder, WorkOrder, work
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.server.server import Fault
from skills_dspy.store.run_dir import RunPaths, taken
from skills_dspy.store.shared_folder import marked
from skills_dspy.tasks.files import load_tasks
from tests.commands.cluster.machines import packed
from tests.helpers.fake_server import FakeServer
from tests.helpers.terminal import Terminal


class Watched(AsyncEmbedder):
    """Says whether it is closed."""

    closed = False

    async def close(self) -> None:
        """Close it."""
        self.closed = True
        await super().close()


@pytest.fixture
def embedders(monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    """Those that were made, for workers that tell something every few milliseconds."""
    made: list[Watched] = []

    def make(*_: object) -> Watched:
        made.append(Watched(HashEmbedder()))
        return made[-1]

    monkeypatch.setattr("skills_dspy.commands.cluster.work.embedder_of", make)
    monkeypatch.setattr("skills_dspy.commands.cluster.work._EVERY", 0.002)
    return made


class Job:
    """Some tasks of the terminal for a worker, whose messages about them are answered with `stop`."""

    def __init__(self, terminal: Terminal, *names: str, stop: bool = False, **order: Any) -> None:
        self.specs = load_tasks([terminal.task(name) for name in names or ("test/foxes",)]).specs
        settings = RunSettings(wanted=1, output_dir=terminal.output.absolute(), connection=Connection(base_url=("http://a:1",)))
        self.order = {"settings": settings, "request": run_request(settings, (), lambda _: None), **order}
        self.news: list[News] = []
        self.stop = stop
        self.kept = KeptEmbedder()

    async def tell(self, news: News) -> bool:
        """Hear of it."""
        self.news.append(packed(news))
        return self.stop and bool(news.tasks)

    async def work(self, *, again: bool = False, opened: bool = False) -> BatchEnd:
        """Let them be done."""
        with marked(self.order["request"].output_dir) as token:
            order = packed(WorkOrder(**{"token": token, **self.order}))
            outcome: BatchEnd = packed(
                await work(order, packed(self.specs), "the worker on a", self.tell, self.kept, again=again, opened=opened)
            )
        return outcome

    def statuses(self, last: News) -> Sequence[str]:
        """Those of its tasks, as they were told of last."""
        return list({name: task["status"] for news in (*self.news, last) for name, task in news.tasks.items()}.values())


def test_the_embedding_model_stays_loaded_from_one_batch_to_the_next(terminal: Terminal, embedders: list[Watched]) -> None:
    """Loading it takes longer than a small task; after an error it is made anew, for it may be what failed."""
    job = Job(terminal)

    async def batches() -> None:
        for _ in range(2):
            assert job.statuses((await job.work()).news) == ["complete"]
        assert [one.closed for one in embedders] == [False]
        job.order["versions"] = {}
        await job.work()

    asyncio.run(batches())
    assert [one.closed for one in embedders] == [True]


def test_a_worker_of_another_version_refuses(terminal: Terminal, embedders: list[Watched]) -> None:
    """Its prompts may be others."""
    error = asyncio.run(Job(terminal, versions={"skills-dspy": "0.0.0"}).work()).error
    assert isinstance(error, RequestError)
    assert str(error).startswith("the worker on a has skills-dspy ")
    assert str(error).endswith(", and the one that asks has 0.0.0: install the same")
    assert not embedders


def test_a_worker_looks_for_the_token_before_anything_else(terminal: Terminal, embedders: list[Watched]) -> None:
    """Without it nothing is made and nobody is asked."""
    outcome = asyncio.run(Job(terminal, token="nowhere").work())
    assert "does not see the folder" in str(outcome.error)
    assert not embedders
    assert not terminal.servers
    assert not list(terminal.output.iterdir())


def test_a_worker_that_is_told_to_end_does_so_in_good_order(terminal: Terminal, embedders: list[Watched]) -> None:
    """The task is interrupted as by Ctrl-C, however often it hears of it."""

    async def slowly(_: int) -> None:
        await asyncio.sleep(0.01)

    terminal.make_server = lambda: FakeServer(before=slowly)
    job = Job(terminal, stop=True)
    outcome = asyncio.run(job.work())
    assert (outcome.error, embedders[0].closed) == (None, True)
    assert job.statuses(outcome.news) == ["interrupted"]
    assert not RunPaths(terminal.output / "test/foxes").running.exists()


def test_a_worker_waits_for_the_locks_of_one_that_has_died(terminal: Terminal, embedders: list[Watched]) -> None:
    """A machine that is lost keeps them for a while; a worker that is the first does not wait, and says who has the folder."""
    job = Job(terminal)

    async def freed(held: ExitStack) -> BatchEnd:
        asyncio.get_running_loop().call_later(0.05, held.close)
        return await job.work(again=True)

    with ExitStack() as held:
        held.enter_context(taken(terminal.output, "test/foxes"))
        assert str(asyncio.run(job.work()).error).startswith(f"another run (pid {os.getpid()}")
        assert job.statuses(asyncio.run(freed(held)).news) == ["complete"]
    assert embedders


def test_a_run_that_was_begun_anew_and_died_is_gone_on_with(terminal: Terminal, embedders: list[Watched]) -> None:
    """What the worker that died had set aside is set aside once; what it had not come to, still."""
    job = Job(terminal)
    job.order["request"] = replace(job.order["request"], restart=True)
    for again, opened, aside in ((False, False, 0), (False, False, 1), (True, True, 1), (True, False, 2)):
        ended = asyncio.run(job.work(again=again, opened=opened))
        assert (ended.error, job.statuses(ended.news)) == (None, ["complete"])
        assert len(list((terminal.output / "test").glob("*.old-*"))) == aside
    assert embedders


def test_what_does_not_change_is_not_told_again(terminal: Terminal, embedders: list[Watched]) -> None:
    """Messages stay small, however many tasks a worker has."""
    job = Job(terminal, "test/foxes", "test/jays")
    outcome = asyncio.run(job.work())
    assert outcome.error is None
    assert embedders
    reporter = Reporter()
    assert reporter.news() == News()
    told = [task for news in (*job.news, outcome.news) for task in news.tasks.items()]
    assert {name for name, _ in told} == {"test/foxes", "test/jays"}
    assert all(one != other for one, other in itertools.pairwise(sorted(told, key=lambda task: task[0])))


def test_lines_are_told_once_and_of_faults_the_last_one() -> None:
    """A server that is down for an hour has as many faults as requests."""
    reporter = Reporter()
    reporter.say("The index is built.")
    for seconds in (1.0, 2.0):
        reporter.fault(Fault(errors.ServerError("It is down."), passing=True), seconds)
    reporter.warn("A seed is odd.")
    assert reporter.news().lines == (
        ("say", "The index is built.", 0.0),
        ("fault", "It is down.", 2.0),
        ("warn", "A seed is odd.", 0.0),
    )
    assert reporter.news().lines == ()


def test_the_slots_of_all_workers_are_added_up() -> None:
    """A worker that has ended has none."""
    slots = AllSlots()
    slots.tell(0, (3, 8, 1))
    slots.tell(1, (8, 8, 5))
    assert (slots.held, slots.count, slots.waiting) == (11, 16, 6)
    slots.tell(1, None)
    assert (slots.held, slots.count, slots.waiting) == (3, 8, 1)


def test_the_key_of_a_server_is_shown_nowhere() -> None:
    """It travels with the order."""
    connection = Connection(key="secret")
    assert packed(connection).key == "secret"
    assert "secret" not in repr(connection)


def test_every_error_travels() -> None:
    """Its sentence and its kind are the same elsewhere."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SkillsError)]
    for kind in kinds:
        raw = ("raw",) if issubclass(kind, errors.ReplyError) else ()
        error = packed(kind("What is wrong.", *raw))
        assert (type(error), str(error)) == (kind, "What is wrong.")
    where = packed(errors.SpecError("It is odd.", Path("a.yaml"), 3))
    assert (str(where), where.line, where.message) == ("a.yaml:3: It is odd.", 3, "It is odd.")
