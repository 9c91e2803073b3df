"""The way of one candidate, from writing to tags: the steps, their order, and where each may reject.

The cheap check runs before the dear call: a question that a judge or the filter drops is never answered, and only a pair
that nothing rejects gets the tags that filter nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from signatures.examples import Passage
from signatures.labels import Category
from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import MissingReply, Truncated
from skills_dspy.base.records import Kind, PairVerdict, QuestionVerdict, Reason, Tags
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.ask import Answer, Asker, Failed
from skills_dspy.model.calls import WHOLE_DRAW, Rank
from skills_dspy.model.room import longest, question_limit
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed, pair_shown, question_inputs, questions_shown
from skills_dspy.pipeline.draw import Draw
from skills_dspy.pipeline.filter import pair_passes, quality_passes, question_passes, score_passes
from skills_dspy.screens.decontamination import TaskScreen
from skills_dspy.tasks.spec import TaskSpec


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


class Flow:
    """The steps of one task's candidates.

    Args:
        spec, config: what is run.
        asker: asks the models.
        screen: evaluation questions that no candidate may be near to, if there are any.
    """

    def __init__(self, spec: TaskSpec, config: RunConfig, asker: Asker, screen: TaskScreen | None = None) -> None:
        self._spec = spec
        self._config = config
        self._asker = asker
        self._screen = screen
        self._longest_question = {kind: question_limit(longest(spec.seeds(kind))) for kind in get_args(Kind)}

    async def write(self, draw: Draw, rank: Callable[[], Rank]) -> Written:
        """The draw's context, if it is grounded, and its questions.

        Raises:
            WritingFailed: either was unreadable or truncated, twice.
        """
        calls: dict[str, tuple[str, ...]] = {}
        context: str | None = None
        shown = draw.shown
        inputs: dict[str, Any] = {"task_description": self._spec.task_description}
        place = (draw.number, WHOLE_DRAW)
        try:
            if draw.kind == "grounded":
                passages = [Passage(context=e.context or "") for e in shown]
                answer = await self._asker.ask("write_context", {**inputs, "examples": passages}, place, rank)
                calls["write_context"] = answer.digests
                inputs["context"] = context = answer.values["context"]
            inputs["examples"] = questions_shown(shown, with_context=True)
            inputs["count"] = self._spec.num_questions_to_generate_per_prompt
            answer = await self._asker.ask(f"write_questions_{draw.kind}", inputs, place, rank)
        except Failed as failed:
            calls[stage_of(failed.step)] = failed.digests
            raise WritingFailed(_dropped(failed), context, calls) from failed
        calls["write_questions"] = answer.digests
        return Written(context, tuple(question.strip() for question in answer.values["questions"]), calls)

    async def pursue(
        self, candidate: Candidate, novel: Callable[[Candidate], Awaitable[bool]], rank: Callable[[], Rank]
    ) -> Outcome:
        """The candidate's way after it was written; never raises for what concerns it alone.

        Args:
            candidate: its stage and calls are kept up to date.
            novel: whether no seed and no accepted pair is too near; waits while a near one is undecided.
            rank: its place in the queue.
        """
        try:
            return await self._pursue(candidate, novel, rank)
        except Failed as failed:
            return replace(_dropped(failed), answer=candidate.answer)
        except _Drop as drop:
            return drop.outcome
        except MissingReply as missing:
            return missing

    async def _pursue(
        self, candidate: Candidate, novel: Callable[[Candidate], Awaitable[bool]], rank: Callable[[], Rank]
    ) -> Passed:
        self._check_length(candidate)
        await self._check_question(candidate)
        await self._check_novelty(candidate, novel)
        question_verdict = await self._judge_question(candidate, rank)
        quality = await self._rate_instruction(candidate, rank)
        await self._check_novelty(candidate, novel)  # a near one may have been accepted in the meantime
        answer, pair_verdict = await self._answer(candidate, rank)
        sample = await self._score_sample(candidate, answer, rank)
        described = (quality, quality) if self._config.tagging == "fused" else await self._describe(candidate, rank)
        tags = _tags(quality, sample, *described)
        return Passed(answer, question_verdict, pair_verdict, tags)

    def _check_length(self, candidate: Candidate) -> None:
        """The windows are chosen for questions of the skill's length; one that runs on for ever is not of the skill."""
        length, most = estimate_tokens(candidate.question or ""), self._longest_question[candidate.draw.kind]
        if length > most:
            raise _Drop(Dropped("write_questions", "too long", f"about {length} tokens; the seeds allow for {most}"))

    async def _check_question(self, candidate: Candidate) -> None:
        """Before novelty, so that nobody waits for what is dropped; a duplicate is called one when it settles all the same."""
        if self._screen is None:
            return
        said = await self._screen.question(candidate.question or "", candidate.context)
        if said is not None:
            raise _Drop(Dropped("decontamination", "contaminated", f"it {said}"))

    async def _check_novelty(self, candidate: Candidate, novel: Callable[[Candidate], Awaitable[bool]]) -> None:
        if not await novel(candidate):
            raise _Drop(Dropped("dedup", "duplicate", ""))  # settling finds the neighbour and says which

    async def _judge_question(self, candidate: Candidate, rank: Callable[[], Rank]) -> QuestionVerdict:
        inputs = self._about(candidate, candidate.draw.kind == "grounded")
        inputs["examples"] = questions_shown(candidate.draw.standard, with_context=False)
        answer = await self._ask(f"judge_question_{candidate.draw.kind}", candidate, inputs, rank)
        said = answer.values
        verdict = QuestionVerdict(explanation=said["explanation"], rating=said["rating"], soft=answer.soft.get("rating"))
        if not question_passes(verdict, self._config):
            raise _Drop(Dropped("judge_question", "judged bad", verdict.explanation, raw=answer.raw))
        return verdict

    async def _rate_instruction(self, candidate: Candidate, rank: Callable[[], Rank]) -> Answer:
        inputs = self._about(candidate, True)
        inputs["examples"] = questions_shown(candidate.draw.standard, with_context=False)
        step = "tag_fused" if self._config.tagging == "fused" else "tag_instruction_quality"
        answer = await self._ask(step, candidate, inputs, rank)
        quality, explanation = answer.values["quality"], answer.values["explanation"]
        if not quality_passes(quality, self._config):
            detail = f"instruction quality is {quality}: {explanation}"
            raise _Drop(Dropped("instruction_quality", "filtered", detail, raw=answer.raw))
        return answer

    async def _answer(self, candidate: Candidate, rank: Callable[[], Rank]) -> tuple[str, PairVerdict]:
        grounded = candidate.draw.kind == "grounded"
        inputs = self._about(candidate, grounded) | {"example": pair_shown(candidate.draw.seeds[0])}
        written = await self._ask(f"write_answer_{candidate.draw.kind}", candidate, inputs, rank)
        candidate.answer = text = str(written.values["answer"])
        if self._screen is not None and (shared := self._screen.answer(text)) is not None:
            raise _Drop(Dropped("answer_decontamination", "contaminated", f"the answer {shared}", text))
        answer = await self._ask(f"judge_pair_{candidate.draw.kind}", candidate, {**inputs, "answer": text}, rank)
        said = answer.values
        verdict = PairVerdict(explanation=said["explanation"], rating=said["rating"], soft=answer.soft.get("rating"))
        if not pair_passes(verdict, self._config):
            raise _Drop(Dropped("judge_pair", "judged bad", verdict.explanation, text, answer.raw))
        return text, verdict

    async def _score_sample(self, candidate: Candidate, text: str, rank: Callable[[], Rank]) -> Answer:
        inputs = self._about(candidate, True) | {"example": pair_shown(candidate.draw.seeds[0]), "answer": text}
        answer = await self._ask("tag_sample_quality", candidate, inputs, rank)
        if not score_passes(answer.values["score"], self._config):
            detail = f"sample quality is {answer.values['score']}: {answer.values['explanation']}"
            raise _Drop(Dropped("sample_quality", "filtered", detail, text, answer.raw))
        return answer

    async def _describe(self, candidate: Candidate, rank: Callable[[], Rank]) -> tuple[Answer, Answer]:
        """The tags that filter nothing, both at once: difficulty, and category."""
        inputs = self._about(candidate, True)
        difficulty, category = await asyncio.gather(
            self._ask("tag_difficulty", candidate, inputs, rank),
            self._ask("tag_category", candidate, inputs, rank),
            return_exceptions=True,
        )
        # Raised here in a fixed order, so that it does not depend on which of the two failed first; what concerns the whole
        # run goes before what became of this candidate.
        errors = [result for result in (difficulty, category) if isinstance(result, BaseException)]
        for error in sorted(errors, key=lambda error: isinstance(error, Failed)):
            raise error
        assert not isinstance(difficulty, BaseException)
        assert not isinstance(category, BaseException)
        return difficulty, category

    async def _ask(self, step: str, candidate: Candidate, inputs: dict[str, Any], rank: Callable[[], Rank]) -> Answer:
        candidate.stage = stage_of(step)
        try:
            answer = await self._asker.ask(step, inputs, candidate.key[:2], rank)
        except Failed as failed:
            candidate.calls[stage_of(step)] = failed.digests
            raise
        candidate.calls[stage_of(step)] = answer.digests
        return answer

    def _about(self, candidate: Candidate, with_context: bool) -> dict[str, Any]:
        inputs = question_inputs(self._spec.task_description, candidate)
        if not with_context:
            del inputs["context"]
        return inputs


