"""A run on a cluster: which machine does which tasks, all of them in one display, and an end in good order."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Protocol

from skills_dspy.base.errors import (
    EmbedderMissing,
    MachineError,
    ModelMissing,
    RequestError,
    RunDirError,
    ServerError,
    SkillsError,
    WorkerLost,
    concerns_all,
)
from skills_dspy.commands.api.request import RunSettings
from skills_dspy.commands.api.server import api_key
from skills_dspy.commands.cluster.news import AllSlots, BatchEnd, News, show_told
from skills_dspy.commands.cluster.work import WorkOrder
from skills_dspy.model.replies import Meter
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Watcher
from skills_dspy.run.task import Standstill, TaskView
from skills_dspy.screens.decontamination import Notices
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.shared_folder import marked
from skills_dspy.tasks.spec import TaskSpec

_LEAVING = 60.0
"""So many seconds workers have to end in good order."""
_LEAVING_LOST = 5.0
"""So many where the cluster itself may be gone, for then Ray soon ends this program, too."""
_MOST = 250
"""Tasks of one worker at once, for each has files open."""
_OF_A_MACHINE = (ServerError, ModelMissing, EmbedderMissing)
"""What all tasks of one machine meet, and those of another may not."""


class Cluster(Protocol):
    """Machines that can have a worker each."""

    def machines(self) -> Mapping[str, str]:
        """Those that can have one now: what stands for each, and what it is called."""

    def begin(self, batch: int, machine: str, order: WorkOrder, specs: Sequence[TaskSpec]) -> None:
        """Let a worker of this machine do these tasks, or one of another if it dies; what becomes of it `listen` tells."""

    async def listen(self) -> tuple[Sequence[tuple[int, News]], Mapping[int, BatchEnd]]:
        """The news by batch since the last time, the oldest first, and the batches that have ended; waits a moment for them."""

    async def stop(self) -> None:
        """Let all workers end their tasks in good order."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Tasks of a worker, and the machine that it was begun on."""

    machine: str
    views: Sequence[TaskView]


