"""Seeds that stay out of a run, so that a student can be measured on what no prompt ever showed."""

from collections.abc import Iterable, Sequence

from skills_dspy.base.errors import SpecError
from skills_dspy.base.records import SeedExample
from skills_dspy.base.seeds import rng_of
from skills_dspy.tasks.spec import TaskSpec


def hold_out(spec: TaskSpec, count: int, seed: int) -> TaskSpec:
    """The task without `count` of its seeds, which its `held_out` then has; which ones the run's seed and its name decide.

    One seed of each kind stays, for a kind that no seed shows cannot be made.

    Raises:
        SpecError: so many cannot be held out.
    """
    if not count:
        return spec
    seeds = sorted((*spec.seed_examples, *spec.held_out), key=lambda one: one.line) if spec.held_out else spec.seed_examples
    most = len(seeds) - len({example.kind for example in seeds})
    if count > most:
        what = f"give --hold-out {most} or less, or write more seeds" if most else "write more seeds, or leave --hold-out out"
        raise SpecError(
            f"there are {len(seeds)} seeds, and {count} cannot stay out of a run that needs one of each kind; {what}", spec.path
        )
    rng = rng_of("hold out", seed, spec.task_name)
    order = rng.sample(range(len(seeds)), len(seeds))
    stay = {next(place for place in order if seeds[place].kind == kind) for kind in {one.kind for one in seeds}}
    out = set([place for place in order if place not in stay][:count])
    kept, held = ([one for place, one in enumerate(seeds) if (place in out) is side] for side in (False, True))
    return spec.model_copy(update={"seed_examples": tuple(kept), "held_out": tuple(held)})


def held_out_in_words(tasks: Iterable[tuple[Sequence[SeedExample], Sequence[SeedExample]]]) -> str:
    """How many of the seeds of tasks stay out, given those that do and those that do not: `2 of 5`; empty for none."""
    counts = [(len(held), len(held) + len(kept)) for held, kept in tasks]
    held, total = sum(held for held, _ in counts), sum(total for _, total in counts)
    return f"{held} of {total}" if held else ""
