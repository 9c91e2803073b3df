"""What a trial comes to: losses with paired intervals over seeds, what helps more than which control, and how long. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean

from evals.figures.statistics import Interval, bootstrap
from evals.student.lessons import AS_MANY, CONTROL, OTHER, REPEATED, SEEDS, SHUFFLED
from evals.student.trial import SeedTrial, Training
from skills_dspy.store.student_report import ALL, HALF, QUARTER

ROUNDS = 4000
FEW_SEEDS = 6
"""Of fewer, all lie on one side by chance more than once in twenty times."""

CURVE = (QUARTER, HALF, ALL)
CONTROLS = (SHUFFLED, CONTROL, SEEDS, REPEATED)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much lower a loss is than another, in nats per token: the mean over seeds; below 0 is better."""

    mean: float
    interval: Interval

    @property
    def lower(self) -> bool:
        """Whether it is lower, whichever of the seeds had been held out."""
        return self.interval.high < 0

    @property
    def higher(self) -> bool:
        """The same the other way."""
        return self.interval.low > 0


@dataclass(frozen=True, slots=True)
class Taught:
    """What one lesson comes to, over all random seeds.

    Attributes:
        rows, tokens: of the lesson, as its first training had them.
        loss: nats per token, the mean over measured seeds and trainings.
        spread: the lowest and the highest mean of a training; None with a single one.
        change: against the student before.
        all_less: all rows against this lesson, with the same seeds; None for all rows themselves.
    """

    lesson: str
    rows: int
    tokens: int
    loss: float
    spread: tuple[float, float] | None
    change: Difference
    all_less: Difference | None


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """All lessons, and what they say in words; `before` is the loss of the untrained student, on so many `seeds`."""

    before: float
    seeds: int
    taught: tuple[Taught, ...]
    verdicts: tuple[str, ...]

    def of(self, lesson: str) -> Taught | None:
        """What a lesson comes to; None where there was none."""
        return next((one for one in self.taught if one.lesson == lesson), None)


def outcome_of(trial: SeedTrial, seed: int) -> TrialOutcome:
    """Put the figures together; the seed decides the resamples."""
    by_lesson: dict[str, list[Training]] = {}
    for training in trial.trainings:
        by_lesson.setdefault(training.lesson, []).append(training)
    before = [loss.mean for loss in trial.before]
    means = {name: _mean_of(trainings) for name, trainings in by_lesson.items()}
    taught = tuple(
        Taught(
            lesson=name,
            rows=trainings[0].rows,
            tokens=trainings[0].tokens,
            loss=fmean(means[name]),
            spread=_spread(trainings),
            change=_difference(means[name], before, seed),
            all_less=None if name == ALL else _difference(means[ALL], means[name], seed),
        )
        for name, trainings in by_lesson.items()
    )
    as_many = means.get(AS_MANY, means[ALL])
    compared = _difference(as_many, means[OTHER], seed) if OTHER in means else None
    steps = [(one, other) for one, other in pairwise(CURVE) if one in means and other in means]
    grown = {other: _difference(means[other], means[one], seed) for one, other in steps}
    outcome = TrialOutcome(fmean(before), len(before), taught, ())
    return replace(outcome, verdicts=tuple(_verdicts(outcome, grown, compared)))


def _mean_of(trainings: Sequence[Training]) -> list[float]:
    """The loss on each measured seed, over the trainings."""
    return [fmean(loss.mean for loss in losses) for losses in zip(*(one.losses for one in trainings), strict=True)]


def _spread(trainings: Sequence[Training]) -> tuple[float, float] | None:
    means = [fmean(loss.mean for loss in one.losses) for one in trainings]
    return None if len(means) == 1 else (min(means), max(means))


def _difference(after: Sequence[float], before: Sequence[float], seed: int) -> Difference:
    pairs = [one - other for one, other in zip(after, before, strict=True)]
    interval = bootstrap(pairs, fmean, seed, ROUNDS)
    assert interval is not None  # there are seeds
    return Difference(fmean(pairs), interval)


def _verdicts(outcome: TrialOutcome, grown: dict[str, Difference], compared: Difference | None) -> list[str]:
    every = outcome.of(ALL)
    assert every is not None
    said = [_helped(outcome, every), *_too_much(outcome, every)]
    for name in CONTROLS:
        control = outcome.of(name)
        if control is not None and control.all_less is not None:
            said.append(f"{_against(control.all_less, f'{name}', f'{every.rows} rows')}")
    said += _curve(outcome, grown)
    if compared is not None:
        said.append(_against(compared, OTHER, "as many tokens of the rows"))
    return said


def _helped(outcome: TrialOutcome, every: Taught) -> str:
    """Whether anything is learned, and whether it is the skill: a control that does as well says that it may be none of it."""
    change = every.change
    as_well = [name for name in CONTROLS[:2] if (one := outcome.of(name)) and one.all_less and not one.all_less.lower]
    few = ", too few for an interval to mean much" if outcome.seeds < FEW_SEEDS else ""
    told = f"{outcome.before:.3f} to {every.loss:.3f} ({signed(change)}, over {outcome.seeds} seeds{few})"
    if change.lower and as_well:
        return (
            f"The rows help, and perhaps with the look of answers alone, since {' and '.join(as_well)} may do as well: the "
            f"loss per token on seeds that nobody showed falls from {told}."
        )
    if change.lower:
        return f"The rows teach the skill: the loss per token on seeds that nobody showed falls from {told}."
    if change.higher:
        return f"The rows do harm: the loss per token on seeds that nobody showed rises from {told}."
    return f"That the rows teach the skill cannot be shown: the loss per token on seeds that nobody showed goes from {told}."


def _too_much(outcome: TrialOutcome, every: Taught) -> list[str]:
    """That harm may come of the training: where less of the same does less of it."""
    fewer = outcome.of(QUARTER)
    if not every.change.higher or fewer is None or fewer.all_less is None or not fewer.all_less.higher:
        return []
    return ["A quarter of them does less harm, so it may be too much training: try --epochs 1 and a lower --learning-rate."]


def _against(less: Difference, other: str, what: str) -> str:
    """All rows against something else."""
    if less.lower:
        return f"They teach more than {other}: {what} end {signed(less)} lower."
    if less.higher:
        return f"They teach less than {other}: {what} end {signed(less)} higher."
    return f"That they teach more than {other} cannot be shown: {what} end {signed(less)} apart."


def _curve(outcome: TrialOutcome, grown: dict[str, Difference]) -> list[str]:
    """After how many rows more of them stop helping."""
    points = [one for name in CURVE if (one := outcome.of(name)) is not None]
    if len(points) < 2 or not points[-1].change.lower:
        return []
    helped = [one for one in points[1:] if grown[one.lesson].lower]
    last, most = points[-1], helped[-1] if helped else points[0]
    if most is last:
        return [f"More rows still help: the second half of the {last.rows} ends {signed(grown[last.lesson])} lower."]
    apart = f"all {last.rows} end {signed(grown[last.lesson])} apart from half"
    return [f"More than {most.rows} of these rows are not shown to help: {apart}."]


def signed(difference: Difference) -> str:
    """A difference with its interval, in words."""
    return f"{difference.mean:+.3f}, 95 % {difference.interval.low:+.3f} to {difference.interval.high:+.3f}"
