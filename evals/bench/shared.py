"""What a run asks for beside what it needs, on a server that shares its speed among its requests; in virtual time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from evals.bench import virtual_time
from evals.bench.client import TASK
from evals.bench.playing import Kept, play_tasks
from evals.teacher.config import TeacherConfig
from evals.teacher.replies import Teacher
from evals.teacher.sharing import SharedSpeed, gain
from evals.teacher.wire import chat_reply, parse
from skills_dspy.base.config import load_config
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.tasks.files import load_task

SPEED = 1000.0
"""Tokens a second of one request alone; only ratios are told, which it does not change."""


@dataclass(frozen=True, slots=True)
class SharedCase:
    """So many pairs wanted with so many slots, in so many runs of different random seeds."""

    wanted: int
    slots: int
    runs: int = 1
    pass_rate: float = 0.9


@dataclass(frozen=True, slots=True)
class Spent:
    """What runs took for each accepted pair, and what their decided candidates needed of it.

    `calls` were begun and `tokens` written, also those of calls that were given up; `needed_calls` and `needed_tokens` stand in
    the rows, accepted or rejected. `wall` is the time over what the server takes for the needed tokens with all slots busy.
    """

    calls: float
    needed_calls: float
    tokens: float
    needed_tokens: float
    wall: float

    @property
    def over(self) -> float:
        """How many times the needed calls were made."""
        return self.calls / self.needed_calls


SPENT_COLUMNS = (
    "pairs",
    "slots",
    "calls a pair",
    "needed",
    "times",
    "tokens a pair",
    "needed",
    "times",
    "wall",
    "wanted",
    "holds",
)

_WANTED = ((30, 1.15, 1.15), (0, 1.3, 1.4))
"""The most calls over those needed and the most wall time that are wanted, from so many pairs on."""


def table(scale: int) -> list[tuple[str, ...]]:
    """What stands below SPENT_COLUMNS; of a smaller `scale`, from 1, fewer runs and cases."""
    sizes = ((8, (4, 8, 12, 32), 40), (30, (12,), 20), (50, (4, 8, 32), 20), (200, (4, 8, 32), 5))
    cases = [SharedCase(wanted, slots, max(1, runs // scale)) for wanted, some, runs in sizes for slots in some]
    return [_cells(case, spent(case)) for case in (cases if scale == 1 else cases[:8:4])]


def _cells(case: SharedCase, had: Spent) -> tuple[str, ...]:
    calls, wall = next(most for least, *most in _WANTED if case.wanted >= least)
    bounded = case.wanted != 8 or case.slots == 12
    return (
        f"{case.wanted}",
        f"{case.slots}",
        *(f"{had.calls:.2f}", f"{had.needed_calls:.2f}", f"{had.over:.2f}"),
        *(f"{had.tokens:.0f}", f"{had.needed_tokens:.0f}", f"{had.tokens / had.needed_tokens:.2f}"),
        f"{had.wall:.2f}",
        f"calls {calls:.2f}, wall {wall:.2f}" if bounded else "",
        ("yes" if had.over <= calls and had.wall <= wall else "NO") if bounded else "",
    )


def spent(case: SharedCase) -> Spent:
    """The mean of a case's runs."""
    runs = [_spent(case, seed) for seed in range(case.runs)]
    return Spent(*(fmean(getattr(run, name) for run in runs) for name in Spent.__slots__))


class _Host:
    """The teacher without HTTP: `began` counts the calls."""

    def __init__(self, config: TeacherConfig) -> None:
        self.began = 0
        self.speed = SharedSpeed(config.speed)
        self._teacher = Teacher(config)

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply's body."""
        self.began += 1
        asked = parse(payload)
        reply = self._teacher.reply(asked)
        await self.speed.write(reply.tokens)
        return chat_reply(asked, reply, (0.0, 0.0))


def _spent(case: SharedCase, seed: int) -> Spent:
    async def main() -> tuple[_Host, float, Kept]:
        host = _Host(TeacherConfig(pass_rate=case.pass_rate, speed=SPEED, seed=seed))
        specs = [load_task(TASK)[0]]
        (kept,) = await play_tasks(specs, load_config(), host, Slots(case.slots), wanted=case.wanted, seed=seed)
        return host, asyncio.get_running_loop().time(), kept

    host, seconds, kept = virtual_time.play(main())
    accepted, needed = kept.accepted, kept.needed_tokens
    alone = needed / (SPEED * gain(case.slots))
    return Spent(
        host.began / accepted, len(kept.needed) / accepted, host.speed.written / accepted, needed / accepted, seconds / alone
    )
