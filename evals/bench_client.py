"""One measured run for the benchmark: the program itself with an embedder that costs nothing, and what it took, as JSON."""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from evals.hash_embedder import HashEmbedder
from skills_dspy.config import load_config
from skills_dspy.embedder import AsyncEmbedder
from skills_dspy.ollama_server import OllamaServer
from skills_dspy.run import Runner, RunningTask, RunRequest
from skills_dspy.slots import Slots
from skills_dspy.task_spec import load_task

BARE_CALLS = 10
"""How often each slot is used to measure the bare client."""


class Stopwatch:
    """A watcher that notes when the run began and when a share of the wanted pairs had settled."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.tasks: Sequence[RunningTask] = ()
        self.cpu = self.began = self.reached = 0.0

    def started(self, tasks: Sequence[RunningTask], slots: Slots) -> None:
        """The first request is about to leave."""
        del slots
        self.tasks, self.cpu, self.began = tasks, time.process_time(), time.time()

    def failed(self, task: RunningTask) -> None:
        """There is only one."""

    def changed(self) -> None:
        """A candidate has settled."""
        task = self.tasks[0]
        if not self.reached and task.run.funnel.accepted >= self.share * task.wanted:
            self.reached = time.time()


@click.command()
@click.option("--base-url", required=True)
@click.option("--task", type=click.Path(path_type=Path), required=True)
@click.option("--output-dir", type=click.Path(path_type=Path), required=True)
@click.option("-n", "wanted", type=int, required=True)
@click.option("--concurrency", type=int, required=True)
@click.option("--tagging", type=click.Choice(["separate", "fused"]), default="separate")
def main(base_url: str, task: Path, output_dir: Path, wanted: int, concurrency: int, tagging: str) -> None:
    """Run one task and print what it took."""
    spec, _ = load_task(task)
    config = load_config().model_copy(update={"tagging": tagging})
    watch = Stopwatch(share=0.8)
    server = OllamaServer(base_url, config.server, concurrency=concurrency)
    request = RunRequest((spec,), config, wanted, output_dir, concurrency=concurrency)
    (done,) = asyncio.run(Runner(request, server, AsyncEmbedder(HashEmbedder()), watch).run())
    ended, cpu = time.time(), time.process_time()
    bare = asyncio.run(_bare(OllamaServer(base_url, config.server, concurrency=concurrency), concurrency))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    json.dump(
        {
            "status": done.status,
            "calls": done.meter.live,
            "funnel": done.run.funnel.as_json(),
            "began": watch.began,
            "reached": watch.reached,
            "ended": ended,
            "seconds": ended - watch.began,
            "cpu_ms_per_call": 1000 * (cpu - watch.cpu) / done.meter.live,
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
