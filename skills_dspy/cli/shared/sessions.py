"""How a command asks a model: the host, a session of the evaluations, and how an interruption ends it."""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import Interrupted
from skills_dspy.cli.shared.options import SessionOptions
from skills_dspy.cli.terminal.streams import echo
from skills_dspy.commands.api.server import Connection
from skills_dspy.model.compiled import since_compiled
from skills_dspy.model.context_window import RunPrompts
from skills_dspy.model.hosts.hosts import Hosts
from skills_dspy.model.hosts.member import OnFault
from skills_dspy.model.hosts.waiting import Waiting
from skills_dspy.model.server.server import Server
from skills_dspy.run.headway import duration

if TYPE_CHECKING:
    from evals.session.session import Session

T = TypeVar("T")

Complain = Callable[[str, float], None]
"""Gets what went wrong, and the seconds until the next try."""


def complainer(stream: TextIO) -> Complain:
    """What writes a line for each."""
    return lambda message, pause: echo(f"{message} Again in {pause:.0f} s.", stream=stream)


def open_server(
    connection: Connection,
    config: RunConfig,
    complain: Complain,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Hosts:
    """All hosts, watched: `say` gets a line about a request that is left waiting, and about hosts that go and come."""

    def waiting(request: Waiting, seconds: float) -> None:
        say(waiting_line(request, seconds))

    return connection.open(config, fault_teller(complain), say, waiting, clock)


def fault_teller(complain: Complain) -> OnFault:
    """What hears of faults, and complains."""
    return lambda fault, pause: complain(str(fault.error), pause)


def waiting_line(waiting: Waiting, seconds: float) -> str:
    """What is said of a request that the server has left waiting for so many seconds."""
    return (
        f"A request of {waiting.step} has waited {duration(seconds)} while the server answered {waiting.overtaken} sent after "
        "it; if this goes on, restart the server: nothing is lost."
    )


def lost_line(lost: Sequence[str], requests: int) -> str:
    """What is said of requests that the server could not answer."""
    return (
        f"Lost to the server: {len(lost)} of {requests} requests, which count as replies of no use and are not asked again. "
        f"The first: {lost[0]}"
    )


def run_until_done(work: Coroutine[Any, Any, T]) -> T:
    """Run it on an event loop, where SIGTERM interrupts it in good order; Interrupted by that or by Ctrl-C."""

    async def run() -> T:
        main = asyncio.current_task()
        assert main is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
        return await work

    try:
        return asyncio.run(run())
    except (KeyboardInterrupt, asyncio.CancelledError) as interrupted:
        raise Interrupted from interrupted


def in_session(
    options: SessionOptions,
    config: RunConfig,
    work: Callable[["Session"], Awaitable[T]],
    *,
    note: str | None = None,
    extra_models: tuple[str, ...] = (),
    most_calls: int | None = None,
    beside: RunPrompts | None = None,
) -> T:
    """Open a session, do the work in it, and close it in good order whatever ends it; Interrupted keeps what was asked.

    `beside` is a run of the same tasks: the session asks in its windows.
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
        beside=beside,
    )
    stderr = sys.stderr  # the optimizers' output is kept away from the terminal; this is not theirs

    def serve() -> Server:
        return open_server(
            options.server.connection, options.server.over(config), complainer(stderr), lambda line: echo(line, stream=stderr)
        )

    async def run() -> T:
        async with open_session(request, None if options.replay is not None else serve) as session:
            program = None if beside is None else beside.program
            for line in since_compiled(program, session.models.values()) if program is not None else ():
                echo(f"warning: {line}", stream=stderr)
            done = await work(session)
            if lost := session.replies.lost:
                echo(lost_line(list(lost.values()), len(session.replies.made)), stream=stderr)
            return done

    try:
        return run_until_done(run())
    except Interrupted:
        echo("interrupted; every reply is kept: the same command goes on where this one stopped", stream=stderr)
        raise
