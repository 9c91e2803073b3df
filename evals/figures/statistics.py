"""Rates with intervals, agreement, separation and the bootstrap: scipy and scikit-learn, with None for what is undefined."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")

_TAIL = 0.025  # what a 95 % percentile interval leaves out on each side
_ROUNDS = 1000
_MANY, _FARTHEST = 4000, 64  # rounds, and times as many items, to find out how many would be needed
_EXACT, _FLIPS = 14, 10_000  # of how many differences all flips of signs are counted, and how many are drawn of more
_DIGITS = 12  # of a kappa: two thresholds that agree equally well stay equal, whatever floats add


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval; `low` is never above `high`."""

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
        """The 95 % score interval (Wilson 1927); 0 to 1 where there was nothing to count."""
        return _wilson(self.count, self.of)

    def as_json(self) -> dict[str, int | float | None]:
        """Count, of, value, low and high, in this order, to four decimals."""
        value = None if self.value is None else round(self.value, 4)
        return {"count": self.count, "of": self.of, "value": value, **spread_json(self.interval)}


def spread_json(interval: Interval | None) -> dict[str, float | None]:
    """The two ends to four decimals; None for no interval."""
    return {end: None if interval is None else round(getattr(interval, end), 4) for end in ("low", "high")}


@cache
def _wilson(count: int, of: int) -> Interval:
    from scipy.stats import binomtest

    if not of:
        return Interval(0.0, 1.0)
    found = binomtest(count, of).proportion_ci(method="wilson")
    return Interval(float(found.low), float(found.high))


def halves_interval(count: float, of: int) -> Interval:
    """Return the 95 % score interval of a share whose `count` may hold halves, for ties: between those of whole counts.

    It is no narrower than it should be: a share of such verdicts varies less than one of whole ones.
    """
    low, high, part = _wilson(math.floor(count), of), _wilson(math.ceil(count), of), count % 1
    return Interval((1 - part) * low.low + part * high.low, (1 - part) * low.high + part * high.high)


def cohen_kappa(
    first: Sequence[Hashable], second: Sequence[Hashable], weights: Literal["quadratic"] | None = None
) -> float | None:
    """Return the agreement of two raters of the same items beyond chance (Cohen 1960), -1 to 1.

    With quadratic weights labels are places on a scale, and a disagreement weighs its distance squared (Cohen 1968). None for
    no items, and where both raters give one and the same label throughout: agreement by chance is then 1.
    """
    from sklearn.metrics import cohen_kappa_score

    labels: list[Any] = sorted({*first, *second}, key=str)
    if len(labels) < 2 and len(first) == len(second):
        return None
    if weights is not None:  # the distance of two labels is that of their places, also where nobody gave those between
        labels = list(range(min(labels), max(labels) + 1))
    return round(float(cohen_kappa_score(first, second, labels=labels, weights=weights)), _DIGITS)


def kappa_interval(accepts: Sequence[bool], good: Sequence[bool], seed: int) -> Interval | None:
    """Return the percentile interval of Cohen's kappa of two decisions over resampled items, as `bootstrap` does.

    None where one side always says the same: kappa is 0 then whatever is drawn, which tells nothing of how sure that is. All
    resamples are counted at once: scikit-learn takes a millisecond for each of a thousand.
    """
    if len({*accepts}) < 2 or len({*good}) < 2:
        return None
    drawn = _resamples(len(accepts), seed, _ROUNDS)
    first, second = np.asarray(accepts)[drawn], np.asarray(good)[drawn]
    kappas = _kappas((first == second).mean(axis=1), first.mean(axis=1), second.mean(axis=1))
    return percentiles(kappas, _ROUNDS)


