"""A run: tasks, models, journals and schedulers put together, and taken apart in good order whatever ends it (layer 5)."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import dspy

from skills_dspy.adapter import SkillsAdapter
from skills_dspy.asking import Asker
from skills_dspy.compiled import CompiledProgram
from skills_dspy.config import ROLES, Role, RunConfig
from skills_dspy.embedder import AsyncEmbedder
from skills_dspy.engine import Window, make_lm
from skills_dspy.errors import RunDirError, StorageError, only_ours
from skills_dspy.flow import Flow
from skills_dspy.ledger import RunLedger
from skills_dspy.limits import reply_limits
from skills_dspy.manifest import (
    FORMAT,
    check_same_inputs,
    inputs_of,
    prompt_fingerprints,
    spec_as_json,
    usage,
    versions,
)
from skills_dspy.ollama_server import Model, OllamaServer
from skills_dspy.program import QUIET, SkillsProgram
from skills_dspy.recorded import Recorded
from skills_dspy.replies import Meter, Replies
from skills_dspy.scheduler import TaskRun
from skills_dspy.slots import Slots
from skills_dspy.store.files import AppendLog, count_rows, last_line
from skills_dspy.store.journal import Journal, Recording
from skills_dspy.store.run_dir import RunDir, RunPaths, set_aside
from skills_dspy.task_spec import TaskSpec
from skills_dspy.vectors import RememberedVectors
from skills_dspy.windows import choose_windows, needs


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is asked for.

    Attributes:
        specs: the tasks, with different names.
        config: models, thresholds and limits.
        wanted: accepted pairs for each task, 1 or more.
        output_dir: where the tasks' directories lie.
        seed: decides every choice and every sampling seed.
        concurrency: requests in flight, 1 or more.
        restart: set existing runs aside first.
        recorded: the recordings to replay by task name; none for a live run.
        note: what answers, in words, when it is not a language model.
        program: compiled prompts; none for those that stand in signatures/.
    """

    specs: tuple[TaskSpec, ...]
    config: RunConfig
    wanted: int
    output_dir: Path
    seed: int = 0
    concurrency: int = 8
    restart: bool = False
    recorded: Mapping[str, Recorded] | None = None
    note: str | None = None
    program: CompiledProgram | None = None


@dataclass(slots=True)
class RunningTask:
    """One task of a run, as a display may look at it at any moment."""

    spec: TaskSpec
    paths: RunPaths
    wanted: int
    meter: Meter
    run: TaskRun
    answered_by: str
    usage: dict[str, Any] = field(default_factory=dict)
    status: str = "running"


class Watcher(Protocol):
    """Who looks on: a display, or nobody."""

    def started(self, tasks: Sequence[RunningTask], slots: Slots) -> None:
        """All tasks are ready and about to run."""

    def changed(self) -> None:
        """A candidate has settled."""


@dataclass(slots=True)
class _Prepared:
    """A task between opening and closing."""

    task: RunningTask
    directory: RunDir
    journal: Journal
    logs: tuple[AppendLog, AppendLog]
    manifest: dict[str, Any]


