"""Reports as sections: one content in a terminal, as Markdown and as JSON, and no text that breaks them."""

import re
from dataclasses import dataclass

import pytest

from evals.figures.statistics import Rate
from evals.figures.tables import Section, as_json, markdown
from tests.helpers.terminal import printed

REPORT = (
    Section("Models [bold]", notes=("Answered by: a SIMULATED [link] teacher",)),
    Section(
        "Rates", ("[red]x", "a", "b"), (("[/] | y", "1", "2"), ("`two` # *words*", "3", "4")), ("A <note>.",), ("key: [1]",)
    ),
)


def test_a_terminal_shows_texts_as_they_are() -> None:
    """A model may be called anything; what cannot be seen is shown as an escape."""
    screen = printed((*REPORT, Section("\x1b[31mred\x1b[0m")), 100)
    for text in ("Models [bold]", "[red]x", "[/] | y", "`two` # *words*", "[link]", "A <note>.", "key: [1]"):
        assert text in screen
    assert "\x1b" not in screen


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    """As many columns as are said to hold numbers: all but the first where nothing is said."""
    rows = (("a", "1", "x"), ("bb", "22", "yy"))
    table = printed([Section("", ("n", "count", "words"), rows, numbers=1)], 100).splitlines()
    assert table[1:] == ["n   count  words", "a       1  x", "bb     22  yy"]
    assert markdown([Section("", ("n", "count", "words"), rows)]).startswith("| n | count | words |\n| --- | ---: | ---: |\n")


@pytest.mark.parametrize("page", [True, False])
def test_markdown_holds_all_in_tables_with_as_many_cells_in_each_row(page: bool) -> None:
    """With one final newline; YAML in a fence."""
    text = markdown(REPORT, page=page)
    assert text.endswith("\n```yaml\nkey: [1]\n```\n")
    table = re.findall(r"^\|.*\|$", text, re.MULTILINE)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {4}
    for part in (part for section in REPORT for row in section.rows for part in row):
        assert part in text.replace("\\", "").replace("&#124;", "|")


def test_a_page_has_a_head_and_paragraphs_and_a_part_of_one_has_lists() -> None:
    """Texts of others are escaped there."""
    assert markdown(REPORT, page=True).startswith("# Models [bold]\n\n- Answered by: a SIMULATED [link] teacher\n\n## Rates\n")
    assert "\n\nA <note>.\n\n" in markdown(REPORT, page=True)
    assert markdown(REPORT).startswith("## Models \\[bold\\]\n\n- Answered by: a SIMULATED \\[link\\] teacher\n\n## Rates\n")
    assert "\n\n- A \\<note\\>.\n\n" in markdown(REPORT)
    assert "| \\`two\\` \\# \\*words\\* | 3 | 4 |" in markdown(REPORT)


@dataclass
class Record:
    """A record with every kind of value."""

    yield_: tuple[float, ...]
    rates: dict[int, Rate]
    missing: None = None


def test_json_has_the_fields_in_their_order() -> None:
    """Numbers to four decimals, keys as text."""
    rate = {"count": 1, "of": 2, "value": 0.5, "low": 0.0945, "high": 0.9055}
    assert list(as_json(Record((0.123456, 2), {3: Rate(1, 2)})).items()) == [
        ("yield", [0.1235, 2]),
        ("rates", {"3": rate}),
        ("missing", None),
    ]
