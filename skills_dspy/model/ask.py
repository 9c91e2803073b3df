"""Asking one step's question: sampling seed, room for the reply, and the one second try."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import dspy
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel

from skills_dspy.base.config import Role, RoleConfig
from skills_dspy.base.errors import MissingReply, ReplyError, Residue, SkillsError, Truncated, Unanswered, Unreadable
from skills_dspy.base.records import Reason, SoftRating
from skills_dspy.base.scales import Label
from skills_dspy.base.seeds import request_seed
from skills_dspy.model.hosts.call import CURRENT_CALL, Call, Rank
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.room import RETRY
from skills_dspy.model.steps import step_of

T = TypeVar("T")

WHOLE_DRAW = -1
"""The index of what belongs to a draw as a whole: its context and the writing of its questions."""

TRIES = 2
"""An unreadable or truncated reply is asked for once more; what the server could not answer it was asked often enough."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a step answered: its output fields, the text as it came, the digests of the requests that it took.

    `soft` has, by output field, the probabilities of its labels, where the server gave them.
    """

    values: Mapping[str, Any]
    raw: str
    digests: tuple[str, ...]
    soft: Mapping[str, SoftRating] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge or tagger says.

    Attributes:
        label: on the step's first scale; None when no reply could be used, for the reason `failure`.
        soft: the probability of every label, where the server gave it.
        explanation: the judge's; what was wrong with the reply where there is no label.
        values: all fields of the reply; empty where there is none.
        digests: of the requests that it took.
    """

    label: Label | None
    soft: SoftRating | None
    explanation: str
    failure: Reason | None
    values: Mapping[str, Any]
    digests: tuple[str, ...]


Look = Callable[[str, Sequence[str]], str | None]
"""A text that a model wrote, and those that its prompt held, to what residue of a machine it has, in words; None for none."""


class Failed(Exception):
    """A step gave no usable reply, as a rule twice; `cause` is what was wrong with the last, `digests` are those of all."""

    def __init__(self, step: str, cause: ReplyError, digests: tuple[str, ...]) -> None:
        super().__init__(str(cause))
        self.step = step
        self.cause = cause
        self.digests = digests

    @property
    def reason(self) -> Reason:
        """Why there is no usable reply, as rejections have it."""
        named: dict[type[ReplyError], Reason] = {Truncated: "truncated", Residue: "residue", Unanswered: "server failed"}
        return named.get(type(self.cause), "unreadable")

    @property
    def in_words(self) -> str:
        """What was wrong, and whether it was so twice."""
        twice = len(self.digests) == TRIES and not isinstance(self.cause, Unanswered)
        return f"{self.cause}, twice" if twice else str(self.cause)


class Asker:
    """Asks the steps of one task, each the model of its role.

    `limits` has, by step, the most tokens of a first reply's text; its role says how many more are for thoughts. A truncated
    one gets twice that. The run's random seed and the task's name decide the sampling seeds. `residue` looks at what writers
    write; None lets it through.
    """

    def __init__(
        self,
        program: SkillsProgram,
        lms: Mapping[Role, dspy.LM],
        roles: Mapping[Role, RoleConfig],
        limits: Mapping[str, int],
        seed: int,
        task: str,
        residue: Look | None = None,
    ) -> None:
        self._program = program
        self._lms = lms
        self._roles = roles
        self._limits = limits
        self._seed = seed
        self._task = task
        self._residue = residue

    async def ask(self, step: str, inputs: Mapping[str, Any], place: tuple[int, ...], rank: Callable[[], Rank]) -> Answer:
        """One step's answer to exactly its signature's input fields; Failed where twice no reply is usable, or none comes.

        Draw and index of the candidate are its `place`, with a third number when its answer is written again; it decides the
        sampling seed. `rank` is the place in the queue.
        """
        room, thoughts = self._limits[step], self._roles[step_of(step).role].thoughts
        digests: list[str] = []
        left: Residue | None = None
        scale = 1
        while True:
            attempt = len(digests)
            call = Call(step, rank, scale * room if thoughts else 0)
            try:
                prediction = await self._once(call, inputs, (*place, attempt), scale * (room + thoughts))
                _tell_lane(call, readable=True)
                self.refuse_residue(call, inputs, values := prediction.toDict())
                return Answer(values, call.raw, (*digests, call.digest), call.soft)
            except ReplyError as error:
                digests.append(call.digest)
                if isinstance(error, Unreadable):
                    _tell_lane(call, readable=False)
                if len(digests) == TRIES or isinstance(error, Unanswered):
                    raise Failed(step, error, tuple(digests)) from error
                scale *= RETRY if isinstance(error, Truncated) else 1
                left = error if isinstance(error, Residue) else None
            except MissingReply as missing:
                if left is None or missing.insists:
                    raise
                raise Failed(step, left, tuple(digests)) from left  # runs of before did not ask again for it

    def refuse_residue(self, call: Call, inputs: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Residue where a writer's reply has any that its prompt has not; one of several questions is rejected for itself."""
        step = step_of(call.step)
        if self._residue is None or step.role != "generator":
            return
        written, known = list(_texts_in(values)), tuple(_texts_in(inputs))
        found = [said for text in written if (said := self._residue(text, known)) is not None]
        if found and (len(found) == len(written) or not step.counted):
            raise Residue(f"the reply has {found[0]}", call.raw)

    async def _once(self, call: Call, inputs: Mapping[str, Any], place: tuple[int, ...], room: int) -> dspy.Prediction:
        role = step_of(call.step).role
        settings = self._roles[role]
        config: dict[str, Any] = {
            "temperature": settings.temperature,
            "max_tokens": room,
            "seed": request_seed(self._seed, self._task, call.step, *place),
        }
        if settings.top_p is not None:
            config["top_p"] = settings.top_p
        token = CURRENT_CALL.set(call)
        try:
            return await self._program.answered(call.step, inputs, self._lms[role], config)
        except AdapterParseError as error:
            left = None if self._residue is None else self._residue(call.raw, ("JSON",))
            beside = "" if left is None else f", and has {left}"
            raise Unreadable(f"{error.__cause__ or 'the reply is empty'}{beside}", call.raw) from error
        finally:
            CURRENT_CALL.reset(token)


def _tell_lane(call: Call, *, readable: bool) -> None:
    """Say to the host that gave the reply now, if one did, whether it could be read."""
    if call.lane is not None:
        call.lane.heard(call.step, readable=readable)


def _texts_in(value: Any) -> Iterator[str]:
    """Every text in the fields of a prompt or a reply, in their order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        yield from _texts_in(dict(value))
    elif isinstance(value, Mapping):
        yield from _texts_in(tuple(value.values()))
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts_in(item)


async def judgement_of(
    asker: Asker, step: str, inputs: Mapping[str, Any], place: tuple[int, int], rank: Callable[[], Rank]
) -> Judgement:
    """What a step that rates says, or why nothing could be read."""
    rated = step_of(step).rates[0].field
    try:
        answer = await asker.ask(step, inputs, place, rank)
    except Failed as failed:
        return Judgement(None, None, str(failed.cause), failed.reason, {}, failed.digests)
    values = answer.values
    return Judgement(values[rated], answer.soft.get(rated), values.get("explanation", ""), None, values, answer.digests)


async def together(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all at once; returns their results in their order.

    The first SkillsError is raised, if nothing else was; else the BaseExceptionGroup of all.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        ours = [error for error in errors.exceptions if isinstance(error, SkillsError)]
        if len(ours) < len(errors.exceptions):
            raise
        raise ours[0] from errors
    return [task.result() for task in tasks]
