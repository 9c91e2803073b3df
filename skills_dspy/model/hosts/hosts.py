"""Several hosts as one server: each role's are asked, models are compared, and who answers wrongly is left out."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from skills_dspy.base.errors import ModelMissing, RequestError, Unreachable
from skills_dspy.model.hosts.call import CURRENT_CALL, Call
from skills_dspy.model.hosts.lane import HandedOver, Lane
from skills_dspy.model.hosts.member import Member
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.server.server import Model, Server
from skills_dspy.store.run_json import OLLAMA

_LEAST = 8
"""Fewer unreadable replies of a host are never too many."""
_CHANCE = 1e-6
"""A host is left out when it would have so many unreadable replies as rarely as that, if it were like the others."""


class Hosts:
    """One or more hosts as a `Server`; see there.

    `tell` hears of hosts that go, come back or are left out, each as a line.
    """

    def __init__(self, members: Sequence[Member], tell: Callable[[str], None]) -> None:
        self.members = tuple(members)
        self.kind, self.host = members[0].server.kind, ", ".join(member.name for member in members)
        self.slots = Slots([member.lane for member in members])
        self._versions: dict[str, str] = {}
        self._models: dict[str, Model] = {}
        self._tell = tell
        for member in members:
            member.slots, member.tell, member.back = self.slots, tell, self._compared
            member.lane.on_read = self._look_at

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply; see `Server.chat`. For who does not wait in the queue of a run."""
        call = CURRENT_CALL.get(None) or Call("predict", lambda: (0,))
        call.model = str(payload.get("model", ""))
        token = CURRENT_CALL.set(call)
        try:
            while True:
                async with self.slots.take(call.rank, call) as lane:
                    assert lane.host is not None
                    try:
                        body = await lane.host.chat(payload)
                    except HandedOver:
                        continue
                    lane.answered(call, body, asyncio.get_running_loop().time())
                    return body
        finally:
            CURRENT_CALL.reset(token)

    async def version(self) -> str:
        """What they say of themselves; hosts that do not answer are tried again, as long as one does.

        Raises what the first raises of a role whose hosts are all silent, or who answers and is no such server.
        """
        said = await asyncio.gather(*(member.server.version() for member in self.members), return_exceptions=True)
        for wrong in said:
            if isinstance(wrong, BaseException) and not isinstance(wrong, Unreachable):
                raise wrong
        for member, answer in zip(self.members, said, strict=True):
            if isinstance(answer, str):
                self._versions[member.name] = answer
                continue
            well = [other for other, said_too in zip(self.members, said, strict=True) if isinstance(said_too, str)]
            assert isinstance(answer, BaseException)
            if not set(member.roles) <= {role for other in well for role in other.roles}:
                raise answer
            member.away(str(answer))
        return ", ".join(dict.fromkeys(self._versions.values()))

    async def models(self) -> tuple[Model, ...]:
        """All models that any of them has, by name."""
        listed = [await member.server.models() for member in self._well()]
        return tuple({model.name: model for models in reversed(listed) for model in models}.values())

    async def model(self, name: str) -> Model:
        """One model, as all hosts have it that are asked for it, with the smallest of their windows.

        Raises:
            ModelMissing: a host does not have it; the sentence names the host.
            RequestError: two hosts have different weights under its name.
        """
        asked = [member for member in self._well() if name in member.models] or self._well()
        found: list[tuple[str, Model]] = []
        for member in asked:
            try:
                found.append((member.name, await self._model_at(member, name)))
            except Unreachable as error:  # since it told its version
                others = {role for other in self._well() if other is not member for role in other.roles}
                if not set(member.roles) <= others or (member is asked[-1] and not found):
                    raise
                member.away(str(error))
        self._models[name] = agreed(name, found)
        return self._models[name]

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(member.close() for member in self.members))

    async def loaded(self) -> tuple[str, ...] | None:
        """The models that any of them has in memory."""
        told = [await member.server.loaded() for member in self._well()]
        return tuple(dict.fromkeys(name for names in told for name in names or ()))

    def introductions(self) -> list[dict[str, Any]]:
        """Each host as run.json names it: address, version if it answered, slots, and the roles that ask it."""
        return [
            {
                "host": member.name,
                "version": self._versions.get(member.name),
                "slots": member.lane.count,
                "roles": list(member.roles),
            }
            for member in self.members
        ]

    def _well(self) -> list[Member]:
        return [member for member in self.members if member.lane.well] or list(self.members)

    async def _model_at(self, member: Member, name: str) -> Model:
        try:
            return await member.server.model(name)
        except ModelMissing as error:
            if len(self.members) == 1:
                raise
            raise ModelMissing(missing_at(str(error), member.name)) from error

    async def _compared(self, member: Member) -> bool:
        """Whether a host that is back has the models that the others have; one that has not is left out."""
        self._versions[member.name] = await member.server.version()
        for name in [name for name in self._models if name in member.models]:
            try:
                theirs = await self._model_at(member, name)
            except ModelMissing as error:
                member.leave_out(str(error))
                return False
            if _differ(self._models[name], theirs):
                member.leave_out(f"it has other weights under the name {name} than the other hosts")
                return False
            if (theirs.context_length or math.inf) < (self._models[name].context_length or 0):
                member.leave_out(f"it has a smaller window for {name}, {theirs.context_length} tokens, than was agreed on")
                return False
        return True

    def _look_at(self, lane: Lane) -> None:
        """Leave a host out whose replies are unreadable far more often than those of the others to the same steps."""
        good, bad, share = 0, 0, 0.0
        for step, (mine_good, mine_bad) in lane.read.items():
            others = [other.read[step] for other in self.slots.lanes if other is not lane and step in other.read]
            if not others:
                continue
            unread, all_read = sum(read[1] for read in others), sum(map(sum, others))
            good, bad = good + mine_good, bad + mine_bad
            share += (mine_good + mine_bad) * (unread + 1) / (all_read + 2)
        count = good + bad
        if bad < _LEAST or not lane.well or not self._replaceable(lane) or bad <= 2 * share:
            return
        from scipy.stats import binom

        if binom.sf(bad - 1, count, share / count) < _CHANCE:
            member = next(one for one in self.members if one.lane is lane)
            member.leave_out(f"{bad} of its {count} replies could not be read, far more than of the others'")

    def _replaceable(self, lane: Lane) -> bool:
        """Whether another host that is well has all that it does."""
        return all(self.slots.others(lane, Call(step, lambda: (0,))) for step in lane.read)


