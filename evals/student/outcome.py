"""What a trial comes to: losses with paired intervals over seeds, what helps more than which control, and how long. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from evals.figures.statistics import Interval, bootstrap_crossed, sign_flip
from evals.figures.tables import count_in_words
from evals.student.lessons import AS_MANY, CONTROL, OTHER, REPEATED, SEEDS, SHUFFLED
from evals.student.trial import SeedTrial, Training
from skills_dspy.store.student_report import ALL, HALF, QUARTER

ROUNDS = 4000
FEW_SEEDS = 6
"""Of fewer, all lie on one side by chance more than once in twenty times: nothing can be shown."""
_CHANCE = 0.05

CURVE = (QUARTER, HALF, ALL)
CONTROLS = (SHUFFLED, CONTROL, SEEDS, REPEATED)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much lower a loss is than another, in nats per token: the mean over seeds and trainings; below 0 is better.

    `p` is how often the seeds' differences would be as far from 0 if their signs were chance.
    """

    mean: float
    interval: Interval
    p: float

    @property
    def lower(self) -> bool:
        """Whether it is lower by what is printed, whichever seeds had been held out, and of several random seeds taken."""
        return round(self.interval.high, 3) < 0 and self.p <= _CHANCE

    @property
    def higher(self) -> bool:
        """The same the other way."""
        return round(self.interval.low, 3) > 0 and self.p <= _CHANCE


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
    """All lessons, and what they say in words; `before` is the loss of the untrained student, on so many `seeds`.

    Each lesson was taught in so many `runs`, with other random seeds. `unsaid` are the files with all rows, and with the other
    dataset, that do not say which seeds they were made from, by lesson.
    """

    before: float
    seeds: int
    runs: int
    unsaid: Mapping[str, Sequence[str]]
    taught: tuple[Taught, ...]
    verdicts: tuple[str, ...]

    def of(self, lesson: str) -> Taught | None:
        """What a lesson comes to; None where there was none."""
        return next((one for one in self.taught if one.lesson == lesson), None)

    @property
    def seeds_in_words(self) -> str:
        """Which seeds were measured, as far as is known of the rows."""
        if not (files := _files(self.unsaid.get(ALL, ()))):
            return "seeds that nobody showed"
        return f"held-out seeds that the rows may have been made from (nothing in {files} says)"


def _files(names: Sequence[str]) -> str:
    return " and ".join(Path(name).name for name in names)


def outcome_of(trial: SeedTrial, seed: int, unsaid: Mapping[str, Sequence[str]] | None = None) -> TrialOutcome:
    """Put the figures together; the seed decides the resamples. `unsaid` is as `TrialOutcome` has it."""
    by_lesson: dict[str, list[Training]] = {}
    for training in trial.trainings:
        by_lesson.setdefault(training.lesson, []).append(training)
    untaught = [loss.mean for loss in trial.before]
    tables = {
        name: {one.seed: [loss.mean for loss in one.losses] for one in trainings} for name, trainings in by_lesson.items()
    }
    before = dict.fromkeys(tables[ALL], untaught)
    taught = tuple(
        Taught(
            lesson=name,
            rows=trainings[0].rows,
            tokens=trainings[0].tokens,
            loss=fmean(map(fmean, tables[name].values())),
            spread=_spread(tables[name]),
            change=_difference(tables[name], before, seed),
            all_less=None if name == ALL else _difference(tables[ALL], tables[name], seed),
        )
        for name, trainings in by_lesson.items()
    )
    compared = _difference(tables.get(AS_MANY, tables[ALL]), tables[OTHER], seed) if OTHER in tables else None
    steps = [(one, other) for one, other in pairwise(CURVE) if one in tables and other in tables]
    grown = {other: _difference(tables[other], tables[one], seed) for one, other in steps}
    outcome = TrialOutcome(fmean(untaught), len(untaught), len(before), unsaid or {}, taught, ())
    return replace(outcome, verdicts=tuple(_verdicts(outcome, grown, compared)))


_Table = Mapping[int, Sequence[float]]
"""By random seed the loss of a training on each measured seed."""


def _spread(table: _Table) -> tuple[float, float] | None:
    means = [fmean(losses) for losses in table.values()]
    return None if len(means) == 1 else (min(means), max(means))


def _difference(after: _Table, before: _Table, seed: int) -> Difference:
    """Of trainings with the same random seed, and over seeds and trainings, both resampled."""
    both = [(losses, before[at]) for at, losses in after.items() if at in before]
    pairs = [[one - other for one, other in zip(*losses, strict=True)] for losses in both]
    by_seed = [fmean(of_seed) for of_seed in zip(*pairs, strict=True)]
    interval = bootstrap_crossed(pairs, seed, ROUNDS)
    assert interval is not None  # there are seeds
    return Difference(fmean(by_seed), interval, sign_flip(by_seed, seed))


