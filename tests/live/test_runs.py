"""Runs against a real model: what becomes of them when they, or llama.cpp, are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from skills_dspy.base.errors import RunDirError
from skills_dspy.model.server.gguf import ModelFile
from skills_dspy.store.files import count_rows
from skills_dspy.store.journal import JournaledReply, JournalReader
from skills_dspy.store.run_dir import RunPaths
from tests.helpers import disk
from tests.live.asking import CONFIG, TASK, settings, tokens
from tests.live.doors import Door, children, model_file_alone

NAME = "live/animals"
MORE_THAN_IT_GETS = 50
"""Pairs that are asked for: the run ends when its draws are used up, and no request is given up then."""
SHORT = 1
"""The exit code of a run that has fewer pairs than it wants."""
DRAWS = settings("any").draws.max_draws or 0

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
    with suppress(RunDirError):  # it may lie there before its tables do
        return len(disk.journaled(journal)) if journal.exists() else 0
    return 0


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
        assert self.end(replayed) == SHORT
        return target

    @staticmethod
    def end(process: subprocess.Popen[str]) -> int:
        """Wait for the end of one; returns its exit code."""
        said = process.communicate(timeout=300)
        assert process.returncode is not None, said
        print(*said)
        return process.returncode

    def _popen(self, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "skills_dspy", "run", "-n", str(MORE_THAN_IT_GETS), "--quiet", *map(str, words)]
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
    """Nothing is lost, paid twice or left running: the journal has what llama.cpp counted, and decides again as it did."""
    first = program.start()
    until(lambda: kept(program.run) >= 2)
    left = children(first.pid)
    first.kill()
    first.communicate()
    until(lambda: not any(map(alive, left)), 10)

    paths = RunPaths(program.run / NAME)
    before = disk.journaled(paths.journal)
    second = program.start()
    until(lambda: kept(program.run) >= len(before) + 2)
    door.strike(second.pid)
    assert Program.end(second) == SHORT
    assert before <= disk.journaled(paths.journal)
    assert count_rows(paths.data) + count_rows(paths.rejected) >= DRAWS
    if door.since_strike is not None:
        began, counted = door.since_strike()
        assert tokens(arrived_after(paths.journal, began)) == counted

    assert rows(program.replay(8)) == rows(program.run)


def arrived_after(journal: Path, began: float) -> list[JournaledReply]:
    """The replies of a journal that came after a time, in epoch seconds."""
    with JournalReader.open(journal) as opened:
        replies = map(opened.full, disk.journaled(journal))
        return [reply for reply in replies if reply is not None and reply.arrived > began]


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
