"""Seeds that stay out of a run: which, how many, and what is said where there are too few."""

import pytest

from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import SeedExample
from skills_dspy.tasks.held_out import hold_out
from tests.helpers.making import a_spec
from tests.helpers.small_runs import freeform

FOXES = a_spec(freeform("fox", "badger", "marten", "jay", "pike"))
GROUNDED = SeedExample(question="What does it do?", answer="It runs.", context="A hare runs home.", line=1)


def test_so_many_seeds_stay_out_and_the_seed_says_which() -> None:
    """None is lost, the order stays that of the file, the same seed chooses the same ones, and another one others."""
    held = [hold_out(FOXES, 2, seed) for seed in range(20)]
    for spec in held:
        assert len(spec.held_out) == 2
        assert sorted((*spec.seed_examples, *spec.held_out), key=FOXES.seed_examples.index) == list(FOXES.seed_examples)
        assert list(spec.seed_examples) == [one for one in FOXES.seed_examples if one not in spec.held_out]
    assert held == [hold_out(FOXES, 2, seed) for seed in range(20)]
    assert {one for spec in held for one in spec.held_out} == set(FOXES.seed_examples)
    assert hold_out(FOXES, 0, 0) is FOXES


def test_of_each_kind_a_seed_stays() -> None:
    """A run makes both kinds of a task that has both, whatever is held out; where that cannot be, one sentence says so."""
    both = FOXES.model_copy(update={"seed_examples": (GROUNDED, *FOXES.seed_examples)})
    assert all(GROUNDED in hold_out(both, 4, seed).seed_examples for seed in range(10))
    with pytest.raises(
        SpecError, match=r"there are 6 seeds, and 5 cannot stay out .* give --hold-out 4 or less, or write more"
    ):
        hold_out(both, 5, 0)
    with pytest.raises(SpecError, match=r"write more seeds, or leave --hold-out out"):
        hold_out(a_spec(freeform("fox")), 1, 0)
