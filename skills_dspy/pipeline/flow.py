"""The way of one candidate, from its question to its tags: what is asked and checked, in which order, and what drops it.

The cheap check runs before the dear call: a question that a judge or the filter drops is never answered, and only an accepted
pair gets the tags that filter nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, get_args

from skills_dspy.base.config import RunConfig
from skills_dspy.base.errors import MissingReply, Unanswered
from skills_dspy.base.records import Kind, PairVerdict, QuestionVerdict, Tags, is_failure
from skills_dspy.base.scales import CATEGORY, DIFFICULTY, PAIR, QUESTION, SAMPLE, SCALES, Scale
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.ask import WHOLE_DRAW, Answer, Asker, Failed
from skills_dspy.model.exhibits import Exercise
from skills_dspy.model.hosts.call import Rank
from skills_dspy.model.room import longest, question_limit
from skills_dspy.model.steps import Part, Step, Subject, inputs, way
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed
from skills_dspy.pipeline.draw import Draw
from skills_dspy.pipeline.funnel import AGAIN
from skills_dspy.screens.decontamination import TaskScreen
from skills_dspy.screens.screens import SCREENS, screened
from skills_dspy.screens.task_texts import NewText, part_of, task_texts_of
from skills_dspy.tasks.spec import TaskSpec

_WRITTEN: Mapping[Part, str] = {"context": "write_context", "question": "write_questions", "answer": "write_answer"}
"""The stage that writes a part, and at which a screen rejects it."""

LATE_TAGS = (DIFFICULTY, CATEGORY)
"""The tags that filter nothing, whose names are also those of their stages."""

Ask = Callable[[str], Awaitable[Answer]]
"""Asks the step of a stage about a candidate."""


class _Drop(Exception):
    def __init__(self, outcome: Dropped) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Written:
    """What a draw wrote, with the digests of its requests by stage; no questions where its writing failed."""

    context: str | None
    questions: tuple[str, ...]
    calls: dict[str, tuple[str, ...]]
    failed: Dropped | None = None


class Past(Protocol):
    """What a run has written and decided already, for a flow that is gone once more."""

    def written(self, draw: Draw) -> Written:
        """The draw's questions as they were written, or why there are none."""

    def known(self, candidate: Candidate) -> Outcome | None:
        """What becomes of a candidate whose way need not be gone again; None for all others."""

    def unanswered(self, candidate: Candidate, missing: MissingReply) -> Outcome:
        """What becomes of a candidate to whose step there is no reply."""


