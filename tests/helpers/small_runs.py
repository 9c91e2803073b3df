"""Small runs against the simulated teacher in the test's own process: made, read back, explained and decided anew."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from evals.bench.hash_embedder import HashEmbedder
from evals.teacher.config import TeacherConfig
from skills_dspy.base.errors import ServerError
from skills_dspy.base.records import Record, Rejection, SeedExample
from skills_dspy.cli.explain import explain_command
from skills_dspy.cli.shared.arguments import ExplainOptions
from skills_dspy.commands.decide.again import DecideResult
from skills_dspy.commands.decide.dataset import DecideRequest, decide_run, prepare
from skills_dspy.commands.decide.thresholds import Bounds
from skills_dspy.model.embedding.embedder import AsyncEmbedder, Embedder
from skills_dspy.model.server.server import Server
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner, Watcher
from skills_dspy.run.task import TaskView
from skills_dspy.screens.benchmark import read_benchmark
from skills_dspy.store.files import typed_rows
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_config, a_spec


def freeform(*subjects: str) -> tuple[SeedExample, ...]:
    """Seeds without context."""
    return tuple(SeedExample(question=f"What is a {s}?", answer=f"A {s} is an animal.", line=1) for s in subjects)


SEEDS = (
    *freeform("fox", "badger"),
    *(
        SeedExample(question=f"What does a {s} do?", answer="It runs.", context=f"A {s} runs.", line=1)
        for s in ("hare", "stoat")
    ),
)
SPEC = a_spec(SEEDS, count=3)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TEACHER = TeacherConfig(pass_rate=0.6, duplicate_rate=0.2, faults=(("unreadable", 0.1), ("truncated", 0.05)))


MAIN = "the run's main task"
"""Its name among the tasks of the loop."""


def run_to_its_end(
    request: RunRequest,
    server: Server | None,
    embedder: Embedder | None = None,
    watcher: Watcher | None = None,
    **more: Any,
) -> tuple[TaskView, ...]:
    """Run a request in a loop of its own; `more` is the runner's."""

    async def main() -> tuple[TaskView, ...]:
        task, vectors = asyncio.current_task(), AsyncEmbedder(embedder or HashEmbedder())
        assert task is not None
        task.set_name(MAIN)
        try:
            return await Runner(request, server, vectors, watcher or Watcher(), **more).run()
        finally:
            await vectors.close()

    return asyncio.run(main())


def make_run(
    folder: Path,
    config: Mapping[str, Any],
    wanted: int = 4,
    server: FakeServer | None = None,
    *,
    spec: TaskSpec = SPEC,
    questions: Path | None = None,
    embedder: Embedder | None = None,
) -> RunPaths:
    """A run of both kinds of seeds against the simulated teacher; `questions` is a file of evaluation questions."""
    evaluation = None if questions is None else read_benchmark([questions])
    request = RunRequest((spec,), a_config(config), wanted, folder, concurrency=8, evaluation=evaluation)
    run_to_its_end(request, server or FakeServer(TEACHER), embedder)
    return RunPaths(folder / spec.task_name)


def decide(paths: RunPaths, bounds: Bounds = Bounds(), server: FakeServer | None = None, **more: Any) -> DecideResult:  # noqa: B008
    """Decide a run anew; `more` is what else a DecideRequest has."""
    request = DecideRequest(paths.folder, bounds=bounds, **more)

    async def main() -> DecideResult:
        return await decide_run(request, prepare(request), server, now=lambda: NOW)

    return asyncio.run(main())


def accepted_in(paths: RunPaths) -> list[Record]:
    """What a run accepted."""
    return [row for _, row in typed_rows(paths.data, Record)]


def rejected_in(paths: RunPaths) -> list[Rejection]:
    """What it rejected."""
    return [row for _, row in typed_rows(paths.rejected, Rejection)]


def rows_of(paths: RunPaths) -> tuple[bytes, bytes]:
    """All rows as they stand there."""
    return paths.data.read_bytes(), paths.rejected.read_bytes()


def story_of(row_id: str, folder: Path) -> str:
    """What `explain` says of a row."""
    console = Console(width=300, record=True)
    explain_command(ExplainOptions(row_id, folder), console)
    return console.export_text()


def decided_anew(
    run: Path, out: Path, config: str | None = None, server: Server | None = None
) -> tuple[DecideResult, RunPaths]:
    """A run decided anew, by the text of a configuration if one is given."""
    file = None if config is None else out.with_suffix(".yaml")
    if file is not None:
        file.write_text(config or "", "utf-8")
    request = DecideRequest(run, file, out=out)
    return asyncio.run(decide_run(request, prepare(request), server)), RunPaths(out)


def failing(after: int) -> Callable[[int], Awaitable[None]]:
    """A server that is gone after so many replies."""

    async def before(number: int) -> None:
        if number > after:
            raise ServerError("The server at http://fake:11434 kept failing.")

    return before
