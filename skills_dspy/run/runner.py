"""A run: tasks side by side on one server, and taken apart in good order whatever ends it.

A task that fails for itself is marked so, and the others go on; what concerns them all, or is a bug, ends the run. A task
that is alone ends the run in any case.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import dspy

from skills_dspy.base.config import ROLES, Role
from skills_dspy.base.errors import SkillsError, concerns_all, only_ours
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.context_window import Need, choose_windows, needs
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.ollama import Model, OllamaServer
from skills_dspy.model.program import QUIET, SkillsProgram
from skills_dspy.model.replies import Meter
from skills_dspy.model.slots import Slots
from skills_dspy.pipeline.draw_places import DrawPlaces, most_open
from skills_dspy.run.manifest import stamp
from skills_dspy.run.opening import Opener, RunRequest
from skills_dspy.run.task import Leaf, RunningTask, Standing
from skills_dspy.screens.contamination import KEPT_IN, Screen, Teller, Untold
from skills_dspy.store.run_dir import RunPaths

__all__ = ["RunRequest", "Runner", "RunningTask", "Watcher"]


class Watcher:
    """Hears how a run goes, and keeps the tasks; a display overrides the methods."""

    tasks: Sequence[RunningTask] = ()
    slots: Slots | None = None

    def started(self, tasks: Sequence[RunningTask], slots: Slots) -> None:
        """All tasks are ready and about to run, but for those that have failed already."""
        self.tasks, self.slots = tasks, slots

    def changed(self) -> None:
        """A candidate has settled."""

    def failed(self, task: RunningTask) -> None:
        """A task has failed for itself, and the others go on."""


class Runner:
    """Runs a request.

    Args:
        request: what is asked for.
        server: the host; none for a replay.
        embedder: not started yet.
        watcher: hears how it goes.
        now: the time in UTC.
        teller: passes on what happens before the first call.
    """

    def __init__(
        self,
        request: RunRequest,
        server: OllamaServer | None,
        embedder: AsyncEmbedder,
        watcher: Watcher,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        teller: Teller | None = None,
    ) -> None:
        if (server is None) == (request.recorded is None):
            raise ValueError("a run needs either a server or a recording")
        self._request = request
        self._server = server
        self._embedder = embedder
        self._watcher = watcher
        self._now = now
        self._teller: Teller = teller or Untold()
        self._screen = None if request.evaluation is None else Screen(request.evaluation, request.config.decontamination)
        self._adapter = SkillsAdapter()
        self._slots = Slots(request.concurrency)
        self._alone = len(request.specs) == 1

    async def run(self) -> tuple[RunningTask, ...]:
        """Run all tasks to their end.

        Each one's `status` is then `complete`, `stopped: why` or, if others ran beside it, `failed: why`.

        Raises:
            SkillsError: something ended the run, or every task failed; what there is is kept.
            CancelledError: it was interrupted; what there is is kept.
        """
        async with AsyncExitStack() as stack:
            if self._server is not None:
                stack.push_async_callback(self._server.close)
            tasks, leaves = self._prepare(await self._ask_server(), await self._models(), stack)
            if self._server is not None and leaves:
                # Not before: loading cannot be stopped, and a run that was refused above would have to wait for it.
                self._embedder.start()
            if self._screen is not None and leaves:
                leaves = await self._screened(self._screen, leaves)
            self._watcher.started(tasks, self._slots)
            status = "failed"
            try:
                with dspy.context(adapter=self._adapter, **QUIET):
                    async with asyncio.TaskGroup() as group:
                        for leaf in leaves:
                            group.create_task(self._run_leaf(leaf))
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
                for leaf in leaves:
                    # Something else has failed: an error of the disk here would only hide it.
                    leaf.end(status, stamp(self._now()))
        errors = [task.error for task in tasks if task.error is not None]
        if len(errors) == len(tasks):
            raise errors[0]
        return tuple(tasks)

    async def _ask_server(self) -> dict[str, Any]:
        if self._server is None:
            assert self._request.recorded is not None
            notes = {recorded.answered_by for recorded in self._request.recorded.values()}
            return {"host": None, "version": "replay", "note": "; ".join(sorted(notes))}
        return {"host": self._server.host, "version": await self._server.version(), "note": self._request.note}

    async def _models(self) -> dict[Role, Model]:
        config = self._request.config
        if self._server is None:
            assert self._request.recorded is not None
            recorded = next(iter(self._request.recorded.values())).models  # the same for all: the command line sees to it
            return {role: Model(config.model_for(role), recorded[role].digest, None) for role in ROLES}
        asked = {name: await self._server.model(name) for name in dict.fromkeys(map(config.model_for, ROLES))}
        return {
            role: Model(name, asked[name].digest, asked[name].context_length)
            for role in ROLES
            for name in [config.model_for(role)]
        }

    def _prepare(
        self, said: dict[str, Any], models: dict[Role, Model], stack: AsyncExitStack
    ) -> tuple[list[RunningTask], list[Leaf]]:
        """All tasks, and those that can be run, opened."""
        request = self._request
        answered_by = said["note"] or f"Ollama {said['version']} at {said['host']}"
        paths = [RunPaths(request.output_dir / spec.task_name) for spec in request.specs]
        tasks = [
            RunningTask(spec, path, request.wanted, Meter(), Standing(), answered_by, evaluation=request.evaluation)
            for spec, path in zip(request.specs, paths, strict=True)
        ]
        programs: dict[int, SkillsProgram] = {}
        for spec in request.specs:
            count = spec.num_questions_to_generate_per_prompt
            programs[count] = programs.get(count) or _program(count, request.program)
        opener = Opener(
            request,
            self._server,
            said,
            models,
            self._windows(tasks, programs, {model.name: model.context_length for model in models.values()}),
            self._embedder,
            self._adapter,
            self._slots,
            DrawPlaces(most_open(request.config.draws.window, request.concurrency)),
            self._screen,
            self._watcher.changed,
            self._now,
        )
        leaves = []
        for task in tasks:
            if task.error is None:
                with self._failing(task):
                    leaf = opener.open(task, programs[task.spec.num_questions_to_generate_per_prompt])
                    stack.callback(leaf.close)
                    leaves.append(leaf)
        return tasks, leaves

    async def _screened(self, screen: Screen, leaves: Sequence[Leaf]) -> list[Leaf]:
        """Find or build the index of evaluation questions, and say which seeds are contaminated; the leaves that can go on."""
        request = self._request
        recorded = [] if request.recorded is None else list(request.recorded.values())
        weights = next((r.weights for r in recorded if r.weights), None)
        folders = [root / KEPT_IN for root in (request.output_dir, *dict.fromkeys(r.root for r in recorded))]
        weights = await screen.ready(self._embedder, weights, folders, self._teller)
        fit = []
        for leaf in leaves:
            with self._failing(leaf.task):
                await leaf.screen_seeds(weights, self._teller)
                fit.append(leaf)
        return fit

    def _windows(
        self, tasks: Sequence[RunningTask], programs: dict[int, SkillsProgram], lengths: dict[str, int | None]
    ) -> dict[Role, int]:
        """Windows for the prompts of all tasks but those whose prompts fit into none, which fail here."""
        config = self._request.config
        fitting: list[dict[str, Need]] = []
        for task in tasks:
            wanted = needs(task.spec, config, programs[task.spec.num_questions_to_generate_per_prompt], self._adapter)
            with self._failing(task):
                choose_windows([wanted], config, lengths)
                fitting.append(wanted)
        return choose_windows(fitting, config, lengths) if fitting else {}

    @contextmanager
    def _failing(self, task: RunningTask) -> Iterator[None]:
        """Mark a task as failed by what the block raises, unless that has to end the run.

        Raises:
            SkillsError: the task is alone, or every other would meet it as well.
            BaseException: it is no error of ours.
        """
        try:
            yield
        except (SkillsError, ExceptionGroup) as raised:
            error = only_ours(raised)
            if error is None or self._alone or concerns_all(error):
                raise
            task.fail(error)

    async def _run_leaf(self, leaf: Leaf) -> None:
        task = leaf.task
        with self._failing(task):
            leaf.announce()
            await leaf.run()
        # At once, not when the last task has ended: what it holds of files and memory is free for the others.
        failures = leaf.end("ended" if task.error is None else task.status, stamp(self._now()))
        with self._failing(task):
            leaf.close()
            if failures and task.error is None:
                raise failures[0]
        if task.error is not None:
            self._watcher.failed(task)


def _program(count: int, compiled: CompiledProgram | None) -> SkillsProgram:
    program = SkillsProgram(count)
    if compiled is not None:
        compiled.apply(program)
    return program