def _verdicts(outcome: TrialOutcome, grown: dict[str, Difference], compared: Difference | None) -> list[str]:
    every = outcome.of(ALL)
    assert every is not None
    said = [_helped(outcome, every), *_too_much(outcome, every)]
    for name in CONTROLS:
        control = outcome.of(name)
        if control is not None and control.all_less is not None:
            said.append(_against(outcome, control.all_less, name, count_in_words(every.rows, "row")))
    said += _curve(outcome, grown)
    if compared is not None:
        files = _files(outcome.unsaid.get(OTHER, ()))
        may = f", which may have been made from these seeds (nothing in {files} says)" if files else ""
        said.append(_against(outcome, compared, f"{OTHER}{may}", "as many tokens of the rows"))
    return said


def _helped(outcome: TrialOutcome, every: Taught) -> str:
    """Whether anything is learned, and whether it is the skill: a control that does as well says that it may be none of it."""
    change = every.change
    few = f", too few to show anything, for which {FEW_SEEDS} are needed" if outcome.seeds < FEW_SEEDS else ""
    told = f"{outcome.before:.3f} to {every.loss:.3f} ({signed(change)}, over {outcome.seeds} seeds{few}{_once(outcome)})"
    on = outcome.seeds_in_words
    if change.lower:
        return f"{_what_is_learned(outcome)}: the loss per token on {on} falls from {told}."
    if change.higher:
        return f"The rows do harm: the loss per token on {on} rises from {told}."
    return f"That the rows teach the skill cannot be shown: the loss per token on {on} goes from {told}."


def _what_is_learned(outcome: TrialOutcome) -> str:
    """What a loss that falls may be said to show, by all controls."""
    less = {name: one.all_less for name in CONTROLS if (one := outcome.of(name)) is not None and one.all_less is not None}
    more = [name for name, difference in less.items() if difference.higher]
    as_well = [name for name, difference in less.items() if not difference.lower and not difference.higher]
    told = [f"{_listed(more)} bring more"] if more else []
    told += [f"{_listed(as_well)} may do as well"] if as_well else []
    if told:
        return f"The rows help, but {', and '.join(told)}"
    missing = [name for name in CONTROLS if name not in less]
    return (
        f"The rows help; it was not tried whether {_listed(missing)} may do as well" if missing else "The rows teach the skill"
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _once(outcome: TrialOutcome) -> str:
    """What an interval does not hold."""
    return ", one training each" if outcome.runs == 1 else ""


def _too_much(outcome: TrialOutcome, every: Taught) -> list[str]:
    """That harm may come of the training: where less of the same does less of it."""
    fewer = outcome.of(QUARTER)
    if not every.change.higher or fewer is None or fewer.all_less is None or not fewer.all_less.higher:
        return []
    return ["A quarter of them does less harm, so it may be too much training: try --epochs 1 and a lower --learning-rate."]


def _against(outcome: TrialOutcome, less: Difference, other: str, what: str) -> str:
    """All rows against something else."""
    told, once = f"{what} end{'s' if what == '1 row' else ''} {signed(less)}", _once(outcome)
    if less.lower:
        return f"They teach more than {other}: {told} lower{once}."
    if less.higher:
        return f"They teach less than {other}: {told} higher{once}."
    return f"That they teach more than {other} cannot be shown: {told} apart{once}."


def _curve(outcome: TrialOutcome, grown: dict[str, Difference]) -> list[str]:
    """After how many rows more of them stop helping."""
    points = [one for name in CURVE if (one := outcome.of(name)) is not None]
    if len(points) < 2 or not points[-1].change.lower:
        return []
    helped, once = [one for one in points[1:] if grown[one.lesson].lower], _once(outcome)
    last, most = points[-1], helped[-1] if helped else points[0]
    if most is last:
        return [f"More rows still help: the second half of the {last.rows} ends {signed(grown[last.lesson])} lower{once}."]
    apart = f"all {last.rows} end {signed(grown[last.lesson])} apart from half{once}"
    return [f"More than {most.rows} of these rows are not shown to help: {apart}."]


def signed(difference: Difference) -> str:
    """A difference with its interval, in words."""
    return f"{difference.mean:+z.3f}, 95 % {difference.interval.low:+z.3f} to {difference.interval.high:+z.3f}"
