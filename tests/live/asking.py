"""Every prompt of the program, asked of a real server, and all replies kept as they came."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args

import dspy

from skills_dspy.base.config import ROLES, RunConfig, load_config
from skills_dspy.base.records import Kind
from skills_dspy.commands.check.sample_prompts import sample_inputs
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.ask import Failed
from skills_dspy.model.engine import asker_for
from skills_dspy.model.program import QUIET, SkillsProgram
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.server.server import Server
from skills_dspy.model.slots import Slots
from skills_dspy.model.steps import STEPS, Step
from skills_dspy.store.journal import JournaledReply
from skills_dspy.tasks.files import load_task
from skills_dspy.tasks.spec import TaskSpec

TASK = Path(__file__).with_name("animals.yaml")
CONFIG = Path(__file__).with_name("config.yaml")
SLOTS = 4
WINDOW = 2048
_ROOM, _ROOM_OF_PROSE = 128, 48
"""Tokens of a first reply: to say why and to give a label, and of a text that nobody reads."""


@cache
def spec() -> TaskSpec:
    """A task with seeds of both kinds, as short as can be: reading prompts takes most of the time."""
    return load_task(TASK)[0]


@cache
def settings(model: str) -> RunConfig:
    """Settings with which everything passes: the model writes nonsense that fits the schema."""
    return load_config(CONFIG, {"generator": model})


@dataclass(slots=True)
class Heard:
    """Stands where a run has its journal: all replies by digest, in the order in which they came."""

    entries: dict[str, JournaledReply] = field(default_factory=dict)

    def get(self, digest: str) -> dict[str, Any] | None:
        """The reply to this request, or None."""
        entry = self.entries.get(digest)
        return None if entry is None else entry.reply

    async def put(self, entry: JournaledReply) -> dict[str, Any]:
        """Keep a reply."""
        self.entries[entry.digest] = entry
        return entry.reply

    def whole(self, step: str) -> list[JournaledReply]:
        """The replies to one step's prompts, but for those that were cut at num_predict."""
        return [e for e in self.entries.values() if e.step == step and e.reply.get("done_reason") != "length"]


async def ask_all(server: Server, model: str, replies: int) -> Heard:
    """Ask every step's prompt until it has so many whole replies; half as many again are asked for at most.

    All steps in turn, each with one prompt for each kind of seed and many sampling seeds: the server reads a prompt once.
    """
    heard, adapter, task = Heard(), SkillsAdapter(), spec()
    source = Replies(heard, server, Slots(SLOTS), Meter())
    names, windows = dict.fromkeys(ROLES, model), dict.fromkeys(ROLES, WINDOW)
    limits = {step.name: _ROOM_OF_PROSE if step.writes else _ROOM for step in STEPS.values()}
    program = SkillsProgram(task.num_questions_to_generate_per_prompt)

    async def ask(step: Step, draw: int) -> None:
        kinds = (step.kind,) if step.kind else get_args(Kind)
        if len(heard.whole(step.name)) < replies:
            with suppress(Failed):  # the replies are looked at one by one
                await asker.ask(step.name, sample_inputs(task, kinds[draw % len(kinds)], step), (draw, 0), lambda: (draw,))

    with dspy.context(adapter=adapter, **QUIET):
        asker = asker_for(program, settings(model), names, windows, source, limits, 0, task.task_name)
        for draws in (range(replies), range(replies, replies + replies // 2)):
            await asyncio.gather(*(ask(step, draw) for draw in draws for step in STEPS.values()))
    return heard
