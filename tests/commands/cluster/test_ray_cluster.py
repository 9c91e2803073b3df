"""What is asked of Ray, and what is made of its answers and errors, on a stand-in for it."""

import asyncio
import pickle
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from skills_dspy.base.errors import RequestError, WorkerLost
from skills_dspy.commands.cluster.board import Board
from skills_dspy.commands.cluster.news import BatchEnd, News
from skills_dspy.commands.cluster.ray_cluster import RETRIES, RayCluster
from skills_dspy.commands.cluster.work import WorkOrder

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])

NEWS = News(lines=(("say", "a line", 0.0),))


class RayError(Exception):
    """As Ray's."""


class RayTaskError(RayError):
    """As Ray's."""

    cause: BaseException | None = None


class Remote:
    """A function or an actor of another process: calls are done at once, in this one."""

    def __init__(self, ray: "FakeRay", what: Any) -> None:
        self.ray, self.what = ray, what

    def options(self, **options: Any) -> "Remote":
        """Note what is asked for."""
        self.ray.options.append(options)
        return self

    def remote(self, *_: Any) -> Any:
        """Begin it."""
        if not isinstance(self.what, type):
            self.ray.begun += 1
            return f"batch {self.ray.begun}"
        actor, ray = self.what(), self.ray

        def method(name: str) -> Any:
            async def call(*words: Any) -> Any:
                if ray.gone:
                    raise RayError("gone")
                return getattr(actor, name)(*words)

            return SimpleNamespace(remote=call)

        self.ray.board = actor
        return SimpleNamespace(**{name: method(name) for name in ("begin", "tell", "read", "stop")})


class FakeRay:
    """A cluster of three nodes, one of which has no processor and one of which is dead."""

    cloudpickle = pickle
    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    util = SimpleNamespace(
        scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: (node, soft)),
    )

    def __init__(self, address: str) -> None:
        self.address = address
        self.options: list[dict[str, Any]] = []
        self.begun = self.put_times = 0
        self.board: Any = None
        self.gone = self.silent = False
        self.answers: dict[str, Any] = {}
        self.cancelled: list[str] = []

    def get_runtime_context(self) -> Any:
        """Where the driver is, and its cluster."""
        return SimpleNamespace(get_node_id=lambda: "head", gcs_address=self.address)

    def nodes(self) -> list[dict[str, Any]]:
        """All nodes; Ray waits for a cluster that does not answer, and then ends the program."""
        assert not self.silent
        some: Any = (("head", True, {}), ("a", True, {"CPU": 4.0}), ("b", False, {"CPU": 4.0}))
        return [
            {"NodeID": name, "NodeManagerHostname": f"host-{name}", "Alive": alive, "Resources": has}
            for name, alive, has in some
        ]

    def remote(self, what: Any) -> Remote:
        """What can be begun elsewhere."""
        return Remote(self, what)

    def put(self, value: Any) -> Any:
        """Send it to the nodes."""
        self.put_times += 1
        return value

    def wait(self, refs: list[str], **_: Any) -> tuple[list[str], list[str]]:
        """Those that have ended."""
        return [ref for ref in refs if ref in self.answers], []

    def get(self, ref: str) -> Any:
        """What it gave."""
        if isinstance(answer := self.answers[ref], Exception):
            raise answer
        return answer

    def cancel(self, ref: str, *, force: bool) -> None:
        """End it."""
        assert force
        self.cancelled.append(ref)

    def kill(self, _: object) -> None:
        """End the actor."""
        self.board = None


