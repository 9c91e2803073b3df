"""The measurements before a run: what the host has, a reply of each sort, tokens a second alone and at once.

The prompts are a run's own. Nothing is written to the disk: replies are kept in memory for as long as they are looked at.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy

from skills_dspy.base.config import ROLES, Role, RunConfig
from skills_dspy.base.errors import EmbedderMissing, ModelMissing, ThinkingRefused, Unanswered
from skills_dspy.base.thinking import THINK_FIELD, Think
from skills_dspy.commands.check.sample_prompts import messages_of, sample_inputs
from skills_dspy.commands.check.speed import Counts, Together, Trial, counts_of, most_at_once
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.ask import Failed
from skills_dspy.model.context_window import Need, choose_windows, needs
from skills_dspy.model.description import PLACEHOLDER, described, undescribed
from skills_dspy.model.embedding.weights import WeightsFolder, find_model
from skills_dspy.model.engine import asker_for
from skills_dspy.model.hosts.slots import Slots
from skills_dspy.model.program import QUIET, SkillsProgram, estimate_of
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.server.server import Model, Server
from skills_dspy.model.soft import RATING_STEPS, rated, soft_of
from skills_dspy.model.steps import DESCRIBE, STEPS, reply_limits, way
from skills_dspy.screens.residue import residue_look
from skills_dspy.store.journal import JournaledReply
from skills_dspy.store.said import said_in
from skills_dspy.tasks.spec import TaskSpec

MOST_AT_ONCE = 16
"""Requests that are sent at once at most: a server that only queues would take too long over more."""
_TEST_TOKENS = 96
"""The most tokens of a reply that is only timed."""
_PROMPTS = 3
"""So many of a step's prompts are tried, where the server cannot answer the first ones."""


async def survey(
    server: Server, config: RunConfig, roles: Sequence[Role] = ROLES
) -> tuple[str, dict[str, Model], dict[str, str]]:
    """A host's version, the roles' models by name, and of those that it lacks what to do; ServerError when nobody answers."""
    models: dict[str, Model] = {}
    missing: dict[str, str] = {}
    try:
        version = await server.version()
        for name in dict.fromkeys(config.model_for(role) for role in roles):
            try:
                models[name] = await server.model(name)
            except ModelMissing as error:
                missing[name] = str(error)
    finally:
        await server.close()
    return version, models, missing


def fit(specs: Sequence[TaskSpec], config: RunConfig, models: Mapping[str, Model]) -> tuple[dict[Role, int], dict[str, Need]]:
    """Each role's window, and the longest prompt of each model; ContextTooLong or ConfigError as `choose_windows` has it."""
    wanted = [needs(spec, config, SkillsProgram(spec.num_questions_to_generate_per_prompt)) for spec in specs]
    windows = choose_windows(wanted, config, {name: model.context_length for name, model in models.items()})
    every = sorted((need for steps in wanted for need in steps.values()), key=lambda need: need.total)
    return windows, {name: [n for n in every if config.model_for(STEPS[n.step].role) == name][-1] for name in models}


def asked_as(config: RunConfig, role: Role) -> tuple[str, Think]:
    """The model of a role, and its setting of `think`: roles that have both in common are tried together."""
    return config.model_for(role), config.role(role).think


def find_weights(name: str) -> WeightsFolder | None:
    """Where on this machine the embedding model is; None when a run would have to fetch it; else EmbedderMissing."""
    try:
        return find_model(name, download=_not_now)
    except EmbedderMissing as error:
        if isinstance(error.__cause__, _NotNowError):
            return None
        raise


