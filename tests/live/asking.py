"""Every prompt of the program, asked of a real server, and all replies kept as they came."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import dspy

from skills_dspy.base.config import ROLES, RunConfig, load_config
from skills_dspy.base.records import Kind
from skills_dspy.base.scales import CATEGORY
from skills_dspy.commands.check.sample_prompts import sample_inputs
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.ask import Failed
from skills_dspy.model.engine import asker_for
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.program import QUIET, SkillsProgram
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.server.server import Server
from skills_dspy.model.steps import PLAN, STEPS, Step
from skills_dspy.store.journal import JournaledReply
from skills_dspy.tasks.files import load_task
from skills_dspy.tasks.spec import TaskSpec

TASK = Path(__file__).with_name("animals.yaml")
CONFIG = Path(__file__).with_name("config.yaml")
SLOTS = 4
WINDOW = 2048
_ROOM, _ROOM_OF_TAGS, _ROOM_OF_PROSE = 48, 112, 16
"""Tokens of a first reply: to say why and to give a label; to give several, or a few axes; and of a text that nobody reads."""


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
        """The replies to one step's prompts, but for JSON that was cut at num_predict; prose is prose wherever it ends."""
        its = [entry for entry in self.entries.values() if entry.step == step]
        return [one for one in its if "format" not in one.request or one.reply.get("done_reason") != "length"]


def tokens(replies: Iterable[JournaledReply]) -> dict[str, int]:
    """What replies took: tokens of prompts and of replies."""
    bodies = [entry.reply for entry in replies]
    return {
        "prompt": sum(int(body["prompt_eval_count"]) for body in bodies),
        "output": sum(int(body["eval_count"]) for body in bodies),
    }


def _room(step: Step) -> int:
    if step.rates:
        return _ROOM_OF_TAGS if CATEGORY in step.rates else _ROOM
    if step is PLAN:  # a list of lists
        return _ROOM_OF_TAGS
    return _ROOM if step.counted else _ROOM_OF_PROSE


async def ask_all(server: Server, model: str, replies: int, kind: Kind) -> Heard:
    """Ask every step's prompt until it has so many whole replies, with twice as many sampling seeds at most.

    A step of both kinds of seed has one prompt, for this kind: so the server reads each prompt once. All steps are asked
    beside each other, the one that is behind first.
    """
    heard, adapter, task = Heard(), SkillsAdapter(), spec()
    source = Replies(heard, server, Slots(SLOTS), Meter())
    names, windows = dict.fromkeys(ROLES, model), dict.fromkeys(ROLES, WINDOW)
    rooms = {step.name: _room(step) for step in STEPS.values()}
    program = SkillsProgram(task.num_questions_to_generate_per_prompt)

    async def ask(step: Step) -> None:
        inputs = sample_inputs(task, step.kind or kind, step)
        for draw in range(2 * replies):
            if len(heard.whole(step.name)) >= replies:
                return
            with suppress(Failed):  # the replies are looked at one by one
                await asker.ask(step.name, inputs, (draw, 0), lambda: (len(heard.whole(step.name)),))

    with dspy.context(adapter=adapter, **QUIET):
        asker = asker_for(program, settings(model), names, windows, source, rooms, 0, task.task_name)
        await asyncio.gather(*map(ask, STEPS.values()))
    return heard
