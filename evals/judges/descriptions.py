"""Descriptions for the tasks of a session whose files leave them blank: each by one call, before anything else is asked.

The window of that call does not depend on what else a command asks, so `eval judges`, `eval program` and `optimize`, which
share a journal, share the descriptions, too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from evals.judges.cases import Case
from evals.session.session import Session
from skills_dspy.base.errors import NotDescribed
from skills_dspy.model.ask import together
from skills_dspy.model.description import PLACEHOLDER, derive, described, examples_in_turn, undescribed
from skills_dspy.model.program import SkillsProgram, estimate_of, prompt_of
from skills_dspy.model.steps import DESCRIBE, inputs, longest_reply, reply_limits
from skills_dspy.tasks.spec import TaskSpec


def blanks(specs: Iterable[TaskSpec]) -> tuple[TaskSpec, ...]:
    """The tasks that are to be described, one call each."""
    return tuple(spec for spec in specs if undescribed(spec))


def stand_ins(specs: Iterable[TaskSpec]) -> tuple[TaskSpec, ...]:
    """The tasks with a description of the usual length where there is none yet: for estimates, never for a prompt."""
    return tuple(described(spec, PLACEHOLDER) if undescribed(spec) else spec for spec in specs)


def with_descriptions(specs: Iterable[TaskSpec], derived: Mapping[str, str]) -> tuple[TaskSpec, ...]:
    """The tasks with the derived descriptions, by their names, in the place of the blank ones."""
    return tuple(described(spec, derived[spec.task_name]) if undescribed(spec) else spec for spec in specs)


def cases_with_descriptions(cases: Iterable[Case], derived: Mapping[str, str]) -> tuple[Case, ...]:
    """The same for cases; those that a reader labelled have descriptions of their own, whatever their skills are called."""
    return tuple(
        replace(case, task_description=derived[case.task]) if not case.labelled and case.task in derived else case
        for case in cases
    )


def description_line(task: str, text: str) -> str:
    """How a derived description is said: one line, whatever the model put into it."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"{task}: description (derived): {' '.join(printable.split())}"


async def derive_descriptions(
    session: Session, specs: Sequence[TaskSpec], seed: int, say: Callable[[str], None]
) -> dict[str, str]:
    """The derived description of every task that has none, by its name; `say` gets a line of each, in the order of the tasks.

    What was asked before is found in the journal. All are asked for before one that failed is told of, so that nothing that
    was paid for is lost.

    Raises:
        NotDescribed: a task got no usable reply, twice.
        ContextTooLong: the seeds do not fit into a prompt.
    """
    todo = blanks(specs)
    if not todo:
        return {}
    program = SkillsProgram(1)
    windows = [_window(session, spec, program) for spec in todo]  # one that fits into none is refused before the first call

    async def one(place: int) -> str | NotDescribed:
        spec, window = todo[place], windows[place]
        asker = session.asker(program, reply_limits(spec, session.config), seed, window, task=spec.task_name)
        try:
            # Tasks with the same window one after another: for each other one the server loads the model anew.
            return await derive(asker, spec, (window, place), "run the command again")
        except NotDescribed as failed:
            return failed

    found = await together([one(place) for place in range(len(todo))])
    replies = dict(zip([spec.task_name for spec in todo], found, strict=True))
    derived = {name: text for name, text in replies.items() if isinstance(text, str)}
    for name, text in derived.items():
        say(description_line(name, text))
    for failed in replies.values():
        if isinstance(failed, NotDescribed):
            raise failed
    return derived


def _window(session: Session, spec: TaskSpec, program: SkillsProgram) -> int:
    asked = inputs(DESCRIBE, spec, examples_in_turn(spec))
    prompt = estimate_of(prompt_of(program.predictor(DESCRIBE.name), asked))
    limit = reply_limits(spec, session.config)[DESCRIBE.name]
    return session.window_for(prompt, longest_reply({DESCRIBE.name: limit}, session.config))
