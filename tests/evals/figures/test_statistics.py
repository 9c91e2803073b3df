"""Rates, agreement, separation, bootstrap: what is undefined, what is refused, and what our conventions add to scipy's."""

import random
from collections.abc import Sequence

import pytest

from evals.data.measures import mean
from evals.figures.statistics import (
    Interval,
    Rate,
    auc,
    auc_gap_interval,
    bootstrap,
    bootstrap_crossed,
    bootstrap_difference,
    cohen_kappa,
    halves_interval,
    kappa_interval,
    sign_flip,
)
from tests.helpers.making import there


def test_a_rate_has_a_value_an_interval_and_a_form_for_files() -> None:
    """To four decimals, in a fixed order; the ends of the range are exact."""
    rate = Rate(3, 40)
    assert rate.value == 0.075
    assert list(rate.as_json().items()) == [("count", 3), ("of", 40), ("value", 0.075), ("low", 0.0258), ("high", 0.1986)]
    assert (Rate(0, 9).interval.low, Rate(9, 9).interval.high) == (0.0, 1.0)


def test_a_rate_of_nothing_has_no_value() -> None:
    """Nothing counted is not a rate of zero; more than all is no rate."""
    assert Rate(0, 0).as_json() == {"count": 0, "of": 0, "value": None, "low": 0.0, "high": 1.0}
    with pytest.raises(ValueError, match="must not be greater"):
        _ = Rate(4, 3).interval


def test_always_the_same_label_earns_no_kappa() -> None:
    """Saying yes to everything agrees by chance alone; where the other does so too, nothing can be said."""
    assert cohen_kappa(["yes"] * 4, ["yes", "yes", "yes", "no"]) == 0
    assert cohen_kappa(["yes"] * 4, ["yes"] * 4) is None
    assert cohen_kappa([3, 3], [3, 3], "quadratic") is None
    assert cohen_kappa([], []) is None
    assert cohen_kappa([], [], "quadratic") is None


def test_labels_that_nobody_gave_count_as_distance() -> None:
    """1 and 5 are four places apart, even where nobody says 2 to 4; of two labels the weights change nothing."""
    assert cohen_kappa([1, 2, 5, 5], [1, 2, 2, 5], "quadratic") == pytest.approx(1 - 4 * 9 / 96)
    first, second = [1, 1, 3, 3, 1], [1, 3, 3, 3, 3]
    assert cohen_kappa(first, second, "quadratic") == pytest.approx(cohen_kappa(first, second))


def test_auc_counts_ties_half_and_needs_both_classes() -> None:
    """One class alone separates nothing."""
    assert auc([3, 2, 2, 1], [True, True, False, False]) == 0.875
    assert auc([1.0, 2.0], [True, True]) is None
    assert auc([], []) is None


def test_intervals_at_once_are_those_of_the_bootstrap() -> None:
    """The same resamples and the same statistic, only counted together."""
    rng = random.Random(1)
    good = [rng.random() < 0.6 for _ in range(30)]
    accepts = [each if rng.random() < 0.7 else not each for each in good]
    first, second = ([each + rng.randint(0, 2) for each in good] for _ in range(2))
    found, kappa = there(kappa_interval(accepts, good, 3)), there(cohen_kappa(accepts, good))
    assert found.low < kappa < found.high
    always = kappa_interval([True, False] * 9, [True, False] * 9, 3)
    assert always == Interval(1.0, 1.0)
    rows = list(zip(first, second, good, strict=True))

    def gap(drawn: Sequence[tuple[int, int, bool]]) -> float | None:
        one, other, truth = zip(*drawn, strict=True)
        before, after = auc(one, truth), auc(other, truth)
        return None if before is None or after is None else after - before

    assert auc_gap_interval(first, second, good, 3) == bootstrap(rows, gap, 3)


def test_intervals_without_a_value_are_none() -> None:
    """No items, a statistic that is defined on too few resamples, or a kappa where one side always says the same."""
    assert kappa_interval([], [], 0) is None
    assert kappa_interval([True] * 8, [True, False] * 4, 0) is None
    assert kappa_interval([True, False] * 4, [False] * 8, 0) is None
    assert kappa_interval([True, True], [True, True], 0) is None
    assert auc_gap_interval([1.0], [1.0], [True], 0) is None


def test_a_bootstrap_of_means_is_about_as_wide_as_theory_says() -> None:
    """For many items the interval of a mean is that of the normal distribution."""
    rng = random.Random(1)
    items = [rng.gauss(10, 2) for _ in range(400)]
    found = there(bootstrap(items, mean, 7))
    assert (found.high - found.low) / (2 * 1.96 * 2 / 20) == pytest.approx(1, abs=0.15)


def test_resamples_without_a_statistic_are_left_out() -> None:
    """None where fewer than half remain; the rest count as they are."""

    def often(sample: Sequence[int]) -> float | None:
        return 5.0 if 1 in sample else None

    assert bootstrap([1, 1, 1, 0], often, 3, 200) == Interval(5.0, 5.0)
    assert bootstrap([0] * 9 + [1], lambda s: 5.0 if s.count(1) > 2 else None, 3, 200) is None
    assert bootstrap([], often, 3) is None


def test_a_difference_is_second_less_first() -> None:
    """Of constant samples it is what it is; without one there is none."""
    assert bootstrap_difference([2.0] * 3, [5.0] * 4, mean, 1, 50) == Interval(3.0, 3.0)
    assert bootstrap_difference([], [1.0], mean, 1) is None
    assert bootstrap_difference([1.0], [1.0], lambda _: None, 1, 10) is None


def test_a_table_is_resampled_by_rows_and_by_columns() -> None:
    """One row is the bootstrap of its values; rows that differ widen the interval, however alike the columns are."""
    values = [0.1, 0.5, 0.3, 0.2, 0.9]
    one, plain = there(bootstrap_crossed([values], 1, 500)), there(bootstrap(values, mean, 1, 500))
    assert (one.low, one.high) == pytest.approx((plain.low, plain.high))
    two = bootstrap_crossed([[1.0] * 5, [-1.0] * 5], 1, 500)
    assert two == Interval(-1.0, 1.0)
    assert bootstrap_crossed([[]], 1) is None


def test_signs_that_chance_would_give_as_well_are_told() -> None:
    """Six on one side come by chance once in 32 times, five more often than one wants, many hardly ever; none is none."""
    assert sign_flip([1.0] * 6, 0) == 2 / 64
    assert sign_flip([-0.3, -0.1, -0.2, -0.4, -0.5], 0) == 2 / 32
    assert sign_flip([0.0] * 8, 0) == 1.0
    assert sign_flip([3.0, -1.0, 1.0], 0) == 6 / 8
    assert sign_flip([1.0, 2.0] * 10, 0) < 0.001
    half = [1.0 if place % 2 else -1.0 for place in range(16)]
    assert sign_flip(half, 0) == 1.0
    exact, drawn = sign_flip([1.0] * 10 + [-1.0] * 4, 0), sign_flip([1.0] * 10 + [-1.0] * 4 + [0.0] * 2, 0)
    assert drawn == pytest.approx(exact, abs=0.02)


def test_a_share_with_ties_has_an_interval_between_its_neighbours() -> None:
    """Of whole counts it is the score interval; nothing counted is anything."""
    assert halves_interval(3.0, 6) == Rate(3, 6).interval
    between, low, high = halves_interval(3.5, 6), Rate(3, 6).interval, Rate(4, 6).interval
    assert low.low < between.low < high.low < low.high < between.high < high.high
    assert halves_interval(0.0, 0) == Interval(0.0, 1.0)
