"""Splits: who may be where, that nobody is in two places, that a seed decides; the weights of cases."""

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.optimize.splits import FEWEST_HELD, FEWEST_TO_SPLIT, SHARES, linked, split_groups, split_task, traits, weights
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import SeedExample
from tests.helpers.making import a_spec
from tests.helpers.seeding import a_task

# Few questions and few texts, so that many seeds are near-identical.
SEEDS = st.lists(
    st.builds(
        SeedExample,
        question=st.sampled_from(["What is it?", "what  is it?", *(f"Question {n}?" for n in range(12))]),
        answer=st.sampled_from(["Yes.", "No."]),
        context=st.sampled_from([f"Text {n}." for n in range(12)]),
    ),
    min_size=1,
    max_size=16,
)


@given(SEEDS, st.sets(st.sampled_from([("question", f"question {n}?") for n in range(12)])), st.integers(0, 2**40))
def test_the_three_never_share_a_question_or_a_text(
    seeds: list[SeedExample], shared: set[tuple[str, str]], number: int
) -> None:
    """Nobody is lost, and what other tasks share is only trained on; where the seeds are too few, it is refused."""
    groups = linked(seeds, traits)
    free = [group for group in groups if not any(traits(seed) & shared for seed in group)]
    if len(groups) < FEWEST_TO_SPLIT or len(free) < FEWEST_HELD:
        with pytest.raises(RequestError, match="are needed to train, validate and test"):
            split_task(a_spec(seeds), "grounded", number, frozenset(shared))
        return
    split = split_task(a_spec(seeds), "grounded", number, frozenset(shared))
    parts = [{trait for seed in part for trait in traits(seed)} for part in split]
    assert not any(a & b for a, b in combinations(parts, 2))
    assert sorted(map(str, [seed for part in split for seed in part])) == sorted(map(str, seeds))
    assert all(split)
    assert len(linked(split.train, traits)) >= 2
    assert not any(traits(seed) & shared for seed in (*split.validation, *split.test))


@given(st.integers(4, 40), st.integers(0, 2**40))
def test_a_seed_decides(count: int, number: int) -> None:
    """The same one the same way; a quarter each is held out, at least one."""
    split = split_task(a_task(count), "freeform", number, frozenset())
    assert split == split_task(a_task(count), "freeform", number, frozenset())
    assert len(split.validation) == len(split.test) == max(1, count // 4)


def test_different_seeds_give_different_splits() -> None:
    """Over a few of them everybody is tested once."""
    assert len({split_task(a_task(5), "freeform", number, frozenset()).test for number in range(40)}) == 5


@given(st.lists(st.frozensets(st.integers(0, 9), max_size=3), max_size=12))
def test_linked_groups_share_nothing(items: list[frozenset[int]]) -> None:
    """Every item is in one group, and a trait is in one group only, be it by way of others."""
    groups = linked(list(enumerate(items)), lambda item: item[1])
    assert sorted(item for group in groups for item in group) == sorted(enumerate(items))
    held = [frozenset[int]().union(*(item[1] for item in group)) for group in groups]
    assert not any(a & b for a, b in combinations(held, 2))


@given(st.dictionaries(st.text(max_size=4), st.integers(1, 30), min_size=3, max_size=15), st.integers(0, 2**40))
def test_every_group_goes_to_one_part_and_no_part_is_empty(sizes: dict[str, int], number: int) -> None:
    """The same every time."""
    split = split_groups(sizes, random.Random(number))
    assert sorted(group for part in split for group in part) == sorted(sizes)
    assert all(split)
    assert split == split_groups(sizes, random.Random(number))


@given(st.integers(0, 999))
def test_the_parts_get_their_shares(number: int) -> None:
    """Twenty skills of ten cases: within one skill of 40, 25 and 35 %."""
    split = split_groups(dict.fromkeys(range(20), 10), random.Random(number))
    for part, share in zip(split, SHARES, strict=True):
        assert abs(len(part) - share * 20) <= 1


@given(st.lists(st.booleans(), max_size=40).filter(lambda good: len(set(good)) == 2))
def test_both_classes_weigh_the_same(good: list[bool]) -> None:
    """And the mean is 1."""
    found = weights(good)
    assert sum(found) == pytest.approx(len(good))
    goods = sum(weight for weight, is_good in zip(found, good, strict=True) if is_good)
    assert goods == pytest.approx(len(good) / 2)
