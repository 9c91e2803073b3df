"""Splits: who may be where, that nobody is in two places, that a seed decides; weights and the order of cases."""

import random
from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.optimize.splits import (
    FEWEST_HELD,
    FEWEST_SEEDS,
    SHARES,
    Splits,
    alternating,
    groups_of,
    linked,
    split_groups,
    split_seeds,
    traits,
    weights,
)
from skills_dspy.base.records import SeedExample
from tests.helpers.seeding import a_seed

# Few questions and few texts, so that many seeds are near-identical.
SEEDS = st.lists(
    st.builds(
        SeedExample,
        question=st.sampled_from(["What is it?", "what  is it?", *(f"Question {n}?" for n in range(12))]),
        answer=st.sampled_from(["Yes.", "No."]),
        context=st.none() | st.sampled_from([f"Text {n}." for n in range(12)]),
    ),
    max_size=16,
)


def disjoint(split: Splits[SeedExample]) -> bool:
    """Whether no two parts share a question or a context."""
    parts = [{trait for seed in part for trait in traits(seed)} for part in split.parts().values()]
    return not any(a & b for a, b in combinations(parts, 2))


def ids(seeds: Sequence[SeedExample]) -> list[tuple[str, str, str | None]]:
    """What can be sorted."""
    return sorted((seed.question, seed.answer, seed.context or "") for seed in seeds)


# ---- seeds ------------------------------------------------------------------------------------------------------------


@given(SEEDS, st.integers(0, 2**40))
def test_the_three_never_share_a_question_or_a_text(seeds: list[SeedExample], number: int) -> None:
    """Nobody is lost either; and where the seeds are too few, it is refused and not fudged."""
    if len(groups_of(seeds)) < FEWEST_SEEDS:
        with pytest.raises(ValueError, match="cannot be split"):
            split_seeds(seeds, random.Random(number))
        return
    split = split_seeds(seeds, random.Random(number))
    assert disjoint(split)
    assert ids([*split.train, *split.validation, *split.test]) == ids(seeds)
    assert all(split.parts().values())
    assert len(groups_of(split.train)) >= 2


@given(SEEDS, st.sets(st.sampled_from([("question", f"question {n}?") for n in range(12)])), st.integers(0, 99))
def test_what_others_share_is_only_trained_on(seeds: list[SeedExample], shared: set[tuple[str, str]], number: int) -> None:
    """Others split it on their own; in training it can meet nobody's test."""
    groups = groups_of(seeds)
    free = [group for group in groups if not any(traits(seed) & shared for seed in group)]
    if len(groups) < FEWEST_SEEDS or len(free) < FEWEST_HELD:
        with pytest.raises(ValueError, match="cannot be split"):
            split_seeds(seeds, random.Random(number), frozenset(shared))
        return
    split = split_seeds(seeds, random.Random(number), frozenset(shared))
    assert disjoint(split)
    assert ids([*split.train, *split.validation, *split.test]) == ids(seeds)
    assert not any(traits(seed) & shared for seed in (*split.validation, *split.test))
    assert all(split.parts().values())


@given(st.integers(4, 40), st.integers(0, 2**40))
def test_a_seed_decides(count: int, number: int) -> None:
    """The same one the same way; a quarter each is held out, at least one."""
    seeds = [a_seed(place) for place in range(count)]
    split = split_seeds(seeds, random.Random(number))
    assert split == split_seeds(seeds, random.Random(number))
    assert len(split.validation) == len(split.test) == max(1, count // 4)


def test_different_seeds_give_different_splits() -> None:
    """Over a few of them everybody is tested once."""
    seeds = [a_seed(place) for place in range(5)]
    tested = {split_seeds(seeds, random.Random(number)).test for number in range(40)}
    assert len(tested) == 5


def test_groups_are_joined_by_way_of_others() -> None:
    """One has its question of the first and its text of the second: all three are one group."""
    first = SeedExample(question="Who runs?", answer="a", context="One.")
    second = SeedExample(question="Who sleeps?", answer="b", context="Two.")
    between = SeedExample(question=" who RUNS? ", answer="c", context="two.")
    alone = SeedExample(question="Who eats?", answer="d", context="Three.")
    assert sorted(map(len, groups_of([first, second, alone, between]))) == [1, 3]
    assert groups_of([]) == []


@given(st.lists(st.frozensets(st.integers(0, 9), max_size=3), max_size=12))
def test_linked_groups_share_nothing(items: list[frozenset[int]]) -> None:
    """Every item is in one group, and a trait is in one group only."""
    groups = linked(list(enumerate(items)), lambda item: item[1])
    assert sorted(item for group in groups for item in group) == sorted(enumerate(items))
    held = [frozenset[int]().union(*(item[1] for item in group)) for group in groups]
    assert not any(a & b for a, b in combinations(held, 2))


# ---- groups of cases --------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=4), st.integers(1, 30), min_size=3, max_size=15), st.integers(0, 2**40))
def test_every_group_goes_to_one_part_and_no_part_is_empty(sizes: dict[str, int], number: int) -> None:
    """The same every time."""
    split = split_groups(sizes, random.Random(number))
    assert sorted([*split.train, *split.validation, *split.test]) == sorted(sizes)
    assert all(split.parts().values())
    assert split == split_groups(sizes, random.Random(number))


@given(st.integers(0, 999))
def test_the_parts_get_their_shares(number: int) -> None:
    """Twenty skills of ten cases: within one skill of 40, 25 and 35 %."""
    split = split_groups(dict.fromkeys(range(20), 10), random.Random(number))
    for part, share in zip(split.parts().values(), SHARES, strict=True):
        assert abs(len(part) - share * 20) <= 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_groups_are_not_split(count: int) -> None:
    """There are three parts."""
    with pytest.raises(ValueError, match=f"{count} groups"):
        split_groups(dict.fromkeys(range(count), 5), random.Random(0))


# ---- weights and order ------------------------------------------------------------------------------------------------

CLASSES = st.lists(st.booleans(), max_size=40)


@given(CLASSES)
def test_both_classes_weigh_the_same(good: list[bool]) -> None:
    """And the mean is 1; one class alone cannot be weighted."""
    if len(set(good)) < 2:
        with pytest.raises(ValueError, match="one class"):
            weights(good)
        return
    found = weights(good)
    assert sum(found) == pytest.approx(len(good))
    goods = sum(weight for weight, is_good in zip(found, good, strict=True) if is_good)
    assert goods == pytest.approx(len(good) / 2)


@given(CLASSES)
def test_good_and_bad_come_in_turn(good: list[bool]) -> None:
    """As long as there are both; nobody is lost, and within a class the order stays."""
    found = alternating(list(enumerate(good)), good)
    assert sorted(found) == list(enumerate(good))
    few = min(sum(good), len(good) - sum(good))
    assert all(not found[2 * n][1] and found[2 * n + 1][1] for n in range(few))
    for sort in (True, False):
        places = [place for place, is_good in found if is_good is sort]
        assert places == sorted(places)