class Runner:
    """Runs a request.

    Args:
        request: what is asked for.
        server: the host; none for a replay.
        embedder: not started yet.
        watcher: who looks on.
        now: the time in UTC.
    """

    def __init__(
        self,
        request: RunRequest,
        server: OllamaServer | None,
        embedder: AsyncEmbedder,
        watcher: Watcher,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if (server is None) == (request.recorded is None):
            raise ValueError("a run needs either a server or a recording")
        self._request = request
        self._server = server
        self._embedder = embedder
        self._watcher = watcher
        self._now = now
        self._adapter = SkillsAdapter()
        self._slots = Slots(request.concurrency)

    async def run(self) -> tuple[RunningTask, ...]:
        """Run all tasks to their end; each one's `status` is `complete` or `stopped: why`.

        Raises:
            SkillsError: something ended the run; what there is is kept.
            CancelledError: it was interrupted; what there is is kept.
        """
        async with AsyncExitStack() as stack:
            if self._server is not None:
                stack.push_async_callback(self._server.close)
            prepared = self._prepare(await self._ask_server(), await self._models(), stack)
            if self._server is not None:
                # Not before: loading cannot be stopped, and a run that was refused above would have to wait for it.
                self._embedder.start()
            self._watcher.started([p.task for p in prepared], self._slots)
            status = "failed"
            try:
                with dspy.context(adapter=self._adapter, **QUIET):
                    await self._run_all(prepared)
                status = "ended"
            except asyncio.CancelledError:
                status = "interrupted"
                raise
            except BaseExceptionGroup as group:
                error = only_ours(group)
                if error is None:
                    raise
                status = f"failed: {error}"
                raise error from group
            finally:
                self._close(prepared, status)
        return tuple(p.task for p in prepared)

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

    def _prepare(self, server: Mapping[str, Any], models: Mapping[Role, Model], stack: AsyncExitStack) -> list[_Prepared]:
        request, adapter = self._request, self._adapter
        programs = [_program(spec, request.program) for spec in request.specs]
        wanted = [needs(spec, request.config, program, adapter) for spec, program in zip(request.specs, programs, strict=True)]
        lengths = {model.name: model.context_length for model in models.values()}
        windows = choose_windows(wanted, request.config, lengths)
        return [
            self._open(spec, program, windows, server, models, stack)
            for spec, program in zip(request.specs, programs, strict=True)
        ]

    def _open(
        self,
        spec: TaskSpec,
        program: SkillsProgram,
        windows: Mapping[Role, int],
        server: Mapping[str, Any],
        models: Mapping[Role, Model],
        stack: AsyncExitStack,
    ) -> _Prepared:
        """Take the task's directory and everything in it; nothing is written before the directory is known to be ours."""
        request, config = self._request, self._request.config
        if request.restart:
            set_aside(request.output_dir, spec.task_name, self._now())
        directory = stack.enter_context(RunDir.open(request.output_dir, spec.task_name))
        paths = directory.paths
        prompts = prompt_fingerprints(spec, config, program, self._adapter)
        inputs = inputs_of(spec, config, request.seed, models, prompts)
        check_same_inputs(paths, inputs)
        _check_wanted(paths, request.wanted)
        journal = stack.enter_context(Journal.open(paths.journal))
        logs = (AppendLog.open(paths.data), AppendLog.open(paths.rejected))
        for log in logs:
            stack.callback(log.close)
        meter = Meter()
        source = self._source(spec, paths.folder, stack)
        replies = Replies(journal, source, self._slots, meter)
        recording = source if isinstance(source, Recording) else None
        loop = asyncio.get_running_loop()
        roles = {role: config.role(role) for role in ROLES}
        hosted = {role: Window(windows[role], roles[role].keep_alive, config.soft_ratings) for role in ROLES}
        lms = {role: make_lm(models[role].name, replies, hosted[role], loop) for role in ROLES}
        asker = Asker(program, lms, roles, reply_limits(spec, config), request.seed, spec.task_name)
        names: dict[str, str] = {role: model.name for role, model in models.items()}
        run = TaskRun(
            spec,
            config,
            seed=request.seed,
            wanted=request.wanted,
            flow=Flow(spec, config, asker),
            embedder=RememberedVectors(self._embedder, journal, recording, paths.folder),
            ledger=RunLedger(spec, request.seed, names, prompts, *logs),
            decided=_last_decided(paths),
            on_change=self._watcher.changed,
        )
        manifest = {
            "format": FORMAT,
            "status": "running",
            "wanted": request.wanted,
            "inputs": inputs,
            "server": dict(server),
            "windows": dict(windows),
            "embedder": {"name": self._embedder.name},
            "versions": versions(),
            "program": None if request.program is None else dict(request.program.content),
            "task": spec_as_json(spec),
            "config": config.model_dump(mode="json"),
            "started": _stamp(self._now()),
        }
        answered_by = server["note"] or f"Ollama {server['version']} at {server['host']}"
        task = RunningTask(spec, paths, request.wanted, meter, run, answered_by)
        return _Prepared(task, directory, journal, logs, manifest)

    def _source(self, spec: TaskSpec, folder: Path, stack: AsyncExitStack) -> OllamaServer | Recording:
        if self._server is not None:
            return self._server
        assert self._request.recorded is not None
        recorded = self._request.recorded.get(spec.task_name)
        if recorded is not None and recorded.paths.folder.resolve() == folder.resolve():
            raise RunDirError(f"{folder} is the recording itself; choose another --output-dir for the replay")
        if recorded is None:
            raise RunDirError(f"{spec.path}: the recording holds no run of the task {spec.task_name}")
        return stack.enter_context(Recording.open(recorded.paths.journal))

    async def _run_all(self, prepared: Sequence[_Prepared]) -> None:
        for item in prepared:
            previous = item.directory.read_run_json()
            item.directory.write_run_json({**item.manifest, "result": (previous or {}).get("result")})
        async with asyncio.TaskGroup() as group:
            for item in prepared:
                group.create_task(item.task.run.run())

    def _close(self, prepared: Sequence[_Prepared], how: str) -> None:
        """Write down how it ended. If something else has failed, an error of the disk here would only hide it."""
        failures = [failure for item in prepared for failure in self._write_down(item, how)]
        if failures and how == "ended":
            raise failures[0]

    def _write_down(self, item: _Prepared, how: str) -> list[StorageError]:
        """Finish a task's rows if it has all of them, and its run.json; returns what went wrong."""
        task, failures = item.task, []
        task.status = _status(task.run, how)
        try:
            if task.status != how:  # complete or stopped by a limit, whatever became of the others
                for log in item.logs:
                    log.finish()
        except StorageError as error:
            task.status = "failed"
            failures.append(error)
        try:
            item.journal.close()  # it writes what waits: replies that came when the run was over are paid for, too
            with Recording.open(task.paths.journal) as journal:
                task.usage, weights = usage(journal), journal.meta().get("embedder_weights")
            result = {"draws": task.run.draws[0], "funnel": task.run.funnel.as_json(), "usage": task.usage}
            ended = {"ended": _stamp(self._now()), "status": task.status, "result": result}
            ended["embedder"] = {"name": self._embedder.name, "weights": weights}
            item.directory.write_run_json({**item.manifest, **ended})
        except StorageError as error:
            failures.append(error)
        return failures


def _program(spec: TaskSpec, compiled: CompiledProgram | None) -> SkillsProgram:
    program = SkillsProgram(spec.num_questions_to_generate_per_prompt)
    if compiled is not None:
        compiled.apply(program)
    return program


def _status(run: TaskRun, how: str) -> str:
    if run.done:
        return "complete"
    return how if run.stopped is None else f"stopped: {run.stopped}"


def _last_decided(paths: RunPaths) -> tuple[int, int] | None:
    """Draw and index of the last candidate that an earlier run in this directory decided; None when there is none."""
    places = []
    for line in filter(None, map(last_line, (paths.data, paths.rejected))):
        try:
            source = json.loads(line)["provenance"]
            places.append((int(source["draw"]), int(source["index"])))
        except (ValueError, KeyError, TypeError):
            return None  # not a row of ours: it will be written anew
    return max(places, default=None)


def _check_wanted(paths: RunPaths, wanted: int) -> None:
    have = count_rows(paths.data) if paths.data.exists() else 0
    if have > wanted:
        raise RunDirError(
            f"{paths.data} already holds {have} accepted pairs, more than the {wanted} asked for: ask for {have} or more, or "
            "use --restart to set the run aside"
        )


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
