"""The screens of new texts, in one table: what no accepted row may be, found without asking a model."""

from collections.abc import Callable, Mapping

from skills_dspy.base.records import Reason
from skills_dspy.screens.copies import copied
from skills_dspy.screens.echoes import echoed
from skills_dspy.screens.lengths import out_of_range
from skills_dspy.screens.residue import left_over
from skills_dspy.screens.task_texts import NewText

TextScreen = Callable[[NewText], str | None]
"""A text to None, or to the reason why no row may have it, in words."""

SCREENS: Mapping[Reason, TextScreen] = {"residue": left_over, "echo": echoed, "copy": copied, "length": out_of_range}
"""By the reason that is written down, in the order in which they look; the first that finds something decides."""


def screened(new: NewText) -> tuple[Reason, str] | None:
    """The reason why a text is rejected, and what was found; None where no screen finds anything."""
    return next(((reason, said) for reason, screen in SCREENS.items() if (said := screen(new)) is not None), None)
