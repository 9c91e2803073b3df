"""The benchmark: the program beside the simulated teacher, measured, as a table and as docs/benchmarks.md.

Run by `make bench`; `--small` is a quick run that only shows that it works. No language model has a part in it, so nothing here
says anything about the quality or the speed of a model: it says how full the program keeps a server, and what it costs itself.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from evals.bench import several, shared
from evals.bench.client import BenchCase, teacher
from evals.bench.figure import COLUMNS, Figure
from evals.bench.pages import measure_page
from evals.bench.reading import JUDGE_TOKENS, reading_costs
from evals.bench.starting import PROGRAM, first_request, first_request_again
from evals.record.answering import CHECKOUT

BENCH_PARTS = ("speed", "vectors", "reading", "calls", "memory", "many", "pages", "start-up", "shared", "several")
"""What may be measured alone."""
_SHARED = "what a run asks for beside what it needs, on a server that shares its speed"
_SEVERAL = "several hosts that share their speed, and three models on one"


@click.command()
@click.option("--small", is_flag=True, help="Small runs that only show that the benchmark works.")
@click.option("--part", type=click.Choice(BENCH_PARTS), help="Only this part.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the table to this Markdown file.")
def main(small: bool, part: str | None, write: Path | None) -> None:
    """Measure the program against the simulated teacher."""
    if part and write:
        raise click.UsageError("--write takes the whole table: leave --part out")
    scale = 20 if small else 1
    rows = [figure.cells() for name, figures in _PARTS.items() if part in (None, name) for figure in figures(scale)]
    sharing = shared.table(scale) if part in (None, "shared") else []
    together = [figure.cells() for figure in several.figures(scale)] if part in (None, "several") else []
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[str]]]] = [
        ("skills_dspy beside a simulated teacher", COLUMNS, rows),
        (_SHARED, shared.SPENT_COLUMNS, sharing),
        (_SEVERAL, COLUMNS, together),
    ]
    for title, columns, cells in tables:
        if not cells:
            continue
        shown = Table(*columns, title=title)
        for row in cells:
            shown.add_row(*row)
        Console(width=110).print(shown)
    if write is not None:
        python, system = platform.python_version(), platform.system()
        write.write_text(
            _PAGE.format(
                date=datetime.now(UTC).strftime("%Y-%m-%d"),
                command="make bench-small" if small else "make bench",
                machine=f"{os.cpu_count()} cores ({platform.machine()}), Python {python}, {system}",
                rows=_markdown(COLUMNS, rows),
                shared=_markdown(shared.SPENT_COLUMNS, sharing),
                several=_markdown(COLUMNS, together),
            ),
            encoding="utf-8",
        )


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ("---",) * len(columns), *rows))


def speed(scale: int) -> list[Figure]:
    """How full the slots are, how near the whole run is to its bound, and what a call costs the client."""
    few, run = measure_all(BenchCase(8, 100 // scale)), measure_all(BenchCase(32, 200 // scale))
    bare = "of that, what the bare ollama client takes here (0.7 where the bound was set)"
    return [
        Figure("slots used in steady state, 8 slots", few["used"], "{:.1%}", least=0.95),
        Figure("slots used in steady state, 32 slots", run["used"], "{:.1%}", least=0.95),
        Figure("wall time to 200 accepted, 32 slots, over its bound", run["over_bound"], "{:.2f}", 1.15),
        Figure("processor time of the client for each call", run["cpu_ms_per_call"], "{:.2f} ms", 3.0),
        Figure(bare, run["bare_ms_per_call"], "{:.2f} ms"),
    ]


def vectors(scale: int) -> list[Figure]:
    """The same with the real embedding model, whose process shares the cores; the steady state begins when it is loaded."""
    run = measure_all(BenchCase(32, 200 // scale, real_vectors=True))
    return [
        Figure("with all-MiniLM-L6-v2: slots used in steady state, 32 slots", run["used"], "{:.1%}", least=0.9),
        Figure("with all-MiniLM-L6-v2: processor time of the client for each call", run["cpu_ms_per_call"], "{:.2f} ms"),
        Figure("and of its process, import of torch included", run["vectors_ms_per_call"], "{:.2f} ms"),
        Figure("with all-MiniLM-L6-v2: wall time to 200 accepted over its bound", run["over_bound"], "{:.2f}"),
    ]


def reading(scale: int) -> list[Figure]:
    """What the log-probabilities of a reply cost the client beside the reply."""
    plain, told = reading_costs(400 // scale)
    run = measure_all(BenchCase(32, 200 // scale, logprobs=len(JUDGE_TOKENS)))
    read = "processor time of the client for each call, with log-probabilities read"
    return [
        Figure(read, run["cpu_ms_per_call"], "{:.2f} ms", 3.0),
        Figure("processor time for a reply of 98 tokens, one at a time", plain, "{:.2f} ms"),
        Figure("and the log-probabilities of 20 tokens in each place", told - plain, "{:.2f} ms more", 0.5),
    ]


def calls(scale: int) -> list[Figure]:
    """Calls for each accepted pair; the bound is the expectation for rejecting early, and a tenth."""
    cases = (
        ("pass 0.9, no duplicates, separate tags", BenchCase(32, 400 // scale, 0.02), 8.8),
        ("pass 0.7, a fifth duplicates, separate tags", BenchCase(32, 400 // scale, 0.02, 0.7, 0.2), 15.6),
        ("pass 0.9, no duplicates, fused tags", BenchCase(32, 400 // scale, 0.02, tagging="fused"), 6.8),
        ("pass 0.7, a fifth duplicates, fused tags", BenchCase(32, 400 // scale, 0.02, 0.7, 0.2, "fused"), 12.0),
    )
    return [
        Figure(f"calls for each accepted pair, {name}", measure_all(case)["calls_per_pair"], "{:.2f}", expected * 1.1)
        for name, case, expected in cases[:: 1 if scale == 1 else 3]
    ]


def memory(scale: int) -> list[Figure]:
    """Peak memory at 200 and at 2,000 pairs; their difference, less what the embeddings take."""
    sizes = 200 // scale, 2000 // scale
    few, many = (measure_all(BenchCase(32, size, 0.0))["peak_mb"] for size in sizes)
    # Seeds and accepted pairs stay in an index of float32 rows that doubles: at most twice 2,000 x 384 x 4 bytes.
    embeddings = 2 * sizes[1] * 384 * 4 / 2**20
    return [
        Figure(f"peak memory at {sizes[0]} pairs", few, "{:.0f} MB"),
        Figure(f"peak memory at {sizes[1]} pairs", many, "{:.0f} MB"),
        Figure("growth between them but for the embeddings", max(0.0, many - few - embeddings), "{:.0f} MB", 10.0),
    ]


def many(scale: int) -> list[Figure]:
    """Many tasks at once: slots used across them, wall time over its bound, and memory for each."""
    tasks = 200 // scale
    one, all_of_them = (measure_all(BenchCase(8, 3, tasks=number, logprobs=len(JUDGE_TOKENS))) for number in (1, tasks))
    cpu = all_of_them["cpu_ms_per_call"]
    each = (all_of_them["peak_mb"] - one["peak_mb"]) / (tasks - 1)
    return [
        Figure(f"slots used in steady state, {tasks} tasks on 8 slots", all_of_them["used"], "{:.1%}", least=0.95),
        Figure(f"wall time of {tasks} tasks with 3 pairs each", all_of_them["seconds"], "{:.0f} s"),
        Figure(f"processor time for each call, {tasks} tasks, with log-probabilities read", cpu, "{:.2f} ms", 3.0),
        Figure("memory for each task at once", each, "{:.2f} MB", 0.4),
    ]


def pages(scale: int) -> list[Figure]:
    """The page of a report of about 10,000 candidates, no two alike: its size, and how long a browser takes to open it."""
    case = BenchCase(32, 6200 // scale, 0.0, 0.9, 0.1)  # so many accepted, and about 10,000 in all
    with teacher(case) as url, tempfile.TemporaryDirectory() as folder:
        _ran(case, url, folder)
        page = measure_page(Path(folder))
    size = Figure(f"size of a report of {page.rows} rows", page.size, "{:.1f} MB", 20.0)
    if page.seconds is None:
        return [size]
    return [size, Figure("and until it can be used in Chromium", page.seconds, "{:.1f} s", 2.0)]


def start_up(scale: int) -> list[Figure]:
    """From the start of the process to its first request, also where many killed tasks go on, and --help."""
    tasks, times = 200 // scale, 5 if scale == 1 else 1
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    first, again = first_request(environment), first_request_again(tasks, environment)
    help_times = []
    for _ in range(times):
        began = time.time()
        subprocess.run([*PROGRAM, "--help"], check=True, stdout=subprocess.DEVNULL)
        help_times.append(time.time() - began)
    return [
        Figure("from start to the first request", first, "{:.2f} s", 2.0),
        Figure(f"the same where {tasks} tasks go on that were killed", again, "{:.2f} s", 3.0),
        Figure("--help", sorted(help_times)[times // 2], "{:.2f} s", 0.5),
    ]


def measure_all(case: BenchCase) -> dict[str, Any]:
    """Run one case in a process of its own; the server's counts and the client's.

    Raises:
        click.ClickException: the run did not end with all its pairs.
    """
    with teacher(case) as url, tempfile.TemporaryDirectory() as folder:
        run = _ran(case, url, folder)
    worked = run["busy_seconds"]
    run["used"] = run["steady_used"] / case.slots if run["steady_used"] else worked / (run["seconds"] * case.slots)
    # The longest chain: write, judge, quality, answer, judge, score, difficulty beside category.
    bound = max(worked / case.slots, 7 * case.latency)
    run["over_bound"] = run["seconds"] / bound if bound else 0.0
    run["calls_per_pair"] = run["chats"] / run["accepted"]
    return run


def _ran(case: BenchCase, url: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "evals.bench.client", url, folder, json.dumps(asdict(case))]
    run: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=CHECKOUT).stdout)
    if run["status"] != "complete":
        raise click.ClickException(f"{case}: the run ended as {run['status']!r}")
    return run


_PARTS: Mapping[str, Callable[[int], list[Figure]]] = {
    "speed": speed,
    "vectors": vectors,
    "reading": reading,
    "calls": calls,
    "memory": memory,
    "many": many,
    "pages": pages,
    "start-up": start_up,
}

_PAGE = """# Benchmarks

