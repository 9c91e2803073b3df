"""One task of a run from its opening to its end: its directory, journal and models, its rows, and what run.json says."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from signatures.examples import Axis
from skills_dspy.base.config import Role, RunConfig
from skills_dspy.base.errors import RunDirError, SkillsError, StorageError
from skills_dspy.model.ask import WHOLE_DRAW, Asker
from skills_dspy.model.description import derive, described, undescribed
from skills_dspy.model.embedding.embedder import LiveEmbedder
from skills_dspy.model.embedding.vectors import RememberedVectors
from skills_dspy.model.engine import asker_for
from skills_dspy.model.hosts.slots import Share, Slots
from skills_dspy.model.program import SkillsProgram, instructions_of
from skills_dspy.model.replies import RESIDUE, Meter, Replies
from skills_dspy.model.server.server import Model, Server
from skills_dspy.model.steps import plans, reply_limits
from skills_dspy.pipeline.draw_places import DrawPlaces
from skills_dspy.pipeline.flow import Flow
from skills_dspy.pipeline.funnel import Funnel
from skills_dspy.pipeline.rows import RunLedger
from skills_dspy.pipeline.settle import Settler
from skills_dspy.pipeline.variety import derive_axes
from skills_dspy.run.account import (
    as_begun,
    check_same_inputs,
    count_hosts,
    count_soft,
    inputs_of,
    last_decided,
    prompt_fingerprints,
    spec_as_json,
    stamp,
    versions,
)
from skills_dspy.run.past import PastRun
from skills_dspy.run.request import RunRequest
from skills_dspy.screens.benchmark import Benchmark
from skills_dspy.screens.decontamination import Notices, Screen, TaskScreen, contaminated_seeds, seed_warnings
from skills_dspy.screens.residue import residue_look
from skills_dspy.store.aside import write_json
from skills_dspy.store.files import AppendLog, count_rows, to_its_end
from skills_dspy.store.journal import Journal, JournalReader
from skills_dspy.store.run_dir import RunPaths, set_aside, taken
from skills_dspy.store.run_json import RUN_FORMAT, read_run_json
from skills_dspy.tasks.spec import TaskSpec

_FIRST = (0, -1, WHOLE_DRAW)
"""The rank of a description: before the task's own draws, after whatever is farther on."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """The progress of a task that does not run: it was not begun, or has ended and keeps nothing else in memory."""

    funnel: Funnel = field(default_factory=Funnel)
    done: bool = False
    stopped: str | None = None
    draws: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class TaskView:
    """One task of a run, as a display may look at it at any moment.

    Attributes:
        status: `running`, `complete`, `stopped: why`, `failed: why`, `interrupted`.
        usage, soft_ratings: known when it has ended, see `JournalReader.usage` and `count_soft`; the latter is None where no
            probabilities were asked for.
        error: why it failed for itself while others went on.
        variety: the axes that the model named, where it was asked; `unplanned` says why there are none.
        description: derived by the model, because the task's file leaves it blank; None until then, and where it does not.
    """

    spec: TaskSpec
    paths: RunPaths
    wanted: int
    meter: Meter
    run: Settler | Standstill
    answered_by: str
    usage: dict[str, Any] = field(default_factory=dict)
    soft_ratings: dict[str, int] | None = None
    status: str = "running"
    error: SkillsError | None = None
    description: str | None = None
    variety: tuple[Axis, ...] | None = None
    unplanned: str | None = None
    evaluation: Benchmark | None = None

    def fail(self, error: SkillsError) -> None:
        """It cannot go on."""
        self.error, self.status = error, f"failed: {error}"


@dataclass(frozen=True, slots=True)
class Shared:
    """What the tasks of a run share: no server in a replay, `answering` as run.json says it, a screen to get ready."""

    request: RunRequest
    server: Server | None
    answering: Mapping[str, Any]
    models: Mapping[Role, Model]
    windows: Mapping[Role, int]
    embedder: LiveEmbedder
    slots: Slots
    places: DrawPlaces
    screen: Screen | None
    entrance: asyncio.Semaphore
    changed: Callable[[], None]
    now: Callable[[], datetime]


