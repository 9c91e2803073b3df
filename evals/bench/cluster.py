"""What a Ray cluster costs many tiny tasks, beside the plain run of the same: `python -m evals.bench.cluster`.

Two workers on this machine and the plain run ask one simulated teacher for as much at once in all. Measured is the whole
command, from its start to its end; the cluster is there before. Needs `pip install 'skills-dspy[ray]'`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from evals.bench.client import TASK
from evals.bench.starting import PROGRAM
from evals.record.answering import CHECKOUT, simulated_teacher

WORKERS = 2
_QUIET = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "HF_HUB_OFFLINE": "1"}


@click.command()
@click.option("--tasks", default=300, help="So many tasks of one pair each.")
@click.option("--slots", default=8, help="Requests at once, in all.")
@click.option("--latency", default=0.2, help="Seconds that each takes.")
@click.option("--times", default=1, help="How often each is run, in turn.")
def main(tasks: int, slots: int, latency: float, times: int) -> None:
    """Print the seconds of both, and whether the rows are the same bytes."""
    options = ("--slots", str(slots), "--latency", str(latency), "--pass-rate", "0.9")
    with tempfile.TemporaryDirectory() as name, simulated_teacher(*options) as host, cluster() as address:
        folder = Path(name)
        for number in range(tasks):
            text = TASK.read_text("utf-8").replace("/haiku\n", f"/haiku-{number}\n")
            (folder / f"task-{number}.yaml").write_text(text, "utf-8")
        for turn in range(times):
            here, away = folder / f"here-{turn}", folder / f"away-{turn}"
            plain = seconds(folder, host, here, "--concurrency", str(slots))
            ray = ("--executor", "ray", "--ray-address", address)
            spread = seconds(folder, host, away, *ray, "--concurrency", str(slots // WORKERS))
            same = "the same bytes" if kept_rows(here) == kept_rows(away) else "OTHER ROWS"
            print(f"{tasks} tasks: plain {plain:.1f} s, Ray {spread:.1f} s: {spread / plain - 1:+.1%}; {same}", flush=True)


def seconds(tasks: Path, host: str, output: Path, *words: str) -> float:
    """How long a run takes."""
    paths = map(str, sorted(tasks.glob("*.yaml")))
    command = [*PROGRAM, "run", "-n", "1", "--quiet", "--base-url", host, "--output-dir", str(output), *words]
    began = time.monotonic()
    subprocess.run([*command, "--task-paths", *paths], check=True, stdout=subprocess.DEVNULL, env=_QUIET, cwd=CHECKOUT)
    return time.monotonic() - began


def kept_rows(folder: Path) -> dict[str, bytes]:
    """The rows of all tasks."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.jsonl")}


@contextmanager
def cluster() -> Iterator[str]:
    """The address of two workers on this machine."""
    command = [sys.executable, "-m", "evals.bench.ray_nodes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_QUIET, cwd=CHECKOUT) as nodes:
        assert nodes.stdout is not None
        try:
            yield nodes.stdout.readline().strip()
        finally:
            nodes.communicate(timeout=60)


if __name__ == "__main__":
    main()
