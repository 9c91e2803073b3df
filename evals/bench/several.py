"""What several hosts do together, of unequal speed, with one killed, and one that holds one of three models; in virtual time.

The hosts are simulated teachers that share their speed among their requests. All else is what a run has: the queue, what hands
work over, the client of Ollama, whole runs of several tasks.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from evals.bench import virtual_time
from evals.bench.client import copies
from evals.bench.figure import Figure
from evals.bench.playing import Kept, play_tasks
from evals.teacher.config import TeacherConfig
from evals.teacher.service import Service
from evals.teacher.transport import TeacherTransport
from skills_dspy.base.config import ROLES, RunConfig, load_config
from skills_dspy.model.hosts.call import LATER
from skills_dspy.model.hosts.hosts import Hosts
from skills_dspy.model.hosts.lane import Lane
from skills_dspy.model.hosts.member import Member, OnFault
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.server.ollama import OllamaServer

SLOWEST = 30.0
"""Tokens a second of the slowest host with one request alone."""
LOADING = 5.0
"""Seconds that a model takes to load."""


@dataclass(frozen=True, slots=True)
class OneHost:
    """A host: how many times as fast as the slowest, and its slots."""

    speed: float
    slots: int


@dataclass(frozen=True, slots=True)
class Strike:
    """One host is killed at a time, and started again at another, if ever; in seconds from the start."""

    host: int
    at: float
    back: float | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of the runs of all tasks.

    Attributes:
        kept: what each keeps.
        seconds: when the last ended.
        calls: how many replies each host gave.
        loads: how often models were loaded.
        told: what was told of hosts, and when.
    """

    kept: tuple[Kept, ...]
    seconds: float
    calls: tuple[int, ...]
    loads: int
    told: tuple[tuple[float, str], ...]

    @property
    def needed(self) -> int:
        """The tokens that the rows needed."""
        return sum(kept.needed_tokens for kept in self.kept)

    @property
    def rate(self) -> float:
        """Needed tokens a second."""
        return self.needed / self.seconds

    @property
    def lines(self) -> tuple[tuple[str, ...], ...]:
        """Every task's rows."""
        return tuple(tuple(kept.lines) for kept in self.kept)


class RankOrder(Slots):
    """The queue without knowledge of models and warmth, for comparison: the smallest rank takes the first free slot."""

    def _choose(self) -> Any:
        return next(
            (
                (waiter, lane)
                for waiter in sorted(self._waiting, key=lambda waiter: waiter.rank())[:1]
                for lane in self.lanes
                if waiter.rank() != LATER and lane.held < lane.count
            ),
            None,
        )


def settings(models: int = 1) -> RunConfig:
    """The usual settings, with as many models as roles, or one."""
    return load_config(models=dict(zip(ROLES, ("writer", "judge", "tagger")[: max(1, models)], strict=False)))


async def asked_together(
    several: Sequence[OneHost],
    *,
    tasks: int,
    wanted: int,
    config: RunConfig | None = None,
    teacher: TeacherConfig | None = None,
    strike: Strike | None = None,
    queue: type[Slots] | None = None,
    before: Sequence[Kept] | None = None,
    seed: int = 0,
) -> Ran:
    """Whole runs over these hosts, each a teacher like the one given but for speed and slots, on a running loop."""
    config, teacher, loop = config or settings(), teacher or TeacherConfig(), asyncio.get_running_loop()
    models = tuple(dict.fromkeys(map(config.model_for, ROLES)))
    services = [Service(replace(teacher, slots=h.slots, speed=SLOWEST * h.speed, models=models)) for h in several]
    transports, told = list(map(TeacherTransport, services)), list[tuple[float, str]]()

    def member(number: int, host: OneHost) -> Member:
        def server(heard: OnFault) -> OllamaServer:
            return OllamaServer(
                f"http://host-{number}:11434",
                config.server,
                concurrency=host.slots,
                jitter=random.Random(number),
                clock=loop.time,
                transport=transports[number],
                on_fault=heard,
            )

        return Member(server, Lane(host.slots), ROLES, frozenset(models), config.server)

    hosts = Hosts([member(number, host) for number, host in enumerate(several)], lambda line: told.append((loop.time(), line)))
    if queue is not None:
        hosts.slots = queue(hosts.slots.lanes)
        for one in hosts.members:
            one.slots = hosts.slots
    await hosts.version()
    for model in models:
        await hosts.model(model)
    if strike is not None:
        loop.call_later(strike.at, transports[strike.host].go)
        if strike.back is not None:
            loop.call_later(strike.back, transports[strike.host].come)
    kept = await play_tasks(copies(tasks), config, hosts, hosts.slots, wanted=wanted, seed=seed, before=before)
    seconds = loop.time()
    await hosts.close()
    calls = tuple(member.lane.calls for member in hosts.members)
    return Ran(tuple(kept), seconds, calls, sum(service.memory.loads for service in services), tuple(told))


