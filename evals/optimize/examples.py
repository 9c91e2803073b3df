"""The examples that students are trained, validated and tested on, as DSPy wants them, made of tasks and labelled cases."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import get_args

import dspy

from evals.judges.ask import FUSED
from evals.judges.cases import SCALE_OF_STEP, Case
from evals.judges.corruptions import FEWEST_OF_A_KIND, seed_cases
from evals.optimize.splits import (
    FEWEST_TO_SPLIT,
    Splits,
    Trait,
    case_digest,
    linked,
    shared_traits,
    split_groups,
    split_reviews,
    split_task,
    traits,
    unseen,
    weights,
)
from evals.optimize.targets import Unit
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import STANDARD, rng_of
from skills_dspy.model.exhibits import fitting_by_words, shown_as
from skills_dspy.model.steps import STEPS, Subject, inputs
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.shown import seed_digest
from skills_dspy.tasks.spec import TaskSpec

_CASES_STEP = {FUSED: "tag_instruction_quality"}
"""The fused tagger is measured by its rating of the instruction."""

_Rated = tuple[Case, str]
"""A case, and the digest of what was rated: of the case by hand, or of the seed that it was made of."""


class Unshown(tuple[str, ...]):
    """Texts that a metric needs and no prompt may show: MIPROv2 describes data by the repr of its examples."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"({len(self)} texts)"


def count_of(specs: Sequence[TaskSpec]) -> int:
    """Return how many questions a writing asks for: the least that any task asks for, the same for all."""
    return min(spec.num_questions_to_generate_per_prompt for spec in specs)


def examples_of(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seed: int, sizes: tuple[int, int, int]
) -> Splits[dspy.Example]:
    """Return the three sets of a unit, each of at most so many examples as `sizes` says.

    `cases` are labelled by hand, of any step; `seed` decides the splits, and gives the same ones for every unit.

    Raises:
        RequestError: there are too few seeds or cases; it says how many are needed.
    """
    if unit.makes == "labels":
        return _labelled_examples(unit, specs, cases, config, seed, sizes)
    shared = shared_traits(specs)
    pools, refused = [], []
    for spec in specs:
        try:
            pools += [(spec, split_task(spec, _kind(unit), seed, shared))] if spec.seeds(_kind(unit)) else []
        except RequestError as error:
            refused.append((spec, error))
    if refused:
        others = ", ".join(spec.task_name for spec, _ in refused[1:])
        raise RequestError(f"{refused[0][1]}{f'; too few have also: {others}' if others else ''}") from refused[0][1]
    named = zip(Splits._fields, sizes, strict=True)
    return Splits(*(_of_seeds(pools, part, unit, count_of(specs), size) for part, size in named))


def fresh_examples(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seen: frozenset[str], most: int
) -> tuple[dspy.Example, ...]:
    """Return up to `most` examples that a finished program can be measured on, all of them of what it was not compiled with.

    Raises:
        RequestError: nothing is left besides what has one of the digests `seen`.
    """
    if unit.makes == "labels":
        found = _fresh_labelled(unit, specs, cases, config, seen, most)
    else:
        pools = []
        for spec in specs:
            seeds = spec.seeds(_kind(unit))
            left = tuple(seed for seed in seeds if seed_digest(seed) not in seen)
            if left and len({squeezed(seed.question) for seed in seeds}) > 1:
                pools.append((spec, Splits(seeds, (), left)))
        found = _of_seeds(pools, "test", unit, count_of(specs), most)
    if not found:
        raise RequestError(f"nothing is left to measure {unit.name} on that it was not compiled with; give another task")
    return found


def _kind(unit: Unit) -> Kind:
    assert unit.kind is not None
    return unit.kind


