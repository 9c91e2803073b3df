"""`run`: from options to a request, and from its end to an exit code."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from skills_dspy.base.errors import Interrupted, RequestError, SkillsError, SpecError
from skills_dspy.cli.export import export_run
from skills_dspy.cli.progress import RunProgress
from skills_dspy.cli.shared.arguments import RunOptions
from skills_dspy.cli.shared.options import ModelOptions
from skills_dspy.cli.shared.sessions import open_server, run_until_done, vector_server
from skills_dspy.cli.summary import json_summary, print_summary, resume_line
from skills_dspy.cli.terminal.streams import echo
from skills_dspy.model.compiled import load_compiled
from skills_dspy.model.embedders import choose_embedder, foreign_thresholds
from skills_dspy.model.embedding.embedder import LiveEmbedder
from skills_dspy.model.embedding.weights import served
from skills_dspy.run.open_files import make_room
from skills_dspy.run.past import Replay
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner
from skills_dspy.run.task import TaskView
from skills_dspy.screens.benchmark import read_benchmark, skipped_warnings
from skills_dspy.screens.decontamination import Notices
from skills_dspy.tasks.changed import changed_files
from skills_dspy.tasks.files import Changes, Loaded, load_tasks
from skills_dspy.tasks.spec import TaskSpec

COMPLETE, SHORT = 0, 1
DEFAULT_WANTED = 20


def run_command(options: RunOptions) -> int:
    """Run what was asked for; returns the exit code."""
    loaded = _wanted(options)
    request = _request(options, None if loaded is None else loaded.specs)
    broken = () if loaded is None else loaded.broken
    make_room(len(request.specs), request.concurrency)
    display = RunProgress(quiet=options.quiet)
    embedder = _embedder(request, options)
    tasks: tuple[TaskView, ...] = ()
    with display:
        try:
            tasks = run_until_done(_run(request, options, embedder, display))
        except Interrupted:
            display.stop()
            echo(resume_line(display.tasks), err=True)
            raise
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


@dataclass(frozen=True)
class _Stderr(Notices):
    """Tells the user on stderr; when quiet, only what is odd."""

    quiet: bool

    def say(self, line: str) -> None:
        """Something takes its time."""
        if not self.quiet:
            echo(line, err=True)

    def warn(self, line: str) -> None:
        """Something is odd."""
        echo(f"warning: {line}", err=True)


def _summarize(tasks: Sequence[TaskView], options: RunOptions, broken: Sequence[SpecError]) -> None:
    if options.as_json:
        echo(json_summary(tasks, broken))
    else:
        print_summary(tasks, replayed=options.replay is not None)
    for error in broken:  # once more: what was said at the beginning of a night is out of sight by now
        echo(f"not run: {error}", err=True)


def _embedder(request: RunRequest, options: RunOptions) -> LiveEmbedder:
    """The embedding model; for a live run it is looked for here, before anything is written."""
    config = options.server.over(request.config)
    return choose_embedder(config, partial(vector_server, options.server, config), needed=request.recorded is None)


async def _run(request: RunRequest, options: RunOptions, embedder: LiveEmbedder, display: RunProgress) -> tuple[TaskView, ...]:
    server = None if request.recorded is not None else open_server(options.server, request.config, display.fault, display.say)
    notices = _Stderr(options.quiet)
    try:
        if server is not None:
            if served(embedder.name):
                await embedder.ready()
            decontaminates = request.evaluation is not None
            if warning := foreign_thresholds(request.config, embedder.weights, decontaminates=decontaminates):
                notices.warn(warning)
        return await Runner(request, server, embedder, display, notices=notices).run()
    finally:
        await embedder.close()


def _request(options: RunOptions, specs: tuple[TaskSpec, ...] | None) -> RunRequest:
    """The request; what is not given for a replay is as it was recorded, and so are the tasks when `specs` is None."""
    models, past = options.models, None if options.replay is None else Replay(options.replay, specs)
    given = (models, options.embedder) != (ModelOptions(None, None, None, None), None)
    config = models.load(options.embedder) if past is None or given else past.config()
    program = None if options.program is None else load_compiled(options.program)
    evaluation = read_benchmark(options.decontaminate) if options.decontaminate else None
    for warning in () if evaluation is None else skipped_warnings(evaluation):
        echo(f"warning: {warning}", err=True)
    if past is not None:
        program = program or past.first.program
        evaluation = evaluation or past.evaluation()
    return RunRequest(
        specs=specs or () if past is None else past.specs,
        config=options.server.over(config) if past is None else config,
        wanted=options.wanted or (DEFAULT_WANTED if past is None else past.first.wanted),
        output_dir=options.output_dir,
        seed=options.seed if options.seed is not None else 0 if past is None else past.first.seed,
        concurrency=options.server.concurrency,
        restart=options.restart,
        note=options.note if past is None else None,
        recorded=None if past is None else past.runs,
        program=program,
        evaluation=evaluation,
    )


def load_specs(paths: tuple[Path, ...], base: str | None = None) -> Loaded:
    """The tasks at `paths`, else of task_specs/ here, else the shipped debate; what is to be said of them goes to stderr.

    With `base`, only those of files that have changed against this git commit.
    """
    paths = paths or default_paths()
    loaded = load_tasks(paths, changes_since(base, paths))
    for line in loaded.skipped:
        echo(str(line), err=True)
    for warning in loaded.warnings:
        echo(f"warning: {warning}", err=True)
    for error in loaded.broken:
        echo(f"broken, and left out: {error}", err=True)
    return loaded


def changes_since(base: str | None, paths: tuple[Path, ...]) -> Changes | None:
    """The files of checkouts that have changed against a commit; None where all are taken."""
    return None if base is None else changed_files(paths, base, os.environ)


def default_paths() -> tuple[Path, ...]:
    """Where tasks are looked for when nothing is said."""
    here = Path("task_specs")
    return (here if here.is_dir() else Path(str(files("task_specs") / "writing" / "freeform" / "debate.yaml")),)
