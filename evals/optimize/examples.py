"""The examples that students are trained, validated and tested on, as DSPy wants them, made of tasks and labelled cases."""

import functools
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, get_args

import dspy

from evals.judges.ask import FUSED
from evals.judges.cases import Case
from evals.judges.corrupt.likeness import squeezed
from evals.judges.corruptions import FEWEST_OF_A_KIND, seed_cases
from evals.judges.scales import SCALES, passing
from evals.optimize.splits import (
    FEWEST_HELD,
    FEWEST_SEEDS,
    Splits,
    Trait,
    alternating,
    groups_of,
    linked,
    split_groups,
    split_seeds,
    traits,
    weights,
)
from evals.optimize.targets import Unit
from signatures.examples import Passage
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import STANDARD, rng_of
from skills_dspy.pipeline.candidate import pair_shown, questions_shown
from skills_dspy.pipeline.draw import Example
from skills_dspy.tasks.spec import TaskSpec

CASES_STEP = {FUSED: "tag_instruction_quality"}
"""The fused tagger is measured by its rating of the instruction."""


class Unshown(tuple[str, ...]):
    """Texts that a metric needs and no prompt may show: MIPROv2 describes data by the repr of its examples."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"({len(self)} texts)"


def count_of(specs: Sequence[TaskSpec]) -> int:
    """How many questions a writing asks for: the least that any task asks for, the same for all."""
    return min(spec.num_questions_to_generate_per_prompt for spec in specs)


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


def examples_of(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seed: int, sizes: tuple[int, int, int]
) -> Splits[dspy.Example]:
    """The three sets of a unit.

    Args:
        unit: what is optimized.
        specs: the tasks.
        cases: labelled cases written by hand, of any step.
        config: says which labels pass.
        seed: decides the splits; the same seed gives the same splits for every unit.
        sizes: the most examples of training, validation and test.

    Raises:
        RequestError: there are too few seeds or cases; it says how many are needed.
    """
    if unit.sort == "labels":
        return _labelled(unit, specs, cases, config, seed, sizes)
    shared = shared_traits(specs)
    pools, refused = [], []
    for spec in specs:
        try:
            pools += [(spec, _split(spec, _kind(unit), seed, shared))] if spec.seeds(_kind(unit)) else []
        except RequestError as error:
            refused.append((spec, error))
    if refused:
        others = ", ".join(spec.task_name for spec, _ in refused[1:])
        raise RequestError(f"{refused[0][1]}{f'; too few have also: {others}' if others else ''}") from refused[0][1]
    named = zip(("train", "validation", "test"), sizes, strict=True)
    return Splits(*(tuple(_of_seeds(pools, part, unit, count_of(specs), size)) for part, size in named))


def fresh_examples(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seen: frozenset[str], most: int
) -> list[dspy.Example]:
    """What a finished program can be measured on: everything of these tasks that it was not compiled with.

    Args:
        unit, specs, cases, config: as for `examples_of`.
        seen: digests of the seeds and cases that the compiling saw.
        most: no more examples than this.

    Raises:
        RequestError: nothing is left.
    """
    if unit.sort == "labels":
        step = CASES_STEP.get(unit.name, unit.name)
        made = [(case, seed_digest(seed)) for spec in specs for case, seed in _made(spec, step, 0)]
        rated = [(case, digest) for case, digest in made if digest not in seen]
        rated += [(case, case_digest(case)) for case in unseen(cases, seen) if case.step == step]
        left = _evenly([case for case, _ in rated], most)
        if len({case.good for case in left}) < 2:
            raise RequestError(f"nothing is left to measure {unit.name} on that it was not compiled with; give another task")
        own = {case.id: digest for case, digest in rated}
        return [_label_example(unit, case, weight, config, own[case.id]) for case, weight in _weighted(left)]
    pools = []
    for spec in specs:
        seeds = spec.seeds(_kind(unit))
        left_seeds = tuple(seed for seed in seeds if seed_digest(seed) not in seen)
        if left_seeds and len({squeezed(seed.question) for seed in seeds}) > 1:
            pools.append((spec, Splits(seeds, (), left_seeds)))
    if not pools:
        raise RequestError(f"nothing is left to measure {unit.name} on that it was not compiled with; give another task")
    return _of_seeds(pools, "test", unit, count_of(specs), most)


def _kind(unit: Unit) -> Kind:
    assert unit.kind is not None
    return unit.kind


def shared_traits(specs: Sequence[TaskSpec]) -> frozenset[Trait]:
    """Questions and contexts that seeds of more than one task have, or of both kinds of one task."""
    pools = ((spec, kind) for spec in specs for kind in get_args(Kind))
    found = Counter(trait for spec, kind in pools for trait in {t for seed in spec.seeds(kind) for t in traits(seed)})
    return frozenset(trait for trait, pools_with_it in found.items() if pools_with_it > 1)


def _split(spec: TaskSpec, kind: Kind, seed: int, shared: frozenset[Trait]) -> Splits[SeedExample]:
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


# ---- labelled cases --------------------------------------------------------------------------------------------------


def _labelled(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seed: int, sizes: tuple[int, int, int]
) -> Splits[dspy.Example]:
    step = CASES_STEP.get(unit.name, unit.name)
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
            split = _split(spec, one, seed, shared)
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
        asked=case.inputs(),
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


# ---- tasks -----------------------------------------------------------------------------------------------------------

_Pools = Sequence[tuple[TaskSpec, Splits[SeedExample]]]


def _of_seeds(pools: _Pools, part: str, unit: Unit, count: int, most: int) -> list[dspy.Example]:
    if unit.sort == "questions":
        return _draws(pools, part, unit, count, most)
    return _asked(pools, part, unit, most)


def _draws(pools: _Pools, part: str, unit: Unit, count: int, most: int) -> list[dspy.Example]:
    """Requests for `count` new questions, each showing seeds of its own split alone; tasks take turns."""
    found: list[dspy.Example] = []
    number = 0
    while len(found) < most:
        for spec, split in pools:
            pool = split.parts()[part]
            shown = _turn(pool, number, spec.num_icl_examples_per_prompt)
            found.append(_draw(spec, unit, f"{part}/{number}", count, shown, pool))
        number += 1
    return found[:most]


def _draw(
    spec: TaskSpec, unit: Unit, place: str, count: int, shown: Sequence[SeedExample], pool: Sequence[SeedExample]
) -> dspy.Example:
    kind = _kind(unit)
    asked: dict[str, Any] = {
        "task_description": spec.task_description,
        "examples": questions_shown(_as_examples(shown), with_context=True),
        "count": count,
    }
    return dspy.Example(
        key=f"{spec.task_name}/{kind}/{place}",
        asked=asked,
        passages=[Passage(context=seed.context) for seed in shown if seed.context is not None],
        standard=questions_shown(_as_examples(pool[:STANDARD]), with_context=False),
        known=Unshown(seed.question for seed in spec.seeds(kind)),
        shown=Unshown(seed.question for seed in shown),
        count=count,
        digests=tuple(map(seed_digest, pool)),
        task=spec.task_name,
        unit=unit.name,
    ).with_inputs("key", "asked", "passages", "standard")


def _asked(pools: _Pools, part: str, unit: Unit, most: int) -> list[dspy.Example]:
    """Seeds' own questions to be answered, each with another seed as the model for the form; tasks and seeds take turns."""
    found: list[dspy.Example] = []
    number = 0
    while len(found) < most:
        for spec, split in pools:
            pool = split.parts()[part]
            seed = pool[number % len(pool)]
            others = [other for other in split.train if squeezed(other.question) != squeezed(seed.question)]
            if others:
                found.append(_question(spec, unit, f"{part}/{number}", seed, others[number % len(others)]))
        number += 1
        if number > most:
            break
    return found[:most]