@dataclass(slots=True, eq=False)
class OpenTask:
    """A task between its opening and its end. Made by `OpenTask.open`.

    Attributes:
        config: the settings, as it was begun with them.
        manifest: the beginning of its run.json.
        asker, begin: asks for its description, and makes its run with that; None when it is closed.
        opened: closes all that was opened for it.
        before: the result that an earlier run of the directory has noted; None where its run.json has none.
        noted: whether a run.json stands there that must not be lost: this run has not written its own over it yet.
        entrance: few begin at once, so that of many that go on the first asks soon.
    """

    view: TaskView
    config: RunConfig
    manifest: dict[str, Any]
    journal: Journal
    logs: tuple[AppendLog, AppendLog]
    asker: Asker | None
    begin: Callable[[TaskSpec], Settler] | None
    screen: TaskScreen | None
    opened: ExitStack
    entrance: asyncio.Semaphore
    before: Mapping[str, Any] | None
    noted: bool
    ended: bool = False

    @classmethod
    def open(cls, shared: Shared, view: TaskView, program: SkillsProgram) -> "OpenTask":
        """Take the task's directory and everything in it; nothing is written before that is known to be ours.

        Raises:
            RunDirError: the directory is busy, foreign, or of other inputs, or the recording does not hold the task.
        """
        request, spec = shared.request, view.spec
        with ExitStack() as stack:
            if request.restart:
                set_aside(request.output_dir, spec.task_name, shared.now())
            paths = stack.enter_context(taken(request.output_dir, spec.task_name))
            past = (request.recorded or {}).get(spec.task_name)
            config = as_begun(request.config, paths, None if past is None else past.config)
            prompts = prompt_fingerprints(spec, config, program)
            screened = None if shared.screen is None else shared.screen.inputs()
            models = {role: replace(model, name=config.model_for(role)) for role, model in shared.models.items()}
            inputs = inputs_of(spec, config, request.seed, models, prompts, screened)
            check_same_inputs(paths, inputs)
            _check_wanted(paths, request.wanted)
            journal = stack.enter_context(Journal.open(paths.journal))
            logs = (stack.enter_context(AppendLog.open(paths.data)), stack.enter_context(AppendLog.open(paths.rejected)))
            source = shared.server or stack.enter_context(_recording(past, view))
            recording = source if isinstance(source, JournalReader) else None
            if not paths.run_json.exists() and (recording is None or RESIDUE in recording.meta()):
                journal.set_meta(RESIDUE, "asked again")
            replies = Replies(journal, source, Share(shared.slots), view.meter)
            names = {role: model.name for role, model in models.items()}
            limits = reply_limits(spec, config)
            look = residue_look(config.screens, spec)
            asker = asker_for(program, config, names, shared.windows, replies, limits, request.seed, spec.task_name, look)
            decided = last_decided(paths)
            vectors = RememberedVectors(shared.embedder, journal, recording, paths.folder)
            screen = None if shared.screen is None else TaskScreen(shared.screen, vectors, vectors.sight)
            instructions = instructions_of(program)
            place = shared.places.join()  # now, and not when it begins: the first to begin would take all that there is
            stack.callback(place.leave)

            def begin(spec: TaskSpec) -> Settler:
                ledger = RunLedger(spec, request.seed, {str(role): name for role, name in names.items()}, prompts, *logs)
                return Settler(
                    spec,
                    config,
                    seed=request.seed,
                    wanted=request.wanted,
                    flow=Flow(spec, config, asker, screen, instructions=instructions),
                    embedder=vectors,
                    ledger=ledger,
                    last_decided=decided,
                    on_change=shared.changed,
                    place=place,
                    wake=shared.slots.look_again,
                    sight=vectors.sight,
                )

            manifest = _manifest(shared, spec, config, inputs)
            known = read_run_json(paths)
            before, noted = (None, False) if known is None else (known.content.get("result"), True)
            opened = stack.pop_all()
            return cls(view, config, manifest, journal, logs, asker, begin, screen, opened, shared.entrance, before, noted)

    async def screen_seeds(self, weights: str | None, notices: Notices) -> None:
        """Note and say which of its seeds are contaminated themselves.

        RunDirError where the vectors that are remembered here have other weights than those of the evaluation questions, which
        are None where none are compared.
        """
        assert self.screen is not None
        before = self.journal.meta().get("embedder_weights")
        if None not in (before, weights) and before != weights:
            raise RunDirError(
                f"{self.view.paths.folder} holds a run that was begun with other weights of the embedding model: "
                "use --restart, or another --output-dir"
            )
        found = await contaminated_seeds(self.view.spec, self.screen)
        seeds = [{"seed": f"seed:{number}", "detail": detail} for number, detail in found]
        self.manifest["decontamination"] = {**self.manifest["decontamination"], "contaminated_seeds": seeds}
        for line in seed_warnings(self.view.spec, found):
            notices.warn(line)

    async def _announce(self) -> None:
        """Write a run.json that says that it is running; of many tasks none waits for the disk with that of another."""
        content = {**self.manifest, "result": self.before}
        self.noted = False
        await to_its_end(lambda: write_json(self.view.paths.run_json, content))

    async def run(self) -> None:
        """Until all wanted pairs are accepted, or a limit stops it; a blank description and the variety are derived first."""
        assert self.asker is not None
        assert self.begin is not None
        async with self.entrance:
            spec = await self._derived(self.asker)
        run = self.begin(spec)
        self.view.run = run
        await run.run()

    async def _derived(self, asker: Asker) -> TaskSpec:
        """The task with what the model says of it, and a run.json that has that."""
        spec = self.view.spec
        derives = undescribed(spec) or plans(spec, self.config)
        if not (derives and self.noted):  # else one of the same inputs says enough until that is known
            await self._announce()
        if undescribed(spec):
            text = await derive(asker, spec, _FIRST, "run the command again with --restart")
            self.view.description = self.manifest["derived_description"] = text
            await self._announce()
            spec = described(spec, text)
        if plans(spec, self.config):
            axes, why = await derive_axes(asker, spec, _FIRST)
            self.view.variety, self.view.unplanned = axes, why
            said = [axis.model_dump(mode="json") for axis in axes]
            self.manifest["variety"] = {"axes": said, **({} if why is None else {"none_because": why})}
            await self._announce()
            spec = spec.model_copy(update={"variety": axes})
        return spec

    def end(self, status: str, now: str) -> list[SkillsError]:
        """Finish its rows if it has all of them and write its run.json; returns what went wrong.

        `status` is its own if it is neither complete nor stopped by a limit. What an earlier run has noted stays as it is where
        this one has not come so far as to go on with it.
        """
        if self.ended:
            return []
        self.ended = True
        view, before, failures = self.view, self.before or {}, list[SkillsError]()
        stopped = status if view.run.stopped is None else f"stopped: {view.run.stopped}"
        view.status = "complete" if view.run.done else stopped
        try:
            if view.status != status:  # complete or stopped by a limit, whatever became of the others
                for log in self.logs:
                    log.finish()
        except StorageError as error:
            view.status = "failed"
            failures.append(error)
        try:
            self.journal.close()  # it writes what waits: replies that came when the run was over are paid for, too
            with JournalReader.open(view.paths.journal) as journal:
                hosts = count_hosts(journal, self.manifest["server"], before.get("usage", {}), view.meter.faults)
                view.usage, weights = {**journal.usage(), **hosts}, journal.meta().get("embedder_weights")
                if self.manifest["config"]["soft_ratings"]:
                    view.soft_ratings = count_soft(view.paths, journal)
            result = {"draws": view.run.draws[0], "funnel": view.run.funnel.as_json()}
            result |= {**(before if isinstance(view.run, Standstill) else {}), "usage": view.usage}  # one that has not begun
            result |= {} if view.soft_ratings is None else {"soft_ratings": view.soft_ratings}
            ended = {"ended": now, "status": view.status, "result": result}
            ended["embedder"] = {**self.manifest["embedder"], "weights": weights}
            if not self.noted:
                write_json(view.paths.run_json, {**self.manifest, **ended})
        except SkillsError as error:
            failures.append(error)
        return failures

    def close(self) -> None:
        """Let go of files and of memory; a second call does nothing."""
        run = self.view.run
        self.view.run = Standstill(run.funnel, run.done, run.stopped, run.draws)
        self.asker = self.begin = None
        self.opened.close()