@pytest.fixture
def head() -> Iterator[socket.socket]:
    """What listens at the address of the cluster."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, head: socket.socket) -> FakeRay:
    """Ray."""
    monkeypatch.setattr("skills_dspy.commands.cluster.ray_cluster._EVERY", 0.0)
    return FakeRay("{}:{}".format(*head.getsockname()))


def begun(ray: FakeRay, batches: int = 2) -> RayCluster:
    """A cluster with batches in work."""
    cluster, order = RayCluster(ray), WorkOrder(*cast("Any", (None, None, "token")))
    for batch in range(batches):
        cluster.begin(batch, "a", order, [])
    return cluster


def test_a_batch_is_a_ray_task_of_one_processor_on_its_node(ray: FakeRay) -> None:
    """It is done again where its worker dies, on another node if there is none; what all batches need is sent once."""
    cluster = begun(ray)
    assert cluster.machines() == {"a": "host-a"}
    assert ray.put_times == 1
    board, *tasks = ray.options
    assert board == {"num_cpus": 0, "scheduling_strategy": ("head", True)}
    assert len(tasks) == 2
    assert (tasks[0]["num_cpus"], tasks[0]["max_retries"], tasks[0]["scheduling_strategy"]) == (1, RETRIES, ("a", True))


def test_news_and_ends_are_heard_once(ray: FakeRay) -> None:
    """A batch that has ended is forgotten; what still runs is ended with the cluster."""
    cluster = begun(ray)
    assert not ray.board.tell(1, pickle.dumps(NEWS), opened=True)
    ray.answers["batch 1"] = BatchEnd(NEWS)
    assert asyncio.run(cluster.listen()) == ([(1, NEWS)], {0: BatchEnd(NEWS)})
    assert asyncio.run(cluster.listen()) == ([], {})
    asyncio.run(cluster.stop())
    assert ray.board.tell(1, b"", opened=False)
    cluster.close()
    assert ray.cancelled == ["batch 2"]


def test_a_worker_hears_how_far_one_came_that_has_died() -> None:
    """Whether there was one, and whether that had opened the tasks, and so has set aside what was there."""
    board = Board()
    assert [board.begin(0), board.begin(0)] == [(False, False), (True, False)]
    board.tell(0, b"a line", opened=False)
    assert board.begin(0) == (True, False)
    board.tell(0, b"tasks", opened=True)
    board.tell(0, b"a line", opened=False)
    assert board.read()
    assert [board.begin(0), board.begin(1)] == [(True, True), (False, False)]


def test_a_worker_that_died_too_often_is_an_error_of_its_tasks(ray: FakeRay) -> None:
    """With Ray's first line."""
    cluster = begun(ray)
    ray.answers["batch 1"] = RayError("The worker died.\nMore.")
    error = asyncio.run(cluster.listen())[1][0].error
    assert isinstance(error, WorkerLost)
    assert str(error).startswith("the worker of this task died 4 times (RayError: The worker died.); what it has is kept")


def test_a_node_without_the_program_is_refused(ray: FakeRay) -> None:
    """However Ray says it; what else a worker raises is a bug, and shown as one."""
    for text, cause in (("x", ModuleNotFoundError("skills_dspy")), ("The remote function failed to import", None)):
        cluster, ray.answers["batch 1"] = begun(ray, 1), RayTaskError(text)
        ray.answers["batch 1"].cause = cause
        with pytest.raises(RequestError, match="a node of the Ray cluster cannot import skills_dspy"):
            asyncio.run(cluster.listen())
        ray.begun = 0
    cluster, ray.answers["batch 1"] = begun(ray, 1), RayTaskError("a bug")
    with pytest.raises(RayTaskError, match="a bug"):
        asyncio.run(cluster.listen())


def test_a_cluster_that_is_gone_ends_the_run(ray: FakeRay) -> None:
    """Everything is kept; that nobody hears of the end is no second error."""
    cluster = begun(ray)
    ray.gone = True
    with pytest.raises(WorkerLost, match="the Ray cluster is gone"):
        asyncio.run(cluster.listen())
    asyncio.run(cluster.stop())


def test_a_cluster_whose_head_is_gone_ends_the_run(ray: FakeRay, head: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Ray ends the program without a sentence; one that is back soon goes on, with the nodes that it had."""
    cluster = begun(ray)
    known = cluster.machines()
    head.close()
    ray.silent = True
    asyncio.run(cluster.listen())
    assert cluster.machines() == known
    with monkeypatch.context() as patched:
        patched.setattr("skills_dspy.commands.cluster.ray_cluster._PATIENCE", 0.0)
        with pytest.raises(
            WorkerLost,
            match=r"the Ray cluster is gone \(its head at 127.* does not answer\); all is kept: run the same command again",
        ):
            cluster.machines()
