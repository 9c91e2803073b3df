"""Two datasets side by side: each number of both, the difference, and its 95 % interval. Pure.

What is a mean, a share or a median over rows has a bootstrap interval. Diversity depends on the number of rows, and a row
drawn twice is a near-copy of itself. So both sets are first cut to equally many rows, and what is compared is the mean of a
measure over many halves of them, drawn without replacement (Politis and Romano 1994); the interval is the spread of the
difference over the halves, which is as wide as it has to be for a mean, and if anything too wide for other measures: the mean
over the halves is a U-statistic of order n/2, whose variance is at most half of that of one half (Hoeffding 1948).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from evals.data.against_seeds import find_nearest
from evals.data.compared_numbers import SetMeasure, Side, row_numbers, set_measures, share_numbers
from evals.data.material import Material, sample_places
from evals.figures.statistics import Interval, bootstrap_difference, percentiles, spread_json
from evals.figures.tables import as_json

MOST_COMPARED = 2_000  # of each are compared: with so many a share is right to within 3 points
MOST_TOGETHER = 400  # whose diversity is compared: every half has all pairs of its rows looked at
FEWEST_FOR_INTERVAL = 10  # rows: of fewer a bootstrap knows nothing but these; halves need twice as many
_PER_HALF = 5  # bootstrap samples for each half: 200 halves tell the ends well enough


@dataclass(frozen=True, slots=True)
class ComparedNumber:
    """One number of both datasets, with the 95 % interval of second minus first; None where there are too few rows.

    `rows` are those, or the texts or candidates, of each that it is taken of; for a mean over halves those of a half.
    """

    name: str
    first: float
    second: float
    rows: tuple[int, int]
    interval: Interval | None

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high

    def as_json(self) -> dict[str, Any]:
        """All of it, to four decimals."""
        values = {"name": self.name, "first": self.first, "second": self.second, "rows": self.rows}
        return {**as_json(values), "difference": as_json(self.difference), **spread_json(self.interval)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """All numbers that two datasets, named by their paths, both have; `notes` says what is left out and why."""

    first: str
    second: str
    numbers: tuple[ComparedNumber, ...]
    notes: tuple[str, ...]


def compare(first: Material, second: Material, seed: int, rounds: int = 1000) -> Comparison:
    """Every number that both datasets have.

    `seed` draws the rows that are compared, the bootstrap samples (`rounds`, 5 or more) and the halves, one for every five.
    """
    chosen = [sample_places(len(material.places), MOST_COMPARED, seed) for material in (first, second)]
    one, other = Side(first, find_nearest(first), chosen[0]), Side(second, find_nearest(second), chosen[1])
    numbers = [_share(name, a, b, seed, rounds) for name, a, b in share_numbers(one, other)]
    for name, items, statistic in row_numbers(one, other):
        before, after = items(one), items(other)
        values = [statistic(some) if some else None for some in (before, after)]
        if values[0] is not None and values[1] is not None:
            rows = (len(before), len(after))
            interval = (
                bootstrap_difference(before, after, statistic, seed, rounds) if min(rows) >= FEWEST_FOR_INTERVAL else None
            )
            numbers.append(ComparedNumber(name, values[0], values[1], rows, interval))
    count = min(len(first.places), len(second.places), MOST_TOGETHER)
    numbers += _together(one, other, count, seed, rounds // _PER_HALF)
    return Comparison(str(first.dataset.path), str(second.dataset.path), tuple(numbers), tuple(_notes(one, other, count)))


def _share(name: str, one: tuple[int, int], other: tuple[int, int], seed: int, rounds: int) -> ComparedNumber:
    """A share of candidates or rows with its interval."""
    (first, rows), (second, others) = one, other
    interval = None
    if min(rows, others) >= FEWEST_FOR_INTERVAL:
        # The mean of so many zeros and ones that are drawn anew has a binomial distribution, which can be drawn at once.
        rng = np.random.default_rng(seed)
        before, after = (rng.binomial(of, count / of, size=rounds) / of for count, of in (one, other))
        interval = percentiles(after - before, rounds)
    return ComparedNumber(name, first / rows, second / others, (rows, others), interval)


def _together(one: Side, other: Side, count: int, seed: int, halves: int) -> Iterator[ComparedNumber]:
    """The measures of many rows together that both have."""
    if count < 2:
        return
    first, second = (set_measures(side, sample_places(len(side.material.places), count, seed)) for side in (one, other))
    for name in first:
        of_vectors = name.startswith(("mean distance", "Vendi"))
        if name in second and (not of_vectors or one.model() == other.model()):
            yield from _over_halves(name, first[name], second[name], count, seed, halves)


def _over_halves(name: str, one: SetMeasure, other: SetMeasure, count: int, seed: int, halves: int) -> Iterator[ComparedNumber]:
    """A measure's mean over halves of `count` rows with its interval; of too few rows the measure itself, of all."""
    if count < 2 * FEWEST_FOR_INTERVAL:
        first, second = one(range(count)), other(range(count))
        if first is not None and second is not None:
            yield ComparedNumber(name, first, second, (count, count), None)
        return
    rng, half = random.Random(seed), count // 2
    drawn = [sorted(rng.sample(range(count), half)) for _ in range(halves)]
    before, after = ([value for chosen in drawn if (value := measure(chosen)) is not None] for measure in (one, other))
    found = min(len(before), len(after))
    # The same halves for both, so that a dataset has no distance to itself; but a half of one is held against another
    # half of the other: where both have rows in common, the spread must not be taken for smaller than it is.
    turned = [*after[1:found], *after[:1]][:found]
    if (interval := percentiles(np.subtract(turned, before[:found]), halves)) is not None:
        yield ComparedNumber(name, fmean(before), fmean(after), (half, half), interval)


def _notes(one: Side, other: Side, count: int) -> Iterator[str]:
    few = count < 2 * FEWEST_FOR_INTERVAL
    if max(len(one.material.places), len(other.material.places)) > MOST_COMPARED:
        yield f"Numbers over rows are of {MOST_COMPARED} rows of each at most, drawn by the seed."
    measured = "Distance, Vendi score, distinct-n and near-copies depend on the number of rows"
    if count >= 2:
        yield f"{measured}: they are {'' if few else 'means over many halves '}of {count}{'' if few else ' rows'} of each."
    models = one.model(), other.model()
    if None in models:
        yield "Distances, the Vendi score and cosines are not compared: there are no vectors of both."
    elif models[0] != models[1]:
        yield (
            "Distances, the Vendi score and cosines are not compared: the vectors are of different models "
            f"({models[0]}; {models[1]}); name one for both with --embedder."
        )
    if few:
        said = f"No interval is given for fewer than {FEWEST_FOR_INTERVAL} rows"
        yield f"{said}, or {2 * FEWEST_FOR_INTERVAL} for what depends on their number: it would say nothing."
