"""A run: tasks side by side on one server, and taken apart in good order whatever ends it.

A task that fails for itself is marked so, and the others go on; what concerns them all, or is a bug, ends the run. A task
that is alone ends the run in any case.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dspy

from skills_dspy.base.config import ROLES, Role
from skills_dspy.base.errors import SkillsError, concerns_all, only_ours
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.compiled import CompiledProgram, since_compiled
from skills_dspy.model.context_window import Need, choose_windows, needs
from skills_dspy.model.embedding.embedder import LiveEmbedder
from skills_dspy.model.hosts.hosts import introduced, slots_of
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.program import QUIET, SkillsProgram
from skills_dspy.model.replies import Meter
from skills_dspy.model.server.server import Model, Server
from skills_dspy.pipeline.draw_places import DrawPlaces, most_open
from skills_dspy.run.account import stamp
from skills_dspy.run.request import RunRequest
from skills_dspy.run.task import OpenTask, Shared, Standstill, TaskView
from skills_dspy.screens.decontamination import KEPT_IN, Notices, Screen
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import OLLAMA, server_in_words

_LOG = logging.getLogger(__name__)


class Watcher:
    """Hears how a run goes, and keeps the tasks; a display overrides the methods."""

    tasks: Sequence[TaskView] = ()
    slots: Slots | None = None

    def started(self, tasks: Sequence[TaskView], slots: Slots) -> None:
        """All tasks are ready and about to run, but for those that have failed already."""
        self.tasks, self.slots = tasks, slots

    def changed(self) -> None:
        """A candidate has settled."""

    def failed(self, task: TaskView) -> None:
        """A task has failed for itself, and the others go on."""


class Runner:
    """Runs a request, with a server (none for a replay) and an embedder that is not started yet; `now` is in UTC.

    The watcher hears how it goes, notices hear of what happens before the first call.
    """

    def __init__(
        self,
        request: RunRequest,
        server: Server | None,
        embedder: LiveEmbedder,
        watcher: Watcher,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        notices: Notices | None = None,
    ) -> None:
        self._request = request
        self._server = server
        self._embedder = embedder
        self._watcher = watcher
        self._now = now
        self._notices = notices or Notices()
        self._screen = None if request.evaluation is None else Screen(request.evaluation, request.config.decontamination)
        self._slots = slots_of(server, request.concurrency)
        self._alone = len(request.specs) == 1

    async def run(self) -> tuple[TaskView, ...]:
        """Run all tasks to their end.

        Each one's `status` is then `complete`, `stopped: why` or, if others ran beside it, `failed: why`. Where something else
        ends the run, or every task fails, that is raised and what there is is kept.
        """
        async with AsyncExitStack() as stack:
            if self._server is not None:
                stack.push_async_callback(self._server.close)
            views, tasks = self._prepare(await self._ask_server(), await self._models(), stack)
            if self._server is not None and tasks:
                # Not before: loading cannot be stopped, and a run that was refused above would have to wait for it.
                self._embedder.start()
            if self._screen is not None and tasks:
                tasks = await self._screened(self._screen, tasks)
            self._watcher.started(views, self._slots)
            status = "failed"
            try:
                with dspy.context(adapter=SkillsAdapter(), **QUIET):
                    async with asyncio.TaskGroup() as group:
                        for task in tasks:
                            group.create_task(self._run_task(task))
            except asyncio.CancelledError:
                status = "interrupted"
                raise
            except BaseExceptionGroup as raised:
                error = only_ours(raised)
                if error is None:
                    raise
                status = f"failed: {error}"
                raise error from raised
            finally:
                for task in tasks:
                    # Something else has failed: an error of the disk here would only hide it.
                    task.end(status, stamp(self._now()))
        errors = [view.error for view in views if view.error is not None]
        if len(errors) == len(views):
            raise errors[0]
        return tuple(views)

    async def _ask_server(self) -> dict[str, Any]:
        if self._server is None:
            assert self._request.recorded is not None
            recorded = self._request.recorded.values()
            told = {"no_model": True} if any(run.no_model for run in recorded) else {}
            note = "; ".join(sorted({run.answered_by for run in recorded}))
            return {"host": None, "version": "replay", "note": note, **told}
        return {**await introduced(self._server), "note": self._request.note}

    async def _models(self) -> dict[Role, Model]:
        config = self._request.config
        if self._server is None:
            assert self._request.recorded is not None
            recorded = next(iter(self._request.recorded.values())).models  # the same for all: the command line sees to it
            return {
                role: Model(config.model_for(role), recorded[role].digest, None, licence=recorded[role].licence)
                for role in ROLES
            }
        asked = {name: await self._server.model(name) for name in dict.fromkeys(map(config.model_for, ROLES))}
        return {role: replace(asked[config.model_for(role)], name=config.model_for(role)) for role in ROLES}

    def _prepare(
        self, answering: dict[str, Any], models: dict[Role, Model], stack: AsyncExitStack
    ) -> tuple[list[TaskView], list[OpenTask]]:
        """All tasks, and those that can be run, opened."""
        request = self._request
        answered_by = answering["note"] or server_in_words(
            answering.get("api", OLLAMA), answering["version"], answering["host"]
        )
        if differs := {model.name: dict(model.differs) for model in models.values() if model.differs}:
            answering = {**answering, "differs": differs}
        if licences := {model.name: model.licence for model in models.values() if model.licence}:
            answering = {**answering, "licences": licences}
        paths = [RunPaths(request.output_dir / spec.task_name) for spec in request.specs]
        views = [
            TaskView(spec, path, request.wanted, Meter(), Standstill(), answered_by, evaluation=request.evaluation)
            for spec, path in zip(request.specs, paths, strict=True)
        ]
        counts = {spec.num_questions_to_generate_per_prompt for spec in request.specs}
        programs = {count: _program(count, request.program) for count in counts}
        shared = Shared(
            request,
            self._server,
            answering,
            models,
            self._windows(views, programs, {model.name: model.context_length for model in models.values()}),
            self._embedder,
            self._slots,
            DrawPlaces(most_open(request.config.draws.window, request.concurrency)),
            self._screen,
            asyncio.Semaphore(2 * request.concurrency),
            self._watcher.changed,
            self._now,
        )
        _LOG.info("answers: %s; models %s; windows %s", answered_by, sorted({m.name for m in models.values()}), shared.windows)
        for line in since_compiled(request.program, models.values()) if request.program is not None else ():
            self._notices.warn(line)
        tasks = []
        for view in views:
            if view.error is None:
                with self._failing(view):
                    opened = OpenTask.open(shared, view, programs[view.spec.num_questions_to_generate_per_prompt])
                    stack.callback(opened.close)
                    tasks.append(opened)
        return views, tasks

    async def _screened(self, screen: Screen, tasks: Sequence[OpenTask]) -> list[OpenTask]:
        """Find or build the index of evaluation questions, and say which seeds are contaminated; the tasks that can go on."""
        request = self._request
        recorded = [] if request.recorded is None else list(request.recorded.values())
        weights = next((r.weights for r in recorded if r.weights), None)
        folders = [root / KEPT_IN for root in (request.output_dir, *dict.fromkeys(r.root for r in recorded))]
        weights = await screen.ready(self._embedder, weights, folders, self._notices)
        fit = []
        for task in tasks:
            with self._failing(task.view):
                await task.screen_seeds(weights, self._notices)
                fit.append(task)
        return fit

    def _windows(
        self, views: Sequence[TaskView], programs: dict[int, SkillsProgram], lengths: dict[str, int | None]
    ) -> dict[Role, int]:
        """Windows for the prompts of all tasks but those whose prompts fit into none, which fail here."""
        config = self._request.config
        fitting: list[dict[str, Need]] = []
        for view in views:
            wanted = needs(view.spec, config, programs[view.spec.num_questions_to_generate_per_prompt])
            with self._failing(view):
                choose_windows([wanted], config, lengths)
                fitting.append(wanted)
        return choose_windows(fitting, config, lengths) if fitting else {}

    @contextmanager
    def _failing(self, view: TaskView) -> Iterator[None]:
        """Mark a task as failed by what the block raises, unless it is alone, every other would meet it, or it is a bug."""
        try:
            yield
        except (SkillsError, ExceptionGroup) as raised:
            error = only_ours(raised)
            if error is None or self._alone or concerns_all(error):
                raise
            view.fail(error)

    async def _run_task(self, task: OpenTask) -> None:
        view = task.view
        _LOG.info("%s: begins in %s", view.spec.task_name, view.paths.folder)
        with self._failing(view):
            await task.run()
        # At once, not when the last task has ended: what it holds of files and memory is free for the others.
        failures = task.end("ended" if view.error is None else view.status, stamp(self._now()))
        _LOG.info("%s: %s", view.spec.task_name, view.status)
        with self._failing(view):
            task.close()
            if failures and view.error is None:
                raise failures[0]
        if view.error is not None:
            self._watcher.failed(view)


def _program(count: int, compiled: CompiledProgram | None) -> SkillsProgram:
    program = SkillsProgram(count)
    if compiled is not None:
        compiled.apply(program)
    return program
