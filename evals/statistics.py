"""Rates with intervals, agreement, separation and the bootstrap: the statistics of report cards, as pure functions."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Z95 = 1.959964
"""The quantile of the normal distribution that belongs to a 95 % interval."""

_TAIL = 0.025  # what a 95 % percentile interval leaves out on each side


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval, unless said otherwise; `low` is never above `high`."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rate:
    """A share: `count` of `of`, 0 <= count <= of."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None where there was nothing to count."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval; 0 to 1 where there was nothing to count."""
        return wilson(self.count, self.of)

    def as_json(self) -> dict[str, int | float | None]:
        """Count, of, value, low and high, in this order, to four decimals."""
        value, interval = self.value, self.interval
        return {
            "count": self.count,
            "of": self.of,
            "value": None if value is None else round(value, 4),
            "low": round(interval.low, 4),
            "high": round(interval.high, 4),
        }


def wilson(count: int, of: int, z: float = Z95) -> Interval:
    """Return the score interval of a share (Wilson 1927), within 0 and 1; (0, 1) for nothing counted.

    Raises:
        ValueError: not 0 <= count <= of.
    """
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
    if not of:
        return Interval(0.0, 1.0)
    share = count / of
    scale = 1 + z * z / of
    centre = (share + z * z / (2 * of)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    # At the two ends the exact bound is 0 and 1; rounding must not move it.
    low = 0.0 if count == 0 else max(0.0, centre - half)
    high = 1.0 if count == of else min(1.0, centre + half)
    return Interval(low, high)


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Return the agreement of two raters beyond chance (Cohen 1960), -1 to 1.

    None for no items, and where both raters give one and the same label throughout: agreement by chance is then 1, and kappa
    is not defined.

    Raises:
        ValueError: the two are not equally long.
    """
    agreed = sum(a == b for a, b in zip(first, second, strict=True))
    ones, others = Counter(first), Counter(second)
    chance = sum(number * others[label] for label, number in ones.items())  # times items squared: whole numbers stay exact
    items = len(first)
    return None if items * items == chance else (items * agreed - chance) / (items * items - chance)


def weighted_kappa(first: Sequence[int], second: Sequence[int]) -> float | None:
    """Return the agreement of two raters on an ordered scale, with quadratic weights (Cohen 1968), -1 to 1.

    The labels are places on the scale: a disagreement weighs the square of their distance. None as for `cohen_kappa`.

    Raises:
        ValueError: the two are not equally long.
    """
    observed = sum((int(a) - int(b)) ** 2 for a, b in zip(first, second, strict=True))
    ones, others = Counter(map(int, first)), Counter(map(int, second))
    chance = sum(n * m * (a - b) ** 2 for a, n in ones.items() for b, m in others.items())
    return None if not chance else 1 - len(first) * observed / chance


def auc(scores: Sequence[float], good: Sequence[bool]) -> float | None:
    """Return the probability that a good one scores above a bad one, ties counted half (Mann and Whitney 1947), 0 to 1.

    0.5 is what chance gives. None where there is no good one or no bad one.

    Raises:
        ValueError: the two are not equally long, or a score is not a number.
    """
    if len(scores) != len(good):
        raise ValueError(f"{len(scores)} scores for {len(good)} labels")
    if any(math.isnan(score) for score in scores):
        raise ValueError("a score is not a number")
    goods = Counter(float(score) for score, label in zip(scores, good, strict=True) if label)
    bads = Counter(float(score) for score, label in zip(scores, good, strict=True) if not label)
    if not goods or not bads:
        return None
    won = below = 0  # twice the number of pairs that the good one wins
    for score in sorted({*goods, *bads}):
        won += goods[score] * (2 * below + bads[score])
        below += bads[score]
    return won / (2 * goods.total() * bads.total())


def bootstrap(
    items: Sequence[T], statistic: Callable[[Sequence[T]], float | None], seed: int, rounds: int = 1000
) -> Interval | None:
    """Return the percentile interval of a statistic over resampled items (Efron 1979).

    Args:
        items: what was measured; resampled with replacement, as many as there are.
        statistic: of such a sample; None where it is not defined, and that sample is left out.
        seed: of the generator.
        rounds: how many samples are drawn, at least 1.

    Returns:
        None where there are no items, or where the statistic is defined on fewer than half of the samples.
    """
    if not items:
        return None
    rng = _generator(seed)
    return _percentiles([statistic(_resampled(items, rng)) for _ in range(rounds)])


def bootstrap_difference(
    first: Sequence[T],
    second: Sequence[T],
    statistic: Callable[[Sequence[T]], float | None],
    seed: int,
    rounds: int = 1000,
) -> Interval | None:
    """Return the percentile interval of `statistic(second) - statistic(first)` for two samples that are independent.

    Both are resampled in each round; otherwise as `bootstrap`.
    """
    if not first or not second:
        return None
    rng = _generator(seed)
    differences: list[float | None] = []
    for _ in range(rounds):
        before, after = statistic(_resampled(first, rng)), statistic(_resampled(second, rng))
        differences.append(None if before is None or after is None else after - before)
    return _percentiles(differences)


def paired_bootstrap(first: Sequence[float], second: Sequence[float], seed: int, rounds: int = 1000) -> Interval:
    """Return the percentile interval of the mean of `second - first` over paired items, which are resampled as pairs.

    Raises:
        ValueError: the two are not equally long, or empty.
    """
    gains = np.array([after - before for before, after in zip(first, second, strict=True)], dtype=np.float64)
    if not gains.size:
        raise ValueError("there are no pairs to compare")
    rng = _generator(seed)
    means = [float(gains[rng.integers(gains.size, size=gains.size)].mean()) for _ in range(rounds)]
    return _interval(np.array(means))


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _resampled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    return [items[place] for place in rng.integers(len(items), size=len(items)).tolist()]


def _percentiles(values: Sequence[float | None]) -> Interval | None:
    defined = [value for value in values if value is not None]
    return None if not defined or 2 * len(defined) < len(values) else _interval(np.array(defined, dtype=np.float64))


def _interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    return Interval(float(low), float(high))
