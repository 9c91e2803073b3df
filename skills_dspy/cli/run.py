"""`run`: from options to a request, and from its end to an exit code."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import click

from skills_dspy.base.config import Overrides, RunConfig
from skills_dspy.base.errors import RequestError, RunDirError, SkillsError, SpecError
from skills_dspy.cli.arguments import RunOptions
from skills_dspy.cli.export import export_run
from skills_dspy.cli.open_files import make_room
from skills_dspy.cli.progress import RunProgress
from skills_dspy.cli.sessions import INTERRUPTED, Interrupted, open_server, run_until_done
from skills_dspy.cli.summary import json_summary, print_summary, resume_line
from skills_dspy.model.compiled import CompiledProgram, load_compiled
from skills_dspy.model.embedding.embedder import AsyncEmbedder, SentenceEmbedder
from skills_dspy.model.embedding.weights import find_model
from skills_dspy.run.past import PastRun, find_recorded, recorded_questions
from skills_dspy.run.runner import Runner, RunningTask, RunRequest
from skills_dspy.screens.benchmark import EvaluationSet, read_evaluation_set
from skills_dspy.tasks.changed import changed_files
from skills_dspy.tasks.files import Changes, Loaded, load_tasks
from skills_dspy.tasks.spec import TaskSpec

COMPLETE, SHORT = 0, 1
DEFAULT_WANTED = 20


def run_command(options: RunOptions) -> int:
    """Run what was asked for; returns the exit code."""
    loaded = _wanted(options)
    if options.replay is None:
        assert loaded is not None
        request = live_request(options, loaded.specs)
    else:
        request = replay_request(options, options.replay, None if loaded is None else loaded.specs)
    broken = () if loaded is None else loaded.broken
    make_room(len(request.specs), request.concurrency)
    display = RunProgress(quiet=options.quiet)
    embedder = _embedder(request)
    tasks: tuple[RunningTask, ...] = ()
    with display:
        try:
            tasks = run_until_done(_run(request, options, embedder, display))
        except Interrupted:
            display.stop()
            click.echo(resume_line(display.tasks), err=True)
            return INTERRUPTED
        except SkillsError:
            display.stop()
            if display.tasks:
                _summarize(display.tasks, options, broken)
            raise
    _summarize(tasks, options, broken)
    export_run([task.paths.folder for task in tasks], options.output_dir, options.exports, err=options.as_json)
    return COMPLETE if all(task.run.done for task in tasks) and not broken else SHORT


def _wanted(options: RunOptions) -> Loaded | None:
    """The tasks that were asked for; None for those of a recording, all of them."""
    if options.replay is None or options.task_paths:
        return load_specs(options.task_paths, options.taxonomy_base)
    if options.taxonomy_base is not None:
        raise RequestError("--taxonomy-base says which of --task-paths are taken; give --task-paths too, or leave it out")
    return None


@dataclass(frozen=True, slots=True)
class _Stderr:
    """Tells the user on stderr; when quiet, only what is odd."""

    quiet: bool

    def say(self, line: str) -> None:
        """Something takes its time."""
        if not self.quiet:
            click.echo(line, err=True)

    def warn(self, line: str) -> None:
        """Something is odd."""
        click.echo(f"warning: {line}", err=True)


def _summarize(tasks: Sequence[RunningTask], options: RunOptions, broken: Sequence[SpecError]) -> None:
    if options.as_json:
        click.echo(json_summary(tasks, broken))
    else:
        print_summary(tasks, replayed=options.replay is not None)
    for error in broken:  # once more: what was said at the beginning of a night is out of sight by now
        click.echo(f"not run: {error}", err=True)


def _embedder(request: RunRequest) -> AsyncEmbedder:
    """The embedding model. A live run needs it, so that one which is nowhere is refused here, before anything is written."""
    name, device = request.config.embedder.model, request.config.embedder.device
    if request.recorded is not None:
        return AsyncEmbedder(SentenceEmbedder(name, device))
    found = find_model(name)
    return AsyncEmbedder(SentenceEmbedder(name, device, lambda _: found))


async def _run(
    request: RunRequest, options: RunOptions, embedder: AsyncEmbedder, display: RunProgress
) -> tuple[RunningTask, ...]:
    server = None if request.recorded is not None else open_server(options.server, request.config.server, display.fault)
    return await Runner(request, server, embedder, display, teller=_Stderr(options.quiet)).run()


def live_request(options: RunOptions, specs: tuple[TaskSpec, ...]) -> RunRequest:
    """The request for a run against a server."""
    config = options.models.load(options.embedder)
    return RunRequest(
        specs=specs,
        config=config,
        wanted=options.wanted or DEFAULT_WANTED,
        output_dir=options.output_dir,
        seed=options.seed or 0,
        concurrency=options.server.concurrency,
        restart=options.restart,
        note=options.note,
        program=_compiled(options),
        evaluation=read_evaluation_set(options.decontaminate) if options.decontaminate else None,
    )


def replay_request(options: RunOptions, name: str, specs: tuple[TaskSpec, ...] | None) -> RunRequest:
    """The request for a replay: what is not given is as it was recorded, and so are the tasks when `specs` is None."""
    recorded = {r.spec.task_name: r for r in find_recorded(name)}
    if specs is not None:
        missing = [spec for spec in specs if spec.task_name not in recorded]
        if len(missing) == len(specs):  # else they fail, and the others are replayed
            raise RunDirError(
                f"{missing[0].path}: the recording {name} holds no run of the task {missing[0].task_name}; it holds "
                f"{', '.join(recorded)}"
            )
        recorded = {spec.task_name: recorded[spec.task_name] for spec in specs if spec not in missing}
    else:
        specs = tuple(r.spec for r in recorded.values())
    first = next(iter(recorded.values()))
    if any((r.seed, r.models) != (first.seed, first.models) for r in recorded.values()):
        raise RequestError(f"--replay {name}: its runs were recorded with different seeds or models; give the directory of one")
    programs = [r.program for r in recorded.values()]
    if any((p and p.content) != (programs[0] and programs[0].content) for p in programs):
        raise RequestError(f"--replay {name}: its runs were recorded with different programs; give the directory of one")
    given = options.models.config is not None or options.models.overrides(options.embedder) != Overrides()
    config = options.models.load(options.embedder) if given else _one_config(recorded, name)
    return RunRequest(
        specs=specs,
        config=config,
        wanted=options.wanted or first.wanted,
        output_dir=options.output_dir,
        seed=first.seed if options.seed is None else options.seed,
        concurrency=options.server.concurrency,
        restart=options.restart,
        recorded=recorded,
        program=_compiled(options) or programs[0],
        evaluation=_evaluation(options, recorded, name),
    )


def _evaluation(options: RunOptions, recorded: dict[str, PastRun], name: str) -> EvaluationSet | None:
    """The evaluation questions of a replay: those given, else those of the recording, which must still be the same."""
    if options.decontaminate:
        return read_evaluation_set(options.decontaminate)
    runs = list(recorded.values())
    files = runs[0].evaluation
    if any(r.evaluation != files or (files and r.config.decontamination != runs[0].config.decontamination) for r in runs):
        raise RequestError(f"--replay {name}: its runs were decontaminated differently; give the directory of one")
    return recorded_questions(files, f"--replay {name}", "give the questions of then, or others, with --decontaminate")


def _compiled(options: RunOptions) -> CompiledProgram | None:
    return None if options.program is None else load_compiled(options.program)


def _one_config(recorded: dict[str, PastRun], name: str) -> RunConfig:
    configs = [r.config for r in recorded.values()]
    if any(config.shaping() != configs[0].shaping() for config in configs):
        raise RequestError(f"--replay {name}: its runs were recorded with different configurations; give the directory of one")
    # The embedder's place on this machine is this machine's matter.
    return replace_embedder(configs[0])


def replace_embedder(config: RunConfig) -> RunConfig:
    """A recorded configuration with this machine's device for the embedder."""
    return config.model_copy(update={"embedder": config.embedder.model_copy(update={"device": "cpu"})})


def load_specs(paths: tuple[Path, ...], base: str | None = None) -> Loaded:
    """The tasks at `paths`, else of task_specs/ here, else the shipped debate; what is to be said of them goes to stderr.

    Args:
        paths: files and folders.
        base: only files that have changed against this git commit.
    """
    paths = paths or default_paths()
    loaded = load_tasks(paths, changes_since(base, paths))
    for line in loaded.skipped:
        click.echo(line, err=True)
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    for error in loaded.broken:
        click.echo(f"broken, and left out: {error}", err=True)
    return loaded


def changes_since(base: str | None, paths: tuple[Path, ...]) -> Changes | None:
    """The files of checkouts that have changed against a commit; None where all are taken."""
    return None if base is None else changed_files(paths, base, os.environ)


def default_paths() -> tuple[Path, ...]:
    """Where tasks are looked for when nothing is said."""
    here = Path("task_specs")
    return (here if here.is_dir() else Path(str(files("task_specs") / "writing" / "freeform" / "debate.yaml")),)
