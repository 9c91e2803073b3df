"""Which rows a student may be taught, and what lessons are made of them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from evals.data.rows import Row
from evals.student import lessons
from evals.student.lessons import Curriculum, Lesson, fit_rows
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


def test_a_text_that_seeds_share_does_not_make_them_near_copies() -> None:
    """With the same text, or the same long beginning, questions and answers alone are compared, of rows and of other seeds."""
    measured, taught = Row("Who sleeps by the river?", "The fox.", LONG), Row("What colour has it?", "Brown.", LONG)
    quoting = replace(taught, question="Say it again.", answer=LONG)
    for seeds in ([taught], [taught, quoting]):
        assert fit_rows(seeds, [measured], seeds, words_of, 99).near == 0
    rows = [Row("Over whom does it jump?", "The lazy dog.", LONG), Row("Who sleeps by the river?", "It does.", LONG)]
    assert fit_rows(rows, [measured], [taught], words_of, 99).rows == (rows[0],)
    assert fit_rows(rows, [measured], [], words_of, 99).near == 2
    copied = fit_rows([replace(measured, answer="A fox.")], [measured], [taught], words_of, 99)
    assert copied.near == 1
    tasks = [Row(f"{LONG}: {what}", "Yes.") for what in ("count its words", "name the second animal", "turn it round")]
    assert fit_rows(tasks[1:], tasks[:1], tasks[1:], words_of, 99).near == 0
    assert fit_rows([Row(f"{LONG}: count the words", "No.")], tasks[:1], tasks[1:], words_of, 99).near == 1


def test_an_answer_that_other_seeds_give_as_well_is_no_copy() -> None:
    """Of eight words and more, such as that there is none."""
    none = "The text does not say who it was."
    measured, taught = Row("Who barked?", none), Row("Where did it go?", none)
    rows = [Row("When did it rain?", none)]
    assert fit_rows(rows, [measured], [taught], words_of, 99).near == 0
    assert fit_rows(rows, [measured], [], words_of, 99).near == 1
    assert fit_rows([taught], [measured], [taught], words_of, 99).near == 1


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


def shuffled(rows: Sequence[Row]) -> Lesson:
    """The control that has each other's answers."""
    return next(one for one in Curriculum(tuple(rows)).lessons(words_of, 1) if one.name == lessons.SHUFFLED)


def test_a_control_with_fewer_tokens_is_repeated() -> None:
    """As the seeds are, until it has as many as the rows."""
    control = Row("Of what?", "Of it.")
    made = {one.name: one for one in Curriculum(ROWS, control=(control,)).lessons(words_of, 1)}
    assert (made[lessons.CONTROL].rows, made[lessons.CONTROL].tokens) == ((control,) * 24, 48)


def test_shuffled_answers_are_of_the_same_task_and_others_where_they_can_be() -> None:
    """Another task's kind of answer tells itself; of two labels each row gets the other; what cannot be is counted."""
    both = [replace(row, task=task, answer=f"{task} {row.answer}") for task in ("hens", "owls") for row in ROWS]
    assert all(row.answer.startswith(str(row.task)) for row in shuffled(both).rows)
    assert not any(row in both for row in shuffled(both).rows)
    labels = [Row(f"Is {number} even?", "yes" if number % 2 else "No", task="even") for number in range(20)]
    found = shuffled(labels)
    assert (found.same, Curriculum(tuple(labels)).shuffled_in_words(1)) == (0, ())
    assert not any(row in labels for row in found.rows)
    most = [replace(row, answer="yes") if number < 14 else row for number, row in enumerate(labels)]
    assert shuffled(most).same == 2 * sum(row.answer == "yes" for row in most) - 20 > 0
    (said,) = Curriculum(tuple(most)).shuffled_in_words(1)
    assert said.startswith("Answers shuffled: 14 of 20 rows keep an equal one, 0 are longer")
    single = [Row(f"{number}?", str(number), task=str(number)) for number in range(4)]
    assert shuffled(single).same == 0
    same = [replace(row, answer="yes") for row in labels]
    assert lessons.SHUFFLED not in [one.name for one in Curriculum(tuple(same)).lessons(words_of, 1)]


def test_a_question_that_is_too_long_with_anothers_answer_is_left_out() -> None:
    """And counted: a training would cut its answer off, or the row, and its tokens were none that are taught."""
    rows = [Row("word " * 20, "a"), Row("b", "word " * 20), Row("c", "d")]
    taught = Curriculum(tuple(rows), fits=lambda row: len(f"{row.question} {row.answer}".split()) < 40)
    found = next(one for one in taught.lessons(words_of, 1) if one.name == lessons.SHUFFLED)
    assert (len(found.rows), found.long) == (2, 1)
    assert found.tokens == sum(map(words_of, found.rows))
    assert taught.shuffled_in_words(1)[0].endswith("1 are longer than the window with another's and left out")


@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows_make_few_lessons(rows: int) -> None:
    """No half of one row, and none shuffled."""
    names = [one.name for one in Curriculum(ROWS[:rows]).lessons(words_of, 0)]
    assert names == [student_report.ALL, *([student_report.HALF, lessons.SHUFFLED] if rows == 2 else [])]
