"""Recorded runs that answer a replay: where they lie, and the inputs they were made with."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from os.path import normpath
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skills_dspy.base.config import ROLES, Role, RunConfig, load_config
from skills_dspy.base.errors import RequestError, RunDirError
from skills_dspy.model.compiled import CompiledProgram, checked
from skills_dspy.model.description import described
from skills_dspy.model.ollama import Model
from skills_dspy.screens.benchmark import EvaluationSet, read_evaluation_set
from skills_dspy.store.run_dir import RunPaths, find_runs
from skills_dspy.tasks.spec import TaskSpec

DEMO = "demo"

DECIDED = "decided"
"""The key of run.json that only a dataset has which was decided anew: from which run, and how."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded run.

    Attributes:
        paths: where it lies.
        spec, config, seed, wanted: what it was made with.
        models: role to model, as the server had it.
        answered_by: what gave the replies, in words.
        program: the compiled prompts that it was made with, if any.
        weights: of the embedding model that gave its vectors, as far as it is known.
        evaluation: path and SHA-256 of the files of evaluation questions that it was decontaminated against.
        description: what the model derived, where the task's file leaves its description blank.
    """

    paths: RunPaths
    spec: TaskSpec
    config: RunConfig
    seed: int
    wanted: int
    models: dict[Role, Model]
    answered_by: str
    program: CompiledProgram | None = None
    weights: str | None = None
    evaluation: tuple[tuple[Path, str], ...] = ()
    description: str | None = None

    @property
    def told(self) -> TaskSpec:
        """The task as its prompts told it: with the derived description, where there is one."""
        return self.spec if self.description is None else described(self.spec, self.description)

    @property
    def root(self) -> Path:
        """The output directory that it lies below."""
        folder = self.paths.folder.resolve()
        below = Path(self.spec.task_name).parts
        return folder.parents[len(below) - 1] if folder.parts[-len(below) :] == below else folder


def find_recorded(name: str) -> tuple[Recorded, ...]:
    """The recorded runs at or below a directory; `demo` names the shipped ones.

    Raises:
        RunDirError: there is none, or it is not readable as one.
    """
    root = Path(str(files("skills_dspy.run") / "demo")) if name == DEMO else Path(name)
    if not root.is_dir():
        raise RunDirError(f"--replay {name}: there is no such directory; give a run's directory, or `demo`")
    recorded = tuple(read_recorded(paths) for paths in find_runs(root))
    if not recorded:
        raise RunDirError(f"--replay {name}: no run was recorded there; give a run's directory, or `demo`")
    return recorded


def read_recorded(paths: RunPaths) -> Recorded:
    """What one run was made with.

    Raises:
        RunDirError: its run.json is missing, or not what a run writes, or that of a dataset that was decided anew.
    """
    content = paths.read_run_json()
    if content is not None and DECIDED in content:
        raise RunDirError(f"{paths.folder} was decided anew from another run; give that run: {_origin(paths, content)}")
    try:
        if content is None:
            raise KeyError("run.json")
        return Recorded(
            paths=paths,
            spec=TaskSpec.model_validate({**content["task"], "path": paths.run_json}),
            config=_config(content["config"]),
            seed=int(content["inputs"]["seed"]),
            wanted=int(content["wanted"]),
            models={role: _model(content["inputs"]["models"][role]) for role in ROLES},
            answered_by=_answered_by(content),
            program=None if content.get("program") is None else checked(content["program"], paths.run_json),
            weights=content.get("embedder", {}).get("weights"),
            evaluation=tuple((Path(f["path"]), str(f["sha256"])) for f in content.get("decontamination", {}).get("files", ())),
            description=content.get("derived_description"),
        )
    except (AttributeError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise RunDirError(f"{paths.run_json}: this run cannot be replayed: {_brief(error)}") from error


def recorded_questions(files: Sequence[tuple[Path, str]], where: str, advice: str) -> EvaluationSet | None:
    """The evaluation questions of recorded runs, which must still be the same; None where there were none.

    Args:
        files: path and SHA-256 of each, as `Recorded.evaluation` has them.
        where: the beginning of a message.
        advice: what to do when they are not what they were.

    Raises:
        RequestError: a file is gone or has changed.
    """
    if not files:
        return None
    for path, _ in files:
        if not path.is_file():
            raise RequestError(f"{where}: it was decontaminated against {path}, which is not there; {advice}")
    found = read_evaluation_set([path for path, _ in files])
    if {file.sha256 for file in found.files} ^ {digest for _, digest in files}:
        names = ", ".join(str(path) for path, _ in files)
        raise RequestError(f"{where}: {names} changed since it was decontaminated against that; {advice}")
    return found


def _config(content: dict[str, Any]) -> RunConfig:
    """The recorded settings; a run from before there was one did without soft ratings and without decontamination."""
    known_later = {"soft_ratings": False, "decontamination": load_config().decontamination.model_dump()}
    return RunConfig.model_validate({**known_later, **content})


def _origin(paths: RunPaths, content: dict[str, Any]) -> str:
    decided = content[DECIDED]
    origin = decided.get("run") if isinstance(decided, dict) else None
    return f"its run.json does not say which; see {paths.run_json}" if origin is None else normpath(paths.folder / str(origin))


def _model(content: dict[str, Any]) -> Model:
    return Model(str(content["name"]), str(content["digest"]), None)


def _answered_by(content: dict[str, Any]) -> str:
    server = content["server"]
    return str(server.get("note") or f"Ollama {server['version']}")


def _brief(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]
