"""Splitting what a prompt is optimized on: training, validation and test never share a seed or a labelled skill. Pure.

Groups are split, not single cases: all cases of a skill written by hand, all that was made of one seed, and whatever asks the
same question or is about the same text stay together.
A prompt shows examples besides what is judged; these always come from the training seeds, whichever split it belongs to.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar, get_args

from evals.judges.cases import Case
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import rng_of
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.shown import digest_of_parts, seed_digest
from skills_dspy.tasks.spec import TaskSpec

T = TypeVar("T")

SHARES = (0.4, 0.25, 0.35)
"""Of training, validation and test: what is found has to be seen on the test, so that is not the smallest."""
FEWEST_TO_SPLIT = 4
"""Two to train on, so that one can be shown for the other, and one each to validate and to test."""
FEWEST_HELD = 2
"""Of these, to validate and to test: nobody else may have them."""


class Splits(NamedTuple, Generic[T]):
    """Three lists that share no group."""

    train: tuple[T, ...]
    validation: tuple[T, ...]
    test: tuple[T, ...]


@lru_cache(maxsize=2**12)  # each split and each budget that is tried asks for it again
def case_digest(case: Case) -> str:
    """Return what tells labelled cases apart by what they show the judge, as `seed_digest` does seeds."""
    return digest_of_parts((case.step, case.question, case.answer or "", case.context or ""))


def unseen(cases: Iterable[Case], step: str, seen: frozenset[str]) -> list[Case]:
    """Return a step's cases of skills that are new: neither a case nor an example of its skill is among the digests seen."""
    own = [case for case in cases if case.step == step]
    return [case for case in own if seen.isdisjoint((case_digest(case), *map(seed_digest, case.examples)))]


Trait = tuple[str, str]
"""What makes two texts near-identical: `question` or `context`, and what it says, blanks and case aside."""


@lru_cache(maxsize=2**12)
def traits(asked: SeedExample | Case) -> frozenset[Trait]:
    """Return the traits of a seed or a case; two that have one in common are not split."""
    found = {("question", squeezed(asked.question))}
    return frozenset(found if asked.context is None else {*found, ("context", squeezed(asked.context))})


def shared_traits(specs: Sequence[TaskSpec]) -> frozenset[Trait]:
    """Return what seeds of more than one task ask or are about, or of both kinds of one task."""
    pools = [spec.seeds(kind) for spec in specs for kind in get_args(Kind)]
    found = Counter(trait for pool in pools for trait in {trait for seed in pool for trait in traits(seed)})
    return frozenset(trait for trait, pools_with_it in found.items() if pools_with_it > 1)


def linked(items: Iterable[T], traits_of: Callable[[T], Collection[Hashable]]) -> list[list[T]]:
    """Return items in groups: those that have a trait in common, be it by way of others, are in one; nobody is in two."""
    groups: list[tuple[set[Hashable], list[T]]] = []
    for item in items:
        known, members = set(traits_of(item)), [item]
        apart = []
        for group in groups:
            if group[0] & known:
                known, members = known | group[0], [*group[1], *members]
            else:
                apart.append(group)
        groups = [*apart, (known, members)]
    return [members for _, members in groups]


def split_task(spec: TaskSpec, kind: Kind, seed: int, shared: frozenset[Trait]) -> Splits[SeedExample]:
    """Return a task's seeds of a kind in three: a quarter of their groups each for validation and test, at least one.

    Whoever has a trait that others share (see `shared_traits`) is trained on, since all are split on their own.

    Raises:
        RequestError: there are too few; it says how many are needed.
    """
    groups = linked(spec.seeds(kind), traits)
    rng_of("split", seed, spec.task_name, kind).shuffle(groups)
    bound = [group for group in groups if any(traits(own) & shared for own in group)]
    free = [group for group in groups if group not in bound]
    lacking = None
    if len(groups) < FEWEST_TO_SPLIT:
        lacking = f"{len(groups)} {kind} seeds that differ in question and text, and {FEWEST_TO_SPLIT}"
    elif len(free) < FEWEST_HELD:
        own = f"{len(free)} {kind} seeds whose question and text no other task and no seed of the other kind has"
        lacking = f"{own}, and {FEWEST_HELD}"
    if lacking is not None:
        raise RequestError(
            f"{spec.path}: {spec.task_name} has {lacking} or more are needed to train, validate and test on different ones; "
            "add some, or leave the task out"
        )
    held = max(1, min(len(groups) // 4, len(free) // 2))
    parts = [*free[2 * held :], *bound], free[:held], free[held : 2 * held]
    return Splits(*(tuple(own for group in part for own in group) for part in parts))


def split_reviews(cases: Sequence[Case], seed: int) -> Splits[Case]:
    """Split cases of rows that a person looked at, by rows: what is said of one row, by whichever judge, is in one part.

    Rows that ask the same or are about the same text stay together. Good and bad cases of each judge are spread by the shares,
    the rarest first, each to the part that lacks most of them (iterative stratification, Sechidis et al. 2011).
    """
    rows: dict[str, list[Case]] = {}
    for case in cases:
        rows.setdefault(case.id.removeprefix(case.step), []).append(case)
    groups = [[case for name in names for case in rows[name]] for names in linked(rows, lambda name: traits(rows[name][0]))]
    rng_of("split reviews", seed).shuffle(groups)
    left = [Counter((case.step, case.good) for case in group) for group in groups]
    total = sum(left, Counter[tuple[str, bool]]())
    lacking = [{label: share * count for label, count in total.items()} for share in SHARES]
    parts: tuple[list[Case], ...] = ([], [], [])
    while groups:
        carriers = Counter(label for labels in left for label in labels)
        rarest = min(carriers, key=lambda label: (carriers[label], label))
        at = next(place for place, labels in enumerate(left) if rarest in labels)
        group, labels = groups.pop(at), left.pop(at)
        to = max(range(len(parts)), key=lambda place: (lacking[place][rarest], sum(lacking[place].values())))
        parts[to].extend(group)
        for label, count in labels.items():
            lacking[to][label] -= count
    return Splits(*(tuple(part) for part in parts))


def split_groups(sizes: Mapping[T, int], rng: random.Random) -> Splits[T]:
    """Split groups by their sizes (three groups or more): each goes where most is missing of its share of all."""
    names = list(sizes)
    rng.shuffle(names)
    names.sort(key=lambda name: -sizes[name])  # the big ones first, so that shares come out even; ties stay shuffled
    total = sum(sizes.values())
    parts: tuple[list[T], ...] = ([], [], [])
    for left, name in zip(range(len(names), 0, -1), names, strict=True):
        lacking = [share * total - sum(sizes[n] for n in part) for share, part in zip(SHARES, parts, strict=True)]
        empty = [place for place, part in enumerate(parts) if not part]
        places = empty if len(empty) == left else range(len(parts))  # nobody stays empty
        parts[max(places, key=lacking.__getitem__)].append(name)
    return Splits(*(tuple(part) for part in parts))


def weights(good: Sequence[bool]) -> list[float]:
    """Return how much each case counts so that the good and the bad ones, if there are both, count alike: the mean is 1."""
    counts = Counter(good)
    return [len(good) / (2 * counts[is_good]) for is_good in good]
