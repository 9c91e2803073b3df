"""Runs on a real Ray cluster of two workers on this machine, one of which is killed (only where Ray is installed)."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.record.answering import CHECKOUT, simulated_teacher
from tests.commands.cluster.machines import rows
from tests.helpers.terminal import TASK

pytest.importorskip("ray", reason="Ray is not installed (pip install 'skills-dspy[ray]')")
pytestmark = pytest.mark.slow

NAMES = [f"test/task-{number}" for number in range(6)]
LONGEST = 240
"""Seconds after which something is stuck."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Its address."""
    quiet = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "evals.bench.ray_nodes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT, env=quiet) as nodes:
        assert nodes.stdout is not None
        yield nodes.stdout.readline().strip()
        nodes.communicate(timeout=60)


@pytest.fixture(scope="module")
def teacher() -> Iterator[str]:
    """A server that takes a while to answer."""
    with simulated_teacher("--slots", "16", "--latency", "0.1", "--pass-rate", "0.8", "--duplicate-rate", "0.2") as host:
        yield host


def begin(host: str, folder: Path, *words: str) -> "subprocess.Popen[str]":
    """Begin a run of a few tasks."""
    tasks = []
    for name in NAMES:
        path = folder.parent / f"{name.rsplit('/', 1)[-1]}.yaml"
        path.write_text(TASK.format(name=name), "utf-8")
        tasks.append(str(path))
    command = [sys.executable, "-m", "skills_dspy", "run", "--task-paths", *tasks, "-n", "6", "--base-url", host, "--json"]
    command += ["--output-dir", str(folder), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=CHECKOUT)


def working(folder: Path, run: "subprocess.Popen[str]", but: int = 0) -> tuple[Path, int]:
    """A task below the folder that already has rows, and the process that has it in work, which is another than `but`."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until and run.poll() is None:
        for running in folder.rglob("running.json"):
            try:
                pid = int(json.loads(running.read_bytes())["pid"])
                if pid != but and any(path.stat().st_size for path in running.parent.glob("*.jsonl")):
                    return running.parent, pid
            except (OSError, ValueError):
                continue  # it has ended just now
        time.sleep(0.02)
    raise AssertionError(f"no task is in work below {folder}")


def test_a_run_whose_worker_is_killed_ends_with_the_bytes_of_the_plain_run(cluster: str, teacher: str, tmp_path: Path) -> None:
    """Ray has the tasks of that worker done again, which go on from their journals; nothing of Ray's is printed."""
    here, away = tmp_path / "here", tmp_path / "away"
    plain = begin(teacher, here)
    assert plain.communicate(timeout=LONGEST)[1].count("error") == 0
    run = begin(teacher, away, "--executor", "ray", "--ray-address", cluster)
    task, pid = working(away, run)
    os.kill(pid, signal.SIGKILL)
    assert working(task, run, but=pid)
    out, err = run.communicate(timeout=LONGEST)
    assert (plain.returncode, run.returncode) == (0, 0), err
    assert rows(away) == rows(here)
    assert len(rows(away)) == 2 * len(NAMES)
    assert [(task["task_name"], task["status"]) for task in json.loads(out)["tasks"]] == [(name, "complete") for name in NAMES]
    assert not re.search(r"(?i)\bray|pid=|\x1b", err)


def test_a_run_that_is_interrupted_ends_in_good_order_and_goes_on(cluster: str, teacher: str, tmp_path: Path) -> None:
    """By Ctrl-C: no task is left as running, and the same command completes them."""
    away = tmp_path / "away"
    run = begin(teacher, away, "--executor", "ray", "--ray-address", cluster)
    working(away, run)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=LONGEST)
    assert run.returncode == 130, err
    assert "Interrupted; everything is kept (" in err
    statuses = {json.loads(path.read_bytes())["status"] for path in away.rglob("run.json")}
    assert "interrupted" in statuses
    assert "running" not in statuses
    again = begin(teacher, away, "--executor", "ray", "--ray-address", cluster)
    _, err = again.communicate(timeout=LONGEST)
    assert again.returncode == 0, err