class Preflight:
    """Tries one task's prompts, of the kind of its first seed, on a host whose models are pulled.

    `windows` are each role's num_ctx, `concurrency` how many requests a run would have in flight, 1 or more.
    """

    def __init__(
        self,
        spec: TaskSpec,
        config: RunConfig,
        server: Server,
        windows: Mapping[Role, int],
        *,
        concurrency: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timed_role: Role = "generator"
        self._given = self._spec = spec  # as it was given, and with the description that was derived
        self._config, self._server, self._windows = config, server, windows
        self._concurrency, self._clock = concurrency, clock
        self._kind = spec.seed_examples[0].kind
        self._instead: dict[int, int] = {}
        self._program = SkillsProgram(spec.num_questions_to_generate_per_prompt)
        self._adapter = SkillsAdapter()

    @property
    def config(self) -> RunConfig:
        """The settings that are tried."""
        return self._config

    def changed(self, config: RunConfig, windows: Mapping[Role, int]) -> "Preflight":
        """The same with other settings."""
        other = copy(self)
        other._config, other._windows = config, windows
        return other

    def at(self, server: Server, role: Role, concurrency: int) -> "Preflight":
        """The same at a host, where this role's model is timed."""
        other = copy(self)
        other._server, other._timed_role, other._concurrency, other._instead = server, role, concurrency, {}
        return other

    @property
    def steps(self) -> tuple[str, ...]:
        """What to try: both sorts of reply of the generator, then the first step of every other model, or way to think.

        Where soft ratings are asked for, every step that rates. Before them the description, where the file has none: the
        other prompts are tried with what was derived.
        """
        steps = [DESCRIBE.name] if undescribed(self._given) else []
        steps += [f"write_questions_{self._kind}", f"write_answer_{self._kind}"]
        asked: set[tuple[str, Think]] = set()
        for role in ROLES:
            how = asked_as(self._config, role)
            if how not in asked and asked:
                steps.append(next(step.name for step in way(self._kind, self._config.tagging) if step.role == role))
            asked.add(how)
        if self._config.asks_soft(shown=False):
            steps += [step.name for step in way(self._kind, self._config.tagging) if step.name in RATING_STEPS]
        return tuple(dict.fromkeys(steps))

    async def attempt(self, step: str) -> Trial:
        """Ask one step's prompt the way a run does, with its second try; raises what the server does.

        Where the server cannot answer that prompt and answers others, which a run would go on without, those of other draws.
        """
        first = trial = await self._attempt(step, 0)
        for number in range(1, _PROMPTS if step != DESCRIBE.name else 1):
            if trial.unanswered:
                trial = await self._attempt(step, number)
        return trial if trial is first else replace(trial, lost=first.fault or "")

    async def _attempt(self, step: str, number: int) -> Trial:
        heard = _Heard()
        replies = Replies(heard, self._server, Slots(1), Meter(), self._clock)
        names = {role: self._config.model_for(role) for role in ROLES}
        limits, task = reply_limits(self._spec, self._config), self._spec.task_name
        look = residue_look(self._config.screens, self._spec)
        asker = asker_for(self._program, self._config, names, self._windows, replies, limits, 0, task, look)
        inputs = sample_inputs(self._spec, self._kind, STEPS[step], number)
        fault: Failed | ThinkingRefused | None = None
        with dspy.context(adapter=self._adapter, **QUIET):
            try:
                await asker.ask(step, inputs, (0, 0), lambda: (0,))
            except (Failed, ThinkingRefused) as failed:
                fault = failed
        last = list(heard.entries.values())[-1] if heard.entries else JournaledReply("", {}, {"message": {}}, step, 0.0, 0.0)
        said, counts = said_in(last.reply, last.request), counts_of(last.reply, last.seconds)
        estimate = estimate_of(messages_of(self._spec, self._kind, STEPS[step], number, self._program))
        if step == DESCRIBE.name:
            # A run would end here if it failed; the rest is tried all the same, but never with a blank.
            self._spec = described(self._spec, said.text.strip() if fault is None else PLACEHOLDER)
        return Trial(
            step=step,
            model=self._config.model_for(STEPS[step].role),
            prose=self._adapter.plan(self._program.predictor(step).signature).prose is not None,
            estimate=estimate,
            counts=counts,
            tries=len(heard.entries),
            fault=None if fault is None else str(fault),
            unanswered=isinstance(fault, Failed) and fault.reason == "server failed",
            raw=said.text,
            cut=last.reply.get("done_reason") == "length",
            thoughts=round(counts.output_tokens * len(said.thoughts) / max(1, len(said.thoughts) + len(said.text))),
            soft=soft_of(last.reply, last.request) if rated(last.reply, last.request) else None,
        )

    async def load(self, role: Role) -> float:
        """The seconds that the host took to load a role's model for one answer; 0 where it was loaded, or it does not say."""
        return (await self._timed(0, role)).load_seconds

    async def together(self) -> Together:
        """Time answers of at most 96 tokens: one alone, then as many at once as a run would ask for, at most 16."""
        requests = min(self._concurrency, MOST_AT_ONCE)
        first = await self._timed(1)
        unanswered = -1
        while unanswered < len(self._instead):  # what is never answered takes long to be found out, which is no speed
            unanswered, began = len(self._instead), self._clock()
            counts = await asyncio.gather(*(self._timed(2 + number) for number in range(requests)))
            seconds = max(self._clock() - began, 1e-9)
        tokens = sum(c.output_tokens for c in counts)
        return Together(
            requests=requests,
            first=first,
            alone=first.output_tokens / first.seconds,
            at_once=tokens / seconds,
            mean_tokens=tokens / requests,
            busy=sum(c.output_seconds for c in counts) / seconds,
            most=most_at_once(counts),
        )

    async def _timed(self, number: int, role: Role | None = None) -> Counts:
        """Every request has another draw's prompt: one that the server has in its cache would seem fast.

        What the server cannot answer, and answers others, is asked of other draws instead.
        """
        while number in self._instead:
            number = self._instead[number]
        role = role or self._timed_role
        settings, step = self._config.role(role), f"write_answer_{self._kind}"
        options = {
            "num_ctx": self._windows[role],
            "temperature": settings.temperature,
            "num_predict": _TEST_TOKENS,
            "seed": number,
        }
        payload = {
            "model": self._config.model_for(role),
            "messages": messages_of(self._spec, self._kind, STEPS[step], number, self._program),
            "options": options,
            "keep_alive": settings.keep_alive,
            **THINK_FIELD[settings.think],
        }
        began = self._clock()
        try:
            body = await self._server.chat(payload)
        except Unanswered:
            if number > _PROMPTS * MOST_AT_ONCE:
                raise
            self._instead[number] = number + MOST_AT_ONCE + 1
            return await self._timed(number, role)
        return counts_of(body, self._clock() - began)


class _Heard:
    """Stands where a run has its journal, and keeps nothing on the disk."""

    def __init__(self) -> None:
        self.entries: dict[str, JournaledReply] = {}

    def get(self, digest: str) -> dict[str, Any] | None:
        entry = self.entries.get(digest)
        return None if entry is None else entry.reply

    async def put(self, entry: JournaledReply) -> dict[str, Any]:
        self.entries[entry.digest] = entry
        return entry.reply


class _NotNowError(Exception):
    """The hub would have to be asked."""


def _not_now(repo: str) -> Path:
    raise _NotNowError(repo)
