"""Residue in the texts of a task: what neither its seeds nor what a text was written for have as well."""

from skills_dspy.base.config import ScreensConfig
from skills_dspy.base.residue import residue_in
from skills_dspy.model.ask import Look
from skills_dspy.screens.task_texts import NewText
from skills_dspy.tasks.spec import TaskSpec


def left_over(new: NewText) -> str | None:
    """What residue the text has, in words."""
    if not new.task.bounds.residue:
        return None
    found = residue_in(new.text, (*new.task.texts, new.task.description, *new.given))
    return None if found is None else f"it has {found}"


def residue_look(bounds: ScreensConfig, spec: TaskSpec | None = None) -> Look | None:
    """What looks at the replies of writers, of a task where one is given; None where residue is let through."""
    if not bounds.residue:
        return None
    own = () if spec is None else spec.texts
    return lambda text, known: residue_in(text, (*own, *known))
