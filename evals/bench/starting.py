"""How long the real command takes until its first request: at a start, and when many tasks go on that were killed."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from evals.bench.client import TASK, BenchCase, stats, teacher

PROGRAM = (sys.executable, "-m", "skills_dspy")
_PAIRS, _CALLS = 3, 15
"""How many pairs each killed task was to have, and after how many calls for each they are killed: about the half."""


def first_request(environment: Mapping[str, str]) -> float:
    """Seconds from the start of a run with one task to its first request, the real embedder loading beside it."""
    with teacher(BenchCase(8, 5)) as url, tempfile.TemporaryDirectory() as folder:
        began = time.time()
        subprocess.run(_command(url, TASK, 1, Path(folder)), check=True, stdout=subprocess.DEVNULL, env=environment)
        return float(stats(url)["first_request_at"]) - began


def first_request_again(tasks: int, environment: Mapping[str, str]) -> float:
    """Seconds from the start of a run to its first request, whose tasks were killed in the middle when it ran before."""
    case = BenchCase(8, _PAIRS, 0.02)
    with tempfile.TemporaryDirectory() as name:
        folder, task = Path(name), yaml.safe_load(TASK.read_text("utf-8"))
        (folder / "tasks").mkdir()
        for number in range(tasks):
            named = {**task, "task_name": f"{task['task_name']}-{number}"}
            (folder / "tasks" / f"{number}.yaml").write_text(yaml.safe_dump(named, sort_keys=False), "utf-8")
        for calls in (_CALLS * tasks, 1):
            with teacher(case) as url:
                began = time.time()
                command = _command(url, folder / "tasks", _PAIRS, folder / "runs")
                with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as run:
                    while (counted := stats(url))["chat"] < calls and run.poll() is None:
                        time.sleep(0.05)
                    run.kill()
    return float(counted["first_request_at"]) - began


def _command(url: str, tasks: Path, pairs: int, folder: Path) -> list[str]:
    options = ["-n", str(pairs), "--quiet", "--json", "--base-url", url, "--output-dir", str(folder), "--concurrency", "8"]
    return [*PROGRAM, "run", "--task-paths", str(tasks), *options]
