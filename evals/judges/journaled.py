"""The calls of a report card: which there are, what the journal has of them already, and what they have cost."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from evals.judges.ask import FUSED, UNFILTERED_TAGS, CaseCall, Judged, judge, judging_limits
from evals.judges.cases import Case
from evals.judges.fused import StepTokens
from evals.session.session import Session
from skills_dspy.base.config import ROLES
from skills_dspy.base.errors import SkillsError
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.ask import Asker
from skills_dspy.model.engine import asker_for
from skills_dspy.model.program import SkillsProgram
from skills_dspy.model.replies import Meter, Replies
from skills_dspy.model.room import RETRY
from skills_dspy.model.slots import Slots
from skills_dspy.model.steps import STEPS

_MESSAGE = 16
"""Tokens that a chat template may put around a message."""


def calls_for(cases: Sequence[Case], samples: int, *, fused: bool) -> tuple[CaseCall, ...]:
    """Everything that is asked about labelled cases.

    Args:
        cases: each is put to its own step.
        samples: so often, with different sampling seeds.
        fused: put the cases of tag_instruction_quality once to the fused tagger as well, and to the taggers of difficulty and
            category, which it stands for.
    """
    own = [CaseCall(case, case.step, sample) for case in cases for sample in range(samples)]
    about = [case for case in cases if case.step == "tag_instruction_quality"] if fused else []
    return (*own, *(CaseCall(case, step) for step in (FUSED, *UNFILTERED_TAGS) for case in about))


def room_for(calls: Iterable[CaseCall], program: SkillsProgram, session: Session) -> tuple[int, int]:
    """An upper estimate of the longest prompt, and the most that a reply may take, in tokens."""
    limits, length = judging_limits(session.config), cache(estimate_tokens)  # what prompts share is estimated once
    prompt = reply = 0
    for step, case in {(call.step, call.case.id): call.case for call in calls}.items():
        predictor = program.predictor(step[0])
        demos = [dict(demo) for demo in predictor.demos]
        messages = session.adapter.format(predictor.signature, demos, case.inputs())
        prompt = max(prompt, sum(length(message["content"]) + _MESSAGE for message in messages))
        reply = max(reply, RETRY * limits[step[0]])
    return prompt, reply


async def remembered(
    session: Session, program: SkillsProgram, calls: Sequence[CaseCall], seed: int, num_ctx: int
) -> list[Judged | None]:
    """What the journal answers without a call, in the order of the calls; None for what has to be asked."""
    if not session.journal.usage()["calls"]:
        return [None] * len(calls)
    asker = _remembering(session, program, seed, num_ctx)
    found: list[Judged | None] = []
    for call in calls:
        try:
            found.append(await judge(asker, call))
        except _NotAsked:
            found.append(None)
    return found


def costs(judged: Iterable[Judged], reply: Callable[[str], Mapping[str, Any] | None]) -> dict[str, StepTokens]:
    """Step to what its calls have cost.

    Args:
        judged: what was said; each request is counted once.
        reply: the body of the reply to a request's digest, as a journal has it.
    """
    digests: dict[str, dict[str, None]] = {}
    for said in judged:
        digests.setdefault(said.step, {}).update(dict.fromkeys(said.digests))
    return {step: _cost([reply(digest) or {} for digest in asked]) for step, asked in digests.items()}


def _cost(bodies: Sequence[Mapping[str, Any]]) -> StepTokens:
    prompt = sum(int(body.get("prompt_eval_count") or 0) for body in bodies)
    return StepTokens(len(bodies), prompt, sum(int(body.get("eval_count") or 0) for body in bodies))


class _NotAsked(SkillsError):
    """The journal lacks a reply."""


class _Nobody:
    """A host that answers nothing."""

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        del payload
        raise _NotAsked("this was never asked")


def _remembering(session: Session, program: SkillsProgram, seed: int, num_ctx: int) -> Asker:
    """Who asks the session's journal and nobody else."""
    config = session.config
    replies = Replies(session.journal, _Nobody(), Slots(1), Meter())
    names = {role: session.models[config.model_for(role)].name for role in ROLES}
    windows = {role: config.role(role).num_ctx or num_ctx for role in ROLES}
    return asker_for(program, config, names, windows, replies, judging_limits(config), seed, "evals")


def roles_asked(calls: Iterable[CaseCall]) -> set[str]:
    """The roles whose models are asked."""
    return {STEPS[call.step].role for call in calls}