class Flow:
    """The steps of one task's candidates.

    Args:
        spec, config: what is run.
        asker: asks the models, or finds their replies in a journal.
        screen: evaluation questions that no candidate may be near to, if there are any.
        past: what was written before; None to write new questions.
        instructions: those of the prompts, which no text may echo.
    """

    def __init__(
        self,
        spec: TaskSpec,
        config: RunConfig,
        asker: Asker,
        screen: TaskScreen | None = None,
        past: Past | None = None,
        instructions: Sequence[str] = (),
    ) -> None:
        self._spec = spec
        self._config = config
        self._asker = asker
        self._screen = screen
        self._past = past
        self._texts = task_texts_of(spec, config.screens, instructions)
        self._steps = {kind: {step.stage: step for step in way(kind, config.tagging)} for kind in get_args(Kind)}
        self._longest_question = {kind: question_limit(longest(spec.seeds(kind))) for kind in get_args(Kind)}

    async def write(self, draw: Draw, rank: Callable[[], Rank]) -> Written:
        """The draw's context, if it is grounded, and its questions."""
        if self._past is not None:
            return await self._again(self._past.written(draw), draw, rank)
        calls: dict[str, tuple[str, ...]] = {}
        context: str | None = None
        try:
            if draw.kind == "grounded":
                context = (await self._ask("write_context", draw, WHOLE_DRAW, Subject(), calls, rank)).values["context"]
                self._check_text("context", draw, Subject(context))
                await self._ask("judge_context", draw, WHOLE_DRAW, Subject(context), calls, rank)
            answer = await self._ask("write_questions", draw, WHOLE_DRAW, Subject(context), calls, rank)
        except _Drop as drop:
            return Written(context, (), calls, drop.outcome)
        return Written(context, tuple(question.strip() for question in answer.values["questions"]), calls)

    async def _again(self, written: Written, draw: Draw, rank: Callable[[], Rank]) -> Written:
        """What was written before, with a context that a screen or its judge rejected looked at once more."""
        failed = written.failed
        if failed is None or failed.reason not in (*SCREENS, "judged bad") or is_failure(failed.reason, failed.raw):
            return written
        try:
            self._check_text("context", draw, Subject(written.context))
            if "judge_context" in written.calls:
                await self._ask("judge_context", draw, WHOLE_DRAW, Subject(written.context), written.calls, rank)
        except _Drop as drop:
            return replace(written, failed=drop.outcome)
        unasked = "the context passes now, but questions about it were never asked for, and need a run of their own"
        return replace(written, failed=Dropped("write_questions", "not asked", unasked))

    async def pursue(
        self, candidate: Candidate, novel: Callable[[Candidate], Awaitable[bool]], rank: Callable[[], Rank]
    ) -> Outcome:
        """The candidate's way after it was written; never raises for what concerns it alone.

        Args:
            candidate: its stage and calls are kept up to date.
            novel: whether it repeats no seed and no accepted pair; waits while one that it may repeat is undecided.
            rank: its place in the queue.
        """
        if self._past is not None and (known := self._past.known(candidate)) is not None:
            return known
        return await self._ended(candidate, self._pursue(candidate, novel, rank))

    async def rewrite(self, candidate: Candidate, passed: Passed, rank: Callable[[], Rank]) -> Outcome:
        """A passed pair with an answer that is written and judged again, without what the candidate is to `avoid`."""
        return await self._ended(candidate, self._rewrite(candidate, passed, rank))

    async def _ended(self, candidate: Candidate, way: Awaitable[Passed]) -> Outcome:
        try:
            return await way
        except _Drop as drop:
            return drop.outcome
        except MissingReply as missing:  # of a replay it matters only if the candidate has to settle
            return missing if self._past is None else self._past.unanswered(candidate, missing)

    async def _pursue(
        self, candidate: Candidate, novel: Callable[[Candidate], Awaitable[bool]], rank: Callable[[], Rank]
    ) -> Passed:
        rated: dict[Scale, Answer] = {}
        ask = self._asking(candidate, rated, rank)
        if self._past is not None and "judge_context" in candidate.calls:
            about = Subject(candidate.context)
            await self._ask("judge_context", candidate.draw, WHOLE_DRAW, about, candidate.calls, rank)
        self._check_length(candidate)
        self._check_text("context", candidate.draw, candidate)  # other bounds may have let it through when it was written
        self._check_text("question", candidate.draw, candidate)
        await self._check_contamination(candidate)
        await _check_novelty(candidate, novel)
        await ask("judge_question")
        await ask("instruction_quality")
        await _check_novelty(candidate, novel)  # one that it repeats may have been accepted in the meantime
        return _passed(await self._answer(candidate, ask), rated)

    async def _rewrite(self, candidate: Candidate, passed: Passed, rank: Callable[[], Rank]) -> Passed:
        rated: dict[Scale, Answer] = {}
        text = await self._answer(candidate, self._asking(candidate, rated, rank))
        verdict = PairVerdict.model_validate(_verdict(rated, PAIR))
        return replace(passed, answer=text, pair_verdict=verdict, tags=_with(passed.tags, SAMPLE, rated[SAMPLE]))

    def _asking(self, candidate: Candidate, rated: dict[Scale, Answer], rank: Callable[[], Rank]) -> Ask:
        """Asks the steps of a candidate, and notes by which answer it is rated on each scale."""

        async def ask(stage: str) -> Answer:
            candidate.stage = stage
            answer = await self._ask(stage, candidate.draw, candidate.index, candidate, candidate.calls, rank)
            rated.update(dict.fromkeys(self._steps[candidate.draw.kind][stage].rates, answer))
            return answer

        return ask

    async def _answer(self, candidate: Candidate, ask: Ask) -> str:
        candidate.answer = text = str((await ask("write_answer")).values["answer"])
        self._check_text("answer", candidate.draw, candidate)
        self._check_answer(candidate)
        await ask("judge_pair")
        await ask("sample_quality")
        return text

    async def tag(self, candidate: Candidate, passed: Passed, rank: Callable[[], Rank]) -> Passed:
        """An accepted pair with the tags that filter nothing: it keeps its place whatever becomes of them.

        One that cannot be had stays empty, and its explanation says why. Raises what concerns the whole run.
        """
        if self._config.tagging == "fused":
            return passed
        candidate.stage = LATE_TAGS[0].name
        said = await asyncio.gather(*(self._late(scale, candidate, rank) for scale in LATE_TAGS), return_exceptions=True)
        tags = passed.tags
        for scale, answer in zip(LATE_TAGS, said, strict=True):  # in a fixed order: which fails first depends on timing
            if isinstance(answer, BaseException):
                raise answer
            tags = _with(tags, scale, answer)
        return replace(passed, tags=tags)

    async def _late(self, scale: Scale, candidate: Candidate, rank: Callable[[], Rank]) -> Answer | str:
        """What a tagger answers, or why there is no such answer."""
        try:
            return await self._ask(scale.name, candidate.draw, candidate.index, candidate, candidate.calls, rank)
        except _Drop as drop:
            return f"{drop.outcome.reason}: {drop.outcome.detail}"
        except MissingReply as missing:
            outcome = missing if self._past is None else self._past.unanswered(candidate, missing)
            if not isinstance(outcome, Dropped):
                raise
            return f"{outcome.reason}: {outcome.detail}"

    def _check_text(self, part: Part, draw: Draw, exercise: Exercise) -> None:
        """Before anything is asked about it."""
        shown = {} if part == "answer" else {example.id: part_of(example, part) for example in draw.accepted}
        found = screened(NewText(part, draw.kind, exercise, shown, self._texts, draw.told(part)))
        if found is not None:
            raise _Drop(Dropped(_WRITTEN[part], *found, exercise.answer))

    def _check_length(self, candidate: Candidate) -> None:
        """The windows are chosen for questions of the skill's length; one that runs on for ever is not of the skill."""
        length, most = estimate_tokens(candidate.question or ""), self._longest_question[candidate.draw.kind]
        if length > most:
            raise _Drop(Dropped("write_questions", "too long", f"about {length} tokens; the seeds allow for {most}"))

    async def _check_contamination(self, candidate: Candidate) -> None:
        """Before novelty, so that nobody waits for what is dropped; a duplicate is called one when it settles all the same."""
        if self._screen is None:
            return
        try:
            said = await self._screen.question(candidate.question or "", candidate.context)
        except Unanswered as error:  # of the question alone, where its context has a vector
            raise _Drop(Dropped("decontamination", "server failed", str(error))) from error
        if said is not None:
            raise _Drop(Dropped("decontamination", "contaminated", f"it {said}"))

    def _check_answer(self, candidate: Candidate) -> None:
        if self._screen is not None and (found := self._screen.answer(candidate.answer or "")) is not None:
            raise _Drop(Dropped("answer_decontamination", "contaminated", f"the answer {found}", candidate.answer))

    @property
    def task_name(self) -> str:
        """Whose candidates go this way."""
        return self._spec.task_name

    def unfit(self, candidate: Candidate) -> Dropped | None:
        """Why a candidate's answer is no row's, whatever a judge says of it; None where a judge may see it."""
        try:
            self._check_text("answer", candidate.draw, candidate)
            self._check_answer(candidate)
        except _Drop as drop:
            return drop.outcome
        return None

    async def ask(
        self,
        stage: str,
        draw: Draw,
        index: int,
        subject: Exercise,
        rank: Callable[[], Rank],
        place: tuple[int, ...] | None = None,
    ) -> Answer:
        """A step's answer, whatever it says of its subject; Failed where none can be used.

        The place decides the seed: without one it is that at which a run asks, where what is asked again has one of its own.
        """
        step = self._steps[draw.kind][stage]
        shown = (subject if isinstance(subject, Candidate) else draw).examples(step)
        avoid = avoided(step, subject)
        asked = inputs(step, self._spec, shown, subject, draw.plan_of(step), avoid)
        own = (draw.number, index) if avoid is None else (draw.number, index, 1)
        return await self._asker.ask(step.name, asked, place or own, rank)

    async def _ask(
        self, stage: str, draw: Draw, index: int, subject: Exercise, calls: dict[str, tuple[str, ...]], rank: Callable[[], Rank]
    ) -> Answer:
        """A step's answer, with the digests of its requests noted; _Drop where it cannot be used or rejects its subject."""
        step = self._steps[draw.kind][stage]
        name = stage if avoided(step, subject) is None else stage + AGAIN
        try:
            answer = await self.ask(stage, draw, index, subject, rank)
        except Failed as failed:
            calls[name] = failed.digests
            raw = None if failed.reason == "server failed" else failed.cause.raw
            raise _Drop(Dropped(stage, failed.reason, failed.in_words, subject.answer, raw)) from failed
        calls[name] = answer.digests
        if (why := step.rejects(answer.values, self._config)) is not None:
            raise _Drop(Dropped(stage, step.reason, why, subject.answer, answer.raw))
        return answer