class Driver:
    """Runs a request on a cluster, a worker on each machine.

    Watcher and notices hear of all tasks as if they ran here, `fault` of requests that a worker repeats after some seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        request: RunRequest,
        settings: RunSettings,
        watcher: Watcher,
        notices: Notices,
        fault: Callable[[str, float], None],
    ) -> None:
        self._cluster = cluster
        self._request = request
        self._settings = replace(settings, connection=replace(settings.connection, key=api_key()))
        self._watcher = watcher
        self._hearers = {"say": notices.say, "warn": notices.warn}
        self._fault = fault
        self._said: set[str] = set()
        self._slots = AllSlots()
        self._views = {
            spec.task_name: TaskView(
                *(spec, RunPaths(request.output_dir / spec.task_name), request.wanted, Meter(), Standstill(), ""),
                evaluation=request.evaluation,
            )
            for spec in request.specs
        }
        self._left = list(self._views.values())
        self._open: dict[int, _Batch] = {}
        self._avoided: dict[str, SkillsError] = {}
        self._begun = 0

    async def run(self) -> tuple[TaskView, ...]:
        """All tasks to their end; see `Runner.run`.

        NotShared where a worker does not see the output directory. A machine whose server, model or embedding model is not to
        be had is left out, and its tasks go to the others; without any other that is raised.
        """
        with marked(self._request.output_dir) as token:
            away = replace(self._request, specs=(), output_dir=self._request.output_dir.absolute())
            first = WorkOrder(self._settings, away, token)
            orders = {True: first, False: replace(first, request=replace(away, restart=False))}
            try:
                while self._left or self._open:
                    self._begin(orders)
                    await self._listen()
            except (SkillsError, asyncio.CancelledError) as error:
                await self._end(_LEAVING_LOST if isinstance(error, WorkerLost) else _LEAVING)
                raise
        views = tuple(self._views.values())
        if all(view.error is not None for view in views):
            raise next(view.error for view in views if view.error is not None)
        return views

    def _begin(self, orders: Mapping[bool, WorkOrder]) -> None:
        """Give each machine that has nothing to do some tasks; first many, then fewer, so that all end at about one time.

        There is an order for tasks that are new, and one for those that another machine had begun.
        """
        named = self._cluster.machines()
        fit = [machine for machine in named if machine not in self._avoided]
        busy = {batch.machine for batch in self._open.values()}
        if not fit and not self._open:
            why = f" ({next(iter(self._avoided.values()))})" if self._avoided else ""
            raise MachineError(f"the cluster has no machine that can work{why}: `ray status` shows what it has")
        for machine in fit:
            if machine not in busy and self._left:
                size = min(_MOST, math.ceil(len(self._left) / (2 * len(fit))))
                new = self._is_new(self._left[0])
                views = list(takewhile(lambda view: self._is_new(view) == new, self._left[:size]))  # noqa: B023 - used at once
                del self._left[: len(views)]
                self._open[self._begun] = _Batch(machine, views)
                self._cluster.begin(self._begun, machine, orders[new], [view.spec for view in views])
                self._begun += 1

    @staticmethod
    def _is_new(view: TaskView) -> bool:
        """Whether no worker has told of it yet, and so none has set aside what was there."""
        return not view.answered_by

    async def _listen(self) -> None:
        news, ended = await self._cluster.listen()
        for number, told in news:
            if number in self._open:
                self._slots.tell(number, told.slots)
            self._hear(told)
        batches = [(self._open.pop(number), outcome) for number, outcome in ended.items()]
        for number, outcome in ended.items():
            self._slots.tell(number, None)
            self._hear(outcome.news)
        for batch, outcome in batches:
            if outcome.error is not None:
                self._fail(batch, outcome.error)

    def _hear(self, told: News) -> None:
        for kind, line, seconds in told.lines:
            if kind == "fault":
                self._fault(line, seconds)
            elif line not in self._said:  # each worker says it
                self._said.add(line)
                self._hearers[kind](line)
        failed = [name for name in told.tasks if self._views[name].error is None]
        for name, task in told.tasks.items():
            show_told(self._views[name], task)
        if told.tasks and not self._watcher.tasks:
            self._watcher.started(list(self._views.values()), self._slots)
            return  # which has told of those that have failed
        for view in (self._views[name] for name in failed if self._views[name].error is not None):
            self._watcher.failed(view)
        if told.tasks:
            self._watcher.changed()

    def _fail(self, batch: _Batch, error: SkillsError) -> None:
        """A worker's error is one of its machine, or of its tasks, or else raised."""
        going = [view for view in batch.views if view.error is None and not view.run.done and view.run.stopped is None]
        if isinstance(error, _OF_A_MACHINE):
            named = self._cluster.machines()
            self._avoided[batch.machine] = error
            if not named.keys() - self._avoided.keys():
                raise error
            name = named.get(batch.machine, batch.machine)
            self._hearers["warn"](f"{name} is left out, and its tasks go to other machines: {error}")
            for view in going:
                view.status = "running"
            self._left = going + self._left
        elif concerns_all(error) or self._is_unfit(error):
            raise error
        else:
            for view in going:
                view.fail(error)
                if self._watcher.tasks:  # else it is told when they are shown
                    self._watcher.failed(view)

    def _is_unfit(self, error: SkillsError) -> bool:
        """Whether what was asked for can be done by no worker, or there is but one task."""
        return len(self._views) == 1 or (isinstance(error, RequestError) and not isinstance(error, RunDirError))

    async def _end(self, leaving: float) -> None:
        """Let the workers end within so many seconds, and hear how far they came; what they meet would only hide why."""
        await self._cluster.stop()
        until = time.monotonic() + leaving
        while self._open and time.monotonic() < until:
            with suppress(SkillsError):
                await self._listen()
