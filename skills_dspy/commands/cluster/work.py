"""What a worker of a cluster does: the plain run of some of the tasks, while it tells how far it is."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from skills_dspy.base.errors import RequestError, SkillsError
from skills_dspy.commands.api.request import RunSettings, embedder_of, run_tasks
from skills_dspy.commands.cluster.news import BatchEnd, News, Reporter
from skills_dspy.model.embedding.embedder import LiveEmbedder
from skills_dspy.model.embedding.weights import served
from skills_dspy.run.account import versions
from skills_dspy.run.open_files import make_room
from skills_dspy.run.request import RunRequest
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.shared_folder import look_for
from skills_dspy.tasks.spec import TaskSpec

_EVERY = 0.5
"""Seconds between two messages of a worker."""
_PATIENCE = 120.0
"""So many seconds a worker waits for the locks of one that has died: those of a lost machine are held for a while (a lease of
NFS 4 is 90 seconds)."""
_SAME = ("skills-dspy", "dspy")
"""What writes prompts, which have to be the same for all tasks."""

Tell = Callable[[News], Awaitable[bool]]
"""Sends news; says whether the worker shall end now."""


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What a worker needs beside its tasks.

    Attributes:
        request: all that is asked for, with no tasks and the output folder's whole path.
        token: the file in the output folder by which a worker knows that it sees the right one, see `shared_folder`.
        versions: of the program that asks and of what it is built on.
    """

    settings: RunSettings
    request: RunRequest
    token: str
    versions: Mapping[str, str] = field(default_factory=versions)


class KeptEmbedder:
    """The embedding model of a worker, which stays loaded from one batch of tasks to the next; one of a server's does not."""

    def __init__(self) -> None:
        self._kept: LiveEmbedder | None = None

    def lend(self, request: RunRequest, settings: RunSettings) -> LiveEmbedder:
        """The model of the order, which is the same for all batches of a worker. EmbedderMissing."""
        found = self._kept or embedder_of(request, settings)
        if not served(found.name):
            self._kept = found
        return found

    async def drop(self) -> None:
        """Close it: it may be what has failed."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()


async def work(
    order: WorkOrder,
    specs: Sequence[TaskSpec],
    where: str,
    tell: Tell,
    kept: KeptEmbedder,
    *,
    again: bool = False,
    opened: bool = False,
) -> BatchEnd:
    """Run these tasks to their end, on the machine `where`; an error is part of the outcome.

    `again` says that another worker has begun them and died: its locks are waited for. `opened` says that it had opened them:
    what it has begun anew is gone on with, not set aside again.
    """
    if opened:
        order = replace(order, request=replace(order.request, restart=False))
    reporter = Reporter()
    running = asyncio.ensure_future(_run(order, specs, where, reporter, kept, again=again))
    stopped = False
    try:
        while not (await asyncio.wait({running}, timeout=_EVERY))[0]:
            if await tell(reporter.news()) and not stopped:
                stopped = running.cancel()
        error = None if running.cancelled() else running.exception()
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait({running})
    if error is not None or running.cancelled():
        await kept.drop()
    if error is not None and not isinstance(error, SkillsError):
        raise error
    return BatchEnd(reporter.news(), error)


async def _run(
    order: WorkOrder, specs: Sequence[TaskSpec], where: str, reporter: Reporter, kept: KeptEmbedder, *, again: bool
) -> None:
    request = replace(order.request, specs=tuple(specs))
    look_for(request.output_dir, order.token, where)
    here = versions()
    for package in _SAME:
        if here.get(package) != (wanted := order.versions.get(package)):
            raise RequestError(
                f"{where} has {package} {here.get(package)}, and the one that asks has {wanted}: install the same"
            )
    make_room(len(specs), request.concurrency)
    if again:
        await _free([RunPaths(request.output_dir / spec.task_name) for spec in specs])
    # In a thread: where the model is not here it asks the server, on an event loop of its own.
    embedder = await asyncio.to_thread(kept.lend, request, order.settings)
    server = order.settings.connection.open(request.config, reporter.fault)
    await run_tasks(request, server, embedder, reporter, reporter, keep_embedder=not served(embedder.name))


async def _free(folders: Sequence[RunPaths]) -> None:
    """Wait until nobody writes there, but not for ever: the run itself then says who does."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and any(paths.in_use() for paths in folders):  # noqa: ASYNC110 - a lock tells nobody
        await asyncio.sleep(_EVERY)
