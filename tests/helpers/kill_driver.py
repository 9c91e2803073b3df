"""Runs one task again and again, killed with SIGKILL each time but the last, and prints what happened as JSON.

    python -m tests.helpers.kill_driver --host http://127.0.0.1:11500 --folder DIR --kills 25

Everything is imported once and each run is a fork: importing takes longer than a run. The embedder knows no torch.
"""

import asyncio
import json
import os
import random
import signal
import threading
import traceback
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import dspy

from skills_dspy.base.records import SeedExample
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Watcher
from skills_dspy.store import files
from skills_dspy.store.journal import Journal, JournaledReply, JournalReader, request_digest
from skills_dspy.store.run_dir import RunPaths
from tests.helpers import disk
from tests.helpers.making import a_config, a_spec
from tests.helpers.small_runs import run_to_its_end

CONCURRENCY = 8
HALF = "half"
SPEC = a_spec(
    [
        SeedExample(question="What is a fox?", answer="An animal that barks."),
        SeedExample(question="What is a jay?", answer="A bird that screams."),
        SeedExample(question="Who runs home?", answer="The hare.", context="A hare runs home over the field."),
        SeedExample(question="Who sleeps?", answer="The stoat.", context="Under the wall a stoat sleeps."),
    ],
    count=4,
)
MOMENTS = ("answered", "committing", "journaled", "settled", "torn", "later")
"""When a run dies: a reply has come but is not on disk, is half in the journal, is in the journal, has decided a candidate;
a row is half written; or some milliseconds after the first request."""


class Killer:
    """Ends this process at a moment of one kind, the `count`-th of its kind (or so many milliseconds later)."""

    def __init__(self, moment: str, count: int) -> None:
        self._moment = moment
        self._count = count

    def pass_by(self, moment: str, last_act: Callable[[], object] = lambda: None) -> None:
        """A moment of this kind; if it is the one, the last act and then nothing more."""
        if moment == self._moment:
            self._count -= 1
            if self._count <= 0:
                last_act()
                os.kill(os.getpid(), signal.SIGKILL)

    def begin(self) -> None:
        """The first request goes out."""
        if self._moment == "later":
            threading.Timer(self._count / 1000, os.kill, (os.getpid(), signal.SIGKILL)).start()
            self._moment = "already set"


