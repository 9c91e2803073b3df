"""The examples that students are trained, validated and tested on, as DSPy wants them, made of tasks and labelled cases."""

from collections.abc import Sequence

import dspy

from evals.judges.cases import Case
from evals.optimize.labelled import fresh_labelled, labelled_examples, ordered
from evals.optimize.splits import Splits, seed_digest, shared_traits, split_task
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
    """Return how many questions a writing asks for: the least that any task asks for, the same for all."""
    return min(spec.num_questions_to_generate_per_prompt for spec in specs)


def examples_of(
    unit: Unit, specs: Sequence[TaskSpec], cases: Sequence[Case], config: RunConfig, seed: int, sizes: tuple[int, int, int]
) -> Splits[dspy.Example]:
    """Return the three sets of a unit.

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
    if unit.makes == "labels":
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
        found = fresh_labelled(unit, specs, cases, config, seen, most)
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
                found.append(_answering(spec, unit, key, seed, others[number % len(others)]))
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
        passages=shown_as("passages", shown) if unit.kind == "grounded" else [],
        standard=shown_as("standard", pool[:STANDARD]),
        known=Unshown(seed.question for seed in spec.seeds(_kind(unit))),
        shown=Unshown(seed.question for seed in shown),
        count=count,
        digests=tuple(map(seed_digest, pool)),
        task=spec.task_name,
        unit=unit.name,
    ).with_inputs("key", "asked", "passages", "standard")


def _answering(spec: TaskSpec, unit: Unit, key: str, seed: SeedExample, model: SeedExample) -> dspy.Example:
    """A seed's own question to be answered, with another seed as the model for the form."""
    return dspy.Example(
        key=key,
        asked=ordered(inputs(STEPS[unit.name], spec, [model], seed), "example", "question", "context"),
        # Not its own: an answer that comes nearer to the right one copies nothing.
        known=Unshown(s.answer for s in spec.seeds(_kind(unit)) if s.answer != seed.answer),
        shown=Unshown((model.answer,)),
        digests=(seed_digest(seed),),
        beside=(seed_digest(model),),
        task=spec.task_name,
        unit=unit.name,
    ).with_inputs("key", "asked")
