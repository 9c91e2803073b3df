"""What `check` finds of several hosts: what each has, how fast it is alone and with several requests, and all together."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

from skills_dspy.base.config import ROLES, SPOKEN, Role, RunConfig
from skills_dspy.base.errors import MachineError, Unanswered
from skills_dspy.commands.check.forecast import StepCost
from skills_dspy.commands.check.lines import Line
from skills_dspy.commands.check.measure import Preflight, survey
from skills_dspy.commands.check.speed import GAIN, SHORT, Speed, Together
from skills_dspy.model.hosts.hosts import agreed, missing_at
from skills_dspy.model.server.connections import place_of
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.server import Model, Server
from skills_dspy.model.steps import STEPS
from skills_dspy.run.headway import rate_of
from skills_dspy.store.measured import MeasuredHost
from skills_dspy.store.run_json import server_in_words


@dataclass(frozen=True, slots=True)
class CheckedHost:
    """One of several hosts: its server for itself, its roles, and how many requests in flight there are tried."""

    server: Server
    roles: tuple[Role, ...]
    slots: int

    @property
    def name(self) -> str:
        """Its address, as it may be shown."""
        return self.server.host


@dataclass(frozen=True, slots=True)
class HostFound:
    """What a host says that it has; its version is None where it does not answer, and `error` says why."""

    host: CheckedHost
    version: str | None
    models: Mapping[str, Model]
    missing: Mapping[str, str]
    error: MachineError | None = None


@dataclass(frozen=True, slots=True)
class HostSpeed:
    """How fast a host is: `together` of the model of its first role, and the slots that are best for it.

    `loads` is each of its models to the seconds that loading it took, `loaded` those in memory after each was asked; None where
    the host does not say.
    """

    host: CheckedHost
    model: str
    together: Together
    slots: int
    loads: Mapping[str, float]
    loaded: tuple[str, ...] | None

    def as_json(self) -> dict[str, Any]:
        """All of it, for a program."""
        return {
            "host": self.host.name,
            "roles": list(self.host.roles),
            "model": self.model,
            "slots": self.slots,
            "tokens_per_second": round(self.rate, 2),
            "alone": round(self.together.alone, 2),
        }

    def measured(self, today: date) -> MeasuredHost:
        """What is kept of it."""
        where = place_of(self.host.name)
        return MeasuredHost(
            host=where, model=self.model, slots=self.slots, tokens_per_second=round(self.rate, 2), measured=today
        )

    @property
    def power(self) -> float:
        """Tokens a second that it writes while it does not read, alone, times what several requests at once bring."""
        first = self.together.first
        return first.output_tokens / first.output_seconds * max(1.0, self.together.factor)

    @property
    def rate(self) -> float:
        """Tokens a second, with as many requests at once as are best."""
        return max(self.together.alone, self.together.at_once)


async def look(hosts: Sequence[CheckedHost], config: RunConfig) -> list[HostFound]:
    """What each of them has, all asked at once."""

    async def ask(host: CheckedHost) -> HostFound:
        try:
            return HostFound(host, *await survey(host.server, config, host.roles))
        except MachineError as error:
            return HostFound(host, None, {}, {}, error)

    return await asyncio.gather(*map(ask, hosts))


def found_lines(found: Sequence[HostFound]) -> Iterator[Line]:
    """Each host with version and roles, then each of its models."""
    there = {role for one in found if one.error is None for role in one.host.roles}
    for one in found:
        name, roles = one.host.name, ", ".join(SPOKEN[role] for role in one.host.roles)
        if one.error is not None:
            goes_on = "; a run goes on with the others, and tries it again" if set(one.host.roles) <= there else ""
            yield Line("warn" if goes_on else "FAIL", "host", f"{str(one.error).rstrip('.')}{goes_on}")
            continue
        yield Line("ok", "host", f"{server_in_words(one.host.server.kind, one.version or '')} answers at {name} ({roles})")
        for model_name, model in one.models.items():
            window = f"at most {model.context_length} tokens" if model.context_length else "a size that it does not tell"
            digest = f" (digest {model.digest[:12]})" if model.digest else ""
            yield Line("ok", "model", f"{model_name} is at {name}{digest}; its window has {window}")
            yield from (Line("ok", "server", f"{name}, {model_name}: {sentence}") for sentence in model.in_words)
            yield from (Line("warn", "server", f"{name}, {model_name}: {sentence}") for sentence in model.warnings)
        for missing in one.missing.values():
            pull = " (or add --pull to this command)" if isinstance(one.host.server, OllamaServer) else ""
            yield Line("FAIL", "model", f"{missing_at(missing, name)}{pull}")


def same_models(found: Sequence[HostFound]) -> dict[str, Model]:
    """The models by name, as all hosts have them; RequestError where weights differ, as a run refuses them."""
    names = dict.fromkeys(name for one in found for name in one.models)
    return {name: agreed(name, [(one.host.name, one.models[name]) for one in found if name in one.models]) for name in names}


async def measure_hosts(hosts: Sequence[CheckedHost], flight: Preflight) -> list[HostSpeed | Line]:
    """The speed of each, all at the same time as in a run; a line for one that breaks."""

    async def ask(host: CheckedHost) -> HostSpeed | Line:
        own = flight.at(host.server, host.roles[0], host.slots)
        main, loads = flight.config.model_for(host.roles[0]), {}
        try:
            for role in sorted(host.roles, key=lambda role: role == host.roles[0]):
                if (model := flight.config.model_for(role)) != main and model not in loads:
                    loads[model] = await own.load(role)
            together = await own.together()
            loads[main] = together.first.load_seconds
            loaded = await host.server.loaded() if len(loads) > 1 else None
        except (MachineError, Unanswered) as error:
            return Line("FAIL", "speed", f"{host.name}: {error}")
        finally:
            await host.server.close()
        return HostSpeed(host, main, together, together.slots(host.slots), loads, loaded)

    return await asyncio.gather(*map(ask, hosts))


def speed_lines(speeds: Sequence[HostSpeed]) -> Iterator[Line]:
    """Each host's speed, alone and with several requests, and the sum."""
    for speed in speeds:
        found, host = speed.together, speed.host
        alone = f"{host.name}: {speed.model} gives {rate_of(found.alone)} tokens/s, asked alone and reading included"
        several = f", and {rate_of(found.at_once)} for {found.requests} requests at once ({found.factor:.1f} times as many)"
        queues = found.requests > 1 and found.factor < GAIN and found.mean_tokens >= SHORT
        todo = "; more bring nothing: it has no more to give, or answers one at a time (an Ollama with OLLAMA_NUM_PARALLEL=1)"
        said = f"{alone}{several if found.requests > 1 else ''}; best with {speed.slots} in flight{todo if queues else ''}"
        yield Line("warn" if queues else "ok", "speed", said)
    if len(speeds) == 1:
        return
    total = sum(speed.rate for speed in speeds)
    yield Line("ok", "at once", f"{len(speeds)} hosts give {rate_of(total)} tokens/s together, each measured by itself")


def seconds_of(costs: Sequence[StepCost], alone: Mapping[str, Speed], speeds: Sequence[HostSpeed]) -> float:
    """How long a pair takes on all hosts together: as long as the roles take that have the fewest hosts for their work.

    `alone` are the speeds by which the costs are to be counted, of one request after the other.
    """
    power = {id(speed): speed.power / alone[speed.model].output for speed in speeds}
    longest = 0.0
    for roles in (set(some) for count in range(1, len(ROLES) + 1) for some in combinations(ROLES, count)):
        work = sum(c.calls * alone[c.model].seconds(c.prompt, c.output) for c in costs if STEPS[c.step].role in roles)
        longest = max(longest, work / (sum(power[id(s)] for s in speeds if roles & set(s.host.roles)) or 1.0))
    return longest
