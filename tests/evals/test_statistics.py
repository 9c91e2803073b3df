"""Rates, agreement, separation, bootstrap: against scipy and scikit-learn, and by what must hold for any numbers."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.statistics import (
    Interval,
    Rate,
    auc,
    bootstrap,
    bootstrap_difference,
    cohen_kappa,
    paired_bootstrap,
    weighted_kappa,
    wilson,
)

shares = st.integers(0, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))
rated = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=40)
scored = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]) | st.floats(-9, 9), st.booleans()), max_size=40)
numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=20)


def mean(values: Sequence[float]) -> float | None:
    """The mean, None of nothing."""
    return math.fsum(values) / len(values) if values else None


def columns(rows: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """What the first rater said and what the second one said."""
    return [a for a, _ in rows], [b for _, b in rows]


# ---- shares ----------------------------------------------------------------------------------------------------------


@given(shares.filter(lambda share: share[1] > 0))
@settings(max_examples=60, deadline=None)
def test_wilson_is_what_scipy_gives(share: tuple[int, int]) -> None:
    """The score interval without continuity correction."""
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    expected = binomtest(*share).proportion_ci(method="wilson")
    found = wilson(*share)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-7)


@given(shares, st.floats(0.1, 5))
def test_wilson_holds_the_share_and_stays_within_0_and_1(share: tuple[int, int], z: float) -> None:
    """Whatever the width asked for; the ends of the range are exact."""
    count, of = share
    found = wilson(count, of, z)
    assert 0 <= found.low <= found.high <= 1
    if of:
        assert found.low - 1e-12 <= count / of <= found.high + 1e-12
    assert (found.low == 0) == (count == 0)
    assert (found.high == 1) == (count == of)


@given(shares)
def test_wilson_of_the_rest_is_the_mirror(share: tuple[int, int]) -> None:
    """What is not counted has the mirrored interval."""
    count, of = share
    found, rest = wilson(count, of), wilson(of - count, of)
    assert (rest.low, rest.high) == pytest.approx((1 - found.high, 1 - found.low))


@pytest.mark.parametrize(("count", "of"), [(-1, 3), (4, 3), (0, -1)])
def test_what_is_no_share_is_refused(count: int, of: int) -> None:
    """More than all, or less than nothing."""
    with pytest.raises(ValueError, match="is no share"):
        wilson(count, of)


def test_a_rate_has_a_value_an_interval_and_a_form_for_files() -> None:
    """To four decimals, in a fixed order."""
    rate = Rate(3, 40)
    assert rate.value == 0.075
    assert rate.interval == wilson(3, 40)
    assert list(rate.as_json().items()) == [("count", 3), ("of", 40), ("value", 0.075), ("low", 0.0258), ("high", 0.1986)]


def test_a_rate_of_nothing_has_no_value() -> None:
    """Nothing counted is not a rate of zero."""
    rate = Rate(0, 0)
    assert rate.value is None
    assert rate.interval == Interval(0.0, 1.0)
    assert rate.as_json() == {"count": 0, "of": 0, "value": None, "low": 0.0, "high": 1.0}


# ---- agreement -------------------------------------------------------------------------------------------------------


def defined(rows: Sequence[tuple[int, int]]) -> bool:
    """Whether kappa has a value: some label differs from some other."""
    return len({label for row in rows for label in row}) > 1


@given(rated.filter(defined))
@settings(deadline=None)
def test_kappas_are_what_scikit_learn_gives(rows: list[tuple[int, int]]) -> None:
    """Unweighted, and with quadratic weights on the whole scale."""
    from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

    first, second = columns(rows)
    scale = [1, 2, 3, 4, 5]
    assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second, labels=scale))
    expected = cohen_kappa_score(first, second, labels=scale, weights="quadratic")
    assert weighted_kappa(first, second) == pytest.approx(expected)


@given(rated)
def test_kappas_are_symmetric_at_most_1_and_defined_together(rows: list[tuple[int, int]]) -> None:
    """Who is called the first rater does not matter; 1 is for full agreement alone."""
    first, second = columns(rows)
    for kappa in (cohen_kappa(first, second), weighted_kappa(first, second)):
        assert (kappa is not None) == defined(rows)
        if kappa is not None:
            assert -1 - 1e-9 <= kappa <= 1
            assert (kappa == 1) == (first == second)
    assert cohen_kappa(first, second) == cohen_kappa(second, first)
    assert weighted_kappa(first, second) == weighted_kappa(second, first)


def test_always_the_same_label_earns_no_kappa() -> None:
    """Saying yes to everything agrees by chance alone; where the other does so too, nothing can be said."""
    assert cohen_kappa(["yes"] * 4, ["yes", "yes", "yes", "no"]) == 0
    assert cohen_kappa(["yes"] * 4, ["yes"] * 4) is None
    assert weighted_kappa([3, 3], [3, 3]) is None
    assert cohen_kappa([], []) is None
    assert weighted_kappa([], []) is None


def test_two_labels_weigh_alike() -> None:
    """With two labels the weights change nothing, however far apart they stand."""
    first, second = [1, 1, 3, 3, 1], [1, 3, 3, 3, 3]
    assert weighted_kappa(first, second) == pytest.approx(cohen_kappa(first, second))


def test_raters_of_unequal_length_are_refused() -> None:
    """They did not rate the same items."""
    with pytest.raises(ValueError, match="zip"):
        cohen_kappa([1], [1, 2])
    with pytest.raises(ValueError, match="zip"):
        weighted_kappa([1], [1, 2])


# ---- separation ------------------------------------------------------------------------------------------------------


@given(scored.filter(lambda rows: len({good for _, good in rows}) == 2))
@settings(deadline=None)
def test_auc_is_what_scikit_learn_gives(rows: list[tuple[float, bool]]) -> None:
    """Ties count half."""
    from sklearn.metrics import roc_auc_score

    scores, good = [score for score, _ in rows], [label for _, label in rows]
    assert auc(scores, good) == pytest.approx(roc_auc_score(good, scores))


@given(scored)
def test_auc_turns_with_the_scores(rows: list[tuple[float, bool]]) -> None:
    """Negated scores separate just as well, the other way round; one class alone separates nothing."""
    scores, good = [score for score, _ in rows], [label for _, label in rows]
    found = auc(scores, good)
    if len(set(good)) < 2:
        assert found is None
    else:
        assert found is not None
        assert auc([-score for score in scores], good) == pytest.approx(1 - found)


def test_auc_of_what_cannot_be_ordered_is_refused() -> None:
    """No score, no place in the order."""
    with pytest.raises(ValueError, match="not a number"):
        auc([math.nan, 1.0], [True, False])
    with pytest.raises(ValueError, match="2 scores for 1"):
        auc([0.0, 1.0], [True])


# ---- bootstrap -------------------------------------------------------------------------------------------------------


@given(numbers, st.integers(0, 2**31))
@settings(max_examples=40)
def test_a_bootstrap_is_the_same_each_time_and_stays_within_the_items(items: list[float], seed: int) -> None:
    """The mean of a resample lies between the least and the greatest item."""
    found = bootstrap(items, mean, seed, 50)
    assert found is not None
    assert found == bootstrap(items, mean, seed, 50)
    assert min(items) - 1e-9 <= found.low <= found.high <= max(items) + 1e-9


def test_a_bootstrap_of_means_is_about_as_wide_as_theory_says() -> None:
    """For many items the interval of a mean is that of the normal distribution."""
    items = np.random.default_rng(1).normal(10, 2, 400).tolist()
    found = bootstrap(items, mean, 7, 2000)
    assert found is not None
    centre, half = float(np.mean(items)), 1.96 * float(np.std(items)) / math.sqrt(len(items))
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=0.05)


def test_resamples_without_a_statistic_are_left_out() -> None:
    """None where fewer than half remain; the rest count as they are."""

    def often(sample: Sequence[int]) -> float | None:
        return 5.0 if 1 in sample else None

    assert bootstrap([1, 1, 1, 0], often, 3, 200) == Interval(5.0, 5.0)
    assert bootstrap([0] * 9 + [1], lambda s: 5.0 if s.count(1) > 2 else None, 3, 200) is None
    assert bootstrap([], often, 3) is None


@given(numbers, numbers, st.floats(-50, 50), st.integers(0, 99))
@settings(max_examples=40)
def test_a_difference_is_second_less_first(first: list[float], second: list[float], more: float, seed: int) -> None:
    """Whatever is added to the second sample is added to both ends."""
    found = bootstrap_difference(first, second, mean, seed, 50)
    moved = bootstrap_difference(first, [value + more for value in second], mean, seed, 50)
    assert found is not None
    assert moved is not None
    assert (moved.low, moved.high) == pytest.approx((found.low + more, found.high + more), abs=1e-6)
    assert bootstrap_difference([], second, mean, seed) is None
    assert bootstrap_difference(first, second, lambda _: None, seed, 10) is None


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=20), st.integers(0, 99))
@settings(max_examples=40)
def test_pairs_are_resampled_as_pairs(pairs: list[tuple[float, float]], seed: int) -> None:
    """It is the bootstrap of the mean gain, the same each time."""
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = paired_bootstrap(first, second, seed, 60)
    gains = [b - a for a, b in pairs]
    expected = bootstrap(gains, mean, seed, 60)
    assert expected is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_steady_gain_has_a_narrow_interval() -> None:
    """Pairs that all gain the same leave no doubt, however far apart the items are."""
    first = [float(value) for value in range(20)]
    assert paired_bootstrap(first, [value + 0.5 for value in first], 1) == Interval(0.5, 0.5)


def test_pairs_that_are_none_are_refused() -> None:
    """Nothing to compare, or one without its other."""
    with pytest.raises(ValueError, match="no pairs"):
        paired_bootstrap([], [], 1)
    with pytest.raises(ValueError, match="zip"):
        paired_bootstrap([1.0], [], 1)
