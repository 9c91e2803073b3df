"""The benchmark's runs in virtual time, as far as its table rests on them."""

import pytest

from evals.bench.shared import SharedCase, spent


def test_what_is_needed_is_part_of_what_is_spent_and_the_server_sets_the_time() -> None:
    """Two runs of the same seed spend the same; no run is faster than the tokens that it needed."""
    had = spent(SharedCase(2, 4))
    assert had == spent(SharedCase(2, 4))
    assert 0 < had.needed_calls <= had.calls
    assert 0 < had.needed_tokens <= had.tokens
    assert had.wall >= 1.0


def test_with_one_slot_and_sure_verdicts_a_pair_costs_its_chain() -> None:
    """Every verdict passes, so five questions of one draw are a writing and seven calls each, and nothing else is needed."""
    had = spent(SharedCase(5, 1, pass_rate=1.0))
    assert had.needed_calls == pytest.approx((1 + 5 * 7) / 5)