def avoided(step: Step, subject: Exercise) -> str | None:
    """What an answer is to be without, as the prompt of a step about it says; None where it is written for the first time."""
    return subject.avoid if isinstance(subject, Candidate) and "answer" in (*step.about, step.makes) else None


async def _check_novelty(candidate: Candidate, novel: Callable[[Candidate], Awaitable[bool]]) -> None:
    if not await novel(candidate):
        raise _Drop(Dropped("dedup", "duplicate", ""))  # settling finds the neighbour and says which


def _passed(text: str, rated: Mapping[Scale, Answer]) -> Passed:
    """What is noted of a pair that passed; the same answer may hold several of its tags."""
    tags = Tags.model_construct(explanations={})
    for scale in (scale for scale in SCALES if scale in rated and scale.name in Tags.model_fields):
        tags = _with(tags, scale, rated[scale])
    return Passed(
        answer=text,
        question_verdict=QuestionVerdict.model_validate(_verdict(rated, QUESTION)),
        pair_verdict=PairVerdict.model_validate(_verdict(rated, PAIR)),
        tags=Tags.model_validate(dict(tags)),
    )


def _verdict(rated: Mapping[Scale, Answer], scale: Scale) -> dict[str, Any]:
    answer = rated[scale]
    return {name: answer.values[name] for name in ("explanation", scale.field)} | {"soft": answer.soft.get(scale.field)}


def _with(tags: Tags, scale: Scale, answer: Answer | str) -> Tags:
    """Tags with one more, or with why it is not there."""
    if isinstance(answer, str):
        return tags.model_copy(update={"explanations": {**tags.explanations, scale.name: answer}})
    label, soft = answer.values[scale.field], answer.soft.get(scale.field)
    more: dict[str, Any] = {scale.name: label, "soft": {name: one for name, one in tags.soft.items() if name != scale.name}}
    if "explanation" in answer.values:
        more["explanations"] = {**tags.explanations, scale.name: answer.values["explanation"]}
    if soft is not None:
        more["soft"][scale.name] = soft
    if scale is CATEGORY:
        others = dict.fromkeys(answer.values["other_categories"])
        more["other_categories"] = tuple(other for other in others if other != label)
    return tags.model_copy(update=more)
