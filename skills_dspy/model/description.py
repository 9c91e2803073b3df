"""The description of a task whose file leaves it blank: derived by a model from the seeds, with one second try.

What the file says stays what it says: a run's inputs hold the blank, so that the same file goes on with the same run, and the
derived text is had from the journal again.
"""

from itertools import chain, zip_longest

from skills_dspy.base.errors import NotDescribed
from skills_dspy.base.records import SeedExample
from skills_dspy.model.ask import WHOLE_DRAW, Asker, Failed
from skills_dspy.model.hosts.call import Rank
from skills_dspy.model.steps import DESCRIBE, inputs
from skills_dspy.tasks.spec import TaskSpec

_PLACE = (-1, WHOLE_DRAW)
"""Where a description stands among a task's draws, which decides its sampling seed: before all of them."""

PLACEHOLDER = (
    "To practise a skill that the examples show: what is asked for, what it is about, and what a good answer does and looks "
    "like are to be taken from them, as are form, length, language and tone."
)
"""As long as a derived description usually is, for estimates before there is one."""


def undescribed(spec: TaskSpec) -> bool:
    """Whether the task's file leaves its description blank."""
    return not spec.task_description.strip()


def described(spec: TaskSpec, description: str) -> TaskSpec:
    """The task with a description in the place of the blank one."""
    return spec.model_copy(update={"task_description": description})


def examples_in_turn(spec: TaskSpec) -> list[SeedExample]:
    """The seeds that the prompt for a description shows: as many as other prompts, both kinds in turn."""
    ways = [spec.seeds(kind) for kind in dict.fromkeys(seed.kind for seed in spec.seed_examples)]
    seeds = [seed for seed in chain.from_iterable(zip_longest(*ways)) if seed is not None]
    return seeds[: spec.num_icl_examples_per_prompt]


async def derive(asker: Asker, spec: TaskSpec, rank: Rank, again: str) -> str:
    """The description that the model gives an undescribed task, without blanks around it.

    Raises NotDescribed, which says what to do `again` once the file has a description, where twice no reply is usable.
    """
    try:
        answer = await asker.ask(DESCRIBE.name, inputs(DESCRIBE, spec, examples_in_turn(spec)), _PLACE, lambda: rank)
    except Failed as failed:
        raise NotDescribed(
            f"{spec.path}: the task has no description, and the model gave none that can be used ({failed.in_words}): write "
            f"what the skill is into task_description, and {again}"
        ) from failed
    return str(answer.values["description"]).strip()
