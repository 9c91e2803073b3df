"""One measured run for the benchmark: the program itself with an embedder that costs nothing, and what it took, as JSON."""

import asyncio
import json
import resource
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.base.config import load_config
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.ollama import OllamaServer
from skills_dspy.model.slots import Slots
from skills_dspy.pipeline.funnel import added_up
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner, Watcher
from skills_dspy.run.task import TaskView
from skills_dspy.tasks.files import load_task

BARE_CALLS = 10
"""How often each slot is used to measure the bare client."""


RAMP = 1.5
"""Seconds until every slot has its first work; what follows, until 80 % of the pairs are accepted, is the steady state."""


class Stopwatch(Watcher):
    """A watcher that notes when the run began, and how many slots were busy on average in its steady state.

    Args:
        url: of the teacher, whose own integral of busy slots is asked for.
        share: of the wanted pairs; when so many have settled, the steady state ends.
    """

    def __init__(self, url: str, share: float) -> None:
        self.url, self.share = url, share
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
        if not self.steady_used and accepted >= self.share * wanted:
            (since, before), (until, after) = self._ramped, self._busy()
            self.steady_used = (after - before) / (until - since)

    def _busy(self) -> tuple[float, float]:
        return time.time(), float(stats(self.url)["busy_seconds"])


def stats(url: str) -> dict[str, Any]:
    """The teacher's own counts."""
    with urllib.request.urlopen(f"{url}/teacher/stats") as response:  # noqa: S310 - our own server on 127.0.0.1
        counted: dict[str, Any] = json.load(response)
    return counted


@click.command()
@click.option("--base-url", required=True)
@click.option("--task", type=click.Path(path_type=Path), required=True)
@click.option("--output-dir", type=click.Path(path_type=Path), required=True)
@click.option("-n", "wanted", type=int, required=True)
@click.option("--concurrency", type=int, required=True)
@click.option("--tasks", default=1, help="So many copies of the task at once, each under its own name.")
@click.option("--tagging", type=click.Choice(["separate", "fused"]), default="separate")
def main(base_url: str, task: Path, output_dir: Path, wanted: int, concurrency: int, tasks: int, tagging: str) -> None:
    """Run a task, or copies of it, and print what it took."""
    spec, _ = load_task(task)
    config = load_config().model_copy(update={"tagging": tagging})
    watch = Stopwatch(base_url, share=0.8)
    server = OllamaServer(base_url, config.server, concurrency=concurrency)
    specs = tuple(spec.model_copy(update={"task_name": f"{spec.task_name}-{number}"}) for number in range(tasks))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    request = RunRequest(specs if tasks > 1 else (spec,), config, wanted, output_dir, concurrency=concurrency)
    done = asyncio.run(Runner(request, server, AsyncEmbedder(HashEmbedder()), watch).run())
    counted = stats(base_url)
    ended, cpu, calls = time.time(), time.process_time(), sum(task.meter.live for task in done)
    bare = asyncio.run(_bare(OllamaServer(base_url, config.server, concurrency=concurrency), concurrency))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    json.dump(
        {
            "status": "complete" if all(task.run.done for task in done) else done[0].status,
            "calls": calls,
            "funnel": added_up(task.run.funnel for task in done).as_json(),
            "chats": counted["chat"],
            "busy_seconds": counted["busy_seconds"],
            "steady_used": watch.steady_used,
            "seconds": ended - watch.began,
            "cpu_ms_per_call": 1000 * (cpu - watch.cpu) / calls,
            "bare_ms_per_call": bare,
            "peak_mb": peak / (1024 if sys.platform != "darwin" else 1024**2),
        },
        sys.stdout,
    )


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
    main()
