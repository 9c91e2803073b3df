"""Whole runs without disk and network: prompts, order and slots are real, what is kept is kept in memory.

In virtual time the client takes no time, so all wall time is the server's, and 200 pairs cost a few seconds.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import dspy

from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.base.config import ROLES, RunConfig
from skills_dspy.base.records import Kind
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.engine import asker_for
from skills_dspy.model.hosts.lane import Host
from skills_dspy.model.hosts.slots import Share, Slots
from skills_dspy.model.program import QUIET, SkillsProgram, fingerprint
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.steps import reply_limits, way
from skills_dspy.pipeline.draw_places import DrawPlaces, most_open
from skills_dspy.pipeline.flow import Flow
from skills_dspy.pipeline.rows import RunLedger
from skills_dspy.pipeline.settle import Settler
from skills_dspy.similarity.nearest import Vectors
from skills_dspy.store.journal import JournaledReply
from skills_dspy.tasks.spec import TaskSpec


@dataclass(slots=True)
class Kept:
    """What one task's run has in memory in place of its directory.

    Attributes:
        replies: its journal: bodies by digest.
        lines: its rows as they would be written, accepted and rejected in the order of their decisions.
        needed: the digests of the requests that decided rows needed.
        accepted: how many rows were accepted.
    """

    replies: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    needed: set[str] = field(default_factory=set)
    accepted: int = 0

    @property
    def needed_tokens(self) -> int:
        """The tokens of the replies that the rows needed."""
        return sum(int(self.replies[digest]["eval_count"]) for digest in self.needed)

    def get(self, digest: str) -> dict[str, Any] | None:
        """The reply to this request, or None."""
        return self.replies.get(digest)

    async def put(self, entry: JournaledReply) -> dict[str, Any]:
        """Keep a reply; of two to equal requests the first."""
        return self.replies.setdefault(entry.digest, entry.reply)

    def append(self, row: Mapping[str, Any]) -> None:
        """One more row."""
        self.lines.append(json.dumps(row, ensure_ascii=False))
        self.needed.update(digest for call in row["provenance"]["calls"] for digest in call["digests"])


class _Vectors:
    """Vectors that cost no time."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One for each text."""
        return HashEmbedder().embed(texts)


async def play_tasks(
    specs: Sequence[TaskSpec],
    config: RunConfig,
    source: Host,
    slots: Slots,
    *,
    wanted: int,
    seed: int,
    before: Sequence[Kept] | None = None,
) -> list[Kept]:
    """Run tasks side by side to so many accepted pairs each; `before` has what earlier runs of them kept, which goes on."""
    kinds = get_args(Kind)
    programs = {spec.task_name: SkillsProgram(spec.num_questions_to_generate_per_prompt) for spec in specs}
    places = DrawPlaces(most_open(config.draws.window, slots.count))
    doors = [places.join() for _ in specs]

    async def play(number: int, spec: TaskSpec) -> Kept:
        names, program = {role: config.model_for(role) for role in ROLES}, programs[spec.task_name]
        kept = Kept() if before is None else Kept(replies=dict(before[number].replies))
        replies = Replies(kept, source, Share(slots), Meter())
        windows, limits = dict.fromkeys(ROLES, 8192), reply_limits(spec, config)
        prompts = {
            kind: {step.stage: fingerprint(program.predictor(step.name)) for step in way(kind, config.tagging)}
            for kind in kinds
        }
        run = Settler(
            spec,
            config,
            seed=seed,
            wanted=wanted,
            flow=Flow(spec, config, asker_for(program, config, names, windows, replies, limits, seed, spec.task_name)),
            embedder=_Vectors(),
            ledger=RunLedger(spec, seed, {str(role): name for role, name in names.items()}, prompts, kept, kept),
            wake=slots.look_again,
            place=doors[number],
        )
        await run.run()
        kept.accepted = run.funnel.accepted
        return kept

    with dspy.context(adapter=SkillsAdapter(), **QUIET):
        return list(await asyncio.gather(*(play(number, spec) for number, spec in enumerate(specs))))
