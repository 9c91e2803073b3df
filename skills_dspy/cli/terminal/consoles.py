"""Consoles for what is laid out or coloured: rich's, but only their own styles act, and nothing in the texts."""

import sys
from collections.abc import Collection, Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from skills_dspy.base.visible import visible
from skills_dspy.cli.terminal.streams import Guard

_NARROWEST = 80
"""Columns of what stays on the terminal, at least."""


class _SafeConsole(Console):
    """A console that shows control characters of what it is given as escapes."""

    def render_str(self, text: str, **how: Any) -> Text:
        """Every plain string comes through here, in tables and rules too, before rich drops some of its characters."""
        return super().render_str(visible(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """And everything else through here; a link that markup in a text made is none."""
        for segment in super().render(renderable, options):
            style = segment.style.update_link(None) if segment.style and segment.style.link else segment.style
            yield segment if segment.control else Segment(visible(segment.text), style)


def make_console(
    *, err: bool = False, stream: TextIO | None = None, width: int | None = None, soft_wrap: bool = False
) -> Console:
    """A console on stdout, on stderr with `err`, or on a stream, `width` columns wide where that is given.

    One on a stream follows the terminal's size, as a picture has to. The others are never narrower than a table needs, which
    would leave out what has no room: a narrow terminal breaks the lines by itself.
    """
    out = stream or (sys.stderr if err else sys.stdout)
    beneath = out.beneath if isinstance(out, Guard) else out  # styles are meant, and would be shown as escapes
    console = _SafeConsole(file=beneath, width=width, soft_wrap=soft_wrap, highlight=False, emoji=False)
    if stream is None and width is None:
        console.width = max(console.width, _NARROWEST)
    return console


def make_table(*columns: str, numbers: Collection[str] = ()) -> Table:
    """A table without lines, of columns with numbers and others; what is too long goes on in the next line."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in columns:
        table.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    return table


def unmarked(text: str, style: str = "") -> Text:
    """A text for a console, without markup."""
    return Text(visible(text), style)