def _manifest(shared: Shared, spec: TaskSpec, config: RunConfig, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The beginning of a task's run.json, in the order in which it is written."""
    request = shared.request
    return {
        "format": RUN_FORMAT,
        "status": "running",
        "wanted": request.wanted,
        "inputs": inputs,
        "server": dict(shared.answering),
        "windows": dict(shared.windows),
        "embedder": {"name": shared.embedder.name},
        "versions": versions(),
        "program": None if request.program is None else dict(request.program.content),
        "task": spec_as_json(spec),
        **({"held_out": [seed.model_dump(mode="json") for seed in spec.held_out]} if spec.held_out else {}),
        "config": config.noted(),
        "started": stamp(shared.now()),
        **({} if shared.screen is None else {"decontamination": shared.screen.as_json()}),
    }


def _recording(past: PastRun | None, view: TaskView) -> JournalReader:
    """The journal that answers a replay of the task."""
    if past is None:
        raise RunDirError(f"{view.spec.path}: the recording holds no run of the task {view.spec.task_name}")
    folder = view.paths.folder
    if past.paths.folder.resolve() == folder.resolve():
        raise RunDirError(f"{folder} is the recording itself; choose another --output-dir for the replay")
    return JournalReader.open(past.paths.journal)


def _check_wanted(paths: RunPaths, wanted: int) -> None:
    have = count_rows(paths.data)
    if have > wanted:
        raise RunDirError(
            f"{paths.data} already holds {have} accepted pairs, more than the {wanted} asked for: ask for {have} or more, or "
            "use --restart to set the run aside"
        )
