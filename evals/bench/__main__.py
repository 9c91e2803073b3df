"""The benchmark: the program beside the simulated teacher, measured, as a table and as docs/benchmarks.md.

Run by `make bench`; `--small` is a quick run that only shows that it works. No language model has a part in it, so nothing here
says anything about the quality or the speed of a model: it says how full the program keeps a server, and what it costs itself.
"""

import os
import platform
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from evals.bench import several, shared
from evals.bench.figure import COLUMNS
from evals.bench.parts import BENCH_PARTS

_SHARED = "what a run asks for beside what it needs, on a server that shares its speed"
_SEVERAL = "several hosts that share their speed, and three models on one"


@click.command()
@click.option("--small", is_flag=True, help="Small runs that only show that the benchmark works.")
@click.option("--part", type=click.Choice((*BENCH_PARTS, "shared", "several")), help="Only this part.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the table to this Markdown file.")
def main(small: bool, part: str | None, write: Path | None) -> None:
    """Measure the program against the simulated teacher."""
    if part and write:
        raise click.UsageError("--write takes the whole table: leave --part out")
    scale = 50 if small else 1
    chosen = [figures for name, figures in BENCH_PARTS.items() if part in (None, name)]
    with ThreadPoolExecutor(
        3 if small else 1
    ) as measuring:  # figures of small runs say nothing, so these may disturb each other
        rows = [figure.cells() for figures in measuring.map(lambda some: some(scale), chosen) for figure in figures]
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
