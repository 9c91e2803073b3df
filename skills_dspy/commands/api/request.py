"""From what is asked of `run` to a request, an embedding model, and the run itself."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.base.validation import require_whole
from skills_dspy.commands.api.server import Connection, measured_file
from skills_dspy.model.compiled import CompiledProgram, load_compiled
from skills_dspy.model.embedders import choose_embedder, foreign_thresholds
from skills_dspy.model.embedding.embedder import LiveEmbedder
from skills_dspy.model.embedding.weights import served
from skills_dspy.model.server.server import Server
from skills_dspy.run.past import Replay
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner, Watcher
from skills_dspy.run.task import TaskView
from skills_dspy.screens.benchmark import read_benchmark, skipped_warnings
from skills_dspy.screens.decontamination import Notices
from skills_dspy.store.measured import find_measured
from skills_dspy.tasks.files import load_tasks
from skills_dspy.tasks.held_out import hold_out
from skills_dspy.tasks.shown import seen_by
from skills_dspy.tasks.spec import TaskSpec

_LOG = logging.getLogger(__name__)
DEFAULT_WANTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What is asked of a run beside its tasks; None where a recording may know better.

    Attributes:
        wanted: accepted pairs for each task, 1 or more; 20 where nothing knows better.
        output_dir: where runs live.
        config: a YAML file over the built-in settings.
        models: section (generator, validator, tagger, embedder) to its model's name; None leaves it alone.
        think: whether all models think first.
        seed: decides every choice; 0 where nothing knows better.
        restart: set existing runs aside first.
        replay: the directory of recorded runs that answer, or `demo`.
        program: a file of compiled prompts.
        decontaminate: files of evaluation questions.
        hold_out: how many seeds of each task stay out of its run; None as was recorded, else 0.
        note: what answers, in words, in place of the server's own.
    """

    wanted: int | None = None
    output_dir: Path = Path("output")
    config: Path | None = None
    models: Mapping[str, str | None] = field(default_factory=dict)
    think: str | None = None
    connection: Connection = field(default_factory=Connection)
    seed: int | None = None
    restart: bool = False
    replay: str | None = None
    program: Path | None = None
    decontaminate: tuple[Path, ...] = ()
    hold_out: int | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        """RequestError where it cannot be."""
        if self.wanted is not None:
            require_whole("-n", self.wanted, 1, 10_000_000)
        if self.seed is not None:
            require_whole("--seed", self.seed, 0, 2**63 - 1)

    def over(self, config: RunConfig) -> RunConfig:
        """The settings with what is said of the server. RequestError as `Connection.over` has it."""
        return self.connection.over(config, self.models.get("generator"))


def models_of(
    model: str | None, judge_model: str | None, tagger_model: str | None, embedder: str | None
) -> dict[str, str | None]:
    """Section of the settings to the model that was given for it, None where none was."""
    return {"generator": model, "validator": judge_model, "tagger": tagger_model, "embedder": embedder}


def load_logged(paths: Sequence[Path]) -> tuple[TaskSpec, ...]:
    """The tasks at some paths; what is odd about their files is logged. SkillsError as `load_tasks` has it."""
    loaded = load_tasks(paths)
    for line in (*loaded.skipped, *loaded.warnings, *loaded.broken):
        _LOG.warning("%s", line)
    return loaded.specs


def run_request(settings: RunSettings, specs: tuple[TaskSpec, ...] | None, warn: Callable[[str], None]) -> RunRequest:
    """The request; what is not given for a replay is as it was recorded, and so are the tasks when `specs` is None.

    Raises:
        SkillsError: a file or a setting is at fault, or the recording.
    """
    past = None if settings.replay is None else Replay(settings.replay, specs)
    given = any(value is not None for value in (settings.config, settings.think, *settings.models.values()))
    config = past.config() if past is not None and not given else load_config(settings.config, settings.models, settings.think)
    program = None if settings.program is None else load_compiled(settings.program)
    evaluation = read_benchmark(settings.decontaminate) if settings.decontaminate else None
    for warning in () if evaluation is None else skipped_warnings(evaluation):
        warn(warning)
    if past is not None:
        program = program or past.first.program
        evaluation = evaluation or past.evaluation()
    seed = settings.seed if settings.seed is not None else 0 if past is None else past.first.seed
    tasks = specs or () if past is None else past.specs
    return RunRequest(
        specs=_without_held_out(tasks, settings.hold_out, past, seed, program),
        config=settings.over(config) if past is None else config,
        wanted=settings.wanted if settings.wanted is not None else DEFAULT_WANTED if past is None else past.first.wanted,
        output_dir=settings.output_dir,
        seed=seed,
        concurrency=settings.connection.in_flight(config),
        restart=settings.restart,
        note=settings.note if past is None else None,
        recorded=None if past is None else past.runs,
        program=program,
        evaluation=evaluation,
    )


def with_measured(request: RunRequest, connection: Connection, notices: Notices) -> tuple[RunRequest, Connection]:
    """The same with the slots of several hosts that `check` has measured, where an address does not say them."""
    wanted = [] if request.recorded is not None else connection.wants_slots(request.config)
    if not wanted:
        return request, connection
    found, lines = find_measured(measured_file(), wanted, datetime.now(UTC).date())
    for line in lines:
        notices.warn(line)
    if not found:
        return request, connection
    told = ", ".join(f"{one.slots} at {one.host}" for one in found.values())
    notices.say(f"Slots as `check` measured them: {told}; write *N behind an address for another number.")
    connection = replace(connection, measured={key: one.slots for key, one in found.items()})
    return replace(request, concurrency=connection.in_flight(request.config)), connection


def _without_held_out(
    specs: Sequence[TaskSpec], count: int | None, past: Replay | None, seed: int, program: CompiledProgram | None
) -> tuple[TaskSpec, ...]:
    """The tasks without the seeds that stay out; where that is not said, as many as in the recorded run of the same name."""
    recorded = {} if past is None else {name: len(run.spec.held_out) for name, run in past.runs.items()}
    seen = [] if program is None else [seen_by(program.content)]
    return tuple(
        spec
        if count is None and spec.held_out  # the recorded one itself
        else hold_out(spec, recorded.get(spec.task_name, 0) if count is None else count, seed, *seen)
        for spec in specs
    )


def embedder_of(request: RunRequest, settings: RunSettings) -> LiveEmbedder:
    """The embedding model; for a live run it is looked for here, before anything is written. EmbedderMissing."""
    config = settings.over(request.config)
    connection = settings.connection
    return choose_embedder(config, lambda kind: connection.vectors(config, kind), needed=request.recorded is None)


async def run_tasks(
    request: RunRequest,
    server: Server | None,
    embedder: LiveEmbedder,
    watcher: Watcher,
    notices: Notices,
    *,
    keep_embedder: bool = False,
) -> tuple[TaskView, ...]:
    """All tasks to their end, with a server but for a replay; raises what `Runner.run` does. Embedder and server are closed."""
    async with AsyncExitStack() as closed:
        if server is not None:
            closed.push_async_callback(server.close)
        if not keep_embedder:
            closed.push_async_callback(embedder.close)
        if server is not None:
            if served(embedder.name):
                await embedder.ready()
            decontaminates = request.evaluation is not None
            if warning := foreign_thresholds(request.config, embedder.weights, decontaminates=decontaminates):
                notices.warn(warning)
        return await Runner(request, server, embedder, watcher, notices=notices).run()
