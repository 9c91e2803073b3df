"""What a student is taught: the rows that may be, and the lessons made of them, controls among them. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from evals.data.rows import Row
from evals.data.text import rouge_l_of_words
from skills_dspy.base.seeds import rng_of
from skills_dspy.similarity.ngrams import build
from skills_dspy.similarity.text import words
from skills_dspy.store.student_report import ALL, HALF, QUARTER

SHUFFLED, SEEDS, REPEATED = "answers shuffled", "the seeds alone", "the seeds, repeated"
CONTROL, OTHER, AS_MANY = "another skill", "the other dataset", "as many tokens of the rows"

NEAR = 0.85
"""From this ROUGE-L on a text is a near copy, as in `eval data`."""
_GRAM = 13
_LONG = 8
"""Answers of fewer words are those of many: a label, a number."""

Count = Callable[[Row], int]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Rows to be taught in one training, in this order; `tokens` are those of their answers, each row once."""

    name: str
    rows: tuple[Row, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Fit:
    """The rows that may be taught; `near` were left out as near copies of a measured seed, `long` for the window."""

    rows: tuple[Row, ...]
    near: int = 0
    long: int = 0


def fit_rows(rows: Sequence[Row], measured: Sequence[Row], taught: Sequence[Row], length: Count, window: int) -> Fit:
    """Leave out near copies of what is measured, and what is longer than a window of tokens.

    A near copy has 13 words in a row of a measured seed that no other seed has, or a ROUGE-L of NEAR: of what is asked, with
    the text that it is asked about, or of an answer of eight words and more.
    """
    near = _near_of(measured, taught)
    kept = [row for row in rows if not near(row)]
    fits = tuple(row for row in kept if length(row) <= window)
    return Fit(fits, len(rows) - len(kept), len(kept) - len(fits))


def _near_of(measured: Sequence[Row], taught: Sequence[Row]) -> Callable[[Row], bool]:
    index = build([text for row in measured for text in _texts(row)], _GRAM)
    common = {gram.words for row in taught for text in _texts(row) for gram in index.find(text)}
    asked = [words(_asked(row)) for row in measured]
    answers = [told for row in measured if len(told := words(row.answer)) >= _LONG]

    def near(row: Row) -> bool:
        if any(gram.words not in common for text in _texts(row) for gram in index.find(text)):
            return True
        return _like(words(_asked(row)), asked) or _like(words(row.answer), answers)

    return near


def _like(text: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    return any(rouge_l_of_words(text, other, at_least=NEAR) >= NEAR for other in others)


def _asked(row: Row) -> str:
    return f"{row.context or ''} {row.question}"


def _texts(row: Row) -> Iterator[str]:
    yield from filter(None, (row.context, row.answer))
    if row.context is None:  # a request of a text may well be another text's, too
        yield row.question


@dataclass(frozen=True, slots=True)
class Curriculum:
    """What lessons are made of: rows that fit; None or empty for a control that there is not.

    `other` is the dataset that `rows` are compared with, `control` rows of another skill.
    """

    rows: tuple[Row, ...]
    taught: tuple[Row, ...] = ()
    control: tuple[Row, ...] = ()
    other: tuple[Row, ...] = ()

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
        if len(rows) > 1:
            answers = [rows[place - 1].answer for place in range(len(rows))]  # they are in no order, so a turn is enough
            yield _lesson(SHUFFLED, [replace(row, answer=other) for row, other in zip(rows, answers, strict=True)], tokens)
        if self.taught:
            yield _lesson(SEEDS, self.taught, tokens)
            yield _lesson(REPEATED, _cut(cycle(self.taught), tokens, every.tokens), tokens)
        if self.control:
            yield _lesson(CONTROL, _cut(_shuffled(self.control, "control", seed), tokens, every.tokens), tokens)
        if self.other:
            other = _shuffled(self.other, "other", seed)
            budget = min(every.tokens, sum(map(tokens, other)))
            yield _lesson(OTHER, _cut(other, tokens, budget), tokens)
            if budget < every.tokens:
                yield _lesson(AS_MANY, _cut(rows, tokens, budget), tokens)


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
