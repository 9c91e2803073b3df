"""`run` from Python."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from skills_dspy.base.errors import RequestError
from skills_dspy.commands.api.blocking import synchronous
from skills_dspy.commands.api.loaded import AnyPath, Run, path_of, paths_of, run_at
from skills_dspy.commands.api.request import (
    RunSettings,
    embedder_of,
    load_logged,
    models_of,
    run_request,
    run_tasks,
    with_measured,
)
from skills_dspy.commands.api.server import Connection, addresses_in
from skills_dspy.run.headway import Headway, headway_of
from skills_dspy.run.open_files import make_room
from skills_dspy.run.runner import Watcher
from skills_dspy.run.task import TaskView
from skills_dspy.screens.decontamination import Notices

_LOG = logging.getLogger(__name__)

OnProgress = Callable[[Headway], None]
"""Hears, as often as a candidate is decided, how far all tasks are together."""


async def arun(
    task_paths: AnyPath | Sequence[AnyPath] = (),
    *,
    n: int | None = None,
    output_dir: AnyPath = "output",
    model: str | None = None,
    judge_model: str | None = None,
    tagger_model: str | None = None,
    embedder: str | None = None,
    config: AnyPath | None = None,
    think: Literal["off", "on", "low", "medium", "high", "unset"] | None = None,
    api: Literal["ollama", "openai"] | None = None,
    base_url: str | Sequence[str] = (),
    llamacpp: AnyPath | None = None,
    concurrency: int = 8,
    seed: int | None = None,
    restart: bool = False,
    replay: AnyPath | None = None,
    program: AnyPath | None = None,
    decontaminate: AnyPath | Sequence[AnyPath] = (),
    hold_out: int | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Run, ...]:
    """Make N accepted pairs for each task, and write them below `output_dir`; the same call goes on where it was stopped.

    What a run writes is the same, byte for byte, as that of `python -m skills_dspy run` with the same options, which have the
    same meaning and defaults. Nothing is printed: what is odd is logged by the logger `skills_dspy`. The runs come back in the
    order of the tasks; one that stopped short, or failed while others went on, says so in `status`.

    Args:
        task_paths: task files, `qna.yaml` files, or folders of them; none for those of `replay`.
        n: accepted pairs wanted for each task, 1 or more; 20, or with `replay` the recorded run's.
        base_url: `[ROLE=]URL[*N],...`, one or several; OLLAMA_HOST, else Ollama's own. SKILLS_DSPY_API_KEY may hold a key.
        llamacpp: a model file (.gguf) instead of a server.
        concurrency: requests in flight at each host, 1 to 1024.
        seed: decides every choice, 0 to 2**63 - 1; 0, or with `replay` the recorded run's.
        restart: set existing runs aside first, which are renamed and never deleted.
        replay: a recorded run's directory, which answers every model call; `demo` is the shipped one.
        hold_out: how many seeds of each task stay out of its run, for `eval student`; 0, or with `replay` the recorded run's.
        on_progress: called as candidates are decided, in the event loop's thread.

    Raises:
        SkillsError: one sentence on what is wrong and what to do; where a run had begun, all of it is kept.
    """
    settings = RunSettings(
        wanted=n,
        output_dir=Path(output_dir),
        config=path_of(config),
        models=models_of(model, judge_model, tagger_model, embedder),
        think=think,
        connection=Connection(api, addresses_in(base_url), concurrency, path_of(llamacpp)),
        seed=seed,
        restart=restart,
        replay=None if replay is None else str(replay),
        program=path_of(program),
        decontaminate=paths_of(decontaminate),
        hold_out=hold_out,
    )
    return await _run(settings, paths_of(task_paths), _Heard(on_progress))


run = synchronous(arun)


async def _run(settings: RunSettings, paths: Sequence[Path], watcher: "_Heard") -> tuple[Run, ...]:
    notices = _Logged()
    if not paths and settings.replay is None:
        raise RequestError("no task is given; give task files or folders of them, or a recording to replay")
    request = run_request(settings, load_logged(paths) if paths else None, notices.warn)
    request, connection = with_measured(request, settings.connection, notices)
    make_room(len(request.specs), request.concurrency)
    # In a thread: where the model is not here it asks the server, on an event loop of its own.
    embedder = await asyncio.to_thread(embedder_of, request, settings)
    server = connection.open(request.config) if request.recorded is None else None
    views = await run_tasks(request, server, embedder, watcher, notices)
    return tuple(run_at(view.paths, view.status, view.spec.task_name) for view in views)


class _Logged(Notices):
    """Tells the log."""

    def say(self, line: str) -> None:
        """Something takes its time."""
        _LOG.info("%s", line)

    def warn(self, line: str) -> None:
        """Something is odd."""
        _LOG.warning("%s", line)


class _Heard(Watcher):
    """Tells who called how it goes."""

    def __init__(self, tell: OnProgress | None) -> None:
        self._tell = tell

    def changed(self) -> None:
        """A candidate has settled."""
        if self._tell is not None and self.tasks:
            self._tell(headway_of(self.tasks))

    def failed(self, task: TaskView) -> None:
        """A task has failed for itself."""
        _LOG.warning("%s: %s", task.spec.task_name, task.status)
