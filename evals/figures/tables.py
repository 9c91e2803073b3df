"""Reports as sections with tables, for a terminal, as Markdown and as JSON: one content, three forms."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skills_dspy.base.visible import visible_line

UNDEFINED = "–"  # a number that is not defined


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with a table, sentences below it and lines of YAML to copy, each of which may be missing.

    `numbers` says how many columns from the second on hold numbers; None for all, which are then never wrapped.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    numbers: int | None = None

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers."""
        most = len(self.columns) if self.numbers is None else self.numbers
        return tuple(0 < place <= most for place in range(len(self.columns)))


def print_sections(sections: Sequence[Section], out: Console) -> None:
    """Print a report in a terminal."""
    for section in sections:
        out.print()
        if section.title:
            out.print(f"[bold]{_visible(section.title)}[/bold]")
        if section.columns:
            table, whole = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False), section.numbers is None
            for heading, numeric in zip(section.columns, section.numeric, strict=True):
                justify: Literal["left", "right"] = "right" if numeric else "left"
                overflow: Literal["ellipsis", "fold"] = "ellipsis" if whole else "fold"
                table.add_column(_visible(heading), justify=justify, overflow=overflow, no_wrap=whole and numeric)
            for row in section.rows:
                table.add_row(*map(_visible, row))
            out.print(table)
        for note in section.notes:
            out.print(_visible(note))
        for line in section.lines:
            out.print(_visible(line), style="cyan")


def markdown(sections: Sequence[Section], *, page: bool = False) -> str:
    """Return a report as Markdown, with a final newline.

    As a page of its own the first section is its head, notes of the others are paragraphs, and all texts are ours, so that
    nothing but the borders of cells is escaped. Else notes are lists, and every text is escaped.
    """
    parts = list[str]()
    for place, section in enumerate(sections):
        head = page and not place
        parts += _markdown(section, "#" if head else "##", "- " if head or not page else "", escaped=not page)
    return "\n\n".join(parts) + "\n"


def _markdown(section: Section, level: str, bullet: str, *, escaped: bool) -> Iterator[str]:
    text = _escaped if escaped else str
    if section.title:
        yield f"{level} {text(section.title)}"
    if section.columns:
        rules = tuple("---:" if numeric else "---" for numeric in section.numeric)
        cell = _escaped if escaped else _bordered
        rows = [tuple(map(_bordered, section.columns)), rules, *(tuple(map(cell, row)) for row in section.rows)]
        yield "\n".join(f"| {' | '.join(row)} |" for row in rows)
    if section.notes:
        yield "\n".join(f"{bullet}{text(note)}" for note in section.notes)
    if section.lines:
        yield "\n".join(["```yaml", *section.lines, "```"])


def number(value: float | None, decimals: int = 2) -> str:
    """A number for people: `0.62`."""
    return UNDEFINED if value is None else f"{value:.{decimals}f}"


def count_in_words(count: int, name: str) -> str:
    """So many of something: `1 row`, `2 rows`."""
    return f"{count} {name}{'' if count == 1 else 's'}"


def _bordered(cell: str) -> str:
    return cell.replace("|", "&#124;")


def _escaped(text: str) -> str:
    """A text without what Markdown would take for its own."""
    return re.sub(r"([\\`*_|<>\[\]#])", r"\\\1", visible_line(text))


def _visible(text: str) -> str:
    """A text without what a terminal or rich would take for its own."""
    return escape(visible_line(text))


def as_json(value: object) -> Any:
    """Return a record of a report as it stands in a file: fields in their order, numbers to four decimals, keys as text.

    An `as_json` of its own goes first. A field whose name is a word of Python ends in an underscore, which is left out.
    """
    if hasattr(value, "as_json"):
        return value.as_json()
    if is_dataclass(value):
        return {each.name.rstrip("_"): as_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_json(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
