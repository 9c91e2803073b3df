"""Asking the model for the description that a task's file leaves blank: one step, with its second try."""

from skills_dspy.base.errors import NotDescribed
from skills_dspy.model.ask import Asker, Failed
from skills_dspy.model.calls import WHOLE_DRAW, Rank
from skills_dspy.model.description import STEP, description_inputs
from skills_dspy.tasks.spec import TaskSpec

_PLACE = (-1, WHOLE_DRAW)
"""Where a description stands among a task's draws, which decides its sampling seed: before all of them."""


async def derive(asker: Asker, spec: TaskSpec, rank: Rank, again: str) -> str:
    """The description that the model gives an undescribed task, without blanks around it.

    Args:
        asker: of the task.
        spec: the task as its file has it.
        rank: the place of the call in the queue.
        again: what to do once the file has a description, in words.

    Raises:
        NotDescribed: twice no usable reply.
        SkillsError: nothing can be asked.
    """
    try:
        answer = await asker.ask(STEP, description_inputs(spec), _PLACE, lambda: rank)
    except Failed as failed:
        raise NotDescribed(
            f"{spec.path}: the task has no description, and the model gave none that can be used ({failed}, twice): write "
            f"what the skill is into task_description, and {again}"
        ) from failed
    return str(answer.values["description"]).strip()
