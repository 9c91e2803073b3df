"""Opening a session of the evaluations for a command: server or recording, signals, what an interruption says."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from skills_dspy.base.config import RunConfig
from skills_dspy.cli.options import SessionOptions
from skills_dspy.model.ollama import OllamaServer

if TYPE_CHECKING:
    from evals.session.session import Session

T = TypeVar("T")

INTERRUPTED = 130


class Interrupted(Exception):
    """The user ended it; the exit code is INTERRUPTED and the sentence has been said."""


def in_session(
    options: SessionOptions,
    config: RunConfig,
    work: Callable[["Session"], Awaitable[T]],
    *,
    note: str | None = None,
    extra_models: tuple[str, ...] = (),
    most_calls: int | None = None,
) -> T:
    """Open a session, do the work in it, and close it in good order whatever ends it.

    Raises:
        Interrupted: by Ctrl-C or SIGTERM; everything that was asked is kept.
        SkillsError: what the session or the work raise.
    """
    from evals.session.session import SessionRequest, open_session

    request = SessionRequest(
        folder=options.output_dir,
        config=config,
        concurrency=options.server.concurrency,
        extra_models=extra_models,
        recorded=options.replay,
        note=note,
        most_calls=most_calls,
    )
    stderr = sys.stderr  # the optimizers' output is kept away from the terminal; this is not theirs

    def serve() -> OllamaServer:
        return OllamaServer(
            options.server.base_url,
            config.server,
            concurrency=options.server.concurrency,
            jitter=random.Random(os.getpid()),
            on_fault=lambda fault, pause: click.echo(f"{fault.error} Again in {pause:.0f} s.", stderr),
        )

    async def run() -> T:
        # SIGTERM is how a service manager or a batch system interrupts: everything is kept then, too.
        main = asyncio.current_task()
        assert main is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
        async with open_session(request, None if options.replay is not None else serve) as session:
            return await work(session)

    try:
        return asyncio.run(run())
    except (KeyboardInterrupt, asyncio.CancelledError) as interrupted:
        click.echo("interrupted; every reply is kept: the same command goes on where this one stopped", stderr)
        raise Interrupted from interrupted