def ran(several: Sequence[OneHost], **case: Any) -> Ran:
    """The same in virtual time."""
    return virtual_time.play(asked_together(several, **case))


_SIZES = (
    (OneHost(1, 4), OneHost(3, 8)),
    (OneHost(1, 2), OneHost(2, 8), OneHost(3, 4), OneHost(5, 12)),
)
_TASKS, _WANTED, _SHARE = 4, 50, 0.95


def figures(scale: int) -> list[Figure]:
    """All of it; of a smaller `scale`, from 1, fewer pairs over the fewest hosts."""
    wanted = max(2, _WANTED // scale)
    sizes = _SIZES if scale == 1 else _SIZES[:1]
    return [figure for several in sizes for figure in _together(several, wanted)] + _swaps(max(2, wanted // 2))


def _together(several: Sequence[OneHost], wanted: int) -> list[Figure]:
    """What hosts do together, over what each does alone, and what it costs when the fastest is killed."""
    work = {"tasks": _TASKS, "wanted": wanted}
    alone = sum(ran([host], **work).rate for host in several)
    whole, rest, last = ran(several, **work), ran(several[:-1], **work), len(several) - 1
    half, third = whole.seconds / 2, whole.seconds / 3
    gone = ran(several, **work, strike=Strike(last, half))
    back = ran(several, **work, strike=Strike(last, third, 2 * third))
    noticed = next((at for at, line in back.told if line.endswith("again.") and at > 2 * third), back.seconds)
    without = half + (whole.needed - whole.rate * half) / rest.rate
    between = noticed + max(0.0, whole.needed - whole.rate * third - rest.rate * (noticed - third)) / whole.rate
    speeds = " : ".join(f"{host.speed:.0f}" for host in several)
    name = f"{len(several)} hosts, {speeds}, slots {', '.join(str(host.slots) for host in several)}"
    lost = sum(_lost(whole, other) for other in (gone, back))
    return [
        Figure(f"{name}: needed tokens a second over the sum of each alone", whole.rate / alone, "{:.1%}", least=_SHARE),
        Figure(
            "the fastest killed at half: what the others do alone, over what they take",
            without / gone.seconds,
            "{:.1%}",
            least=_SHARE,
        ),
        Figure(
            "killed at a third, there again at two thirds: the same, from when that is noticed",
            between / back.seconds,
            "{:.1%}",
            least=_SHARE,
        ),
        Figure("seconds until it is noticed, after so many away", noticed - 2 * third, "{:.0f} s" + f" after {third:.0f} s"),
        Figure("rows that differ from those without a kill", lost, "{:.0f}", 0),
    ]


def _lost(whole: Ran, other: Ran) -> int:
    """How many rows of one are not those of the other."""
    return sum(len(set(mine) ^ set(theirs)) + (mine != theirs) for mine, theirs in zip(whole.lines, other.lines, strict=True))


def _swaps(wanted: int) -> list[Figure]:
    """Three models on one host that holds one: its loads and the time of a run, with and without the care of the queue."""
    teacher = TeacherConfig(holds=1, load_seconds=LOADING)
    ours, plain = (
        ran([OneHost(3, 8)], tasks=_TASKS, wanted=wanted, config=settings(3), teacher=teacher, queue=queue)
        for queue in (None, RankOrder)
    )
    case = f"three models on a host that holds one and loads {LOADING:.0f} s"
    return [
        Figure(f"{case}: loads in rank order", plain.loads, "{:.0f}"),
        Figure("loads by the queue that knows what is loaded", ours.loads, "{:.0f}", most=plain.loads / 3),
        Figure("wall time in rank order", plain.seconds, "{:.0f} s"),
        Figure("wall time by that queue", ours.seconds, "{:.0f} s", most=plain.seconds),
        Figure("rows that differ between the two", _lost(plain, ours), "{:.0f}", 0),
    ]