def _kappas(agreed: NDArray[np.float64], ones: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen's kappas, by the shares that both agree on and that each of them accepts; none where it is not defined."""
    chance = ones * others + (1 - ones) * (1 - others)
    defined = chance < 1
    return (agreed[defined] - chance[defined]) / (1 - chance[defined])


def items_to_halve(accepts: Sequence[bool], good: Sequence[bool], seed: int) -> int | None:
    """Return about how many more items like these would halve the percentile interval of Cohen's kappa of two decisions.

    So many are drawn from these, with replacement, that the interval of their kappas is half as wide. None where it is not
    defined, or has no width: whoever always agrees has none.
    """
    count = len(accepts)
    if not count:
        return None
    both = np.asarray(accepts, dtype=np.int64) * 2 + np.asarray(good, dtype=np.int64)
    shares = np.bincount(both, minlength=4) / count

    def width(items: int) -> float | None:
        cells = np.random.default_rng(seed).multinomial(items, shares, size=_MANY) / items
        kappas = _kappas(cells[:, 0] + cells[:, 3], cells[:, 2] + cells[:, 3], cells[:, 1] + cells[:, 3])
        found = percentiles(kappas, _MANY)
        return None if found is None else found.high - found.low

    now = width(count)
    if not now:
        return None
    few, enough = count, count
    while (wide := width(enough)) is None or wide > now / 2:
        few, enough = enough, 2 * enough
        if enough > _FARTHEST * count:
            return None
    while enough - few > max(1, enough // 50):
        middle = (few + enough) // 2
        wide = width(middle)
        few, enough = (middle, enough) if wide is None or wide > now / 2 else (few, middle)
    return enough - count


def auc(scores: ArrayLike, good: ArrayLike) -> float | None:
    """Return the probability that a good one scores above a bad one, ties counted half (Mann and Whitney 1947), 0 to 1.

    None where there is no good one or no bad one.
    """
    (found,) = _aucs(np.atleast_2d(np.asarray(scores, dtype=np.float64)), np.atleast_2d(np.asarray(good, dtype=np.bool_)))
    return None if np.isnan(found) else float(found)


def auc_gap_interval(first: Sequence[float], second: Sequence[float], good: Sequence[bool], seed: int) -> Interval | None:
    """Return the percentile interval of `auc(second) - auc(first)` over resampled items, as `bootstrap` does."""
    drawn = _resamples(len(good), seed, _ROUNDS)
    truth = np.asarray(good)[drawn]
    before, after = (_aucs(np.asarray(scores, dtype=np.float64)[drawn], truth) for scores in (first, second))
    gaps = after - before
    return percentiles(gaps[~np.isnan(gaps)], _ROUNDS)


def _aucs(scores: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The area of each row; NaN where all of it are good or all bad."""
    from scipy.stats import rankdata

    goods = good.sum(axis=1)
    pairs = goods * (good.shape[1] - goods)
    won = (rankdata(scores, axis=1) * good).sum(axis=1) - goods * (goods + 1) / 2
    return np.asarray(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0))


def bootstrap(
    items: Sequence[T], statistic: Callable[[Sequence[T]], float | None], seed: int, rounds: int = _ROUNDS
) -> Interval | None:
    """Return the percentile interval of a statistic over so many samples of the items with replacement (Efron 1979).

    The statistic may be None of a sample, which is left out. None where it is on more than half of them, or there are no items.
    """
    if not items:
        return None
    found = [statistic([items[place] for place in row]) for row in _resamples(len(items), seed, rounds).tolist()]
    return percentiles([value for value in found if value is not None], rounds)


def bootstrap_crossed(values: Sequence[Sequence[float]], seed: int, rounds: int = _ROUNDS) -> Interval | None:
    """Return the percentile interval of the mean of a table whose rows and columns are both resampled, as `bootstrap` does.

    Rows are as long as each other. None where there is no value.
    """
    table = np.asarray(values, dtype=np.float64)
    if not table.size:
        return None
    columns = _resamples(table.shape[1], seed, rounds)
    rows = np.random.default_rng([seed, 1]).integers(len(table), size=(rounds, len(table)))
    shares = (rows[:, :, None] == np.arange(len(table))).mean(axis=1)
    return percentiles(np.take_along_axis(shares @ table, columns, axis=1).mean(axis=1), rounds)


def sign_flip(differences: Sequence[float], seed: int) -> float:
    """Return how often the mean of differences would be as far from 0 if the sign of each were chance: a two-sided p, 0 to 1.

    Exact for up to 14 of them, by so many flips that the seed draws for more (Fisher 1935). Below 6 it is never 0.05 or less.
    """
    values = np.asarray(differences, dtype=np.float64)
    count, least = len(values), abs(values.sum()) * (1 - 1e-9)
    if count <= _EXACT:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float(np.mean(np.abs(signs @ values) >= least))
    rng, as_far = np.random.default_rng(seed), 1
    for _ in range(_FLIPS // 1000):
        as_far += int(np.sum(np.abs((1 - 2 * rng.integers(2, size=(1000, count))) @ values) >= least))
    return as_far / (_FLIPS + 1)


def bootstrap_difference(
    first: Sequence[T],
    second: Sequence[T],
    statistic: Callable[[Sequence[T]], float | None],
    seed: int,
    rounds: int = _ROUNDS,
) -> Interval | None:
    """Return the percentile interval of `statistic(second) - statistic(first)` for two independent samples, as `bootstrap`."""
    if not first or not second:
        return None
    rng = np.random.default_rng(seed)
    differences = list[float]()
    for _ in range(rounds):
        drawn = [rng.integers(len(items), size=len(items)).tolist() for items in (first, second)]
        before, after = (statistic([items[at] for at in places]) for items, places in zip((first, second), drawn, strict=True))
        if before is not None and after is not None:
            differences.append(after - before)
    return percentiles(differences, rounds)


def _resamples(count: int, seed: int, rounds: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(count, size=(rounds, count))


def percentiles(values: ArrayLike, rounds: int) -> Interval | None:
    """Return the middle 95 % of values that were defined in so many of the rounds; None if in fewer than half."""
    found = np.asarray(values, dtype=np.float64)
    if not len(found) or 2 * len(found) < rounds:
        return None
    low, high = np.quantile(found, [_TAIL, 1 - _TAIL]).tolist()
    return Interval(low, high)
