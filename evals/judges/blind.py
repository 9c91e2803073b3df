"""Blind pairs: rows of two sets, stripped of where they are from, for a reader who says which of two is the better.

    python -m evals.judges.blind make OLD/data.jsonl NEW/data.jsonl --seeds qna.yaml --out FOLDER
    python -m evals.judges.blind score FOLDER READER.json ...

`make` writes sheet.md, which the reader gets and nothing else, and key.json. A reader writes {"1": "A", "2": "tie", ...}; who
answered the prompts never reads. Half of the pairs have the new row first.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from evals.figures.statistics import Interval, percentiles
from skills_dspy.base.visible import visible

_Row = Mapping[str, Any]
_Pair = tuple[int, int]
"""The places of an old row and of a new one."""

_ASKED = """For each pair say which row is the better sample to learn this skill from: "A" for the first, "B" for the second,
"tie" only if you cannot prefer either. What counts: is it right (recompute), does it practise the skill as its teacher means
it, is the question worth learning from, is the answer as its reader needs it. Decide each pair by itself."""
_ROUNDS, _SCORES = 1000, {"new": 1.0, "tie": 0.5, "old": 0.0}


@dataclass(frozen=True)
class Won:
    """What the new set won of the pairs.

    Attributes:
        share: 0 to 1; a tie is half a pair.
        interval: 95 %, by resampling the rows of both sets, for one row stands in several pairs; None with too few rows.
        pairs, ties: how many.
    """

    share: float
    interval: Interval | None
    pairs: int
    ties: int


def cross_pairs(old: int, new: int, pairs: int, rng: random.Random) -> list[_Pair]:
    """So many of the cross pairs of two sets, each at most once, so that no row stands in many more of them than another."""
    rounds = [[(place, (place + shift) % new) for place in range(old)] for shift in range(new)]
    for one in rounds:
        rng.shuffle(one)
    rng.shuffle(rounds)
    chosen = [pair for one in rounds for pair in one][:pairs]
    rng.shuffle(chosen)
    return chosen


def sheet(
    old: Sequence[_Row], new: Sequence[_Row], seeds: str, pairs: Sequence[_Pair], rng: random.Random
) -> tuple[str, list[str]]:
    """What a reader gets, and of each pair which set its first row is of."""
    places = [*(("old", place) for place in range(len(old))), *(("new", place) for place in range(len(new)))]
    rng.shuffle(places)
    names = {place: f"R{number:02}" for number, place in enumerate(places, start=1)}
    sets = {"old": old, "new": new}
    parts = ["# The skill", f"Its seeds: {seeds}", _ASKED, "# Rows"]
    parts += [f"## {name}\n\n{_text(sets[which][place])}" for (which, place), name in names.items()]
    lines, firsts = [], []
    turned = [bool(number % 2) for number in range(len(pairs))]
    rng.shuffle(turned)  # a reader would notice turns
    for number, ((a, b), new_first) in enumerate(zip(pairs, turned, strict=True), start=1):
        first, second = (("new", b), ("old", a)) if new_first else (("old", a), ("new", b))
        lines.append(f"{number}: {names[first]} {names[second]}")
        firsts.append(first[0])
    return "\n\n".join([*parts, "# Pairs", "\n".join(lines)]) + "\n", firsts


def share_won(pairs: Sequence[_Pair], firsts: Sequence[str], said: Mapping[str, str]) -> Won:
    """How often a reader prefers the new rows; ValueError where a pair has no answer, or one that is none of the three."""
    values = []
    for number, first in enumerate(firsts, start=1):
        answer = said.get(str(number))
        if answer not in ("A", "B", "tie"):
            raise ValueError(f"pair {number} has the answer {answer!r}; it is A, B or tie")
        chosen = "tie" if answer == "tie" else first if answer == "A" else "old" if first == "new" else "new"
        values.append(_SCORES[chosen])
    won, (olds, news) = np.array(values), (np.array(ends) for ends in zip(*pairs, strict=True))
    rng, shares = np.random.default_rng(0), []
    for _ in range(_ROUNDS):
        weight = [
            np.bincount(rng.integers(ends.max() + 1, size=ends.max() + 1), minlength=ends.max() + 1) for ends in (olds, news)
        ]
        weights = weight[0][olds] * weight[1][news]
        if weights.sum():
            shares.append(float((won * weights).sum() / weights.sum()))
    return Won(float(won.mean()), percentiles(shares, _ROUNDS), len(values), values.count(0.5))


def _text(row: _Row) -> str:
    parts = [("CONTEXT", row.get("context")), ("QUESTION", row["instruction"]), ("ANSWER", row["response"])]
    return "\n\n".join(f"{name}:\n{text}" for name, text in parts if text)


def _rows(path: Path) -> list[_Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@click.group(help=__doc__)
def main() -> None:
    """Make a sheet, or score what readers said."""


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@main.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@click.option("--seeds", required=True, type=_FILE, help="The task file, which the reader looks at first.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="A new folder.")
@click.option("--pairs", default=40, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True)
def make(old: Path, new: Path, seeds: Path, out: Path, pairs: int, seed: int) -> None:
    """Write the sheet and its key."""
    rng, before, after = random.Random(seed), _rows(old), _rows(new)
    chosen = cross_pairs(len(before), len(after), pairs, rng)
    text, firsts = sheet(before, after, str(seeds), chosen, rng)
    out.mkdir(parents=True)
    (out / "sheet.md").write_text(text, encoding="utf-8")
    (out / "key.json").write_text(json.dumps({"pairs": chosen, "firsts": firsts}) + "\n", encoding="utf-8")


@main.command("score")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("readers", type=_FILE, nargs=-1, required=True)
def print_scores(folder: Path, readers: Sequence[Path]) -> None:
    """Print what the new rows won, by reader."""
    key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    for path in readers:
        won = share_won([(a, b) for a, b in key["pairs"]], key["firsts"], json.loads(path.read_text(encoding="utf-8")))
        spread = "" if won.interval is None else f" ({100 * won.interval.low:.0f} to {100 * won.interval.high:.0f})"
        click.echo(visible(f"{path.stem}: {100 * won.share:.0f} %{spread} of {won.pairs} pairs, {won.ties} ties"))


if __name__ == "__main__":
    main()
