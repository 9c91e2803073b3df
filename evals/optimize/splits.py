"""Splitting what a prompt is optimized on: training, validation and test never share a seed or a labelled skill. Pure.

Groups are split, not single cases: all cases of a skill written by hand, all that was made of one seed, and whatever asks the
same question or is about the same text stay together.
A prompt shows examples besides what is judged; these always come from the training seeds, whichever split it belongs to.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, get_args

from evals.judges.cases import Case
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import rng_of
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.spec import TaskSpec

T = TypeVar("T")
G = TypeVar("G", bound=Hashable)

SHARES = (0.4, 0.25, 0.35)
"""Of training, validation and test: what is found has to be seen on the test, so that is not the smallest."""


@dataclass(frozen=True, slots=True)
class Splits(Generic[T]):
    """Three lists that share no group."""

    train: tuple[T, ...]
    validation: tuple[T, ...]
    test: tuple[T, ...]

    def parts(self) -> Mapping[str, tuple[T, ...]]:
        """The three by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


FEWEST_SEEDS = 4
"""Two to train on, so that one can be shown for the other, and one each to validate and to test."""
FEWEST_HELD = 2
"""Of these, to validate and to test: nobody else may have them."""


class Askable(Protocol):
    """A seed, or a case."""

    @property
    def question(self) -> str:
        """What is asked."""

    @property
    def context(self) -> str | None:
        """The text that it is about, if any."""


def seed_digest(seed: SeedExample) -> str:
    """Twelve hex digits that tell a seed from others by what it asks about, wherever its file lies.

    Blanks, case, a last full stop and the answer do not count: a seed that was touched up has been seen all the same.
    """
    text = "\x1f".join(squeezed(part).rstrip(".?! ") for part in (seed.question, seed.context or ""))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def case_digest(case: Case) -> str:
    """The same for what a labelled case shows the judge."""
    text = "\x1f".join((case.step, case.question, case.answer or "", case.context or ""))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def unseen(cases: Iterable[Case], seen: Collection[str]) -> list[Case]:
    """The cases by hand of skills that are new: neither a case nor an example of its skill is among the digests seen."""
    return [case for case in cases if not {case_digest(case), *map(seed_digest, case.examples)} & set(seen)]


Trait = tuple[str, str]
"""What makes two texts near-identical: `question` or `context`, and what it says, blanks and case aside."""


def traits(asked: Askable) -> frozenset[Trait]:
    """The traits of a seed or a case; two that have one in common are not split."""
    found = {("question", squeezed(asked.question))}
    return frozenset(found if asked.context is None else {*found, ("context", squeezed(asked.context))})


