"""How the estimate of tokens stands to a tokenizer: `python -m evals.bench.tokens URL ...` prints a table for the docs.

Each URL is a llama.cpp server's (its `/tokenize` counts). Texts are the seeds of task files, whole, and scripts.yaml.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import yaml

from skills_dspy.base.tokens import LEAST_TIMES, MOST_TIMES, estimate_tokens
from skills_dspy.tasks.files import load_tasks

TEXTS_BY_SCRIPT = Path(__file__).with_name("scripts.yaml")


def texts_of(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Each text with its name: one for each script, then the seeds of each task, one after another."""
    yield from yaml.safe_load(TEXTS_BY_SCRIPT.read_text("utf-8")).items()
    for spec in load_tasks(paths).specs if paths else ():
        yield spec.task_name, "\n".join("\n".join((s.context or "", s.question, s.answer)) for s in spec.seed_examples)


def count(url: str, text: str) -> int:
    """How many tokens a llama.cpp server makes of a text, without those that begin and end a prompt."""
    answer = httpx.post(
        f"{url.rstrip('/')}/tokenize", json={"content": text, "add_special": False}, timeout=60, trust_env=False
    )
    return len(answer.raise_for_status().json()["tokens"])


def line_of(name: str, estimate: int, counts: Sequence[int]) -> str:
    """A line of the table; what is not within the bounds for English is marked."""
    outside = ["" if LEAST_TIMES * c <= estimate <= MOST_TIMES * c else ", out of bounds" for c in counts]
    cells = [f"{c} ({estimate / c:.2f}{mark})" for c, mark in zip(counts, outside, strict=True)]
    return f"| {name} | {estimate} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table of the servers given first and the tasks below the paths given after `--`."""
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    urls, paths = sys.argv[1:cut], [Path(word) for word in sys.argv[cut + 1 :]]
    print(f"| text | estimate | {' | '.join(urls)} |\n|{' --- |' * (2 + len(urls))}")
    for name, text in texts_of(paths):
        print(line_of(name, estimate_tokens(text), [count(url, text) for url in urls]))


if __name__ == "__main__":
    main()