def _question(spec: TaskSpec, unit: Unit, place: str, seed: SeedExample, model: SeedExample) -> dspy.Example:
    kind = _kind(unit)
    asked: dict[str, Any] = {
        "task_description": spec.task_description,
        "example": pair_shown(*_as_examples([model])),
        "question": seed.question,
    }
    if kind == "grounded":
        asked["context"] = seed.context
    return dspy.Example(
        key=f"{spec.task_name}/{kind}/{place}",
        asked=asked,
        # Not its own: an answer that comes nearer to the right one copies nothing.
        known=Unshown(s.answer for s in spec.seeds(kind) if s.answer != seed.answer),
        shown=Unshown((model.answer,)),
        digests=(seed_digest(seed),),
        beside=(seed_digest(model),),
        task=spec.task_name,
        unit=unit.name,
    ).with_inputs("key", "asked")


def _turn(pool: Sequence[SeedExample], number: int, most: int) -> tuple[SeedExample, ...]:
    """Some of the pool, beginning one further with each number."""
    return tuple(pool[(number + place) % len(pool)] for place in range(min(most, len(pool))))


def _as_examples(seeds: Iterable[SeedExample]) -> tuple[Example, ...]:
    return tuple(Example(f"seed:{seed.line}", seed.question, seed.answer, seed.context) for seed in seeds)