Measured on {date} by `{command}` on {machine}, beside a simulated teacher on the same cores (evals/teacher: no language
model; it waits for a set time and makes up a reply). The figures say how full the program keeps a server and what it costs
itself. They say nothing about a model.

{rows}

How they are measured: *slots used* is the server's own integral of busy slots, from 1.5 s after the start until 80 % of
the pairs are accepted, with 200 ms a call and as many requests in flight as slots. The *bound* of the wall time is the
larger of all calls' time divided by the slots, and the longest chain of calls (seven). *Calls for each accepted pair*
counts every request that the server answered or began, also those that were under way when the last pair was accepted;
what is wanted is the expectation for rejecting early, and a tenth (for fused tags at 0.7 the plan said 12, but the sum
that gives its other three gives 13.6: two calls less than with separate tags). *Processor time* and *memory* are the
client's own, with an embedder that costs nothing (evals/bench/hash_embedder.py), but in the rows *with all-MiniLM-L6-v2*, where
that model computes in a process of its own. No candidate settles before it is loaded, which is when the steady state of
those rows begins. *From start to the first request* and *--help* are the real command; the tasks that go on were killed after
half of their calls, and what there is of them lies in 200 journals. Where log-probabilities are read, replies come with
those of 98 tokens, 20 in each place. The rows of the report are those of one run, no two alike, each with its prompts and
replies; what Chromium takes is what the last line of the page says, the median of three openings. One part alone is measured by
`python -m evals.bench --part NAME`.
The original (fms-dgt), run against the same kind of server, kept 71 % of 8 slots and 22 % of 32 busy, spent 6.5 ms of
processor a call, and sent its first request after 8 s (measured before this code was written).

