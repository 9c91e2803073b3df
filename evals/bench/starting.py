"""How long the real command takes until its first request: at a start, and when many tasks go on that were killed."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from evals.bench.client import TASK, BenchCase, stats, teacher

PROGRAM = (sys.executable, "-m", "skills_dspy")
_PAIRS = 3
"""How many pairs each killed task was to have."""


def first_request(environment: Mapping[str, str]) -> float:
    """Seconds from the start of a run with one task to its first request, the real embedder loading beside it."""
    with tempfile.TemporaryDirectory() as folder:
        return _started(BenchCase(8, 1), TASK, Path(folder), environment)


def first_request_again(tasks: int, calls: int, environment: Mapping[str, str]) -> float:
    """Seconds from the start of a run to its first request, whose tasks were killed after so many calls when it ran before."""
    case = BenchCase(8, _PAIRS, 0.02)
    with tempfile.TemporaryDirectory() as name:
        folder, task = Path(name), yaml.safe_load(TASK.read_text("utf-8"))
        (folder / "tasks").mkdir()
        for number in range(tasks):
            named = {**task, "task_name": f"{task['task_name']}-{number}"}
            (folder / "tasks" / f"{number}.yaml").write_text(yaml.safe_dump(named, sort_keys=False), "utf-8")
        _started(case, folder / "tasks", folder / "runs", environment, calls, signal.SIGKILL)
        return _started(case, folder / "tasks", folder / "runs", environment)


def _started(
    case: BenchCase,
    tasks: Path,
    folder: Path,
    environment: Mapping[str, str],
    calls: int = 1,
    end: signal.Signals = signal.SIGTERM,
) -> float:
    """Start the command and end it after so many calls; the seconds to the first one."""
    words = ["-n", str(case.wanted), "--quiet", "--json", "--output-dir", str(folder), "--concurrency", str(case.slots)]
    with teacher(case) as url:
        command, began = [*PROGRAM, "run", "--task-paths", str(tasks), "--base-url", url, *words], time.time()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as run:
            while (counted := stats(url))["chat"] < calls and run.poll() is None:
                time.sleep(0.05)
            run.send_signal(end)
    return float(counted["first_request_at"]) - began
