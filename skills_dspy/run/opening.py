"""Opening a task of a run: its directory, journal and models; nothing is written before they are known to be ours."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from skills_dspy.base.config import Role, RunConfig
from skills_dspy.base.errors import RunDirError
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.embedding.vectors import RememberedVectors
from skills_dspy.model.engine import asker_for
from skills_dspy.model.ollama import Model, OllamaServer
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.replies import Replies
from skills_dspy.model.slots import Slots
from skills_dspy.model.steps import reply_limits
from skills_dspy.pipeline.draw_places import DrawPlaces
from skills_dspy.pipeline.flow import Flow
from skills_dspy.pipeline.rows import RunLedger
from skills_dspy.pipeline.settle import Settler
from skills_dspy.run.manifest import check_same_inputs, inputs_of, prompt_fingerprints, spec_as_json, stamp, versions
from skills_dspy.run.past import PastRun
from skills_dspy.run.task import Leaf, RunningTask
from skills_dspy.screens.benchmark import EvaluationSet
from skills_dspy.screens.contamination import Screen, TaskScreen
from skills_dspy.store.files import AppendLog, count_rows, last_line
from skills_dspy.store.journal import Journal, Recording
from skills_dspy.store.run_dir import RunDir, RunPaths, set_aside
from skills_dspy.store.run_json import FORMAT
from skills_dspy.tasks.spec import TaskSpec


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
        evaluation: questions that no pair may be near to; none for no decontamination.
    """

    specs: tuple[TaskSpec, ...]
    config: RunConfig
    wanted: int
    output_dir: Path
    seed: int = 0
    concurrency: int = 8
    restart: bool = False
    recorded: Mapping[str, PastRun] | None = None
    note: str | None = None
    program: CompiledProgram | None = None
    evaluation: EvaluationSet | None = None


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens tasks, with all that they share.

    Attributes:
        request: what is asked for.
        server: the host; none for a replay.
        said: of the host, for run.json.
        models, windows: of each role.
        embedder: not started yet, perhaps.
        adapter: the one that all calls go through.
        slots, places: what the tasks share.
        screen: the evaluation questions, if there are any; it need not be ready yet.
        changed: called after every settled candidate.
        now: the time in UTC.
    """

    request: RunRequest
    server: OllamaServer | None
    said: Mapping[str, Any]
    models: Mapping[Role, Model]
    windows: Mapping[Role, int]
    embedder: AsyncEmbedder
    adapter: SkillsAdapter
    slots: Slots
    places: DrawPlaces
    screen: Screen | None
    changed: Callable[[], None]
    now: Callable[[], datetime]

    def open(self, task: RunningTask, program: SkillsProgram) -> Leaf:
        """Take the task's directory and everything in it.

        Raises:
            RunDirError: the directory is busy, foreign, or of other inputs, or the recording does not hold the task.
            StorageError: the disk is full or refuses.
        """
        with ExitStack() as stack:
            leaf = self._open(task, program, stack)
            leaf.keep(stack.pop_all())
        return leaf

    def _open(self, task: RunningTask, program: SkillsProgram, stack: ExitStack) -> Leaf:
        request, config, spec = self.request, self.request.config, task.spec
        if request.restart:
            set_aside(request.output_dir, spec.task_name, self.now())
        directory = stack.enter_context(RunDir.open(request.output_dir, spec.task_name))
        paths = directory.paths
        prompts = prompt_fingerprints(spec, config, program, self.adapter)
        screened = None if self.screen is None else self.screen.inputs()
        inputs = inputs_of(spec, config, request.seed, self.models, prompts, screened)
        check_same_inputs(paths, inputs)
        _check_wanted(paths, request.wanted)
        journal = stack.enter_context(Journal.open(paths.journal))
        logs = (AppendLog.open(paths.data), AppendLog.open(paths.rejected))
        for log in logs:
            stack.callback(log.close)
        source = self._source(spec, paths.folder, stack)
        recording = source if isinstance(source, Recording) else None
        replies = Replies(journal, source, self.slots.share(), task.meter)
        names = {role: model.name for role, model in self.models.items()}
        limits = reply_limits(spec, config)
        asker = asker_for(program, config, names, self.windows, replies, limits, request.seed, spec.task_name)
        decided = _last_decided(paths)
        vectors = RememberedVectors(self.embedder, journal, recording, paths.folder)
        screen = None if self.screen is None else TaskScreen(self.screen, vectors)
        place = self.places.join()  # now, and not when it begins: the first to begin would take all that there is
        stack.callback(place.leave)

        def begin(spec: TaskSpec) -> Settler:
            return Settler(
                spec,
                config,
                seed=request.seed,
                wanted=request.wanted,
                flow=Flow(spec, config, asker, screen),
                embedder=vectors,
                ledger=RunLedger(spec, request.seed, {str(role): name for role, name in names.items()}, prompts, *logs),
                last_decided=decided,
                on_change=self.changed,
                place=place,
            )

        manifest = {
            "format": FORMAT,
            "status": "running",
            "wanted": request.wanted,
            "inputs": inputs,
            "server": dict(self.said),
            "windows": dict(self.windows),
            "embedder": {"name": self.embedder.name},
            "versions": versions(),
            "program": None if request.program is None else dict(request.program.content),
            "task": spec_as_json(spec),
            "config": config.model_dump(mode="json"),
            "started": stamp(self.now()),
        }
        if self.screen is not None:
            manifest["decontamination"] = self.screen.as_json()
        embedder = self.embedder.name
        return Leaf(task, directory, journal, logs, manifest, asker=asker, begin=begin, embedder=embedder, screen=screen)

    def _source(self, spec: TaskSpec, folder: Path, stack: ExitStack) -> OllamaServer | Recording:
        if self.server is not None:
            return self.server
        assert self.request.recorded is not None
        recorded = self.request.recorded.get(spec.task_name)
        if recorded is not None and recorded.paths.folder.resolve() == folder.resolve():
            raise RunDirError(f"{folder} is the recording itself; choose another --output-dir for the replay")
        if recorded is None:
            raise RunDirError(f"{spec.path}: the recording holds no run of the task {spec.task_name}")
        return stack.enter_context(Recording.open(recorded.paths.journal))


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