## On a server that shares its speed

A real server that is asked for more at once writes more tokens a second in all, and each reply slower. The simulated teacher
does so with `--speed` (evals/teacher/sharing.py): n requests at once get n / (0.59 + 0.41 n) times the tokens of one alone,
which is 1.8 times at four, as a `check --concurrency 4` saw of one real server, and 2.3 times at 32. The tokens of a reply
decide how long it takes. The runs of this table are in virtual time, where the client takes none (evals/bench/shared.py); each
line is the mean of 5 to 40 seeds, with 0.9 of all ratings passing. *Needed* is what the rows took, accepted or rejected; *wall*
is the time of the run over that which the server takes for the needed tokens with all slots busy.

{shared}

## With several hosts

The same in virtual time (evals/bench/several.py): real runs of four tasks with 50 pairs each (25 with three models) over
simulated hosts that share their speed among their requests, with the client of Ollama, the queue and all that hands work over.
*1 : 3* are the speeds with one request alone, 30 tokens a second for the slowest. *Needed tokens* are those of the replies that
the rows took. A host that is killed breaks off what it works on; what the others do alone is what they do in a run of their
own. With three models (teacher, judge and tagger differ) the host behaves as Ollama's scheduler does: requests in the order in
which they come, and one for another model waits until those in flight have ended. *Rank order* is the queue that knows nothing
of models.

{several}
"""

if __name__ == "__main__":
    main()
