"""Seeds that stay out of a run, so that a student can be measured on what no prompt ever showed."""

from collections.abc import Callable, Iterable, Sequence

from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import SeedExample
from skills_dspy.base.seeds import rng_of
from skills_dspy.tasks.spec import TaskSpec


def hold_out(spec: TaskSpec, count: int, seed: int, seen: Callable[[SeedExample], bool] = lambda _: False) -> TaskSpec:
    """The task without `count` of its seeds, which its `held_out` then has; which ones the run's seed and its name decide.

    One seed of each kind stays, for a kind that no seed shows cannot be made; and so does what the run's compiled prompts have
    `seen`.

    Raises:
        SpecError: so many cannot be held out.
    """
    if not count:
        return spec
    seeds = sorted((*spec.seed_examples, *spec.held_out), key=lambda one: one.line) if spec.held_out else spec.seed_examples
    known = {place for place, one in enumerate(seeds) if seen(one)}
    order = rng_of("hold out", seed, spec.task_name).sample(range(len(seeds)), len(seeds))
    first = sorted(order, key=lambda place: place not in known)
    stay = {next(place for place in first if seeds[place].kind == kind) for kind in {one.kind for one in seeds}} | known
    free = [place for place in order if place not in stay]
    if count > len(free):
        what = (
            f"give --hold-out {len(free)} or less, or write more seeds" if free else "write more seeds, or leave --hold-out out"
        )
        told = f"{len(known)} of which the program has seen, " if known else ""
        raise SpecError(
            f"there are {len(seeds)} seeds, {told}and {count} cannot stay out of a run that needs one of each kind; {what}",
            spec.path,
        )
    out = set(free[:count])
    kept, held = ([one for place, one in enumerate(seeds) if (place in out) is side] for side in (False, True))
    return spec.model_copy(update={"seed_examples": tuple(kept), "held_out": tuple(held)})


def held_out_in_words(tasks: Iterable[tuple[Sequence[SeedExample], Sequence[SeedExample]]]) -> str:
    """How many of the seeds of tasks stay out, given those that do and those that do not: `2 of 5`; empty for none."""
    counts = [(len(held), len(held) + len(kept)) for held, kept in tasks]
    held, total = sum(held for held, _ in counts), sum(total for _, total in counts)
    return f"{held} of {total}" if held else ""
