"""`check` from Python."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from skills_dspy.base.config import load_config
from skills_dspy.commands.api.blocking import OtherLoop, synchronous
from skills_dspy.commands.api.loaded import AnyPath, path_of, paths_of
from skills_dspy.commands.api.request import RunSettings, load_logged, models_of
from skills_dspy.commands.api.server import Connection, addresses_in
from skills_dspy.commands.check.checks import Checks, Drive
from skills_dspy.commands.check.hosts import CheckedHost
from skills_dspy.commands.check.lines import Line
from skills_dspy.commands.check.measure import find_weights
from skills_dspy.commands.check.report import CheckReport, CheckRequest, Hearer
from skills_dspy.model.hosts.member import OnFault

__all__ = ["CheckReport", "acheck", "check", "checks_of"]

_PATIENCE = 15.0
"""Seconds that a broken server is tried again: somebody sits in front of a check."""


def checks_of(
    request: CheckRequest,
    connection: Connection,
    hearer: Hearer,
    on_fault: OnFault | None = None,
    drive: Drive = asyncio.run,
) -> Checks:
    """The checks of whom a connection leads to, which are asked with little patience; of several hosts each, too.

    Raises:
        RequestError: an address is written wrongly.
    """
    usual = request.config.server
    hasty = usual.model_copy(update={"patience": min(usual.patience, _PATIENCE)})
    asked = request.config.model_copy(update={"server": hasty})
    serve, each = partial(connection.vectors, asked), connection.each(asked, on_fault)
    hosts = [CheckedHost(server, address.roles, address.slots or request.concurrency) for address, server in each]
    if len(hosts) == 1:
        return Checks(request, each[0][1], hearer, find_weights, serve, drive=drive)
    return Checks(request, connection.open(asked, on_fault), hearer, find_weights, serve, hosts, drive)


async def acheck(
    task_paths: AnyPath | Sequence[AnyPath],
    *,
    n: int = 20,
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
    pull: bool = False,
    on_progress: Callable[[Line], None] | None = None,
) -> CheckReport:
    """Find out before a long run what would go wrong in it: host, models, windows, replies, speed, hours.

    The arguments are those of `run`. Nothing is printed or written, but that `pull` has an Ollama fetch what it lacks.

    Args:
        on_progress: told each thing as it is found, in a thread of its own.

    Raises:
        SkillsError: a task or a setting is at fault. What the server or this machine lacks is in the report.
    """
    asked_for = RunSettings(
        wanted=n,
        output_dir=Path(output_dir),
        config=path_of(config),
        models=models_of(model, judge_model, tagger_model, embedder),
        think=think,
        connection=Connection(api, addresses_in(base_url), concurrency, path_of(llamacpp)),
    )

    def work() -> CheckReport:
        settings = asked_for.over(load_config(asked_for.config, asked_for.models, think))
        request = CheckRequest(load_logged(paths_of(task_paths)), settings, n, concurrency, asked_for.output_dir, pull)
        return checks_of(request, asked_for.connection, _Told(on_progress, loops), drive=loops.run).run()

    loops = OtherLoop()
    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        loops.cancel()
        raise


check = synchronous(acheck)


class _Told(Hearer):
    """Tells who called what is found."""

    def __init__(self, tell: Callable[[Line], None] | None, loops: OtherLoop) -> None:
        self._tell, self._loops = tell, loops

    def said(self, line: Line) -> None:
        """Something was found."""
        if self._tell is not None:
            self._tell(line)

    def pulling(self, name: str, done: Iterable[tuple[str, int, int]]) -> None:  # noqa: ARG002 - nothing is shown
        """A model is being fetched, as long as nobody ends it."""
        for _ in done:
            self._loops.go_on()
