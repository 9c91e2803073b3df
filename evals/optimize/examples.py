"""The examples that students are trained, validated and tested on, as DSPy wants them, made of tasks and labelled cases."""

from collections.abc import Sequence

import dspy

from evals.judges.cases import Case
from evals.optimize.labelled import fresh_labelled, labelled_examples, nothing_left, ordered
from evals.optimize.splits import (
    Splits,
    seed_digest,
    shared_traits,
    split_task,
)
from evals.optimize.targets import Unit
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import STANDARD
from skills_dspy.model.steps import STEPS, Subject, inputs, shown_as
from skills_dspy.similarity.text import squeezed
from skills_dspy.tasks.spec import TaskSpec


class Unshown(tuple[str, ...]):
    """Texts that a metric needs and no prompt may show: MIPROv2 describes data by the repr of its examples."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"({len(self)} texts)"


def count_of(specs: Sequence[TaskSpec]) -> int:
    """How many questions a writing asks for: the least that any task asks for, the same for all."""
    return min(spec.num_questions_to_generate_per_prompt for spec in specs)


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
        return labelled_examples(unit, specs, cases, config, seed, sizes)
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
        return fresh_labelled(unit, specs, cases, config, seen, most)
    pools = []
    for spec in specs:
        seeds = spec.seeds(_kind(unit))
        left_seeds = tuple(seed for seed in seeds if seed_digest(seed) not in seen)
        if left_seeds and len({squeezed(seed.question) for seed in seeds}) > 1:
            pools.append((spec, Splits(seeds, (), left_seeds)))
    if not pools:
        raise nothing_left(unit)
    return _of_seeds(pools, "test", unit, count_of(specs), most)


def _kind(unit: Unit) -> Kind:
    assert unit.kind is not None
    return unit.kind


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
    counted = spec.model_copy(update={"num_questions_to_generate_per_prompt": count})
    asked = inputs(STEPS[unit.name], counted, shown, Subject())
    asked.pop("context", None)  # it is yet to be written
    return dspy.Example(
        key=f"{spec.task_name}/{kind}/{place}",
        asked=asked,
        passages=shown_as("passages", shown) if kind == "grounded" else [],
        standard=shown_as("standard", pool[:STANDARD]),
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
    return dspy.Example(
        key=f"{spec.task_name}/{kind}/{place}",
        asked=ordered(inputs(STEPS[unit.name], spec, [model], seed), "example", "question", "context"),
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
