"""Runs against a real model: what they count, and what becomes of them when they, or llama.cpp, are killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.model.embedding.embedder import AsyncEmbedder
from skills_dspy.model.server.gguf import ModelFile
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner, Watcher
from skills_dspy.store.files import count_rows
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths
from tests.helpers import disk
from tests.live.asking import CONFIG, SLOTS, TASK, settings, spec
from tests.live.doors import Door, children, model_file_alone

NAME = "live/animals"
WANTED = 2

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


def until(what: Callable[[], object], seconds: float = 300) -> None:
    """Wait for something that other processes do; an AssertionError when they do not."""
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.05)


def kept(run: Path) -> int:
    """How many replies a run's journal has."""
    journal = RunPaths(run / NAME).journal
    return len(disk.journaled(journal)) if journal.exists() else 0


def rows(run: Path) -> tuple[bytes, bytes]:
    """A run's dataset, and what it rejected."""
    paths = RunPaths(run / NAME)
    return paths.data.read_bytes(), paths.rejected.read_bytes()


class Program:
    """The program, as it is started in a shell; none is left running when a test fails."""

    def __init__(self, folder: Path, door: Door) -> None:
        self.run, self._folder, self._door = folder / "output", folder, door
        self._started: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        """Begin the run, or go on with it."""
        return self._popen(
            "--config", CONFIG, "--task-paths", TASK, "--concurrency", 2, "--output-dir", self.run, *self._door.words
        )

    def replay(self, concurrency: int) -> Path:
        """The run again from its journal alone."""
        target = self._folder / f"replay-{concurrency}"
        replayed = self._popen("--replay", self.run, "--output-dir", target, "--concurrency", concurrency)
        assert self.end(replayed) == 0
        return target

    @staticmethod
    def end(process: subprocess.Popen[str]) -> int:
        """Wait for the end of one; returns its exit code."""
        said = process.communicate(timeout=300)
        assert process.returncode is not None, said
        print(*said)
        return process.returncode

    def _popen(self, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "skills_dspy", "run", "-n", str(WANTED), "--quiet", *map(str, words)]
        environment = {**os.environ, **self._door.environment}
        pipe = subprocess.PIPE
        started = subprocess.Popen(command, cwd=self._folder, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        self._started.append(started)
        return started

    def leave(self) -> None:
        """End what still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.fixture
def program(tmp_path: Path, door: Door) -> Iterator[Program]:
    """The program with a folder of its own."""
    made = Program(tmp_path, door)
    yield made
    made.leave()


def test_a_killed_run_whose_server_was_killed_too_has_the_bytes_of_its_replay(program: Program, door: Door) -> None:
    """Nothing is paid twice, nothing is left running, and the replies of before decide as they did."""
    first = program.start()
    until(lambda: kept(program.run) >= 2)
    left = children(first.pid)
    first.kill()
    first.communicate()
    until(lambda: not any(map(alive, left)), 10)

    before = disk.journaled(RunPaths(program.run / NAME).journal)
    second = program.start()
    until(lambda: kept(program.run) >= len(before) + 2)
    door.strike(second.pid)
    assert Program.end(second) == 0
    assert count_rows(RunPaths(program.run / NAME).data) == WANTED
    assert set(before) <= set(disk.journaled(RunPaths(program.run / NAME).journal))

    for concurrency in (1, 8):
        assert rows(program.replay(concurrency)) == rows(program.run)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_llama_cpp_ends_with_an_interrupted_program(tmp_path: Path, model_file: ModelFile, by: signal.Signals) -> None:
    """In good order, with the line that goes on."""
    program = Program(tmp_path, model_file_alone(model_file))
    started = program.start()
    try:
        until(lambda: children(started.pid))
        (child,) = children(started.pid)
        started.send_signal(by)
        assert Program.end(started) == 130
        until(lambda: not alive(child), 10)
    finally:
        program.leave()


def alive(process: int) -> bool:
    """Whether a process has not ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_journal_has_all_that_the_server_counted(
    tmp_path: Path, door: Door, model_file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reply that was paid for is there once: the tokens of the journal are those of llama.cpp's own count."""

    counts: dict[str, int] = {}

    async def run() -> None:
        server, counted = door.open()
        await server.model(model_file.name)  # what finds out about a server is no reply of a run
        before = counted() if door.name == "http" else dict.fromkeys(("prompt", "output"), 0)
        close = server.close

        async def count_and_close() -> None:
            counts.update({name: number - before[name] for name, number in counted().items()})
            await close()

        monkeypatch.setattr(server, "close", count_and_close)
        config = settings(model_file.name)
        config = config.model_copy(update={"draws": config.draws.model_copy(update={"max_draws": 2})})
        embedder = AsyncEmbedder(HashEmbedder())
        try:
            await Runner(RunRequest((spec(),), config, 50, tmp_path, concurrency=SLOTS), server, embedder, Watcher()).run()
        finally:
            await embedder.close()

    asyncio.run(run())
    with JournalReader.open(RunPaths(tmp_path / NAME).journal) as journal:
        replies = [journal.get(digest) or {} for digest in disk.journaled(RunPaths(tmp_path / NAME).journal)]
    assert len(replies) > 10
    assert sum(int(reply["prompt_eval_count"]) for reply in replies) == counts["prompt"]
    assert sum(int(reply["eval_count"]) for reply in replies) == counts["output"]
