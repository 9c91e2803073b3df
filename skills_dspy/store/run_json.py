"""run.json: what a run was made with and how it went, as one type that every reader gets, and the one that writes it."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os.path import normpath
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from signatures.examples import Axis
from skills_dspy.base.config import SPOKEN, Role
from skills_dspy.base.errors import RunDirError
from skills_dspy.base.records import Noted, Reason, SeedExample
from skills_dspy.store.files import storage_errors
from skills_dspy.store.run_dir import RunPaths

RUN_FORMAT = 1
"""The version of run.json's layout."""

BROKEN = "this is not what a run writes: {}; restore the file"
"""The sentence for a wrong run.json; in this and in the parameters below braces stand for the first thing that is wrong."""

_T = TypeVar("_T")


class ModelName(Noted):
    """A model as the server had it."""

    name: str
    digest: str


class Inputs(Noted):
    """What decided the dataset's bytes, as far as it is read part by part."""

    seed: int | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    models: dict[str, ModelName] | None = None
    prompts: dict[str, dict[str, str]] = Field(default_factory=dict)


_LOG = logging.getLogger(__name__)

OLLAMA = "Ollama"
"""The kind of server that is meant where none is named."""


def server_in_words(api: str, version: str, host: str | None = None) -> str:
    """A server of this kind that says so of its version, empty where it says nothing, with its address where that is wanted."""
    at = f" at {host}" if host is not None else ""
    if api == OLLAMA:
        return f"Ollama {version}{at}"
    return f"{api}{at}{f' ({version})' if version else ''}"


_MODELLESS = re.compile(r"\bsimulated\b|\d-fake\b|\bby hand\b|\bno language model\b", re.IGNORECASE)
"""What versions and notes say where no language model answered; older replays say it nowhere else."""


class NotedHost(Noted):
    """One of several hosts; one that did not answer in the beginning has no version."""

    host: str
    version: str | None = None
    slots: int | None = None
    roles: tuple[Role, ...] = ()

    def in_words(self, usage: Mapping[str, Any]) -> str:
        """Address, version and roles, and what it has done, by a result's usage."""
        used = (usage.get("by_host") or {}).get(self.host)
        roles = ", ".join(SPOKEN[role] for role in self.roles)
        return f"{self.host} ({'; '.join(filter(None, (self.version, roles)))}){f': {used_in_words(used)}' if used else ''}"


def used_in_words(used: Mapping[str, Any]) -> str:
    """Calls, tokens and faults of a host; tokens where it tells them."""
    tokens, faults = used["prompt_tokens"] + used["output_tokens"], used.get("faults", 0)
    return ", ".join([f"{used['calls']} calls", *([f"{tokens} tokens"] * bool(tokens)), *([f"{faults} faults"] * bool(faults))])


class NotedServer(Noted):
    """Who answered; the kind of server is only there when it was not Ollama, hosts where there were several.

    Attributes:
        note: who answered, in words, in place of the server's own: that of a recording, which every replay has.
        no_model: that it was no language model, where the version does not say it any more; see `without_model`.
        licences: those of models by name, in a line, where server or file told them.
    """

    host: str | None = None
    version: str | None = None
    note: str | None = None
    no_model: bool = False
    api: str = OLLAMA
    licences: dict[str, str] = Field(default_factory=dict)
    hosts: tuple[NotedHost, ...] = ()

    @property
    def answered_by(self) -> str:
        """Who, in words; KeyError where it does not say."""
        several = f" on {len(self.hosts)} hosts" if self.hosts else ""
        return self.note or server_in_words(self.api, needed(self.version, "version")) + several

    @property
    def without_model(self) -> bool:
        """Whether something other than a language model answered, by what version and note say; a note alone says nothing."""
        return self.no_model or any(_MODELLESS.search(told) for told in (self.version or "", self.note or ""))


class NotedEmbedder(Noted):
    """The model whose vectors the journal holds; runs of older versions do not name its weights."""

    name: str | None = None
    weights: str | None = None


class Task(Noted):
    """The task, as far as it is read part by part; `RunJson.content` has all of it."""

    task_name: str | None = None
    created_by: str | None = None
    task_description: str | None = None
    licence: str | None = None
    seed_examples: tuple[SeedExample, ...] | None = None


class QuestionFile(Noted):
    """A file of evaluation questions that rows were kept clear of."""

    name: str
    path: str
    sha256: str
    questions: int