def _tags(quality: Answer, sample: Answer, difficulty: Answer, category: Answer) -> Tags:
    """The tags from the answers that hold them; the same answer may hold several."""
    rated = {
        "instruction_quality": (quality, "quality"),
        "sample_quality": (sample, "score"),
        "difficulty": (difficulty, "difficulty"),
    }
    explained = {**{tag: answer for tag, (answer, _) in rated.items()}, "category": category}
    return Tags(
        **{tag: answer.values[field] for tag, (answer, field) in rated.items()},
        category=category.values["category"],
        other_categories=_others(category.values),
        explanations={tag: answer.values["explanation"] for tag, answer in explained.items()},
        soft={tag: answer.soft[field] for tag, (answer, field) in rated.items() if field in answer.soft},
    )


def _others(described: Mapping[str, Any]) -> tuple[Category, ...]:
    """The other categories, each once and without the first."""
    return tuple(c for c in dict.fromkeys(described["other_categories"]) if c != described["category"])


def stage_of(step: str) -> str:
    """The stage of the funnel that a step belongs to: its name without the kind, a tag by what it tags."""
    stage = step.removesuffix("_freeform").removesuffix("_grounded").removeprefix("tag_")
    return "instruction_quality" if stage == "fused" else stage


def _dropped(failed: Failed) -> Dropped:
    reason: Reason = "truncated" if isinstance(failed.cause, Truncated) else "unreadable"
    return Dropped(stage_of(failed.step), reason, f"{failed.cause}, twice", raw=failed.cause.raw)