def _of_seeds(
    pools: Sequence[tuple[TaskSpec, Splits[SeedExample]]], part: str, unit: Unit, count: int, most: int
) -> tuple[dspy.Example, ...]:
    """Up to `most` examples of a part for a writer; tasks take turns."""
    found: list[dspy.Example] = []
    for number in range(most + 1):
        if len(found) >= most:
            break
        for spec, split in pools:
            pool, key = getattr(split, part), f"{spec.task_name}/{unit.kind}/{part}/{number}"
            if unit.makes == "questions":
                found.append(_writing(spec, unit, key, count, pool, number))
                continue
            seed = pool[number % len(pool)]
            others = [other for other in split.train if squeezed(other.question) != squeezed(seed.question)]
            if others:
                found.append(_answering(spec, unit, key, seed, others))
    return tuple(found[:most])


def _writing(spec: TaskSpec, unit: Unit, key: str, count: int, pool: Sequence[SeedExample], number: int) -> dspy.Example:
    """A request for `count` new questions, which shows seeds of its own split alone, beginning one further each time."""
    shown = [pool[(number + place) % len(pool)] for place in range(min(spec.num_icl_examples_per_prompt, len(pool)))]
    counted = spec.model_copy(update={"num_questions_to_generate_per_prompt": count})
    asked = inputs(STEPS[unit.name], counted, shown, Subject())
    asked.pop("context", None)  # it is yet to be written
    return dspy.Example(
        key=key,
        asked=asked,
        passages=inputs(STEPS["write_context"], counted, shown) if unit.kind == "grounded" else {},
        standard=shown_as("standard", pool[:STANDARD]),
        known=Unshown(seed.question for seed in spec.seeds(_kind(unit))),
        shown=Unshown(seed.question for seed in shown),
        count=count,
        digests=tuple(map(seed_digest, pool)),
        task=spec.task_name,
        unit=unit.name,
    ).with_inputs("key", "asked", "passages", "standard")


def _answering(spec: TaskSpec, unit: Unit, key: str, seed: SeedExample, others: Sequence[SeedExample]) -> dspy.Example:
    """A seed's own question to be answered, with those of the others as models that fit it best."""
    models = fitting_by_words(others, seed, spec.num_icl_examples_per_prompt)
    return dspy.Example(
        key=key,
        asked=inputs(STEPS[unit.name], spec, models, seed),
        # Not its own: an answer that comes nearer to the right one copies nothing.
        known=Unshown(s.answer for s in spec.seeds(_kind(unit)) if s.answer != seed.answer),
        shown=Unshown(model.answer for model in models),
        digests=(seed_digest(seed),),
        beside=tuple(map(seed_digest, models)),
        task=spec.task_name,
        unit=unit.name,
    ).with_inputs("key", "asked")


def _labelled_examples(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seed: int, sizes: tuple[int, int, int]
) -> Splits[dspy.Example]:
    """The three sets of a judge or tagger; the arguments and errors are those of `examples_of`."""
    step = _CASES_STEP.get(unit.name, unit.name)
    parts = _labelled_parts(step, unit.kind, tuple(specs), tuple(cases), seed)
    found = Splits(*(_chosen(unit, part, config, size) for part, size in zip(parts, sizes, strict=True)))
    if not all(found):
        raise RequestError(
            f"{step} has {sum(case.step == step for case in cases)} labelled cases, too few to train, validate and test on: "
            "each part needs a good and a bad one, so give 6 or more over 3 or more skills with --cases, tasks with "
            f"{FEWEST_TO_SPLIT} or more seeds, or more reviews, of good and of bad rows"
        )
    return found


@functools.lru_cache(maxsize=256)
def _labelled_parts(
    step: str, kind: Kind | None, specs: tuple[TaskSpec, ...], cases: tuple[Case, ...], seed: int
) -> Splits[_Rated]:
    """All that the three sets may be chosen from, once for all budgets that are tried."""
    parts = _by_skill([case for case in cases if case.step == step and case.origin != "review"], step, seed)
    shared = shared_traits(specs)
    reviewed = split_reviews([case for case in cases if case.origin == "review"], seed)
    _add_reviewed(parts, [[case for case in part if case.step == step] for part in reviewed], _held(specs, seed, shared))
    taken = _traits_of_others(parts)
    for spec in specs:
        for part, made in zip(parts, _from_seeds(spec, step, kind, seed, shared, taken), strict=True):
            part.extend(made)
    earlier: set[str] = set()
    for part in parts:  # two seeds that are cut in half may say the same
        part[:] = [(case, rated) for case, rated in part if case_digest(case) not in earlier]
        earlier |= {case_digest(case) for case, _ in part}
    return Splits(*map(tuple, parts))


