"""One measured run for the benchmark, with an embedder that costs nothing or the real one, and what it took."""

import asyncio
import multiprocessing
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from evals.bench.hash_embedder import HashEmbedder
from evals.record.answering import CHECKOUT
from evals.teacher.config import TeacherConfig
from evals.teacher.server import serve_teacher
from skills_dspy.base.config import load_config
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.embedding.process import ProcessEmbedder
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner, Watcher
from skills_dspy.run.task import TaskView
from skills_dspy.tasks.files import load_task
from skills_dspy.tasks.spec import TaskSpec

TASK = CHECKOUT / "task_specs" / "writing" / "freeform" / "haiku.yaml"
BARE_CALLS = 10
"""How often each slot is used to measure the bare client."""
RAMP, SETTLED = 1.5, 0.8
"""Seconds until every slot has its first work, and the share of the pairs with which the steady state ends that follows."""


@dataclass(frozen=True, slots=True)
class BenchCase:
    """One measured run: server, wishes, whether the real embedding model takes part, of how many tokens ratings are read."""

    slots: int
    wanted: int
    latency: float = 0.2
    pass_rate: float = 0.9
    duplicate_rate: float = 0.0
    tagging: str = "separate"
    tasks: int = 1
    real_vectors: bool = False
    logprobs: int = 0


@dataclass(frozen=True, slots=True)
class BenchRun:
    """What a run took.

    Attributes:
        used: the share of the slots that was busy, in the steady state if there was one.
        seconds: from the first request on, and `over_bound` times as long as it can be.
        calls_per_pair: requests that the server answered or began for each accepted pair.
        cpu_ms_per_call, vectors_ms_per_call: of the client's processor, and of the embedder's process.
        peak_mb: the client's memory.
    """

    used: float
    seconds: float
    over_bound: float
    calls_per_pair: float
    cpu_ms_per_call: float
    vectors_ms_per_call: float
    peak_mb: float


class Stopwatch(Watcher):
    """A watcher that notes when the run began, and how many slots of the teacher were busy on average in its steady state."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cpu = self.began = self.steady_used = 0.0
        self._ramped: tuple[float, float] | None = None

    def started(self, tasks: Sequence[TaskView], slots: Slots) -> None:
        """The first request is about to leave."""
        super().started(tasks, slots)
        self.cpu, self.began = time.process_time(), time.time()

    def changed(self) -> None:
        """A candidate has settled."""
        if self._ramped is None:
            if time.time() >= self.began + RAMP:
                self._ramped = self._busy()
            return
        accepted, wanted = sum(t.run.funnel.accepted for t in self.tasks), sum(t.wanted for t in self.tasks)
        if not self.steady_used and accepted >= SETTLED * wanted:
            (since, before), (until, after) = self._ramped, self._busy()
            self.steady_used = (after - before) / (until - since)

    def _busy(self) -> tuple[float, float]:
        return time.time(), float(stats(self.url)["busy_seconds"])


_FORKS = multiprocessing.get_context("forkserver")
"""Processes that begin with all imports done: these take longer than a small run."""
_FORKS.set_forkserver_preload([__name__])


@contextmanager
def teacher(case: BenchCase) -> Iterator[str]:
    """A simulated teacher in a process of its own; gives its address."""
    names = ("slots", "latency", "pass_rate", "duplicate_rate", "logprobs")
    config = TeacherConfig(**{name: getattr(case, name) for name in names})
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as bound:
        serving = _FORKS.Process(target=serve_teacher, args=(config, bound))
        serving.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            serving.terminate()
            serving.join()


def stats(url: str) -> dict[str, Any]:
    """The teacher's own counts."""
    answer = httpx.get(f"{url}/teacher/stats", trust_env=False, verify=False)  # noqa: S501 - http; loading them takes 30 ms
    counted: dict[str, Any] = answer.json()
    return counted


def copies(tasks: int) -> list[TaskSpec]:
    """The benchmark's task under so many names."""
    spec, _ = load_task(TASK)
    return [spec.model_copy(update={"task_name": f"{spec.task_name}-{number}"}) for number in range(tasks)]


def run_case(case: BenchCase) -> BenchRun:
    """Run one case beside a teacher of its own, in a folder that is gone afterwards; see `run_case_in`."""
    with teacher(case) as url, tempfile.TemporaryDirectory() as folder:
        return run_case_in(Path(folder), url, case)


def run_case_in(folder: Path, url: str, case: BenchCase) -> BenchRun:
    """Run one case in a process of its own, which has imported all and is not any run's before: its memory is the run's.

    Raises:
        click.ClickException: the run did not end with all its pairs.
    """
    with ProcessPoolExecutor(1, mp_context=_FORKS) as alone:
        return alone.submit(_measure, folder, url, case).result()


def _measure(folder: Path, url: str, case: BenchCase) -> BenchRun:
    """Run the tasks, in this process."""
    config = load_config().model_copy(update={"tagging": case.tagging, "soft_ratings": case.logprobs > 0})
    watch = Stopwatch(url)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    request = RunRequest(tuple(copies(case.tasks)), config, case.wanted, folder, concurrency=case.slots)
    server = OllamaServer(url, config.server, concurrency=case.slots)
    real = ProcessEmbedder()
    embedder = AsyncEmbedder(real) if case.real_vectors else AsyncEmbedder(HashEmbedder())
    done = asyncio.run(Runner(request, server, embedder, watch).run())
    if not all(task.run.done for task in done):
        raise click.ClickException(f"{case}: the run ended as {done[0].status!r}")
    counted, ended, cpu = stats(url), time.time(), time.process_time()
    seconds, worked, calls = ended - watch.began, float(counted["busy_seconds"]), sum(task.meter.live for task in done)
    real.end()
    vectors = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The longest chain: write, judge, quality, answer, judge, score, difficulty beside category.
    bound = max(worked / case.slots, 7 * case.latency)
    return BenchRun(
        used=(watch.steady_used or worked / seconds) / case.slots,
        seconds=seconds,
        over_bound=seconds / bound,
        calls_per_pair=counted["chat"] / sum(task.run.funnel.accepted for task in done),
        cpu_ms_per_call=1000 * (cpu - watch.cpu) / calls,
        vectors_ms_per_call=1000 * (vectors.ru_utime + vectors.ru_stime) / calls,
        peak_mb=peak / (1024 if sys.platform != "darwin" else 1024**2),
    )


async def bare_cost(slots: int) -> float:
    """Milliseconds of processor that the ollama package alone takes for a call, on the program's sharded connections."""
    with teacher(BenchCase(slots, 0)) as url:
        server, free = OllamaServer(url, load_config().server, concurrency=slots), asyncio.Semaphore(slots)
        message = {"role": "user", "content": "word " * 600}

        async def ask(number: int) -> None:
            async with free:
                await server.chat({"model": "mistral-small3.2", "messages": [message], "options": {"seed": number}})

        calls, began = BARE_CALLS * slots, time.process_time()
        await asyncio.gather(*map(ask, range(calls)))
        spent = time.process_time() - began
        await server.close()
    return 1000 * spent / calls
