"""One measured run for the benchmark, with an embedder that costs nothing or the real one, and what it took, as JSON."""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from evals.bench.hash_embedder import HashEmbedder
from evals.record.answering import CHECKOUT, simulated_teacher
from skills_dspy.base.config import load_config
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.embedding.process import ProcessEmbedder
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner, Watcher
from skills_dspy.run.task import TaskView
from skills_dspy.tasks.files import load_task

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


def teacher(case: BenchCase) -> AbstractContextManager[str]:
    """A simulated teacher in a process of its own; gives its address."""
    names = ("slots", "latency", "pass_rate", "duplicate_rate", "logprobs")
    return simulated_teacher(*(word for name in names for word in (f"--{name.replace('_', '-')}", str(getattr(case, name)))))


def stats(url: str) -> dict[str, Any]:
    """The teacher's own counts."""
    counted: dict[str, Any] = httpx.get(f"{url}/teacher/stats", trust_env=False).json()
    return counted


def main(url: str, folder: str, case: BenchCase) -> None:
    """Run a task, or copies of it under their own names, and print what it took."""
    spec, _ = load_task(TASK)
    config = load_config().model_copy(update={"tagging": case.tagging, "soft_ratings": case.logprobs > 0})
    watch = Stopwatch(url)
    specs = tuple(spec.model_copy(update={"task_name": f"{spec.task_name}-{number}"}) for number in range(case.tasks))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    request = RunRequest(specs if case.tasks > 1 else (spec,), config, case.wanted, Path(folder), concurrency=case.slots)
    server = OllamaServer(url, config.server, concurrency=case.slots)
    real = ProcessEmbedder()
    embedder = AsyncEmbedder(real) if case.real_vectors else AsyncEmbedder(HashEmbedder())
    done = asyncio.run(Runner(request, server, embedder, watch).run())
    counted = stats(url)
    ended, cpu, calls = time.time(), time.process_time(), sum(task.meter.live for task in done)
    real.end()
    vectors = resource.getrusage(resource.RUSAGE_CHILDREN)
    bare = asyncio.run(_bare(OllamaServer(url, config.server, concurrency=case.slots), case.slots))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measured = {
        "status": "complete" if all(task.run.done for task in done) else done[0].status,
        "accepted": sum(task.run.funnel.accepted for task in done),
        "chats": counted["chat"],
        "busy_seconds": counted["busy_seconds"],
        "steady_used": watch.steady_used,
        "seconds": ended - watch.began,
        "cpu_ms_per_call": 1000 * (cpu - watch.cpu) / calls,
        "vectors_ms_per_call": 1000 * (vectors.ru_utime + vectors.ru_stime) / calls,
        "bare_ms_per_call": bare,
        "peak_mb": peak / (1024 if sys.platform != "darwin" else 1024**2),
    }
    json.dump(measured, sys.stdout)


async def _bare(server: OllamaServer, concurrency: int) -> float:
    """Milliseconds of processor that the ollama package alone takes for a call, on the program's sharded connections."""
    message = {"role": "user", "content": "word " * 600}

    async def ask(number: int) -> None:
        async with slots:
            await server.chat({"model": "mistral-small3.2", "messages": [message], "options": {"seed": number}})

    slots = asyncio.Semaphore(concurrency)
    calls = BARE_CALLS * concurrency
    began = time.process_time()
    await asyncio.gather(*(ask(number) for number in range(calls)))
    spent = time.process_time() - began
    await server.close()
    return 1000 * spent / calls


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], BenchCase(**json.loads(sys.argv[3])))
