"""A Ray cluster: the one place that knows of Ray, which is imported when a run is to go there."""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from skills_dspy.base.errors import RequestError, WorkerLost
from skills_dspy.commands.cluster.board import Board
from skills_dspy.commands.cluster.news import BatchEnd, News
from skills_dspy.commands.cluster.work import KeptEmbedder, WorkOrder, work
from skills_dspy.model.server.connections import without_secrets
from skills_dspy.tasks.spec import TaskSpec

_EVERY = 0.25
"""Seconds between two looks at what the workers say."""
RETRIES = 3
"""So often Ray has tasks done again whose worker has died."""
_CONNECTING = 5.0
"""Seconds for a connection to be made."""
_PATIENCE = 20.0
"""Seconds without an answer of the cluster's head after which it is gone; after 60 Ray ends the program without a sentence."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # What a raylet has to say goes to stdout, whatever `log_to_driver` says: lines that this finds are not printed.
    "RAY_DEDUP_LOGS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    # An address where something else answers is tried once, not for minutes.
    "RAY_NUM_REDIS_GET_RETRIES": "1",
    "RAY_gcs_server_request_timeout_seconds": "5",
}
"""What Ray reads of the environment when it is imported."""


class RayCluster:
    """Workers as Ray tasks, one at a time on each node; made by `connected`.

    Args:
        ray: the module, connected.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._head = ray.get_runtime_context().gcs_address
        self._answered = time.monotonic()
        self._away: OSError | None = None
        self._nodes: Mapping[str, str] = {}
        # Where the driver is, and with no claim to a processor: it dies with the driver, and not with a node of workers.
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
        self._running: dict[Any, int] = {}
        self._orders: dict[int, tuple[WorkOrder, Any]] = {}

    def machines(self) -> Mapping[str, str]:
        """The nodes that have a processor to give, or had one while the cluster's head does not answer; WorkerLost."""
        if self._away is not None:  # Ray itself would wait for it, and nothing else could be done meanwhile
            if time.monotonic() - self._answered > _PATIENCE:
                raise _gone(f"its head at {self._head} does not answer") from self._away
            return self._nodes
        nodes = self._ray.nodes()
        fit = [node for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        self._nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in fit}
        return self._nodes

    def begin(self, batch: int, machine: str, order: WorkOrder, specs: Sequence[TaskSpec]) -> None:
        """Let a worker of this node do these tasks, or one of another node when this one is gone."""
        there = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(machine, soft=True)
        if id(order) not in self._orders:  # what all workers need, evaluation questions among it, is sent to each node once
            self._orders[id(order)] = order, self._ray.put(order)
        do = self._ray.remote(_do).options(
            name="skills-dspy run", num_cpus=1, max_retries=RETRIES, retry_exceptions=False, scheduling_strategy=there
        )
        self._running[do.remote(self._board, batch, self._orders[id(order)][1], list(specs))] = batch

    async def listen(self) -> tuple[Sequence[tuple[int, News]], Mapping[int, BatchEnd]]:
        """What came within a quarter of a second.

        RequestError where the program is not installed on a node, WorkerLost where the cluster itself is gone; whatever else a
        worker raises is a bug, and raised.
        """
        await asyncio.sleep(_EVERY)
        await self._look()
        refs = list(self._running)
        try:
            ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0) if refs else ([], [])
            packed = await self._board.read.remote()
        except self._ray.exceptions.RayError as error:
            raise _gone(type(error).__name__) from error
        news = [(batch, self._ray.cloudpickle.loads(bytes_of)) for batch, bytes_of in packed]
        return news, {self._running.pop(ref): self._outcome(ref) for ref in ready}

    async def _look(self) -> None:
        """Whether the cluster's head answers."""
        try:
            await _knock(*_host_and_port(self._head))
            self._answered, self._away = time.monotonic(), None
        except OSError as error:
            self._away = error

    def _outcome(self, ref: Any) -> BatchEnd:
        errors = self._ray.exceptions
        try:
            outcome: BatchEnd = self._ray.get(ref)
        except errors.RayTaskError as error:
            if isinstance(error.cause, ImportError) or "failed to import" in str(error):
                raise RequestError(
                    "a node of the Ray cluster cannot import skills_dspy; install the same version of it in the environment of "
                    "each node"
                ) from error
            raise
        except errors.RayError as error:
            why = str(error).strip().partition("\n")[0]
            return BatchEnd(
                News(),
                WorkerLost(
                    f"the worker of this task died {RETRIES + 1} times ({type(error).__name__}: {why}); what it has is kept: "
                    "look into `ray logs` of its node, for memory above all, and run the same command again"
                ),
            )
        return outcome

    async def stop(self) -> None:
        """Let all workers end in good order: each hears of it when it tells its next news."""
        with suppress(self._ray.exceptions.RayError):  # nobody is left to hear of it
            await self._board.stop.remote()

    def close(self) -> None:
        """End what still runs, at once."""
        for ref in self._running:
            self._ray.cancel(ref, force=True)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._board)


