"""`check` from Python."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.commands.api.blocking import synchronous
from skills_dspy.commands.api.loaded import AnyPath, paths_of
from skills_dspy.commands.api.server import Connection, addresses_in
from skills_dspy.commands.check.checks import Checks
from skills_dspy.commands.check.hosts import CheckedHost
from skills_dspy.commands.check.lines import Line
from skills_dspy.commands.check.measure import find_weights
from skills_dspy.commands.check.report import CheckReport, CheckRequest, Hearer
from skills_dspy.model.hosts.member import OnFault
from skills_dspy.tasks.files import load_tasks

__all__ = ["CheckReport", "acheck", "check", "checks_of", "hasty"]

_PATIENCE = 15.0
"""Seconds that a broken server is tried again: somebody sits in front of a check."""


def hasty(config: RunConfig) -> RunConfig:
    """The settings with no more patience than somebody has who waits."""
    return config.model_copy(
        update={"server": config.server.model_copy(update={"patience": min(config.server.patience, _PATIENCE)})}
    )


def checks_of(request: CheckRequest, connection: Connection, hearer: Hearer, on_fault: OnFault | None = None) -> Checks:
    """The checks of whom a connection leads to, which are asked with little patience; of several hosts each, too.

    Raises:
        RequestError: an address is written wrongly.
    """
    asked = hasty(request.config)
    each = connection.each(asked, on_fault)
    hosts = [CheckedHost(server, address.roles, address.slots or request.concurrency) for address, server in each]
    if len(hosts) == 1:
        return Checks(request, each[0][1], hearer, find_weights, lambda kind: connection.vectors(asked, kind))
    server = connection.open(asked, on_fault)
    return Checks(request, server, hearer, find_weights, lambda kind: connection.vectors(asked, kind), hosts)


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
    models = {"generator": model, "validator": judge_model, "tagger": tagger_model, "embedder": embedder}
    connection = Connection(
        api,
        addresses_in(base_url),
        concurrency,
        None if llamacpp is None else Path(llamacpp),
    )

    def work() -> CheckReport:
        settings = connection.over(load_config(None if config is None else Path(config), models, think), model)
        request = CheckRequest(load_tasks(paths_of(task_paths)).specs, settings, n, concurrency, Path(output_dir), pull)
        return checks_of(request, connection, _Told(on_progress)).run()

    return await asyncio.to_thread(work)


check = synchronous(acheck)


class _Told(Hearer):
    """Tells who called what is found."""

    def __init__(self, tell: Callable[[Line], None] | None) -> None:
        self._tell = tell

    def said(self, line: Line) -> None:
        """Something was found."""
        if self._tell is not None:
            self._tell(line)
