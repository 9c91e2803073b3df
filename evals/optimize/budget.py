"""What an optimization costs before it is begun: the optimizer's settings for a budget, the calls and tokens they take."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from evals.optimize.targets import Unit
from skills_dspy.base.errors import RequestError

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


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one unit will take at most.

    Attributes:
        unit: its name.
        measuring: calls to measure it before and after, on validation and test.
        optimizing: calls of the optimizer.
        proposing: of these, calls that ask for new instructions.
        prompt_tokens, output_tokens: of all calls, by our estimate.
    """

    unit: str
    measuring: int
    optimizing: int
    proposing: int
    prompt_tokens: int = 0
    output_tokens: int = 0

    @property
    def calls(self) -> int:
        """All calls."""
        return self.measuring + self.optimizing


def calls_per_example(unit: Unit, count: int) -> int:
    """How many calls it takes to measure a unit on one example.

    Args:
        unit: what is measured.
        count: questions in one writing.
    """
    judged = {"labels": 0, "questions": count, "answers": len(unit.judges)}[unit.sort]
    return len(unit.steps) + judged


def settings_for(unit: Unit, level: Level) -> UnitSettings:
    """The settings of a budget."""
    return (_LABELS if unit.sort == "labels" else _WRITERS)[level]


def cost_of(
    unit: Unit, optimizer: Optimizer, settings: UnitSettings, sizes: tuple[int, int, int], count: int, holdout: bool
) -> UnitCost:
    """The most calls that a unit takes; a reply that has to be asked for twice is not in it.

    Args:
        unit: what is optimized.
        optimizer: by which.
        settings: with which budget.
        sizes: how many examples of training, validation and test there are.
        count: questions in one writing.
        holdout: whether another judge measures what writers wrote for the test, too.
    """
    train, validation, test = sizes
    each = calls_per_example(unit, count)
    measuring = 2 * (validation + test) * each
    if holdout and unit.sort != "labels":
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
    return UnitCost(unit.name, measuring, evaluated * each + proposing, proposing)


def shrunk(settings: UnitSettings) -> Iterator[UnitSettings]:
    """Ever smaller budgets, the given one first."""
    current = settings
    while True:
        yield current
        smaller = replace(
            current,
            sizes=tuple(max(least, size * 3 // 4) for size, least in zip(current.sizes, (4, 4, 4), strict=True)),  # type: ignore[arg-type]
            metric_calls=max(12, current.metric_calls * 3 // 4),
            candidates=max(3, current.candidates - 1),
            trials=max(2, current.trials * 3 // 4),
        )
        if smaller == current:
            return
        current = smaller


def too_few_calls(allowed: int, needed: int) -> RequestError:
    """`--max-calls` is too small for anything."""
    return RequestError(f"--max-calls {allowed} is too few: the smallest budget for this takes {needed} calls")
