"""The way of one candidate, from its question to its tags: what is asked and checked, in which order, and what drops it.

The cheap check runs before the dear call: a question that a judge or the filter drops is never answered, and only a pair
that nothing rejects gets the tags that filter nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, get_args

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import MissingReply, Truncated
from skills_dspy.base.records import Kind, PairVerdict, QuestionVerdict, Reason, Tags
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.ask import WHOLE_DRAW, Answer, Asker, Failed, Rank
from skills_dspy.model.room import longest, question_limit
from skills_dspy.model.steps import Exercise, Step, Subject, inputs, way
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed
from skills_dspy.pipeline.draw import Draw
from skills_dspy.screens.decontamination import TaskScreen
from skills_dspy.tasks.spec import TaskSpec

_Steps = dict[Kind, dict[str, Step]]


class _Drop(Exception):
    def __init__(self, outcome: Dropped) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Written:
    """What a draw wrote."""

    context: str | None
    questions: tuple[str, ...]
    calls: dict[str, tuple[str, ...]]


class WritingFailed(Exception):
    """A draw whose context or questions could not be read, twice."""

    def __init__(self, outcome: Dropped, context: str | None, calls: dict[str, tuple[str, ...]]) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome
        self.context = context
        self.calls = calls


class Writer(Protocol):
    """Where the questions of a draw come from, and what is known of its candidates beforehand."""

    async def write(self, draw: Draw, rank: Callable[[], Rank]) -> Written:
        """The draw's context, if it is grounded, and its questions; WritingFailed when there are none."""

    def known(self, candidate: Candidate) -> Outcome | None:
        """What becomes of a candidate whose way need not be gone; None for all others."""

    def unanswered(self, candidate: Candidate, missing: MissingReply) -> Outcome:
        """What becomes of a candidate to whose step there is no reply."""


class Flow:
    """The steps of one task's candidates.

    Args:
        spec, config: what is run.
        asker: asks the models.
        screen: evaluation questions that no candidate may be near to, if there are any.
        writer: where questions come from; None to ask for new ones.
    """

    def __init__(
        self, spec: TaskSpec, config: RunConfig, asker: Asker, screen: TaskScreen | None = None, writer: Writer | None = None
    ) -> None:
        self._spec = spec
        self._config = config
        self._asker = asker
        self._screen = screen
        self._steps: _Steps = {kind: {step.stage: step for step in way(kind, config.tagging)} for kind in get_args(Kind)}
        self._writer = writer or _NewQuestions(spec, asker, self._steps)
        self._longest_question = {kind: question_limit(longest(spec.seeds(kind))) for kind in get_args(Kind)}

    async def write(self, draw: Draw, rank: Callable[[], Rank]) -> Written:
        """The draw's context, if it is grounded, and its questions.

        Raises:
            WritingFailed: either was unreadable or truncated, twice.
        """
        return await self._writer.write(draw, rank)

    async def pursue(
        self, candidate: Candidate, novel: Callable[[Candidate], Awaitable[bool]], rank: Callable[[], Rank]
    ) -> Outcome:
        """The candidate's way after it was written; never raises for what concerns it alone.

        Args:
            candidate: its stage and calls are kept up to date.
            novel: whether no seed and no accepted pair is too near; waits while a near one is undecided.
            rank: its place in the queue.
        """
        if (known := self._writer.known(candidate)) is not None:
            return known
        try:
            return await self._pursue(candidate, novel, rank)
        except _Drop as drop:
            return drop.outcome
        except MissingReply as missing:
            return self._writer.unanswered(candidate, missing)

    async def _pursue(
        self, candidate: Candidate, novel: Callable[[Candidate], Awaitable[bool]], rank: Callable[[], Rank]
    ) -> Passed:
        async def ask(stage: str) -> Answer:
            return await self._ask(stage, candidate, rank)

        self._check_length(candidate)
        await self._check_contamination(candidate)
        await _check_novelty(candidate, novel)
        question = await ask("judge_question")
        quality = await ask("instruction_quality")
        await _check_novelty(candidate, novel)  # a near one may have been accepted in the meantime
        candidate.answer = str((await ask("write_answer")).values["answer"])
        self._check_answer(candidate)
        pair = await ask("judge_pair")
        sample = await ask("sample_quality")
        rest = (quality, quality) if self._config.tagging == "fused" else await _both(ask("difficulty"), ask("category"))
        return _passed(candidate.answer, question, pair, quality, sample, *rest)

    def _check_length(self, candidate: Candidate) -> None:
        """The windows are chosen for questions of the skill's length; one that runs on for ever is not of the skill."""
        length, most = estimate_tokens(candidate.question or ""), self._longest_question[candidate.draw.kind]
        if length > most:
            raise _Drop(Dropped("write_questions", "too long", f"about {length} tokens; the seeds allow for {most}"))

    async def _check_contamination(self, candidate: Candidate) -> None:
        """Before novelty, so that nobody waits for what is dropped; a duplicate is called one when it settles all the same."""
        if self._screen is None:
            return
        said = await self._screen.question(candidate.question or "", candidate.context)
        if said is not None:
            raise _Drop(Dropped("decontamination", "contaminated", f"it {said}"))

    def _check_answer(self, candidate: Candidate) -> None:
        if self._screen is not None and (found := self._screen.answer(candidate.answer or "")) is not None:
            raise _Drop(Dropped("answer_decontamination", "contaminated", f"the answer {found}", candidate.answer))

    async def _ask(self, stage: str, candidate: Candidate, rank: Callable[[], Rank]) -> Answer:
        step, draw = self._steps[candidate.draw.kind][stage], candidate.draw
        candidate.stage = stage
        try:
            asked = inputs(step, self._spec, draw.examples(step), candidate)
            answer = await self._asker.ask(step.name, asked, candidate.key[:2], rank)
        except Failed as failed:
            candidate.calls[stage] = failed.digests
            raise _Drop(_unusable(stage, failed, candidate.answer)) from failed
        candidate.calls[stage] = answer.digests
        if (why := step.rejects(answer.values, self._config)) is not None:
            raise _Drop(Dropped(stage, step.reason, why, candidate.answer, answer.raw))
        return answer


