"""Length: a new text that is many times as long as the longest seed, or a small part of the shortest one."""

from skills_dspy.screens.task_texts import NewText
from skills_dspy.similarity.pieces import Pieces

_SHORT = 25
"""Words: where the seeds are shorter than that, a new text may still be as long as if they were not."""


def out_of_range(new: NewText) -> str | None:
    """How long the text is and how long it may be, in words; it may repeat all that it was written for."""
    bounds, seeds = new.task.bounds, new.task.lengths.get((new.kind, new.part))
    if seeds is None:
        return None
    words, given = Pieces.of(new.text).words, sum(Pieces.of(text).words for text in new.given)
    if bounds.longest is not None and words > (most := bounds.longest * max(seeds[1], _SHORT) + given):
        return f"it has {words:.0f} words; the seeds allow for {most:.0f}"
    if bounds.shortest is not None and words < (least := bounds.shortest * seeds[0]):
        return f"it has {words:.0f} words; the seeds' shortest has {seeds[0]:.0f}, so {least:.0f} are the least"
    return None