def split_seeds(
    seeds: Sequence[SeedExample], rng: random.Random, shared: frozenset[Trait] = frozenset()
) -> Splits[SeedExample]:
    """Seeds of one kind of one task, a quarter each for validation and test, at least one.

    Args:
        seeds: in at least FEWEST_SEEDS groups (see `groups_of`), else ValueError; a group goes to one split.
        rng: decides who goes where.
        shared: traits that other tasks' seeds, or those of the other kind, have too: whoever has one is trained on, since all
            are split on their own. FEWEST_HELD groups without one are needed, else ValueError.
    """
    groups = groups_of(seeds)
    rng.shuffle(groups)
    bound = [group for group in groups if any(traits(seed) & shared for seed in group)]
    free = [group for group in groups if group not in bound]
    if len(groups) < FEWEST_SEEDS or len(free) < FEWEST_HELD:
        raise ValueError(f"{len(groups)} different seeds, of which others share {len(bound)}, cannot be split")
    held = max(1, min(len(groups) // 4, len(free) // 2))
    parts = [*free[2 * held :], *bound], free[:held], free[held : 2 * held]
    return Splits(*(tuple(seed for group in part for seed in group) for part in parts))


def groups_of(seeds: Sequence[SeedExample]) -> list[list[SeedExample]]:
    """Seeds that ask the same question or are about the same text, blanks and case aside, in one group; all others alone."""
    return linked(seeds, traits)


def linked(items: Sequence[T], traits_of: Callable[[T], Collection[Hashable]]) -> list[list[T]]:
    """Items in groups: those that have a trait in common, be it by way of others, are in one; nobody is in two."""
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


def split_groups(sizes: Mapping[G, int], rng: random.Random) -> Splits[G]:
    """Groups by their sizes: each goes where most is missing of its share of all.

    Args:
        sizes: group to how many cases it holds; at least three groups, else ValueError.
        rng: decides the order.
    """
    if len(sizes) < len(SHARES):
        raise ValueError(f"{len(sizes)} groups cannot be split in three")
    names = list(sizes)
    rng.shuffle(names)
    names.sort(key=lambda name: -sizes[name])  # the big ones first, so that shares come out even; ties stay shuffled
    total = sum(sizes.values())
    parts: tuple[list[G], ...] = ([], [], [])
    for left, name in zip(range(len(names), 0, -1), names, strict=True):
        have = [sum(sizes[n] for n in part) for part in parts]
        lacking = [share * total - got for share, got in zip(SHARES, have, strict=True)]
        empty = [place for place, part in enumerate(parts) if not part]
        places = empty if len(empty) == left else range(len(parts))  # nobody stays empty
        parts[max(places, key=lambda place: lacking[place])].append(name)
    return Splits(*(tuple(part) for part in parts))


def weights(good: Sequence[bool]) -> list[float]:
    """How much each case counts so that the good and the bad ones count alike: the mean is 1.

    Args:
        good: at least one of each class, else ValueError.
    """
    positives = sum(good)
    if not 0 < positives < len(good):
        raise ValueError("there are cases of one class only")
    return [len(good) / (2 * (positives if is_good else len(good) - positives)) for is_good in good]


def alternating(items: Sequence[T], good: Sequence[bool]) -> list[T]:
    """Good and bad in turn, so that the first few are of both sorts, whoever takes only these."""
    first = [item for item, is_good in zip(items, good, strict=True) if not is_good]
    second = [item for item, is_good in zip(items, good, strict=True) if is_good]
    mixed = [item for pair in zip(first, second, strict=False) for item in pair]
    rest = max(first, second, key=len)[len(mixed) // 2 :]
    return [*mixed, *rest]


def shared_traits(specs: Sequence[TaskSpec]) -> frozenset[Trait]:
    """Questions and contexts that seeds of more than one task have, or of both kinds of one task."""
    pools = ((spec, kind) for spec in specs for kind in get_args(Kind))
    found = Counter(trait for spec, kind in pools for trait in {t for seed in spec.seeds(kind) for t in traits(seed)})
    return frozenset(trait for trait, pools_with_it in found.items() if pools_with_it > 1)


def split_task(spec: TaskSpec, kind: Kind, seed: int, shared: frozenset[Trait]) -> Splits[SeedExample]:
    """A task's seeds of a kind in three.

    Args:
        spec, kind: whose, of which kind.
        seed: decides who goes where.
        shared: see `shared_traits`.

    Raises:
        RequestError: there are too few; it says how many are needed.
    """
    seeds = spec.seeds(kind)
    try:
        return split_seeds(seeds, rng_of("split", seed, spec.task_name, kind), shared)
    except ValueError as error:
        different = len(groups_of(seeds))
        wanted = "to train, validate and test on different ones; add some, or leave the task out"
        if different < FEWEST_SEEDS:
            raise RequestError(
                f"{spec.path}: {spec.task_name} has {different} {kind} seeds that differ in question and text, and "
                f"{FEWEST_SEEDS} or more are needed {wanted}"
            ) from error
        own = different - sum(any(traits(s) & shared for s in group) for group in groups_of(seeds))
        raise RequestError(
            f"{spec.path}: {spec.task_name} has {own} {kind} seeds whose question and text no other task and no seed of the "
            f"other kind has, and {FEWEST_HELD} or more are needed {wanted}"
        ) from error
