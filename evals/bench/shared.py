"""What a run asks for beside what it needs, on a server that shares its speed among its requests; in virtual time.

All of a run is real but for disk and network: prompts, order, slots. The client takes no time, so that all wall time is the
server's, and a run of 200 pairs costs a second or two.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import dspy

from evals.bench import virtual_time
from evals.bench.client import TASK
from evals.bench.hash_embedder import HashEmbedder
from evals.teacher.config import TeacherConfig
from evals.teacher.replies import Teacher
from evals.teacher.sharing import SharedSpeed, gain
from evals.teacher.wire import chat_reply, parse
from skills_dspy.base.config import ROLES, load_config
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.engine import asker_for
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.program import QUIET, SkillsProgram, fingerprint
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.steps import reply_limits, way
from skills_dspy.pipeline.draw_places import DrawPlaces, most_open
from skills_dspy.pipeline.flow import Flow
from skills_dspy.pipeline.rows import RunLedger
from skills_dspy.pipeline.settle import Settler
from skills_dspy.similarity.nearest import Vectors
from skills_dspy.store.journal import request_digest
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
    return [_cells(case, spent(case)) for case in (cases if scale == 1 else cases[:8])]


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
    """The teacher without HTTP: `began` counts the calls, `tokens` has those of whole replies by request."""

    def __init__(self, config: TeacherConfig) -> None:
        self.began = 0
        self.tokens: dict[str, int] = {}
        self.speed = SharedSpeed(config.speed)
        self._teacher = Teacher(config)

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One reply's body."""
        self.began += 1
        asked = parse(payload)
        reply = self._teacher.reply(asked)
        self.tokens[request_digest(payload)] = reply.tokens
        await self.speed.write(reply.tokens)
        return chat_reply(asked, reply, (0.0, 0.0))


class _Vectors:
    """Vectors that cost no time."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One for each text."""
        return HashEmbedder().embed(texts)


class _Rows:
    """Keeps the digests of the requests that decided rows needed."""

    def __init__(self) -> None:
        self.needed: set[str] = set()

    def append(self, row: Mapping[str, Any]) -> None:
        """One more row."""
        self.needed.update(digest for call in row["provenance"]["calls"] for digest in call["digests"])


def _spent(case: SharedCase, seed: int) -> Spent:
    spec, config, adapter = load_task(TASK)[0], load_config(), SkillsAdapter()
    program, rows = SkillsProgram(spec.num_questions_to_generate_per_prompt), _Rows()
    names = {role: config.model_for(role) for role in ROLES}
    prompts = {"freeform": {s.stage: fingerprint(program.predictor(s.name), adapter) for s in way("freeform", config.tagging)}}

    async def main() -> tuple[_Host, float, int]:
        host = _Host(TeacherConfig(pass_rate=case.pass_rate, speed=SPEED, seed=seed))
        slots = Slots(case.slots)
        replies = Replies(None, host, slots, Meter())
        windows = dict.fromkeys(ROLES, 8192)
        limits = reply_limits(spec, config)
        asker = asker_for(program, config, names, windows, replies, limits, seed, spec.task_name)
        run = Settler(
            spec,
            config,
            seed=seed,
            wanted=case.wanted,
            flow=Flow(spec, config, asker),
            embedder=_Vectors(),
            ledger=RunLedger(spec, seed, {str(role): name for role, name in names.items()}, prompts, rows, rows),
            wake=slots.look_again,
            place=DrawPlaces(most_open(config.draws.window, case.slots)).join(),
        )
        with dspy.context(adapter=adapter, **QUIET):
            await run.run()
        return host, asyncio.get_running_loop().time(), run.funnel.accepted

    host, seconds, accepted = virtual_time.play(main())
    needed = sum(host.tokens[digest] for digest in rows.needed)
    alone = needed / (SPEED * gain(case.slots))
    return Spent(
        host.began / accepted, len(rows.needed) / accepted, host.speed.written / accepted, needed / accepted, seconds / alone
    )
