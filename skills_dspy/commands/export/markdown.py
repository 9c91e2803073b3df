"""Tables of a card, whatever stands in their cells."""

from collections.abc import Iterable, Sequence

from skills_dspy.commands.export.facts import NOT_STATED


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown; what there is none of is not stated."""
    filled = [f"| {' | '.join(cell(value) for value in row)} |" for row in rows]
    if not filled:
        return f"({NOT_STATED})"
    return "\n".join([f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads), *filled])


def cell(value: object) -> str:
    """Text that stays in its cell, or its line, whatever is in it."""
    text = f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