class Decontamination(Noted):
    """What rows were kept clear of; `max_cosine` is None where embeddings were not compared."""

    files: tuple[QuestionFile, ...] = ()
    ngram: int | None = None
    max_cosine: float | None = None
    contaminated_seeds: tuple[dict[str, Any], ...] = ()


class PlannedVariety(Noted):
    """The axes that a model named, each with name, `of` and values; none where it named none that could be used."""

    axes: tuple[Axis, ...] = ()


class Rejected(Noted):
    """How many candidates one stage rejected for one reason."""

    stage: str
    reason: Reason
    count: int


class FunnelCounts(Noted):
    """What became of the candidates."""

    candidates: int
    accepted: int
    rejected: tuple[Rejected, ...]


class Result(Noted):
    """How the run went; None in its place until it has ended once."""

    draws: int | None = None
    funnel: FunnelCounts | None = None
    usage: dict[str, Any] = Field(default_factory=dict)


class RunJson(Noted):
    """What a run.json says. Only what every reader can do without is given a default in place of None.

    Attributes:
        held_out: seeds of the task that stayed out of the run; `task` has the others.
        content: all of it as it stands there, for what is copied or compared as a whole.
        decided: only in a dataset that was decided anew: from which run, and how.
    """

    content: Mapping[str, Any] = Field(repr=False)
    format: Any = None
    status: str | None = None
    wanted: int | None = None
    inputs: Inputs | None = None
    server: NotedServer | None = None
    embedder: NotedEmbedder = NotedEmbedder()
    versions: dict[str, str] = Field(default_factory=dict)
    program: dict[str, Any] | None = None
    task: Task | None = None
    held_out: tuple[SeedExample, ...] = ()
    config: dict[str, Any] | None = None
    derived_description: str | None = None
    variety: PlannedVariety | None = None
    decontamination: Decontamination | None = None
    decided: Any = None
    result: Result | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "RunJson":
        """The type of a content; ValueError where it is not what a run writes."""
        return cls.model_validate({**content, "content": content})

    def description(self, *, marked: bool = False) -> str:
        """What prompts said that the skill is; one that the generator derived, as the task has none, is `marked` as that."""
        stated = (self.task.task_description if self.task else None) or ""
        if stated.strip() or not self.derived_description:
            return stated
        return self.derived_description + " (derived by the generator)" * marked


def needed(value: _T | None, name: str) -> _T:
    """The value that a reader cannot do without; KeyError where it is not there."""
    if value is None:
        raise KeyError(name)
    return value


@contextmanager
def run_json_errors(paths: RunPaths, sentence: str = BROKEN) -> Iterator[None]:
    """Turn what a wrong run.json makes the block raise into a RunDirError that names the file and the first fault."""
    try:
        yield
    except (KeyError, ValueError) as error:
        raise RunDirError(f"{paths.run_json}: {sentence.format(_fault(error))}") from error


def read_run_json(paths: RunPaths, broken: str = BROKEN, other_format: str | None = None) -> RunJson | None:
    """What a run's run.json says, or None when there is none yet.

    Raises:
        RunDirError: it is not a JSON object; in the sentence `broken` it is not what a run writes; in `other_format`, where
            that is given, it is of another version: braces stand for its format.
    """
    path = paths.run_json
    with storage_errors("read", path):
        text = path.read_bytes() if path.exists() else None
    if text is None:
        return None
    try:
        content, line = json.loads(text), 1
    except (ValueError, RecursionError) as error:
        content, line = None, getattr(error, "lineno", 1)
    if not isinstance(content, dict):
        raise RunDirError(f"{path}:{line}: this is not a JSON object; restore the file, or use --restart")
    if other_format is not None and content.get("format") != RUN_FORMAT:
        raise RunDirError(f"{path}: {other_format.format(repr(content.get('format')))}")
    with run_json_errors(paths, broken):
        return RunJson.of(content)


def known_run(paths: RunPaths) -> RunJson:
    """What a run's run.json says; RunDirError where there is none."""
    run = read_run_json(paths)
    if run is None:
        raise RunDirError(f"{paths.run_json} is missing, so nothing is known of this run; restore the file")
    _LOG.info("reads the run in %s", paths.folder)
    return run


def origin_of(paths: RunPaths, run: RunJson) -> str:
    """Where the run is whose candidates were decided anew here, in words."""
    origin = run.decided.get("run") if isinstance(run.decided, dict) else None
    return f"its run.json does not say which; see {paths.run_json}" if origin is None else normpath(paths.folder / str(origin))


def _fault(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where.rpartition('.')[2]} is missing" if first["type"] == "missing" else f"{where}: {first['msg']}"
    return str(error).splitlines()[0]