class LoggingServer(OllamaServer):
    """Writes down every request before it is sent, and every one that was given up."""

    def __init__(self, host: str, log: Path, killer: Killer) -> None:
        super().__init__(host, a_config().server, concurrency=CONCURRENCY)
        self._log = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._killer = killer

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply."""
        digest = request_digest(payload)
        os.write(self._log, f"asked {digest}\n".encode())
        self._killer.begin()
        try:
            body = await super().chat(payload)
        except asyncio.CancelledError:
            os.write(self._log, f"dropped {digest}\n".encode())
            raise
        self._killer.pass_by("answered")
        return body


class Settling(Watcher):
    """Counts what is decided beyond what was decided before."""

    def __init__(self, killer: Killer, known: int) -> None:
        super().__init__()
        self._killer = killer
        self._known = known

    def changed(self) -> None:
        """A candidate has settled."""
        self._known -= 1
        if self._known < 0:
            self._killer.pass_by("settled")


class TornOs:
    """The `os` of the module that writes rows: a row's write may end in the middle, with the process."""

    def __init__(self, killer: Killer) -> None:
        self._killer = killer

    def write(self, descriptor: int, data: bytes) -> int:
        """Like os.write."""
        self._killer.pass_by("torn", lambda: os.write(descriptor, data[: len(data) // 2]))
        return os.write(descriptor, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def deadly(killer: Killer) -> ExitStack:
    """While it is entered, the journal may die in the middle of a transaction or right after one, and rows half written."""
    commit, put = Journal._commit, Journal.put

    def _commit(self: Journal, batch: Any) -> Any:
        def half() -> None:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.execute("INSERT INTO meta VALUES (?, 'a transaction')", (HALF,))

        killer.pass_by("committing", half)
        return commit(self, batch)

    async def _put(self: Journal, entry: JournaledReply) -> dict[str, Any]:
        body = await put(self, entry)
        killer.pass_by("journaled")
        return body

    stack = ExitStack()
    stack.enter_context(patch.object(Journal, "_commit", _commit))
    stack.enter_context(patch.object(Journal, "put", _put))
    stack.enter_context(patch.object(files, "os", TornOs(killer)))
    return stack


def run(host: str, folder: Path, log: Path, wanted: int, killer: Killer) -> None:
    """One run, in this process."""
    request = RunRequest((SPEC,), a_config(), wanted, folder, concurrency=CONCURRENCY)
    paths = RunPaths(folder / SPEC.task_name)
    known = files.count_rows(paths.data) + files.count_rows(paths.rejected)
    with deadly(killer):
        run_to_its_end(request, LoggingServer(host, log, killer), watcher=Settling(killer, known))


def forked(host: str, folder: Path, log: Path, wanted: int, killer: Killer) -> int:
    """One run in a process of its own; returns how it ended, as os.waitpid says it."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    code = 70
    try:
        run(host, folder, log, wanted, killer)
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


def attempt(host: str, folder: Path, wanted: int, killer: Killer) -> dict[str, Any]:
    """One run with what it asked and what the journal had before and after."""
    log = folder / "requests.log"
    folder.mkdir(exist_ok=True)
    log.write_bytes(b"")
    paths = RunPaths(folder / SPEC.task_name)
    before = journaled(paths)
    ended = forked(host, folder, log, wanted, killer)
    words = [line.split() for line in log.read_text("utf-8").splitlines()]
    return {
        "signal": os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0,
        "status": json.loads(paths.run_json.read_bytes())["status"] if paths.run_json.exists() else None,
        "asked": [digest for what, digest in words if what == "asked"],
        "dropped": [digest for what, digest in words if what == "dropped"],
        "before": before,
        "after": journaled(paths),
        "rows": files.count_rows(paths.data) + files.count_rows(paths.rejected),
        "torn": any(path.exists() and path.read_bytes()[-1:] not in (b"", b"\n") for path in (paths.data, paths.rejected)),
    }


def journaled(paths: RunPaths) -> list[str]:
    """The digests in a run's journal, which holds whole transactions only."""
    if not paths.journal.exists():
        return []
    with JournalReader.open(paths.journal) as journal:
        assert HALF not in journal.meta()
    return sorted(disk.journaled(paths.journal))


def chats(host: str) -> int:
    """How many requests for a reply the teacher has seen."""
    with urllib.request.urlopen(f"{host}/teacher/stats", timeout=5) as response:  # noqa: S310 - our own teacher
        return int(json.load(response)["chat"])


@click.command()
@click.option("--host", required=True)
@click.option("--folder", type=click.Path(path_type=Path), required=True)
@click.option("--wanted", default=24)
@click.option("--kills", default=25)
@click.option("--seed", default=0)
def main(host: str, folder: Path, wanted: int, kills: int, seed: int) -> None:
    """A run that nothing disturbs in DIR/whole, then the same in DIR/killed."""
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    rng = random.Random(seed)
    whole = attempt(host, folder / "whole", wanted, Killer("never", 0))
    already = chats(host)
    # So few replies and rows a run that it cannot be complete before the last kill, however they come.
    most = {"settled": max(1, whole["rows"] // kills), "torn": max(1, whole["rows"] // kills), "later": 150}
    replies = max(2, len(whole["after"]) // kills // 2)
    attempts = []
    for number in range(kills):
        moment = MOMENTS[number % len(MOMENTS)]
        killer = Killer(moment, rng.randint(1, most.get(moment, replies)))
        attempts.append({"moment": moment, **attempt(host, folder / "killed", wanted, killer)})
    last = attempt(host, folder / "killed", wanted, Killer("never", 0))
    seen = chats(host) - already
    click.echo(json.dumps({"whole": whole, "kills": attempts, "last": last, "seen": seen, "concurrency": CONCURRENCY}))


if __name__ == "__main__":
    main()
