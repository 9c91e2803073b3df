"""Habits of a dataset beside those of the seeds: openings, closings, layouts, copied runs, length."""

from collections.abc import Sequence

from evals.data.habits import Common, SetHabits, Shares, habits_of
from evals.data.report import score_sections
from evals.data.rows import Row
from evals.data.score import score
from skills_dspy.base.records import SeedExample
from tests.helpers.making import there
from tests.helpers.scored import a_material, a_seed

LONG = "the walls of old houses are thick and keep the rooms cool until late in the evening of a day in {}"
TAIL = "Answer it in three short sentences for a child of ten."
SEEDS = [
    a_seed("Why is a house cool? " + TAIL, f"Because {LONG}.".format("May")),
    a_seed("Why is a barn warm? " + TAIL, f"Of course {LONG} it is.".format("June")),
]


def found_in(rows: Sequence[Row], seeds: Sequence[SeedExample]) -> SetHabits:
    """The habits of some rows."""
    return there(habits_of(a_material(rows, seeds)))


def test_what_rows_share_beside_what_the_seeds_do() -> None:
    """The most frequent at each place with both shares; a single row shares nothing."""
    rows = [
        Row("How do owls find a mouse in the dark of the night? " + TAIL, f"Of course {LONG} 1.".format(n)) for n in ("A", "B")
    ]
    found = found_in([*rows, Row("Who?", "- a\n- b"), Row("Which?", "Nobody.")], SEEDS)
    assert found.common["opening"] == Common("of course", 0.5, 0.5)
    assert found.common["question opening"] == Common("how do owls find", 0.5, 0.0)
    assert found.common["question closing"] == Common("a child of ten", 0.5, 1.0)
    assert set(found.common) == {"opening", "question opening", "question closing"}
    assert dict(found.layouts) == {"one paragraph": Shares(0.75, 1.0), "bullets": Shares(0.25, 0.0)}
    assert 0 < there(found.length) < 1


def test_copied_runs() -> None:
    """Eight words of one seed's; not what the seeds share, and not what a row takes from its own text."""
    story = "In the year of the great flood the miller went out to sea. A second sentence stands here."
    seeds = [*SEEDS, a_seed("What did he do?", "He left.", story), a_seed("Who did so?", "He did.", "Another text.")]
    rows = [
        Row("New? " + TAIL, "It is only the walls of old houses are thick and keep the rooms warm."),
        Row("New?", "In the year of the great flood the miller drowned.", story.upper() + " And so on."),
        Row("New?", "No.", "A text of its own."),
    ]
    found = found_in(rows, seeds)
    assert {part: round(3 * share, 6) for part, share in found.copied.items()} == {"context": 1.5, "question": 0, "answer": 0}
    rows[0] = Row("New?", "Until late in the evening of a day in May it is so.")  # with the last word it is one seed's
    again = found_in(rows, seeds)
    assert again.copied["answer"] == 1 / 3
    reworded = found_in([Row("Cool is a house: why?", "Of June it is.")], [*SEEDS, a_seed("A cool pair?", "Yes.")])
    assert reworded.copied == {"question": 0, "answer": 0}  # a run was asked for
    lone = found_in([Row("New?", story)], [a_seed("Old?", story)])
    assert lone.copied == {"question": 0, "answer": 1}


def test_without_seeds_it_says_what_is_unknown() -> None:
    """Openings and layouts are of the rows alone; nothing is said of copies and of lengths, and why stands below."""
    found = score(a_material([Row("Who?", f"Of course {LONG}.".format(n)) for n in ("A", "B")]))
    assert found.habits is not None
    assert (found.habits.copied, found.habits.length) == ({}, None)
    assert found.habits.common["opening"] == Common("of course", 1.0, None)
    (section,) = (section for section in score_sections(found) if section.title == "Habits")
    assert ("answers begin with", "100%", "–", '"of course"') in section.rows
    assert ("words of an answer, over the seeds'", "–", "–", "") in section.rows
    assert any("copied runs and what the seeds have are left out" in note for note in found.notes)
    assert score(a_material([], SEEDS)).habits is None
