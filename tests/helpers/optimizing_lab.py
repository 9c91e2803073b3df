"""A laboratory for `optimize`: the simulated teacher that heeds prompts, over real HTTP inside the tests' own process.

What is measured with it says nothing about a model. Each command that several tests look at is typed once for all of them.
"""

import asyncio
import contextlib
import io
import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiohttp import web

from evals.judges.cases import SHIPPED, Case, load_cases
from evals.judges.corruptions import seed_cases
from evals.record.answering import ROOT
from evals.teacher.config import Heeding, TeacherConfig
from evals.teacher.server import make_app
from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.cli.main import start
from skills_dspy.store.journal import request_digest
from skills_dspy.tasks.files import load_tasks
from skills_dspy.tasks.spec import TaskSpec

TASKS = ROOT / "task_specs"
MODEL, STRICT = "mistral-small3.2", "strict-judge"
NOTE = "a simulation"
NOBODY = "http://127.0.0.1:9"


class Teacher:
    """A heeding teacher in a thread of its own.

    Args:
        config: how it behaves.

    Attributes:
        url: where it listens.
        asked: the body of every chat request, in the order in which they came.
        reached: set when the request came from which on all have to wait, see `hold_from`.
    """

    def __init__(self, config: TeacherConfig) -> None:
        self.asked: list[dict[str, Any]] = []
        self.reached = threading.Event()
        self._hold: int | None = None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._app = make_app(config)
        self._app.middlewares.append(self._noted)
        self._thread = threading.Thread(target=self._serve, name="teacher", daemon=True)
        self._thread.start()
        self._ready.wait()

    def hold_from(self, number: int | None) -> None:
        """Let the request that makes it so many, and all after it, wait until their client leaves; None for none."""
        self.reached.clear()
        self._hold = number

    def digests(self, begin: int = 0) -> list[str]:
        """What tells the requests from one another, from a place on."""
        return [request_digest(body) for body in self.asked[begin:]]

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @web.middleware
    async def _noted(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path == "/api/chat":
            self.asked.append(json.loads(await request.read()))
            if self._hold is not None and len(self.asked) >= self._hold:
                self.reached.set()
                await asyncio.Event().wait()  # cancelled when the client leaves
        return await handler(request)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._start())
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _start(self) -> None:
        self._runner = web.AppRunner(self._app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._ready.set()


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code, out, err: as a terminal has them.
        path: of the program file, whether it was written or not.
        output: the folder of the session.
        asked: the bodies of the requests that reached the teacher.
    """

    code: int
    out: str
    err: str
    path: Path
    output: Path
    asked: tuple[dict[str, Any], ...]

    @property
    def program(self) -> dict[str, Any]:
        """The content of the program file."""
        content: dict[str, Any] = json.loads(self.path.read_bytes())
        return content

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the program came from."""
        found: dict[str, Any] = self.program["provenance"]
        return found

    @property
    def unit(self) -> dict[str, Any]:
        """What became of the only unit."""
        (unit,) = self.provenance["units"]
        return dict(unit)

    @property
    def planned(self) -> int:
        """The most calls that were announced."""
        found = re.search(r"at most ([\d,]+) calls", self.err + self.out)
        assert found is not None
        return int(found.group(1).replace(",", ""))


class Lab:
    """Teachers, and commands that are typed once for all tests.

    Args:
        folder: where everything is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._teachers: dict[str, Teacher] = {}
        self._outcomes: dict[tuple[str, ...], Outcome] = {}
        self._typed = 0

    def teacher(self, which: str = "honest") -> Teacher:
        """The honest teacher, the `gullible` one, or one whose replies are often `unreadable`."""
        if which not in self._teachers:
            cases = (*shipped_cases(), *(case for spec in shipped_tasks() for case in seed_cases(spec, 0)))
            self._teachers[which] = Teacher(
                TeacherConfig(
                    slots=8,
                    models=(f"{MODEL}:latest", f"{STRICT}:latest"),
                    heeding=Heeding(cases, which == "gullible"),
                    faults=(("unreadable", 0.3),) if which == "unreadable" else (),
                )
            )
        return self._teachers[which]

    def optimized(self, *words: str, which: str = "honest") -> Outcome:
        """`optimize` with words behind it, typed the first time that anybody asks."""
        key = (which, *words)
        if key not in self._outcomes:
            self._outcomes[key] = self.optimize(*words, which=which)
        return self._outcomes[key]

    def optimize(self, *words: str, which: str = "honest", output: Path | None = None, out: Path | None = None) -> Outcome:
        """`optimize` with words behind it, in a folder of its own unless one is given."""
        self._typed += 1
        folder = self.folder / str(self._typed)
        output, out = output or folder / "output", out or folder / "program.json"
        teacher = self.teacher(which)
        begin = len(teacher.asked)
        code, said, complained = typed(*command(teacher.url, output, out, *words))
        return Outcome(code, said, complained, out, output, tuple(teacher.asked[begin:]))

    def close(self) -> None:
        """End all teachers."""
        for teacher in self._teachers.values():
            teacher.close()


@cache
def shipped_cases() -> tuple[Case, ...]:
    """The labelled cases by hand, which take a second to read."""
    return load_cases((SHIPPED,), load_config())


@cache
def shipped_tasks() -> tuple[TaskSpec, ...]:
    """The tasks."""
    return load_tasks((TASKS,)).specs


def _cases(paths: Sequence[Path], config: RunConfig) -> tuple[Case, ...]:
    return shipped_cases() if tuple(paths) == (SHIPPED,) and config == load_config() else load_cases(paths, config)


def command(url: str, output: Path, out: Path, *words: str) -> list[str]:
    """`optimize` on the shipped tasks, in words."""
    given = [] if "--task-paths" in words else ["--task-paths", str(TASKS)]
    return ["optimize", *words, *given, "--out", str(out), "--output-dir", str(output), "--base-url", url, "--note", NOTE]


def typed(*words: object) -> tuple[int, str, str]:
    """Type a command; its exit code and what it says on stdout and on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with patch("evals.judges.cases.load_cases", _cases), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = start([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()


def opened(folder: Path) -> Iterator[Lab]:
    """A laboratory, and its end."""
    made = Lab(folder)
    yield made
    made.close()
