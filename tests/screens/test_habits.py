"""Habits of a set: too many rows share what the seeds do not, by the bounds of the configuration."""

import pytest

from skills_dspy.base.records import SeedExample
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.steps import LONGEST_AVOID
from skills_dspy.screens.habits import Overuse, TaskHabits, to_avoid, told
from skills_dspy.similarity.habits import Habit
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import a_config, a_spec
from tests.similarity.test_habits import LONG

SEEDS = (
    SeedExample(question="Why are the walls of my house so thick, and what is it good for?", answer=f"Because {LONG}."),
    SeedExample(question="Who pays for repairs of the roof when a storm has damaged it badly?", answer=f"Roofs of {LONG}."),
    SeedExample(question="Where does the water come from that stands below the stairs?", answer="From the roof."),
)


def habits(*seeds: SeedExample, spec: TaskSpec | None = None, **bounds: object) -> TaskHabits:
    """Those of a task with these seeds."""
    return TaskHabits(spec or a_spec(seeds or SEEDS), a_config({"habits": bounds}).habits)


def fill(found: TaskHabits, with_it: int, without: int, *, question: str = "Q", answer: str = "A") -> TaskHabits:
    """Rows with a question or an answer, and others."""
    for number in range(with_it + without):
        found.add(*((question, answer) if number < with_it else ("Q", "A")))
    return found


OF_COURSE = f"Of course {LONG}."


@pytest.mark.parametrize(
    ("with_it", "without", "overused"),
    [(0, 0, False), (1, 0, False), (2, 0, True), (2, 8, True), (2, 9, False), (3, 11, True), (3, 12, False)],
)
def test_more_than_a_quarter_and_at_least_three(with_it: int, without: int, overused: bool) -> None:
    """The row itself counts: of 12 rows three may have one opening, of 11 not."""
    found = fill(habits(), with_it, without, answer=OF_COURSE).of_answer(f"Of course, walls: {LONG} or so it seems.")
    assert [one.habit for one in found] == [Habit("opening", "of course")] * overused


def test_bounds_and_the_switch() -> None:
    """Other bounds decide otherwise; without a look nothing is found."""
    assert not fill(habits(share=0.6), 5, 5, answer=OF_COURSE).of_answer("Of course it is. " + LONG + " or so it seems.")
    assert not fill(habits(least=9), 5, 5, answer=OF_COURSE).of_answer(OF_COURSE)
    off = fill(habits(watched=False), 9, 0, question="Garden?", answer=OF_COURSE)
    assert (off.of_answer(OF_COURSE), off.of_question("Garden?")) == ((), ())


def test_what_two_seeds_share_is_the_skills() -> None:
    """One seed alone proves nothing, unless it is the only one, of which nobody can tell what belongs to the skill."""
    of_course = SeedExample(question="Is it so?", answer=f"Of course! It is so that {LONG} or nearly so.")
    other = SeedExample(question="Was it so?", answer=f"Of course it was so; {LONG} in these days.")
    for seeds, overused in (((of_course, *SEEDS), 1), ((of_course, other, *SEEDS), 0), ((of_course,), 0)):
        found = fill(habits(*seeds), 5, 0, answer=OF_COURSE).of_answer("Of course it is that. " + LONG + " or whatever.")
        assert len(found) == overused
    wanted = a_spec(SEEDS, description='Answers that begin with "Of course", as waiters speak.')
    assert not fill(habits(spec=wanted), 5, 0, answer=OF_COURSE).of_answer(OF_COURSE.replace("summer", "winter"))
    short = [SeedExample(question=f"Q{n}?", answer=f"Of course: {n}") for n in range(2)]
    assert not fill(habits(*short), 5, 0, answer=OF_COURSE).of_answer(OF_COURSE.replace("summer", "winter"))
    request = "Name the three main persons of this text in the order of their names."
    fixed = [SeedExample(question=request, answer=str(n), context=f"text {n}") for n in range(2)]
    assert not fill(habits(*fixed), 9, 0, question=request).of_question(request)
    copied = fill(habits(), 9, 0, question=SEEDS[0].question).of_question(SEEDS[0].question)
    assert [one.habit.kind for one in copied] == ["question opening", "question closing"]


def test_a_subject_that_nobody_named() -> None:
    """A word in more than a third of the questions, from the fourth on; not one of the seeds, the description or the plan."""
    question = "How do I water a lemon tree in Knowing foxes and walls?"
    assert not fill(habits(), 3, 8, question=question).of_question("Is it a lemon?")
    found = fill(habits(), 3, 5, question=question).of_question("Is it a lemon or a foxes wall?")
    assert told(found, "questions") == '3 of 8 accepted questions have the word "lemon"'
    planned = a_spec(SEEDS).model_copy(update={"task_description": "About every lemon."})
    assert not fill(habits(spec=planned), 9, 0, question=question).of_question("Is it a lemon?")
    spoken = [SeedExample(question=f"Q{n}?", answer=f"The lemon {n}.") for n in range(2)]
    assert not fill(habits(*spoken), 9, 0, question=question).of_question("Is it a lemon?")


def test_what_a_writer_and_a_reader_are_told() -> None:
    """The writer has no numbers, the reader has; and the longest sentence is no longer than windows are chosen for."""
    text = f"Of course {LONG}.\n\nSo, you will see that I hope this helps."
    found = fill(habits(), 3, 1, answer=text).of_answer(text)
    assert to_avoid(found) == (
        'Too many other answers begin with "of course", end with "hope this helps" and begin their last paragraph with "so": '
        "this one does not."
    )
    assert told(found[:2], "answers") == (
        '3 of 4 accepted answers begin with "of course", 3 of 4 accepted answers end with "hope this helps"'
    )
    longest = [Overuse(Habit(one.habit.kind, "é漢" * 8), 3, 4) for one in found]
    assert estimate_tokens(longest[0].habit.words) == 24
    assert 110 < estimate_tokens(to_avoid(longest)) <= LONGEST_AVOID
