"""Which rows a student may be taught, and what lessons are made of them."""

import pytest

from evals.data.rows import Row
from evals.student import lessons
from evals.student.lessons import Curriculum, fit_rows
from skills_dspy.store import student_report

LONG = "the quick brown fox jumps over the lazy dog and then it sleeps by the old river"
ROWS = tuple(Row(f"What is number {number}?", f"It is {number} of ten numbers.") for number in range(8))


def words_of(row: Row) -> int:
    """A tokenizer of spaces."""
    return len(row.answer.split())


def test_near_copies_of_measured_seeds_and_long_rows_are_left_out_and_counted() -> None:
    """Thirteen words in a row, the same question in nearly the same words, the same long answer; the rest stays."""
    measured = [Row("Tell me of the fox, and where it sleeps at night.", f"Well: {LONG}.")]
    near = [
        Row("Something else?", f"I heard that {LONG}, too."),
        Row("Tell me of the fox and where it sleeps at night!", "No."),
        Row("A third?", "Well, the quick brown fox jumps over a lazy dog and then sleeps by the old river"),
    ]
    fit = fit_rows([*near, *ROWS, Row("How?", "word " * 40)], measured, (), words_of, 30)
    assert (fit.rows, fit.near, fit.long) == (ROWS, 3, 1)


def test_what_other_seeds_have_as_well_is_no_copy() -> None:
    """A header that all seeds share belongs to the skill; and one request may be made of many texts."""
    measured = [Row("Mend this.", f"{LONG}: one fish swam to the sea", "One fish swim to sea.")]
    taught = [Row("Mend this.", f"{LONG}: two birds fly over my house", "Two bird flies over house.")]
    row = Row("Mend this.", f"{LONG}: nobody knows what happened there", "Nobody know what happen.")
    assert fit_rows([row], measured, taught, words_of, 99).rows == (row,)
    assert fit_rows([row], measured, (), words_of, 99).near == 1


def test_lessons_are_the_rows_parts_of_them_and_controls() -> None:
    """The parts are the beginning of the same order; shuffled answers are all wrong; controls have as many tokens."""
    control, other = (tuple(Row(f"{what} {n}?", "a b c") for n in range(30)) for what in ("control", "other"))
    made = {one.name: one for one in Curriculum(ROWS, ROWS[:2], control, other[:5]).lessons(words_of, 1)}
    every = made[student_report.ALL]
    assert sorted(every.rows, key=ROWS.index) == list(ROWS)
    assert every.tokens == 8 * 6
    assert made[student_report.HALF].rows == every.rows[:4]
    assert made[student_report.QUARTER].rows == every.rows[:2]
    pairs = list(zip(every.rows, made[lessons.SHUFFLED].rows, strict=True))
    assert all(row.question == wrong.question and row.answer != wrong.answer for row, wrong in pairs)
    assert made[lessons.SEEDS].rows == ROWS[:2]
    assert made[lessons.REPEATED].rows == ROWS[:2] * 4
    assert made[lessons.CONTROL].tokens == every.tokens
    assert (made[lessons.OTHER].tokens, made[lessons.AS_MANY].tokens) == (15, 18)
    assert next(Curriculum(ROWS).lessons(words_of, 1)) == every
    assert next(Curriculum(ROWS).lessons(words_of, 2)) != every


@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows_make_few_lessons(rows: int) -> None:
    """No half of one row, and none shuffled."""
    names = [one.name for one in Curriculum(ROWS[:rows]).lessons(words_of, 0)]
    assert names == [student_report.ALL, *([student_report.HALF, lessons.SHUFFLED] if rows == 2 else [])]
