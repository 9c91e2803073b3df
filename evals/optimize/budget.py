"""What an optimization costs before it is begun: the optimizer's settings for a budget, and the calls that they take."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

from evals.optimize.targets import Unit

Optimizer = Literal["gepa", "mipro", "bootstrap"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)

Level = Literal["light", "medium", "heavy"]
LEVELS: tuple[Level, ...] = get_args(Level)

MINIBATCH = 3
"""Examples that GEPA reflects on at a time; DSPy's own default."""
VIEWED = 4
"""Examples that MIPROv2 describes the data by at a time: their prompts stand in one, and have to fit into the window."""
_SUMMARY_CALLS = 11
"""What MIPROv2 asks at most to describe the data: ten observations and a summary."""


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """How one unit is optimized.

    Attributes:
        sizes: the most examples of training, validation and test.
        metric_calls: GEPA's budget, in examples measured.
        candidates, trials: MIPROv2's, instructions and demonstration sets to choose from and combinations to try.
        demos: the most demonstrations in a prompt, for mipro and bootstrap.
    """

    sizes: tuple[int, int, int]
    metric_calls: int
    candidates: int
    trials: int
    demos: int

    def smaller(self) -> Iterator["UnitSettings"]:
        """Yield ever smaller settings, these first."""
        current, before = self, None
        while current != before:
            yield current
            before = current
            train, validation, test = (max(4, size * 3 // 4) for size in before.sizes)
            current = replace(
                before,
                sizes=(train, validation, test),
                metric_calls=max(12, before.metric_calls * 3 // 4),
                candidates=max(3, before.candidates - 1),
                trials=max(2, before.trials * 3 // 4),
            )

    @property
    def amounts(self) -> tuple[int, ...]:
        """All that makes them dear."""
        return (*self.sizes, self.metric_calls, self.candidates, self.trials)


_LABELS: Mapping[Level, UnitSettings] = {
    "light": UnitSettings((24, 24, 48), 160, 4, 6, 4),
    "medium": UnitSettings((48, 36, 72), 480, 6, 14, 6),
    "heavy": UnitSettings((96, 64, 128), 1400, 10, 30, 8),
}
_WRITERS: Mapping[Level, UnitSettings] = {
    "light": UnitSettings((8, 8, 12), 60, 4, 5, 2),
    "medium": UnitSettings((12, 12, 20), 180, 6, 12, 3),
    "heavy": UnitSettings((24, 20, 32), 560, 10, 24, 4),
}


def settings_for(unit: Unit, level: Level) -> UnitSettings:
    """Return the settings of a budget."""
    return (_LABELS if unit.makes == "labels" else _WRITERS)[level]


def descending_settings(unit: Unit) -> list[UnitSettings]:
    """Return ever smaller settings: each budget, shrunk until something is below the next one, whose sets suit it better."""
    found: list[UnitSettings] = []
    budgets = [settings_for(unit, level) for level in reversed(LEVELS)]
    for budget, below in pairwise(budgets):
        for settings in budget.smaller():
            if any(own < least for own, least in zip(settings.amounts, below.amounts, strict=True)):
                break
            found.append(settings)
    return [*found, *budgets[-1].smaller()]


@dataclass(frozen=True, slots=True)
class UnitCost:
    """The calls that one unit takes at most; a reply that has to be asked for twice is not in it.

    Attributes:
        measuring: calls to measure it before and after, on validation and test.
        optimizing: calls of the optimizer.
        proposing: of these, calls that ask for new instructions.
    """

    measuring: int
    optimizing: int
    proposing: int

    @property
    def calls(self) -> int:
        """All calls."""
        return self.measuring + self.optimizing


def calls_per_example(unit: Unit, count: int) -> int:
    """Return how many calls it takes to measure a unit on one example, with `count` questions in one writing."""
    return len(unit.steps) + {"labels": 0, "questions": count, "answers": len(unit.judges)}[unit.makes]


def cost_of(
    unit: Unit, optimizer: Optimizer, settings: UnitSettings, sizes: tuple[int, int, int], count: int, holdout: bool
) -> UnitCost:
    """Return the most calls that a unit takes.

    `sizes` is how many examples of training, validation and test there are, `count` questions are in one writing, and with
    `holdout` another judge measures what writers wrote for the test, too.
    """
    train, validation, test = sizes
    each = calls_per_example(unit, count)
    measuring = 2 * (validation + test) * each
    if holdout and unit.makes != "labels":
        measuring += 2 * test * (each - len(unit.steps))
    proposing = 0
    if optimizer == "bootstrap":
        evaluated = train
    elif optimizer == "gepa":
        # GEPA ends an iteration that it has begun: at most two minibatches and the validation set beyond its budget.
        evaluated = settings.metric_calls + 2 * MINIBATCH + validation
        proposing = settings.metric_calls // MINIBATCH + 1  # an iteration measures a minibatch at least
    else:
        evaluated = (settings.candidates - 1) * train + (settings.trials + 1) * validation
        proposing = settings.candidates * len(unit.steps) + min(_SUMMARY_CALLS, 1 + -(-train // VIEWED))
    return UnitCost(measuring, evaluated * each + proposing, proposing)
