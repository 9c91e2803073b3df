"""Past runs that answer a replay: where they lie, the inputs they were made with, and what they have to have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from signatures.examples import Axis
from skills_dspy.base.config import NO_SCREENS, ROLES, Role, RunConfig, load_config
from skills_dspy.base.errors import RequestError, RunDirError
from skills_dspy.model.compiled import CompiledProgram, checked
from skills_dspy.model.description import described
from skills_dspy.model.server.server import Model
from skills_dspy.screens.benchmark import Benchmark, read_benchmark, split_field
from skills_dspy.store.run_dir import RunPaths, find_runs
from skills_dspy.store.run_json import needed, origin_of, read_run_json, run_json_errors
from skills_dspy.tasks.spec import TaskSpec

DEMO = "demo"

CANNOT_REPLAY = "this run cannot be replayed: {}"
"""What is said of a run.json that is not as it should be."""

_ADDED: Mapping[str, Mapping[str, Any]] = {"draws": {"variety": "off"}, "judges": {"context_pass": [1]}}
"""What settings of then that they do not name come to: runs from before there were any."""

DECIDED = "decided"
"""The key of run.json that only a dataset has which was decided anew: from which run, and how."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """One past run, with what it was made with.

    Attributes:
        answered_by: what gave the replies, in words.
        no_model: whether that was no language model.
        weights: of the embedding model that gave its vectors, as far as it is known.
        evaluation: path and SHA-256 of the files of evaluation questions that it was decontaminated against.
        description: what the model derived, where the task's file leaves its description blank.
        variety: the axes that it named, where it was asked; None where it was not.
    """

    paths: RunPaths
    spec: TaskSpec
    config: RunConfig
    seed: int
    wanted: int
    models: dict[Role, Model]
    answered_by: str
    no_model: bool = False
    program: CompiledProgram | None = None
    weights: str | None = None
    evaluation: tuple[tuple[Path, str], ...] = ()
    description: str | None = None
    variety: tuple[Axis, ...] | None = None

    @property
    def prompted(self) -> TaskSpec:
        """The task as its prompts told it: with what the model derived, description and axes."""
        spec = self.spec if self.description is None else described(self.spec, self.description)
        return spec if self.variety is None else spec.model_copy(update={"variety": self.variety})

    @property
    def root(self) -> Path:
        """The output directory that it lies below."""
        folder = self.paths.folder.resolve()
        below = Path(self.spec.task_name).parts
        return folder.parents[len(below) - 1] if folder.parts[-len(below) :] == below else folder


def find_recorded(name: str) -> tuple[PastRun, ...]:
    """The recorded runs at or below a directory; `demo` names the shipped ones. RunDirError where there are none to read."""
    root = Path(str(files("skills_dspy.run") / "demo")) if name == DEMO else Path(name)
    if not root.is_dir():
        raise RunDirError(f"--replay {name}: there is no such directory; give a run's directory, or `demo`")
    recorded = tuple(read_recorded(paths) for paths in find_runs(root))
    if not recorded:
        raise RunDirError(f"--replay {name}: no run was recorded there; give a run's directory, or `demo`")
    return recorded


def read_recorded(paths: RunPaths) -> PastRun:
    """What one run was made with.

    Raises:
        RunDirError: its run.json is missing, or not what a run writes, or that of a dataset that was decided anew.
    """
    with run_json_errors(paths, CANNOT_REPLAY):
        run = needed(read_run_json(paths, CANNOT_REPLAY), "run.json")
        if DECIDED in run.content:
            raise RunDirError(f"{paths.folder} was decided anew from another run; give that run: {origin_of(paths, run)}")
        needed(run.task, "task")
        known_later: dict[str, Any] = {"soft_ratings": False, "screens": NO_SCREENS.model_dump()}
        known_later["decontamination"] = load_config().decontamination.model_dump()
        known_later["habits"] = {**load_config().habits.model_dump(), "watched": False}
        config, inputs = needed(run.config, "config"), needed(run.inputs, "inputs")
        for section, added in _ADDED.items():
            config = {**config, section: {**added, **config.get(section, {})}}
        models, files = needed(inputs.models, "models"), () if run.decontamination is None else run.decontamination.files
        server = needed(run.server, "server")
        licences = {role: server.licences.get(models[role].name) for role in ROLES}
        return PastRun(
            paths=paths,
            spec=TaskSpec.model_validate({**run.content["task"], "held_out": run.held_out, "path": paths.run_json}),
            config=RunConfig.model_validate({**known_later, **config}),
            seed=needed(inputs.seed, "seed"),
            wanted=needed(run.wanted, "wanted"),
            models={role: Model(models[role].name, models[role].digest, None, licence=licences[role]) for role in ROLES},
            answered_by=server.answered_by,
            no_model=server.without_model,
            program=None if run.program is None else checked(run.program, paths.run_json),
            weights=run.embedder.weights,
            evaluation=tuple((Path(file.path), file.sha256) for file in files),
            description=run.derived_description,
            variety=None if run.variety is None else run.variety.axes,
        )


def recorded_questions(files: Sequence[tuple[Path, str]], where: str, advice: str) -> Benchmark | None:
    """The evaluation questions of recorded runs (`PastRun.evaluation`); None where there were none.

    Raises:
        RequestError: a file is gone or has changed; `where` begins the sentence, `advice` ends it.
    """
    if not files:
        return None
    for path, _ in files:
        if not split_field(path)[0].is_file():
            raise RequestError(f"{where}: it was decontaminated against {path}, which is not there; {advice}")
    found = read_benchmark([path for path, _ in files])
    if {file.sha256 for file in found.files} ^ {digest for _, digest in files}:
        names = ", ".join(str(path) for path, _ in files)
        raise RequestError(f"{where}: {names} changed since it was decontaminated against that; {advice}")
    return found


class Replay:
    """The runs of a recording by the names of their tasks, those that are in `specs`; all of them when that is None.

    A task that was not recorded fails for itself, as long as there is another.

    Raises:
        RunDirError: there is no recording, or none of the tasks was recorded.
        RequestError: the runs differ in seed, models or program.
    """

    def __init__(self, name: str, specs: Sequence[TaskSpec] | None) -> None:
        found = {run.spec.task_name: run for run in find_recorded(name)}
        if specs is None:
            specs = [run.spec for run in found.values()]
        elif all(spec.task_name not in found for spec in specs):
            raise RunDirError(
                f"{specs[0].path}: the recording {name} holds no run of the task {specs[0].task_name}; it holds "
                f"{', '.join(found)}"
            )
        self.specs = tuple(specs)
        self.runs: Mapping[str, PastRun] = {s.task_name: found[s.task_name] for s in specs if s.task_name in found}
        self.first = next(iter(self.runs.values()))
        self._name = name
        self._check("recorded with different seeds or models", lambda run: (run.seed, run.models))
        self._check("recorded with different programs", lambda run: run.program and run.program.content)

    def config(self) -> RunConfig:
        """The settings of the runs, but for the embedder's device; RequestError where they differ in what shapes a dataset."""
        self._check("recorded with different configurations", lambda run: run.config.shaping())
        config = self.first.config
        return config.model_copy(update={"embedder": config.embedder.model_copy(update={"device": "cpu"})})

    def evaluation(self) -> Benchmark | None:
        """The evaluation questions that the runs were decontaminated against; RequestError as for `recorded_questions`."""
        self._check("decontaminated differently", lambda run: (run.evaluation, run.evaluation and run.config.decontamination))
        advice = "give the questions of then, or others, with --decontaminate"
        return recorded_questions(self.first.evaluation, f"--replay {self._name}", advice)

    def _check(self, how: str, trait: Callable[[PastRun], object]) -> None:
        if any(trait(run) != trait(self.first) for run in self.runs.values()):
            raise RequestError(f"--replay {self._name}: its runs were {how}; give the directory of one")
