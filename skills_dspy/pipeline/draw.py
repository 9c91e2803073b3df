"""What a draw shows: which kind it is and which examples stand in its prompts, from numbers alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import STANDARD, rng_of
from skills_dspy.model.steps import Step


@dataclass(frozen=True, slots=True)
class Example:
    """Something a prompt can show: a seed (`seed:K`) or an accepted pair (its id)."""

    id: str
    question: str
    answer: str
    context: str | None


@dataclass(frozen=True, slots=True)
class Draw:
    """One numbered draw.

    Attributes:
        number: from 0.
        kind: what its seeds are.
        seeds: the seeds shown, at least one; the first is the model for the form of an answer.
        accepted: the accepted pairs shown to the writers of contexts and questions, never to judges.
        standard: the seeds whose questions the judges of questions see: all of the kind, or those shown and the first of
            the others up to eight, in the file's order. What the same prompts share, the server need not read again.
    """

    number: int
    kind: Kind
    seeds: tuple[Example, ...]
    accepted: tuple[Example, ...]
    standard: tuple[Example, ...]

    @property
    def shown(self) -> tuple[Example, ...]:
        """Everything that the writers see."""
        return self.seeds + self.accepted

    def examples(self, step: Step) -> tuple[Example, ...]:
        """The examples that the prompt of a step shows."""
        return {"standard": self.standard, "pair": self.seeds[:1]}.get(step.shows, self.shown)


def seed_examples(seeds: Sequence[SeedExample]) -> tuple[Example, ...]:
    """Seeds as examples, named by their place in the task file."""
    return tuple(Example(f"seed:{k}", s.question, s.answer, s.context) for k, s in enumerate(seeds))


def kind_of_draw(number: int, freeform: int, grounded: int) -> Kind:
    """Which kind the draw is, so that both kinds get their share of draws in any stretch of numbers.

    The share is the share of seeds; the remainder is carried over from draw to draw (Bresenham's line).
    """
    total = freeform + grounded
    return "grounded" if (number + 1) * grounded // total > number * grounded // total else "freeform"


def plan_draw(
    number: int,
    seeds: Sequence[Example],
    accepted: Sequence[Example],
    *,
    task: str,
    run_seed: int,
    examples: int,
    accepted_share: float,
) -> Draw:
    """Choose what a draw shows.

    Args:
        number: the draw's number, from 0.
        seeds: all seeds of the task.
        accepted: accepted pairs that the draw may show; the caller leaves out what is too recent.
        task: the task's name.
        run_seed: the run's random seed.
        examples: how many examples a prompt shows at most.
        accepted_share: 0 to 1, the largest share of `examples` that may be accepted pairs; one seed always stays.
    """
    freeform = [s for s in seeds if s.context is None]
    grounded = [s for s in seeds if s.context is not None]
    kind = kind_of_draw(number, len(freeform), len(grounded))
    own = grounded if kind == "grounded" else freeform
    pool = [a for a in accepted if (a.context is not None) == (kind == "grounded")]
    rng = rng_of("draw", run_seed, task, number)
    guests = min(len(pool), int(examples * accepted_share + 1e-9), examples - 1)
    shown = tuple(rng.sample(own, min(len(own), examples - guests)))
    return Draw(
        number=number,
        kind=kind,
        seeds=shown,
        accepted=tuple(rng.sample(pool, guests)),
        standard=standard_of(shown, own),
    )


def standard_of(shown: Sequence[Example], own: Sequence[Example]) -> tuple[Example, ...]:
    """The seeds whose questions set the standard for those who judge a draw's questions, see `Draw`.

    Args:
        shown: the seeds that the draw shows.
        own: all seeds of the draw's kind, in the file's order.
    """
    others = [seed for seed in own if seed not in shown][: max(0, STANDARD - len(shown))]
    judging = {*shown[:STANDARD], *others}
    return tuple(seed for seed in own if seed in judging)