def _add_reviewed(parts: Sequence[list[_Rated]], reviewed: Sequence[Sequence[Case]], held: frozenset[Trait]) -> None:
    """Put the reviewed rows of each part to its cases: without examples that are held out, or are of cases of another part."""
    for part, cases, others in zip(parts, reviewed, _traits_of_others(parts), strict=True):
        for case in cases:
            shown = tuple(example for example in case.examples if not traits(example) & (held | others))
            if shown and not traits(case) & others:
                part.append((replace(case, examples=shown), case_digest(case)))


def _held(specs: Sequence[TaskSpec], seed: int, shared: frozenset[Trait]) -> frozenset[Trait]:
    """What the seeds that are validated and tested on ask, and are about; of tasks with too few seeds none are."""
    found: set[Trait] = set()
    for spec in specs:
        for kind in get_args(Kind):
            try:
                split = split_task(spec, kind, seed, shared)
            except RequestError:
                continue
            found.update(trait for part in split[1:] for one in part for trait in traits(one))
    return frozenset(found)


def _fresh_labelled(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seen: frozenset[str], most: int
) -> tuple[dspy.Example, ...]:
    """Cases that a finished judge or tagger was not compiled with, of both classes; none where one class lacks."""
    step = _CASES_STEP.get(unit.name, unit.name)
    made = [(case, seed_digest(seed)) for spec in specs for case, seed in _made(spec, step, 0)]
    rated = [(case, digest) for case, digest in made if digest not in seen]
    rated += [(case, case_digest(case)) for case in unseen(cases, step, seen)]
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
    """The traits of a case by hand and of the examples of its skill; those of a reviewed row are seeds, split on their own."""
    return traits(case) if case.origin == "review" else traits(case).union(*map(traits, case.examples))


def _traits_of_others(parts: Sequence[Sequence[_Rated]]) -> list[frozenset[Trait]]:
    """For each part what the cases of the others have."""
    theirs = [frozenset(trait for case, _ in part for trait in _traits_of(case)) for part in parts]
    return [frozenset[Trait]().union(*theirs[:place], *theirs[place + 1 :]) for place in range(len(parts))]


def _from_seeds(
    spec: TaskSpec, step: str, kind: Kind | None, seed: int, shared: frozenset[Trait], taken: Sequence[frozenset[Trait]]
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
    """Up to `most` examples, bad and good in turn, chosen by their digests, what a person reviewed first.

    None where they are of one class only.
    """
    by_digest = sorted(rated, key=lambda one: (one[0].origin != "review", case_digest(one[0])))
    bad, good = ([one for one in by_digest if one[0].good is wanted] for wanted in (False, True))
    chosen = [one for pair in zip_longest(bad, good) for one in pair if one is not None][:most]
    if len({case.good for case, _ in chosen}) < 2:
        return ()
    weighted = zip(chosen, weights([case.good for case, _ in chosen]), strict=True)
    return tuple(
        dspy.Example(
            key=case.id,
            asked=case.inputs(),
            good=case.good,
            reason=case.reason,
            weight=weight,
            field=SCALE_OF_STEP[case.step].field,
            passing=STEPS[case.step].passing(config),
            digests=tuple(dict.fromkeys((digest, case_digest(case)))),
            beside=tuple(map(seed_digest, case.examples)),
            task=case.task,
            origin=case.origin,
            unit=unit.name,
        ).with_inputs("key", "asked")
        for (case, digest), weight in weighted
    )
