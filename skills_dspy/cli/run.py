"""`run`: from options to a request, and from its end to an exit code."""

import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from skills_dspy.base.errors import Interrupted, RequestError, SkillsError, SpecError
from skills_dspy.cli.export import export_run
from skills_dspy.cli.progress import RunProgress
from skills_dspy.cli.shared.arguments import RunOptions
from skills_dspy.cli.shared.sessions import open_server, run_until_done
from skills_dspy.cli.summary import json_summary, print_summary, resume_line
from skills_dspy.cli.terminal.streams import echo
from skills_dspy.commands.api.request import RunSettings, embedder_of, run_request, run_tasks, with_measured
from skills_dspy.run.open_files import make_room
from skills_dspy.run.request import RunRequest
from skills_dspy.run.task import TaskView
from skills_dspy.screens.decontamination import Notices
from skills_dspy.tasks.changed import changed_files
from skills_dspy.tasks.files import Changes, Loaded, load_tasks

COMPLETE, SHORT = 0, 1


def run_command(options: RunOptions) -> int:
    """Run what was asked for; returns the exit code."""
    _refuse_unfit(options)
    loaded, settings = _wanted(options), _settings(options)
    request = run_request(settings, None if loaded is None else loaded.specs, _Stderr(options.quiet).warn)
    broken = () if loaded is None else loaded.broken
    display = RunProgress(quiet=options.quiet)
    tasks: tuple[TaskView, ...] = ()
    with _work(request, settings, options, display) as work, display:
        try:
            tasks = run_until_done(work())
        except Interrupted:
            display.stop()
            echo(resume_line(display.tasks), err=True)
            raise
        except SkillsError:
            display.stop()
            if display.tasks:
                _summarize(display, options, broken)
            raise
    _summarize(display, options, broken)
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
        if not self.quiet:
            echo(line, err=True)

    def warn(self, line: str) -> None:
        echo(f"warning: {line}", err=True)


def _summarize(display: RunProgress, options: RunOptions, broken: Sequence[SpecError]) -> None:
    if options.as_json:
        echo(json_summary(display.tasks, broken))
    else:
        print_summary(display.tasks, replayed=options.replay is not None, slots=display.slots)
    for error in broken:  # once more: what was said at the beginning of a night is out of sight by now
        echo(f"not run: {error}", err=True)


Work = Callable[[], Coroutine[Any, Any, tuple[TaskView, ...]]]
"""Runs all tasks to their end."""


@contextmanager
def _work(request: RunRequest, settings: RunSettings, options: RunOptions, display: RunProgress) -> Iterator[Work]:
    """What runs the tasks, here or on a cluster."""
    notices = _Stderr(options.quiet)
    if options.executor == "ray":
        from skills_dspy.commands.cluster.driver import Driver
        from skills_dspy.commands.cluster.ray_cluster import connected

        with connected(options.ray_address or os.environ.get("RAY_ADDRESS") or "auto", os.environ) as cluster:
            yield Driver(cluster, request, settings, display, notices, display.fault).run
        return
    request, connection = with_measured(request, settings.connection, notices)
    make_room(len(request.specs), request.concurrency)
    embedder = embedder_of(request, settings)

    async def run() -> tuple[TaskView, ...]:
        live = request.recorded is None
        server = open_server(connection, request.config, display.fault, display.say) if live else None
        return await run_tasks(request, server, embedder, display, notices)

    yield run


def _refuse_unfit(options: RunOptions) -> None:
    """RequestError where what is said of the cluster does not go with the rest."""
    if options.executor != "ray":
        if options.ray_address is not None:
            raise RequestError("--ray-address says where a Ray cluster is, and is of use with --executor ray only; add that")
    elif options.replay is not None:
        raise RequestError("a replay asks no server, so there is nothing to share out; leave out --executor ray or --replay")
    elif options.server.llamacpp is not None:
        raise RequestError(
            "--llamacpp starts a server on this machine, and --executor ray asks from others; start one on each node and give "
            "--base-url http://127.0.0.1:PORT"
        )


def _settings(options: RunOptions) -> RunSettings:
    return RunSettings(
        wanted=options.wanted,
        output_dir=options.output_dir,
        config=options.models.config,
        models=options.models.named(options.embedder),
        think=options.models.think,
        connection=options.server.connection,
        seed=options.seed,
        restart=options.restart,
        replay=options.replay,
        program=options.program,
        decontaminate=options.decontaminate,
        hold_out=options.hold_out,
        note=options.note,
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
