"""Examples for judges and taggers: labelled cases by hand, and those that are made of a task's seeds."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import dspy

from evals.judges.ask import FUSED
from evals.judges.cases import SCALES, Case, passing
from evals.judges.corruptions import FEWEST_OF_A_KIND, seed_cases
from evals.optimize.splits import (
    FEWEST_SEEDS,
    Splits,
    Trait,
    alternating,
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


def labelled_examples(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seed: int, sizes: tuple[int, int, int]
) -> Splits[dspy.Example]:
    """The three sets of a judge or tagger; the arguments and errors are those of `examples_of`."""
    step = _CASES_STEP.get(unit.name, unit.name)
    by_hand = [case for case in cases if case.step == step]
    parts: list[list[_Rated]] = [[], [], []]
    if by_hand:
        skills = _skills_apart(by_hand)
        sizes_of = {names: sum(case.task in names for case in by_hand) for names in skills}
        try:
            split = split_groups(sizes_of, rng_of("split cases", seed, step))
        except ValueError as error:
            raise RequestError(
                f"the labelled cases of {step} are of {len(skills)} skills that share no question and no text, and 3 or more "
                "are needed to train, validate and test on different ones; give more with --cases"
            ) from error
        for part, groups in zip(parts, (split.train, split.validation, split.test), strict=True):
            part += [(case, case_digest(case)) for case in by_hand if any(case.task in names for names in groups)]
    theirs = [frozenset(trait for case, _ in part for trait in _traits_of(case)) for part in parts]
    taken = [frozenset[Trait]().union(*theirs[:place], *theirs[place + 1 :]) for place in range(len(parts))]
    shared = shared_traits(specs)
    for spec in specs:
        for place, made in enumerate(_from_seeds(spec, step, unit.kind, seed, shared, taken)):
            parts[place] += made
    earlier: set[str] = set()
    for part in parts:  # two seeds that are cut in half may say the same
        part[:] = [(case, rated) for case, rated in part if case_digest(case) not in earlier]
        earlier |= {case_digest(case) for case, _ in part}
    own = {case.id: digest for part in parts for case, digest in part}
    chosen = [_evenly([case for case, _ in part], size) for part, size in zip(parts, sizes, strict=True)]
    if any(len({case.good for case in part}) < 2 for part in chosen):
        raise RequestError(
            f"{step} has {len(by_hand)} labelled cases, too few to train, validate and test on: each part needs a good and "
            f"a bad one, so give 6 or more over 3 or more skills with --cases, or tasks with {FEWEST_SEEDS} or more seeds"
        )
    return Splits(*(tuple(_label_example(unit, c, w, config, own[c.id]) for c, w in _weighted(part)) for part in chosen))


def fresh_labelled(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seen: frozenset[str], most: int
) -> list[dspy.Example]:
    """Cases that a finished judge or tagger was not compiled with; the arguments and errors are those of `fresh_examples`."""
    step = _CASES_STEP.get(unit.name, unit.name)
    made = [(case, seed_digest(seed)) for spec in specs for case, seed in _made(spec, step, 0)]
    rated = [(case, digest) for case, digest in made if digest not in seen]
    rated += [(case, case_digest(case)) for case in unseen(cases, seen) if case.step == step]
    left = _evenly([case for case, _ in rated], most)
    if len({case.good for case in left}) < 2:
        raise nothing_left(unit)
    own = {case.id: digest for case, digest in rated}
    return [_label_example(unit, case, weight, config, own[case.id]) for case, weight in _weighted(left)]


def nothing_left(unit: Unit) -> RequestError:
    """All that a unit could be measured on was compiled with."""
    return RequestError(f"nothing is left to measure {unit.name} on that it was not compiled with; give another task")


_Rated = tuple[Case, str]
"""A case, and the digest of what was rated: of the case by hand, or of the seed that it was made of."""


def _traits_of(case: Case) -> frozenset[Trait]:
    """The traits of a case by hand and of the examples of its skill."""
    return traits(case).union(*map(traits, case.examples))


def _skills_apart(cases: Sequence[Case]) -> list[tuple[str, ...]]:
    """The skills of cases by hand, in the order in which they come; those that share a question or a text together."""
    of_skill: dict[str, set[Trait]] = {}
    for case in cases:
        of_skill.setdefault(case.task, set()).update(_traits_of(case))
    return [tuple(names) for names in linked(list(of_skill), of_skill.__getitem__)]


def _from_seeds(
    spec: TaskSpec,
    step: str,
    kind: Kind | None,
    seed: int,
    shared: frozenset[Trait],
    taken: Sequence[frozenset[Trait]],
) -> tuple[list[_Rated], list[_Rated], list[_Rated]]:
    """Cases made of a task's seeds, by the split of the seed; no prompt shows or borrows from a seed of another split.

    Args:
        spec, step, kind, seed: whose, for which step, of which kind (None for both), and what decides.
        shared: see `shared_traits`.
        taken: for each split what the cases by hand of the others have: seeds that have it, too, are left out.
    """
    parts: tuple[list[_Rated], list[_Rated], list[_Rated]] = ([], [], [])
    made = _made(spec, step, seed)
    for one in get_args(Kind) if kind is None else (kind,):
        try:
            split = split_task(spec, one, seed, shared)
        except RequestError:
            continue  # cases by hand may be enough; if they are not, the caller says what is missing
        train = set(split.train)
        for part, own, others in zip(parts, (split.train, split.validation, split.test), taken, strict=True):
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


def _evenly(cases: Sequence[Case], most: int) -> list[Case]:
    """Up to `most` cases, good and bad in turn, chosen by their digests."""
    ordered = sorted(cases, key=case_digest)
    return alternating(ordered, [case.good for case in ordered])[:most]


def _weighted(cases: Sequence[Case]) -> list[tuple[Case, float]]:
    return list(zip(cases, weights([case.good for case in cases]), strict=True))


def _label_example(unit: Unit, case: Case, weight: float, config: RunConfig, own: str) -> dspy.Example:
    return dspy.Example(
        key=case.id,
        asked=ordered(case.inputs(), "question", "examples", "example", "answer", "context"),
        good=case.good,
        reason=case.reason,
        weight=weight,
        field=SCALES[case.step].field,
        passing=passing(case.step, config),
        digests=tuple(dict.fromkeys((own, case_digest(case)))),
        beside=tuple(map(seed_digest, case.examples)),
        task=case.task,
        origin=case.origin,
        unit=unit.name,
    ).with_inputs("key", "asked")


def ordered(asked: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The inputs in an order of their own: MIPROv2 shows its data by their repr, and journals know the prompts of then."""
    return {name: asked[name] for name in ("task_description", *names) if name in asked}
