"""Examples for judges and taggers: labelled cases by hand, and those that are made of a task's seeds."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, get_args

import dspy

from evals.judges.ask import FUSED
from evals.judges.cases import SCALES, Case, passing
from evals.judges.corruptions import FEWEST_OF_A_KIND, seed_cases
from evals.optimize.splits import (
    FEWEST_SEEDS,
    Splits,
    Trait,
    case_digest,
    linked,
    seed_digest,
    shared_traits,
    split_groups,
    split_task,
    traits,
    unseen,
    weights,
)
from evals.optimize.targets import Unit
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import rng_of
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.spec import TaskSpec

_CASES_STEP = {FUSED: "tag_instruction_quality"}
"""The fused tagger is measured by its rating of the instruction."""

_Rated = tuple[Case, str]
"""A case, and the digest of what was rated: of the case by hand, or of the seed that it was made of."""


def labelled_examples(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seed: int, sizes: tuple[int, int, int]
) -> Splits[dspy.Example]:
    """Return the three sets of a judge or tagger; the arguments and errors are those of `examples_of`."""
    step = _CASES_STEP.get(unit.name, unit.name)
    by_hand = [case for case in cases if case.step == step]
    parts = _by_skill(by_hand, step, seed)
    theirs = [frozenset(trait for case, _ in part for trait in _traits_of(case)) for part in parts]
    taken = [frozenset[Trait]().union(*theirs[:place], *theirs[place + 1 :]) for place in range(len(parts))]
    shared = shared_traits(specs)
    for spec in specs:
        for part, made in zip(parts, _from_seeds(spec, step, unit.kind, seed, shared, taken), strict=True):
            part.extend(made)
    earlier: set[str] = set()
    for part in parts:  # two seeds that are cut in half may say the same
        part[:] = [(case, rated) for case, rated in part if case_digest(case) not in earlier]
        earlier |= {case_digest(case) for case, _ in part}
    found = Splits(*(_chosen(unit, part, config, size) for part, size in zip(parts, sizes, strict=True)))
    if not all(found):
        raise RequestError(
            f"{step} has {len(by_hand)} labelled cases, too few to train, validate and test on: each part needs a good and "
            f"a bad one, so give 6 or more over 3 or more skills with --cases, or tasks with {FEWEST_SEEDS} or more seeds"
        )
    return found


def fresh_labelled(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seen: frozenset[str], most: int
) -> tuple[dspy.Example, ...]:
    """Return cases that a finished judge or tagger was not compiled with, of both classes; none where one class lacks."""
    step = _CASES_STEP.get(unit.name, unit.name)
    made = [(case, seed_digest(seed)) for spec in specs for case, seed in _made(spec, step, 0)]
    rated = [(case, digest) for case, digest in made if digest not in seen]
    rated += [(case, case_digest(case)) for case in unseen(cases, seen) if case.step == step]
    return _chosen(unit, rated, config, most)


def _by_skill(cases: Sequence[Case], step: str, seed: int) -> tuple[list[_Rated], list[_Rated], list[_Rated]]:
    """Cases by hand in three, by their skills; skills that share a question or a text stay together."""
    of_skill: dict[str, set[Trait]] = {}
    for case in cases:
        of_skill.setdefault(case.task, set()).update(_traits_of(case))
    groups = [tuple(names) for names in linked(of_skill, of_skill.__getitem__)]
    if cases and len(groups) < len(Splits._fields):
        raise RequestError(
            f"the labelled cases of {step} are of {len(groups)} skills that share no question and no text, and 3 or more "
            "are needed to train, validate and test on different ones; give more with --cases"
        )
    sizes = {names: sum(case.task in names for case in cases) for names in groups}
    train, validation, test = (
        [(case, case_digest(case)) for case in cases if any(case.task in names for names in part)]
        for part in split_groups(sizes, rng_of("split cases", seed, step))
    )
    return train, validation, test


def _traits_of(case: Case) -> frozenset[Trait]:
    """The traits of a case by hand and of the examples of its skill."""
    return traits(case).union(*map(traits, case.examples))


def _from_seeds(
    spec: TaskSpec,
    step: str,
    kind: Kind | None,
    seed: int,
    shared: frozenset[Trait],
    taken: Sequence[frozenset[Trait]],
) -> tuple[list[_Rated], list[_Rated], list[_Rated]]:
    """Cases made of a task's seeds, by the split of the seed; no prompt shows or borrows from a seed of another split.

    Seeds that have a trait of `taken`, for each split what the cases by hand of the others have, are left out.
    """
    parts: tuple[list[_Rated], list[_Rated], list[_Rated]] = ([], [], [])
    made = _made(spec, step, seed)
    for one in get_args(Kind) if kind is None else (kind,):
        try:
            split = split_task(spec, one, seed, shared)
        except RequestError:
            continue  # cases by hand may be enough; if they are not, the caller says what is missing
        train = set(split.train)
        for part, own, others in zip(parts, split, taken, strict=True):
            allowed = train | set(own)
            foreign = {text for s in spec.seed_examples if s not in allowed for text in (s.answer, s.context) if text}
            foreign -= {text for s in allowed for text in (s.answer, s.context) if text}
            for case, rated in made:
                if rated not in own or case.answer in foreign or case.context in foreign or traits(rated) & others:
                    continue
                shown = tuple(e for e in case.examples if e in train and not traits(e) & others)
                if shown:
                    part.append((replace(case, examples=shown), seed_digest(rated)))
    return parts


def _made(spec: TaskSpec, step: str, seed: int) -> list[tuple[Case, SeedExample]]:
    """The cases of a step that can be made of a task's seeds, each with its seed; a kind with too few of them has none."""
    enough = [kind for kind in get_args(Kind) if len({squeezed(s.question) for s in spec.seeds(kind)}) >= FEWEST_OF_A_KIND]
    usable = tuple(s for s in spec.seed_examples if s.kind in enough)
    if not usable:
        return []
    made = [case for case in _all_made(spec.model_copy(update={"seed_examples": usable}), seed) if case.step == step]
    numbers = (case.id.removeprefix(f"{step}/{spec.task_name}/seed-").partition("/")[0] for case in made)
    return [(case, usable[int(number) - 1]) for case, number in zip(made, numbers, strict=True)]


