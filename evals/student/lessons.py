"""What a student is taught: the rows that may be, and the lessons made of them, controls among them. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from evals.data.rows import Row
from evals.student.near import near_copy_of
from skills_dspy.base.seeds import rng_of
from skills_dspy.similarity.text import squeezed
from skills_dspy.store.student_report import ALL, HALF, QUARTER

SHUFFLED, SEEDS, REPEATED = "answers shuffled", "the seeds alone", "the seeds, repeated"
CONTROL, OTHER, AS_MANY = "another skill", "the other dataset", "as many tokens of the rows"

Count = Callable[[Row], int]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Rows to be taught in one training, in this order; `tokens` are those of their answers, each row once.

    `same` and `long` are of shuffled answers: how many rows keep an equal one, and how many were left out for the window.
    """

    name: str
    rows: tuple[Row, ...]
    tokens: int
    same: int = 0
    long: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """The rows that may be taught; `near` were left out as near copies of a measured seed, `long` for the window.

    `empty` were no rows from the beginning: their question or answer is blank, or their answer is labelled false.
    """

    rows: tuple[Row, ...]
    near: int = 0
    long: int = 0
    empty: int = 0

    @property
    def repeated(self) -> int:
        """How many of the rows are another of them once more."""
        return len(self.rows) - len({(row.context, row.question, row.answer) for row in self.rows})


def fit_rows(rows: Sequence[Row], measured: Sequence[Row], taught: Sequence[Row], length: Count, window: int) -> Fit:
    """Leave out near copies of what is measured, and what is longer than a window of tokens; `taught` are the other seeds."""
    near = near_copy_of(measured, taught)
    kept = [row for row in rows if not near(row)]
    fits = tuple(row for row in kept if length(row) <= window)
    return Fit(fits, len(rows) - len(kept), len(kept) - len(fits))


@dataclass(frozen=True, slots=True)
class Curriculum:
    """What lessons are made of: rows that fit; None or empty for a control that there is not.

    `other` is the dataset that `rows` are compared with, `control` rows of another skill; `fits` tells whether the window
    holds a row, for a question that got another's answer.
    """

    rows: tuple[Row, ...]
    taught: tuple[Row, ...] = ()
    control: tuple[Row, ...] = ()
    other: tuple[Row, ...] = ()
    fits: Callable[[Row], bool] = lambda _: True

    def lessons(self, tokens: Count, seed: int) -> Iterator[Lesson]:
        """The lessons of one random seed, which decides the order of rows and so which are the first half and quarter.

        `tokens` counts those of a row's answer.
        """
        rows = _shuffled(self.rows, "rows", seed)
        every = _lesson(ALL, rows, tokens)
        yield every
        for name, part in ((HALF, 2), (QUARTER, 4)):
            if len(rows) >= part:
                yield _lesson(name, rows[: len(rows) // part], tokens)
        if (shuffled := self._shuffled_answers(rows, tokens)) is not None:
            yield shuffled
        if self.taught:
            yield _lesson(SEEDS, self.taught, tokens)
            yield _lesson(REPEATED, _cut(cycle(self.taught), tokens, every.tokens), tokens)
        if self.control:
            yield _lesson(CONTROL, _cut(cycle(_shuffled(self.control, "control", seed)), tokens, every.tokens), tokens)
        if self.other:
            other = _shuffled(self.other, "other", seed)
            budget = min(every.tokens, sum(map(tokens, other)))
            yield _lesson(OTHER, _cut(other, tokens, budget), tokens)
            if budget < every.tokens:
                yield _lesson(AS_MANY, _cut(rows, tokens, budget), tokens)

    def shuffled_in_words(self, seed: int) -> tuple[str, ...]:
        """What is to be known of the control with shuffled answers, where not every row is there with another's answer."""
        found = self._shuffled_answers(_shuffled(self.rows, "rows", seed), lambda _: 1)
        if found is None or not (found.same or found.long):
            return ()
        return (
            f"Answers shuffled: {found.same} of {len(found.rows)} rows keep an equal one, {found.long} are longer than the "
            "window with another's and left out",
        )

    def _shuffled_answers(self, rows: Sequence[Row], tokens: Count) -> Lesson | None:
        """The rows with each other's answers; None where all would keep their own, or none fits."""
        turned = list(zip(rows, _turned(rows), strict=True))
        fit = [(row, other) for row, other in turned if self.fits(other)]
        same = sum(squeezed(row.answer) == squeezed(other.answer) for row, other in fit)
        if same == len(fit):
            return None
        return replace(_lesson(SHUFFLED, [other for _, other in fit], tokens), same=same, long=len(turned) - len(fit))


def _turned(rows: Sequence[Row]) -> list[Row]:
    """Rows with each other's answers: of their own task, and where that has one row, of other such rows.

    They are in no order, so a turn is enough. Equal answers stand together and are turned past each other: none keeps an equal
    one, unless more than half of a task's are equal.
    """
    of_task: dict[str | None, list[int]] = {}
    for place, row in enumerate(rows):
        of_task.setdefault(row.task, []).append(place)
    alone = [group[0] for group in of_task.values() if len(group) == 1]
    turned = list(rows)
    for group in (*(group for group in of_task.values() if len(group) > 1), alone):
        equal: dict[str, list[int]] = {}
        for place in group:
            equal.setdefault(squeezed(rows[place].answer), []).append(place)
        order, by = [place for places in equal.values() for place in places], max(map(len, equal.values()), default=0)
        for number, place in enumerate(order):
            turned[place] = replace(rows[place], answer=rows[order[number - by]].answer)
    return turned


def _lesson(name: str, rows: Sequence[Row], tokens: Count) -> Lesson:
    return Lesson(name, tuple(rows), sum(map(tokens, rows)))


def _shuffled(rows: Sequence[Row], what: str, seed: int) -> list[Row]:
    return rng_of("student", what, seed).sample(rows, len(rows))


def _cut(rows: Iterator[Row] | Sequence[Row], tokens: Count, budget: int) -> list[Row]:
    """The first rows that have so many tokens together, or all."""
    taken: list[Row] = []
    left = budget
    for row in rows:
        if left <= 0:
            break
        taken.append(row)
        left -= tokens(row)
    return taken