class _NewQuestions:
    """Asks the generator for the questions of a draw; nothing is known of their candidates."""

    def __init__(self, spec: TaskSpec, asker: Asker, steps: _Steps) -> None:
        self._spec = spec
        self._asker = asker
        self._steps = steps

    async def write(self, draw: Draw, rank: Callable[[], Rank]) -> Written:
        """The draw's context, if it is grounded, and its questions."""
        calls: dict[str, tuple[str, ...]] = {}
        context: str | None = None

        async def ask(stage: str, subject: Exercise) -> Answer:
            step = self._steps[draw.kind][stage]
            asked = inputs(step, self._spec, draw.examples(step), subject)
            try:
                answer = await self._asker.ask(step.name, asked, (draw.number, WHOLE_DRAW), rank)
            except Failed as failed:
                calls[stage] = failed.digests
                raise WritingFailed(_unusable(stage, failed, None), context, calls) from failed
            calls[stage] = answer.digests
            return answer

        if draw.kind == "grounded":
            context = (await ask("write_context", Subject())).values["context"]
        answer = await ask("write_questions", Subject(context))
        return Written(context, tuple(question.strip() for question in answer.values["questions"]), calls)

    def known(self, candidate: Candidate) -> Outcome | None:  # noqa: ARG002 - the protocol's name
        """Nothing."""
        return None

    def unanswered(self, candidate: Candidate, missing: MissingReply) -> Outcome:  # noqa: ARG002 - the protocol's name
        """It matters only if the candidate has to settle."""
        return missing


async def _check_novelty(candidate: Candidate, novel: Callable[[Candidate], Awaitable[bool]]) -> None:
    if not await novel(candidate):
        raise _Drop(Dropped("dedup", "duplicate", ""))  # settling finds the neighbour and says which


async def _both(first: Awaitable[Answer], second: Awaitable[Answer]) -> tuple[Answer, Answer]:
    """The answers to two steps that are asked at once."""
    answers = await asyncio.gather(first, second, return_exceptions=True)
    # Raised here in a fixed order, so that it does not depend on which of the two failed first; what concerns the whole
    # run goes before what became of this candidate.
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    for error in sorted(errors, key=lambda error: isinstance(error, _Drop)):
        raise error
    one, other = (answer for answer in answers if not isinstance(answer, BaseException))
    return one, other


def _unusable(stage: str, failed: Failed, answer: str | None) -> Dropped:
    reason: Reason = "truncated" if isinstance(failed.cause, Truncated) else "unreadable"
    return Dropped(stage, reason, f"{failed.cause}, twice", answer, failed.cause.raw)


def _passed(
    text: str, question: Answer, pair: Answer, quality: Answer, sample: Answer, difficulty: Answer, category: Answer
) -> Passed:
    """What is noted of a pair that passed; the same answer may hold several of its tags."""
    rated = {
        "instruction_quality": (quality, "quality"),
        "sample_quality": (sample, "score"),
        "difficulty": (difficulty, "difficulty"),
    }
    explained = {**{tag: answer for tag, (answer, _) in rated.items()}, "category": category}
    first, others = category.values["category"], dict.fromkeys(category.values["other_categories"])
    tags = Tags(
        **{tag: answer.values[field] for tag, (answer, field) in rated.items()},
        category=first,
        other_categories=tuple(other for other in others if other != first),
        explanations={tag: answer.values["explanation"] for tag, answer in explained.items()},
        soft={tag: answer.soft[field] for tag, (answer, field) in rated.items() if field in answer.soft},
    )
    return Passed(
        answer=text,
        question_verdict=QuestionVerdict.model_validate(_verdict(question)),
        pair_verdict=PairVerdict.model_validate(_verdict(pair)),
        tags=tags,
    )


def _verdict(answer: Answer) -> dict[str, object]:
    values = answer.values
    return {"explanation": values["explanation"], "rating": values["rating"], "soft": answer.soft.get("rating")}
