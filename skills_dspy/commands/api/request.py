"""From what is asked of `run` to a request, an embedding model, and the run itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.commands.api.server import Connection
from skills_dspy.model.compiled import load_compiled
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
from skills_dspy.tasks.held_out import hold_out
from skills_dspy.tasks.spec import TaskSpec

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

    def over(self, config: RunConfig) -> RunConfig:
        """The settings with what is said of the server. RequestError as `Connection.over` has it."""
        return self.connection.over(config, self.models.get("generator"))


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
    return RunRequest(
        specs=_without_held_out(specs or () if past is None else past.specs, settings.hold_out, past, seed),
        config=settings.over(config) if past is None else config,
        wanted=settings.wanted or (DEFAULT_WANTED if past is None else past.first.wanted),
        output_dir=settings.output_dir,
        seed=seed,
        concurrency=settings.connection.in_flight(config),
        restart=settings.restart,
        note=settings.note if past is None else None,
        recorded=None if past is None else past.runs,
        program=program,
        evaluation=evaluation,
    )


def _without_held_out(specs: Sequence[TaskSpec], count: int | None, past: Replay | None, seed: int) -> tuple[TaskSpec, ...]:
    """The tasks without the seeds that stay out; where that is not said, as many as in the recorded run of the same name."""
    recorded = {} if past is None else {name: len(run.spec.held_out) for name, run in past.runs.items()}
    return tuple(
        spec
        if count is None and spec.held_out  # the recorded one itself
        else hold_out(spec, recorded.get(spec.task_name, 0) if count is None else count, seed)
        for spec in specs
    )


def embedder_of(request: RunRequest, settings: RunSettings) -> LiveEmbedder:
    """The embedding model; for a live run it is looked for here, before anything is written. EmbedderMissing."""
    config = settings.over(request.config)
    connection = settings.connection
    return choose_embedder(config, lambda kind: connection.vectors(config, kind), needed=request.recorded is None)


async def run_tasks(
    request: RunRequest, server: Server | None, embedder: LiveEmbedder, watcher: Watcher, notices: Notices
) -> tuple[TaskView, ...]:
    """All tasks to their end, with a server but for a replay; raises what `Runner.run` does. Embedder and server are closed."""
    try:
        if server is not None:
            if served(embedder.name):
                await embedder.ready()
            decontaminates = request.evaluation is not None
            if warning := foreign_thresholds(request.config, embedder.weights, decontaminates=decontaminates):
                notices.warn(warning)
        return await Runner(request, server, embedder, watcher, notices=notices).run()
    finally:
        await embedder.close()
