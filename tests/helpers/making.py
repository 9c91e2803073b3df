"""Small tasks, settings and programs for tests: each test says only what matters to it."""

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import dspy
from dspy import lm15

from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.base.records import SeedExample
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.engine import Engine, EngineLM
from skills_dspy.model.program import SkillsProgram
from skills_dspy.tasks.spec import TaskSpec

T = TypeVar("T")

FREEFORM = SeedExample(question="What is a fox?", answer="An animal.", line=7)
GROUNDED = SeedExample(question="Who runs?", answer="The fox.", context="The fox runs.", line=11)


def there(value: T | None) -> T:
    """A value that is not missing."""
    assert value is not None
    return value


@functools.cache
def _defaults() -> RunConfig:
    return load_config()


def a_config(changes: Mapping[str, Any] | None = None) -> RunConfig:
    """The built-in settings with some of them changed, section by section."""
    settings = _defaults().model_dump()
    for name, value in (changes or {}).items():
        settings[name] = {**settings[name], **value} if isinstance(value, Mapping) else value
    return RunConfig.model_validate(settings)


def a_spec(
    seeds: Sequence[SeedExample] = (FREEFORM,),
    *,
    name: str = "test/foxes",
    description: str = "Knowing foxes.",
    shown: int = 3,
    count: int = 5,
) -> TaskSpec:
    """A task with these seeds."""
    return TaskSpec(
        task_name=name,
        created_by="somebody",
        task_description=description,
        seed_examples=tuple(seeds),
        num_icl_examples_per_prompt=shown,
        num_questions_to_generate_per_prompt=count,
        path=Path("tasks/foxes.yaml"),
    )


@functools.cache
def a_program(count: int = 5) -> SkillsProgram:
    """A program for lists of `count` questions; shared, so tests that change one make their own."""
    return SkillsProgram(count)


@functools.cache
def the_adapter() -> SkillsAdapter:
    """An adapter; it keeps nothing but the plans of signatures."""
    return SkillsAdapter()


async def idle(turns: int = 25) -> None:
    """Let everything that can run run."""
    for _ in range(turns):
        await asyncio.sleep(0)


class Teacher(Engine):
    """A model for DSPy, in both of its modes, that gives what a function says and notes the requests."""

    def __init__(self, reply: Callable[[lm15.Request], str]) -> None:
        self.reply = reply
        self.requests: list[lm15.Request] = []

    def complete(self, request: lm15.Request) -> lm15.Response:
        """One reply."""
        self.requests.append(request)
        message = lm15.Message(role="assistant", parts=(lm15.TextPart(text=self.reply(request)),))
        return lm15.Response(id=None, model=request.model, message=message, finish_reason="stop", usage=lm15.Usage())

    def lm(self) -> dspy.LM:
        """The model as DSPy wants it."""
        return EngineLM("teacher", _Async(self), self)


class _Async(Engine):
    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """One reply, in a later turn of the loop."""
        await asyncio.sleep(0)
        return self._teacher.complete(request)