async def introduced(server: Server) -> dict[str, Any]:
    """A server as run.json names it: address, version, and its kind where that is not Ollama's; of several hosts each.

    Raises what `Server.version` does.
    """
    kind = {} if server.kind == OLLAMA else {"api": server.kind}
    told: dict[str, Any] = {"host": server.host, "version": await server.version(), **kind}
    if isinstance(server, Hosts) and len(server.members) > 1:
        told["hosts"] = server.introductions()
    return told


def slots_of(server: object, concurrency: int) -> Slots:
    """The queue for whoever answers: a recording or a single server has so many slots."""
    return server.slots if isinstance(server, Hosts) else Slots(concurrency)


def agreed(name: str, found: Sequence[tuple[str, Model]]) -> Model:
    """A model as all of one or more hosts have it, with the smallest of their windows; RequestError where weights differ."""
    (first, theirs), *others = found
    for host, other in others:
        if _differ(theirs, other):
            raise RequestError(
                f"{first} and {host} have different weights under the name {name} ({_weights_of(theirs)} and "
                f"{_weights_of(other)}): pull the same on both, or leave one of the hosts out."
            )
    return reduce(_both, (model for _, model in found))


def _weights_of(model: Model) -> str:
    """What tells a model's weights, in short."""
    return model.digest[:12] or ", ".join(f"{name} {told}" for name, told in model.weights.items()) or "unknown"


def missing_at(said: str, host: str) -> str:
    """What a host says that lacks a model, with its address, and the line that pulls it there."""
    if f"at {host}" not in said:
        said = said.replace("on the server", f"on the server at {host}", 1)
    return said.replace("ollama pull", f"OLLAMA_HOST={host} ollama pull")


def _differ(one: Model, other: Model) -> bool:
    digests = bool(one.digest and other.digest) and one.digest != other.digest
    return digests or any(one.weights[name] != other.weights[name] for name in one.weights.keys() & other.weights.keys())


def _both(one: Model, other: Model) -> Model:
    """What is true of a model on both hosts."""
    length = min(one.context_length or math.inf, other.context_length or math.inf)
    return replace(
        one,
        context_length=None if length == math.inf else int(length),
        differs={**one.differs, **other.differs},
        in_words=tuple(dict.fromkeys(one.in_words + other.in_words)),
        warnings=tuple(dict.fromkeys(one.warnings + other.warnings)),
        thinks=one.thinks if one.thinks is not None else other.thinks,
        licence=one.licence or other.licence,
    )
