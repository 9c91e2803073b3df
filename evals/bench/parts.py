"""The parts of the benchmark that give figures: each measured beside a simulated teacher of its own."""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from evals.bench.client import BenchCase, bare_cost, run_case, run_case_in, teacher
from evals.bench.figure import Figure
from evals.bench.pages import measure_page
from evals.bench.reading import JUDGE_TOKENS, reading_costs
from evals.bench.starting import PROGRAM, first_request, first_request_again


def speed(scale: int) -> list[Figure]:
    """How full the slots are, how near the whole run is to its bound, and what a call costs the client."""
    few, run = run_case(BenchCase(8, 100 // scale)), run_case(BenchCase(32, 200 // scale))
    bare = "of that, what the bare ollama client takes here (0.7 where the bound was set)"
    return [
        Figure("slots used in steady state, 8 slots", few.used, "{:.1%}", least=0.95),
        Figure("slots used in steady state, 32 slots", run.used, "{:.1%}", least=0.95),
        Figure("wall time to 200 accepted, 32 slots, over its bound", run.over_bound, "{:.2f}", 1.15),
        Figure("processor time of the client for each call", run.cpu_ms_per_call, "{:.2f} ms", 3.0),
        Figure(bare, asyncio.run(bare_cost(32)), "{:.2f} ms"),
    ]


def vectors(scale: int) -> list[Figure]:
    """The same with the real embedding model, whose process shares the cores; the steady state begins when it is loaded."""
    run = run_case(BenchCase(32, 200 // scale, real_vectors=True))
    return [
        Figure("with all-MiniLM-L6-v2: slots used in steady state, 32 slots", run.used, "{:.1%}", least=0.9),
        Figure("with all-MiniLM-L6-v2: processor time of the client for each call", run.cpu_ms_per_call, "{:.2f} ms"),
        Figure("and of its process, import of torch included", run.vectors_ms_per_call, "{:.2f} ms"),
        Figure("with all-MiniLM-L6-v2: wall time to 200 accepted over its bound", run.over_bound, "{:.2f}"),
    ]


def reading(scale: int) -> list[Figure]:
    """What the log-probabilities of a reply cost the client beside the reply."""
    plain, told = reading_costs(400 // scale)
    run = run_case(BenchCase(32, 200 // scale, logprobs=JUDGE_TOKENS))
    read = "processor time of the client for each call, with log-probabilities read"
    return [
        Figure(read, run.cpu_ms_per_call, "{:.2f} ms", 3.0),
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
        Figure(f"calls for each accepted pair, {name}", run_case(case).calls_per_pair, "{:.2f}", expected * 1.1)
        for name, case, expected in cases[:: 1 if scale == 1 else 3]
    ]


def memory(scale: int) -> list[Figure]:
    """Peak memory at 200 and at 2,000 pairs; their difference, less what the embeddings take."""
    sizes = 200 // scale, 2000 // scale
    few, many = (run_case(BenchCase(32, size, 0.0)).peak_mb for size in sizes)
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
    one, all_of_them = (run_case(BenchCase(8, 3, tasks=number, logprobs=JUDGE_TOKENS)) for number in (1, tasks))
    cpu = all_of_them.cpu_ms_per_call
    each = (all_of_them.peak_mb - one.peak_mb) / (tasks - 1)
    return [
        Figure(f"slots used in steady state, {tasks} tasks on 8 slots", all_of_them.used, "{:.1%}", least=0.95),
        Figure(f"wall time of {tasks} tasks with 3 pairs each", all_of_them.seconds, "{:.0f} s"),
        Figure(f"processor time for each call, {tasks} tasks, with log-probabilities read", cpu, "{:.2f} ms", 3.0),
        Figure("memory for each task at once", each, "{:.2f} MB", 0.4),
    ]


def pages(scale: int) -> list[Figure]:
    """The page of a report of about 10,000 candidates, no two alike: its size, and how long a browser takes to open it."""
    case = BenchCase(32, 6200 // scale, 0.0, 0.9, 0.1)  # so many accepted, and about 10,000 in all
    with teacher(case) as url, tempfile.TemporaryDirectory() as folder:
        run_case_in(Path(folder), url, case)
        page = measure_page(Path(folder), 3 if scale == 1 else 1)
    size = Figure(f"size of a report of {page.rows} rows", page.size, "{:.1f} MB", 20.0)
    if page.seconds is None:
        return [size]
    return [size, Figure("and until it can be used in Chromium", page.seconds, "{:.1f} s", 2.0)]


def start_up(scale: int) -> list[Figure]:
    """From the start of the process to its first request, also where many killed tasks go on, and --help."""
    tasks, times = 200 // scale, 5 if scale == 1 else 1
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    half = 15 * tasks if scale == 1 else tasks  # of their calls; on the small scale those of which none needs torch
    first, again = first_request(environment), first_request_again(tasks, half, environment)
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


BENCH_PARTS: Mapping[str, Callable[[int], list[Figure]]] = {
    "speed": speed,
    "vectors": vectors,
    "reading": reading,
    "calls": calls,
    "memory": memory,
    "many": many,
    "pages": pages,
    "start-up": start_up,
}
"""By name what it gives at a scale: 1, or so many times as small."""
