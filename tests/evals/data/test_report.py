"""The score as tables: the same in a terminal of 80 columns and as Markdown, and no text of a dataset breaks them."""

from typing import Any

import pytest

from evals.data.compare import ComparedNumber, Comparison, compare
from evals.data.report import comparison_sections, score_sections
from evals.data.rows import Row
from evals.data.score import score
from evals.figures.statistics import Interval
from evals.figures.tables import Section
from tests.helpers.scored import a_line, a_material, a_run, a_seed, rows_of
from tests.helpers.terminal import printed

SEEDS = [
    a_seed("What is a fox? It is asked by somebody who has never seen one, and wants to know all of it.", "An animal."),
    a_seed("Who runs?", "The fox runs.", "The fox runs."),
]


def sections_of(count: int = 3, **how: Any) -> list[Section]:
    """The score of a run with this many rows, every third about a context."""
    lines = [a_line(f"What is fox {n}?", f"Fox {n}.", "A wood." if n % 3 == 0 else None) for n in range(count)]
    rows = rows_of(*lines)
    return score_sections(score(a_material(rows, SEEDS, run=a_run(count, {("dedup", "duplicate"): 1}), **how)))


def titled(title: str, sections: list[Section]) -> Section:
    """The section whose title begins so."""
    (found,) = [section for section in sections if section.title.startswith(title)]
    return found


def test_a_run_has_a_table_for_each_part() -> None:
    """In an order that goes from the run to its texts; the yield says why."""
    sections = sections_of()
    shorts = ["rows.jsonl", "Yield", "Verdicts", "Diversity", "Likeness", "Coverage", "Habits", "Words", "Languages"]
    assert [section.title.split()[0] for section in sections] == shorts
    assert sections[1].rows[0] == ("dedup", "4", "1", "3", "75%", "duplicate 1")
    assert sections[1].notes == ("3 of 4 candidates were accepted (75%).",)


def test_a_file_has_fewer() -> None:
    """What does not apply is not there; what is left out is said at the end."""
    sections = score_sections(score(a_material([Row("a", "b c")], embedder=None)))
    assert [section.title for section in sections] == ["rows.jsonl", "Diversity", "Habits", "Words", "Languages", "To be known"]
    assert [row[1:] for row in sections[1].rows[:4]] == [("–", "–"), ("–", "–"), ("1.000", "1.000"), ("–", "1.000")]
    nothing = score_sections(score(a_material([], SEEDS, run=a_run(0))))
    assert [section.title for section in nothing] == ["rows.jsonl", "Yield by stage", "To be known"]
    assert nothing[0].notes[0] == "0 rows, complete: rows.jsonl"


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_shows_every_row_of_a_table_in_one_line(width: int) -> None:
    """At 80 columns nothing is folded but sentences, and probabilities where they are spread over all labels."""
    sections = sections_of(classify=lambda _: ("en", 0.9))
    text = printed(sections, width)
    assert max(map(len, text.splitlines())) <= width
    lines = text.splitlines()
    for section in sections:
        for row in (row for row in section.rows if row[0] != "  soft"):
            assert sum(line.startswith(row[0]) and line.rstrip().endswith(row[-1]) for line in lines) >= 1, row


def test_soft_ratings_stand_below_their_labels() -> None:
    """Where there are any, with the rows that have one."""
    section = titled("Verdicts", sections_of())
    assert section.rows[:4] == (
        ("question verdict", "3", "1.00", "1: 3"),
        ("pair verdict", "3", "3.00", "3: 3"),
        ("  soft", "3", "2.75", "2: 25%, 3: 75%"),
        ("instruction quality", "3", "4.00", "good: 3"),
    )
    assert section.notes[-1].startswith("Soft: ")
    rated = [Row("a", "b", ratings={"pair_verdict": 3})]
    assert len(titled("Verdicts", score_sections(score(a_material(rated)))).notes) == 1


def test_a_share_that_is_nearly_nothing_is_not_nothing() -> None:
    """One row in three hundred is less than a percent, and the others are not all."""
    counts = iter(range(600))
    found = score(a_material([Row("a" * 40, "b" * 40)] * 300, classify=lambda _: ("fr" if next(counts) == 3 else "en", 1.0)))
    (question, answer) = titled("Languages", score_sections(found)).rows
    assert question == ("question", "English >99%, French <1%")
    assert answer == ("answer", "English 100%")


def test_two_are_put_side_by_side() -> None:
    """Collapse and notes of each before, the numbers with their intervals, a star where 0 is left out."""
    numbers = (
        ComparedNumber("one", 0.5, 0.25, (30, 30), Interval(-0.4, -0.1)),
        ComparedNumber("two", 0.5, 0.75, (30, 40), Interval(-0.1, 0.6)),
        ComparedNumber("three", 0.5, 0.75, (5, 5), None),
    )
    scores = score(a_material([Row("a", "b")])), score(a_material([Row("a", "b")], SEEDS))
    sections = comparison_sections(Comparison("a.jsonl", "b.jsonl", numbers, ("A note.",)), *scores)
    assert [section.title for section in sections] == ["rows.jsonl", "To be known", "rows.jsonl", "Side by side"]
    assert sections[-1].rows == (
        ("one", "0.500", "0.250", "-0.250*", "-0.400", "-0.100", "30"),
        ("two", "0.500", "0.750", "+0.250", "-0.100", "+0.600", "30, 40"),
        ("three", "0.500", "0.750", "+0.250", "–", "–", "5"),
    )
    assert sections[-1].notes[0].startswith("1 is a.jsonl, 2 is b.jsonl")
    assert sections[-1].notes[-1] == "A note."


def test_a_comparison_fits_80_columns() -> None:
    """Each number in one line, for sets of up to thousands of rows."""
    lines = [a_line(f"What is fox {n}?", f"Fox {n} and some words.", "A wood.") for n in range(12)]
    rows = rows_of(*lines)
    material = a_material(rows, SEEDS, run=a_run(12, {("instruction_quality", "filtered"): 2}))
    comparison = compare(material, material, 0, rounds=10)
    (section,) = [part for part in comparison_sections(comparison, score(material), score(material)) if part.columns]
    assert len(section.rows) > 25
    text = printed([Section(section.title, section.columns, section.rows, numbers=section.numbers)], 80)
    assert len(text.splitlines()) == len(section.rows) + 3