@functools.lru_cache(maxsize=256)
def _all_made(spec: TaskSpec, seed: int) -> tuple[Case, ...]:
    """`seed_cases`, which takes its time, once for all units and all budgets that are tried."""
    return tuple(seed_cases(spec, seed))


def _chosen(unit: Unit, rated: Sequence[_Rated], config: RunConfig, most: int) -> tuple[dspy.Example, ...]:
    """Up to `most` examples, bad and good in turn, chosen by their digests; none where they are of one class only."""
    by_digest = sorted(rated, key=lambda one: case_digest(one[0]))
    bad, good = ([one for one in by_digest if one[0].good is wanted] for wanted in (False, True))
    chosen = [one for pair in zip_longest(bad, good) for one in pair if one is not None][:most]
    if len({case.good for case, _ in chosen}) < 2:
        return ()
    weighted = zip(chosen, weights([case.good for case, _ in chosen]), strict=True)
    return tuple(
        dspy.Example(
            key=case.id,
            asked=ordered(case.inputs(), "question", "examples", "example", "answer", "context"),
            good=case.good,
            reason=case.reason,
            weight=weight,
            field=SCALES[case.step].field,
            passing=passing(case.step, config),
            digests=tuple(dict.fromkeys((digest, case_digest(case)))),
            beside=tuple(map(seed_digest, case.examples)),
            task=case.task,
            origin=case.origin,
            unit=unit.name,
        ).with_inputs("key", "asked")
        for (case, digest), weight in weighted
    )


def ordered(asked: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return inputs in an order of their own: MIPROv2 shows its data by their repr, and journals know the prompts of then."""
    return {name: asked[name] for name in ("task_description", *names) if name in asked}
