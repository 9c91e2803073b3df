"""Ctrl-C, and a cancelled task, end what runs in another thread: in a notebook, and what waits for a slow server."""

import asyncio
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from skills_dspy import acheck, aexport, check, export
from skills_dspy.commands.api.blocking import OtherLoop, synchronous
from tests.helpers.fake_server import FakeServer
from tests.helpers.terminal import Terminal

LONG = 5.0
"""Seconds that nobody waits where Ctrl-C works."""


def press_ctrl_c() -> None:
    """As a terminal or a notebook does, when the cell of a notebook waits for another thread."""
    main = threading.main_thread()
    while threading.current_thread() is not main and _is_in_a_cell(main):
        time.sleep(0.001)
    signal.pthread_kill(main.ident or 0, signal.SIGINT)


def _is_in_a_cell(thread: threading.Thread) -> bool:
    """Whether it does not wait yet."""
    calls = {frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._current_frames()[thread.ident or 0])}
    return "cell" in calls and ("wait" not in calls or "submit" in calls)


def plainly(work: Callable[[], Any]) -> None:
    """Where no event loop runs."""
    work()


def in_a_notebook(work: Callable[[], Any]) -> None:
    """Where one runs already, in the thread that is interrupted."""

    async def cell() -> None:
        with pytest.raises(KeyboardInterrupt):
            work()

    loop = asyncio.new_event_loop()  # asyncio.run would treat Ctrl-C in a way of its own, as no notebook does
    try:
        loop.run_until_complete(cell())
    finally:
        loop.close()
    raise KeyboardInterrupt


both = pytest.mark.parametrize("called", [plainly, in_a_notebook])


class Slow(FakeServer):
    """Is interrupted while it is asked what it is, and would say it much later."""

    def __init__(self, interrupt: Callable[[], Any] = press_ctrl_c) -> None:
        super().__init__()
        self.interrupt, self.ended = interrupt, "not asked"

    async def version(self) -> str:
        """What it says of itself."""
        try:
            self.interrupt()
            await asyncio.sleep(LONG)
            self.ended = "answered"
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        return await super().version()


@both
def test_what_is_waited_for_ends_in_good_order(called: Callable[[Callable[[], Any]], None]) -> None:
    """Its task is cancelled, and has ended when the interruption is raised."""
    ended: list[str] = []

    async def awork() -> None:
        try:
            press_ctrl_c()
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        called(synchronous(awork))
    assert ended == ["cancelled"]


@both
def test_a_check_can_be_interrupted(
    terminal: Terminal, called: Callable[[Callable[[], Any]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """While the server is asked, too."""
    terminal.make_server = Slow
    with pytest.raises(KeyboardInterrupt):
        called(lambda: check(terminal.task()))
    assert [server.ended for server in terminal.servers if isinstance(server, Slow)] == ["cancelled"]
    assert capsys.readouterr() == ("", "")


def test_a_check_can_be_cancelled(terminal: Terminal) -> None:
    """What it has asked for in its thread is then cancelled as well."""

    async def scene() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(acheck(terminal.task()))
        terminal.make_server = lambda: Slow(lambda: loop.call_soon_threadsafe(task.cancel))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())
    assert [server.ended for server in terminal.servers if isinstance(server, Slow)] == ["cancelled"]


def test_what_is_cancelled_before_it_begins_does_not_begin() -> None:
    """Nor what would come after it."""
    other, begun = OtherLoop(), list[str]()

    async def work() -> None:
        begun.append("begun")

    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        other.run(work())
    assert begun == []


@both
def test_an_export_can_be_interrupted(terminal: Terminal, called: Callable[[Callable[[], Any]], None]) -> None:
    """It ends at once, in the middle of the rows, and leaves nothing behind."""
    assert terminal.run("--task-paths", terminal.task(), "-n", 1, "--quiet").code == 0
    there = set(terminal.folder.iterdir())
    with pytest.raises(KeyboardInterrupt):
        called(lambda: export(terminal.output, terminal.folder / "out.jsonl", on_progress=lambda *_: press_ctrl_c()))
    assert set(terminal.folder.iterdir()) == there


def test_an_export_can_be_awaited(terminal: Terminal) -> None:
    """It is made in a thread, and the loop goes on."""
    assert terminal.run("--task-paths", terminal.task(), "-n", 1, "--quiet").code == 0
    heard: list[bool] = []

    def hear(*_: object) -> None:
        heard.append(threading.current_thread() is threading.main_thread())

    done = asyncio.run(aexport(terminal.output, terminal.folder / "out.jsonl", on_progress=hear))
    assert (dict(done.rows), set(heard)) == ({"train": 1}, {False})
