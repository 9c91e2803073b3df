"""What a draw shows: which kind it is and which examples stand in its prompts, from numbers alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import STANDARD, rng_of
from skills_dspy.model.steps import Part, Step


@dataclass(frozen=True, slots=True)
class Example:
    """Something a prompt can show: a seed (`seed:K`) or an accepted pair (its id)."""

    id: str
    question: str
    answer: str
    context: str | None


@dataclass(frozen=True, slots=True)
class Draw:
    """One numbered draw."""

    number: int  # from 0
    kind: Kind
    seeds: tuple[Example, ...]  # at least one
    accepted: tuple[Example, ...]  # pairs shown to the writers of contexts and questions, never to judges
    # The seeds whose questions the judges of questions see: all of the kind, or those shown and the first of the others up
    # to eight, in the file's order. What the same prompts share, the server need not read again.
    standard: tuple[Example, ...]
    plan: tuple[str, ...] = ()  # a line for each question that says what it is to be like; none where nothing is planned
    text_plan: str | None = None  # what the text of a grounded draw is to be like

    def plan_of(self, step: Step) -> tuple[str, ...]:
        """The plan that the prompt of a step shows: a line for each question, or one for the text."""
        if step.counted:
            return self.plan
        return () if self.text_plan is None else (self.text_plan,)

    def told(self, part: Part) -> tuple[str, ...]:
        """What the writer of a part was told that it is to be like: each axis with its value."""
        text = () if self.text_plan is None else (self.text_plan,)
        lines = {"context": text, "question": self.plan, "answer": ()}[part]
        return tuple(pair for line in lines for pair in pairs_in(line))

    @property
    def shown(self) -> tuple[Example, ...]:
        """Everything that the writers see."""
        return self.seeds + self.accepted

    def examples(self, step: Step) -> tuple[Example, ...]:
        """The examples that the prompt of a step shows, as far as no question decides about them."""
        if step.role == "generator":
            return self.seeds[:1] if step.shows == "fitting" else self.shown
        return self.standard if step.shows == "standard" else tuple(seed for seed in self.standard if seed in self.seeds)


def pairs_in(line: str) -> tuple[str, ...]:
    """A plan's line taken apart: each axis with its value (`subject: ponds`), as they stand there with `; ` between them."""
    pairs: list[str] = []
    for piece in line.split("; "):
        if ": " in piece or not pairs:
            pairs.append(piece)
        else:  # of a value that has the same sign in it
            pairs[-1] += f"; {piece}"
    return tuple(pairs)


def seed_examples(seeds: Sequence[SeedExample]) -> tuple[Example, ...]:
    """Seeds as examples, named by their place in the task file."""
    return tuple(Example(f"seed:{k}", s.question, s.answer, s.context) for k, s in enumerate(seeds))


def kind_of_draw(number: int, freeform: int, grounded: int) -> Kind:
    """The kind of a draw: both get the share of their seeds in any stretch of numbers (Bresenham's line)."""
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
    """Choose what a draw shows of all seeds of the task, and of accepted pairs but for those that are too recent.

    It shows at most `examples`; of these the share of accepted pairs is at most `accepted_share`, 0 to 1, and one seed stays.
    """
    freeform = [s for s in seeds if s.context is None]
    grounded = [s for s in seeds if s.context is not None]
    kind = kind_of_draw(number, len(freeform), len(grounded))
    own = grounded if kind == "grounded" else freeform
    pool = [a for a in accepted if (a.context is not None) == (kind == "grounded")]
    rng = rng_of("draw", run_seed, task, number)
    guests = min(len(pool), int(examples * accepted_share + 1e-9), examples - 1)
    shown = tuple(rng.sample(own, min(len(own), examples - guests)))
    return Draw(number, kind, shown, tuple(rng.sample(pool, guests)), standard_of(shown, own))


def standard_of(shown: Sequence[Example], own: Sequence[Example]) -> tuple[Example, ...]:
    """The standard of a draw that shows some of its `own` kind's seeds, which are in the file's order; see `Draw`."""
    others = [seed for seed in own if seed not in shown][: max(0, STANDARD - len(shown))]
    judging = {*shown[:STANDARD], *others}
    return tuple(seed for seed in own if seed in judging)