@contextmanager
def connected(address: str, environment: MutableMapping[str, str]) -> Iterator[RayCluster]:
    """The cluster at `HOST:PORT`; `auto` is one that runs on this machine.

    From the main thread, before an event loop listens to signals: Ray has handlers of its own, which then give way.

    Raises:
        RequestError: Ray is not installed, or no cluster answers there.
    """
    environment.update(_QUIET)
    try:
        import ray
        import ray.cloudpickle
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise RequestError(
            f"--executor ray needs Ray, which is not installed here ({error}): pip install 'skills-dspy[ray]'"
        ) from error
    if address != "auto":
        _try(address)
    try:
        ray.init(address, logging_level=logging.CRITICAL, log_to_driver=False)
    except (RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        raise _unreachable(address, str(error).strip().partition("\n")[0]) from error
    try:
        cluster = RayCluster(ray)
        try:
            yield cluster
        finally:
            cluster.close()
    finally:
        ray.shutdown()


def _try(address: str) -> None:
    """Whether something listens there: Ray itself would try for minutes, and say so on stderr."""
    host, port = _host_and_port(address)
    if address.startswith("ray://"):
        raise RequestError(
            f"{without_secrets(address)} is for programs outside of a cluster, which share no storage with it; run this on a "
            "machine of the "
            "cluster with --ray-address HOST:6379, or send it there with `ray job submit`"
        )
    if not host or "/" in host or not port.isdecimal():
        raise RequestError(f"{without_secrets(address)} is no address of a Ray cluster: write it like 10.0.0.1:6379")
    try:
        asyncio.run(_knock(host, port))
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error) or f"no answer within {_CONNECTING:.0f} s") from error


async def _knock(host: str, port: str) -> None:
    """OSError where nothing listens there."""
    _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), _CONNECTING)
    writer.close()


def _host_and_port(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port


def _gone(why: str) -> WorkerLost:
    return WorkerLost(f"the Ray cluster is gone ({why}); all is kept: run the same command again when it is back")


def _unreachable(address: str, why: str) -> RequestError:
    where = "on this machine" if address == "auto" else f"at {without_secrets(address)}"
    return RequestError(
        f"no Ray cluster is reachable {where} ({why}); begin one with `ray start --head`, or give the address of its head node "
        "with --ray-address HOST:6379"
    )


def _do(board: Any, batch: int, order: WorkOrder, specs: list[TaskSpec]) -> BatchEnd:
    """A Ray task: these tasks from their beginning to their end, or from where a worker was that died."""
    import ray
    import ray.cloudpickle

    where = next(
        node["NodeManagerHostname"] for node in ray.nodes() if node["NodeID"] == ray.get_runtime_context().get_node_id()
    )
    again, opened = ray.get(board.begin.remote(batch))

    async def tell(news: News) -> bool:
        # Packed here, so that the board needs nothing of what it is made of.
        return bool(await board.tell.remote(batch, ray.cloudpickle.dumps(news), opened=bool(news.tasks)))

    return asyncio.run(work(order, specs, f"the worker on {where}", tell, _kept(), again=again, opened=opened))


@cache
def _kept() -> KeptEmbedder:
    """That of this process, which does one batch after the other for one run, and ends with it."""
    return KeptEmbedder()
