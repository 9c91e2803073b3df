"""The way of one candidate: which step asks what, in which order, and where it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from evals.bench import virtual_time
from signatures.examples import Pair, Question, TextWithQuestions
from skills_dspy.base.errors import MissingReply, ReplyError, Residue, StorageError, Truncated, Unreadable
from skills_dspy.base.records import Kind, PairVerdict, QuestionVerdict, Reason, SoftRating
from skills_dspy.model.ask import WHOLE_DRAW, Answer, Asker, Failed
from skills_dspy.model.hosts.call import Rank
from skills_dspy.model.steps import STEPS
from skills_dspy.pipeline.candidate import Candidate, Dropped, Outcome, Passed
from skills_dspy.pipeline.draw import Draw, Example
from skills_dspy.pipeline.flow import Flow, Written
from skills_dspy.pipeline.funnel import HABITS, SCREENING, STAGES
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_program, a_spec

PASSING: Mapping[str, Mapping[str, Any]] = {
    "write_context": {"context": "A new passage."},
    "judge_context": {"explanation": "it is a text", "rating": 1},
    "write_questions": {"questions": ["  First? ", "Second?"]},
    "judge_question": {"explanation": "it is fit", "rating": 1},
    "tag_instruction_quality": {"explanation": "it is clear", "quality": "good"},
    "tag_fused": {
        "explanation": "it is clear and hard",
        "quality": "excellent",
        "difficulty": "hard",
        "category": "math",
        "other_categories": ["reasoning", "math", "reasoning"],
    },
    "write_answer": {"answer": "The answer."},
    "judge_pair": {"explanation": "it is right", "rating": 3},
    "tag_sample_quality": {"explanation": "it is good", "score": 4},
    "tag_difficulty": {"explanation": "it takes a step", "difficulty": "easy"},
    "tag_category": {"explanation": "it asks for facts", "category": "planning", "other_categories": ["planning", "math"]},
}
"""A reply to each step that lets a candidate through, by the step's name without its kind."""

SEPARATE = [
    "judge_question",
    "tag_instruction_quality",
    "write_answer",
    "judge_pair",
    "tag_sample_quality",
    "tag_difficulty",
    "tag_category",
]
FUSED = ["judge_question", "tag_fused", "write_answer", "judge_pair", "tag_sample_quality"]


def stage_of(step: str) -> str:
    """The stage of a step that is named without its kind."""
    return (STEPS.get(step) or STEPS[f"{step}_freeform"]).stage


def kindless(step: str) -> str:
    """A step's name without its kind."""
    return step.removesuffix("_freeform").removesuffix("_grounded")


@dataclass
class FakeAsker(Asker):
    """Gives the replies that pass, but for some; notes what it was asked.

    Attributes:
        replies: what is said to a step (without its kind) instead; an error is raised.
        slow: seconds that a step takes.
        soft: output field to the probabilities of its labels.
    """

    replies: Mapping[str, Mapping[str, Any] | Exception] = field(default_factory=dict)
    slow: Mapping[str, float] = field(default_factory=dict)
    soft: Mapping[str, SoftRating] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    places: list[tuple[int, ...]] = field(default_factory=list)

    async def ask(self, step: str, inputs: Mapping[str, Any], place: tuple[int, ...], rank: Callable[[], Rank]) -> Answer:
        """A reply; its digest is the step's name."""
        assert set(inputs) == set(a_program().predictor(step).signature.input_fields), step
        assert rank() == (1, 2, 3)
        self.asked.append((step, dict(inputs)))
        self.places.append(place)
        await asyncio.sleep(self.slow.get(kindless(step), 1.0))
        reply = self.replies.get(kindless(step), PASSING[kindless(step)])
        if isinstance(reply, ReplyError):
            raise Failed(step, reply, (f"{step} 1", f"{step} 2"))
        if isinstance(reply, Exception):
            raise reply
        return Answer(reply, f"raw {step}", (step,), {name: self.soft[name] for name in reply if name in self.soft})

    @property
    def steps(self) -> list[str]:
        """The steps that were asked, without their kinds."""
        return [kindless(step) for step, _ in self.asked]

    def inputs(self, step: str) -> Mapping[str, Any]:
        """What the step was given."""
        (found,) = (inputs for asked, inputs in self.asked if kindless(asked) == step)
        return found


def example(name: str, *, grounded: bool) -> Example:
    """An example as a draw shows it."""
    return Example(name, f"{name} question", f"{name} answer", f"{name} context" if grounded else None)


def a_draw(kind: Kind) -> Draw:
    """A draw that shows two seeds and an accepted pair; a third seed stands before those who judge questions."""
    names = ("seed:0", "seed:1", "seed:2", "guest")
    first, second, third, guest = (example(name, grounded=kind == "grounded") for name in names)
    return Draw(4, kind, (first, second), (guest,), (first, second, third))


def first_rank() -> Rank:
    """A place in the queue."""
    return (1, 2, 3)


async def is_novel(_: Candidate) -> bool:
    """Nothing is near."""
    return True


@dataclass
class Pursued:
    """A candidate whose way has ended."""

    outcome: Outcome
    candidate: Candidate

    @property
    def dropped(self) -> Dropped:
        """What it was dropped for."""
        assert isinstance(self.outcome, Dropped)
        return self.outcome

    @property
    def passed(self) -> Passed:
        """What it passed with."""
        assert isinstance(self.outcome, Passed)
        return self.outcome


def pursue(
    asker: FakeAsker,
    kind: Kind = "freeform",
    novel: Callable[[Candidate], Awaitable[bool]] = is_novel,
    question: str = "The question?",
    accepted: bool = True,
    **config: Any,
) -> Pursued:
    """Go the way of one candidate, and the rest of it where it passes and is accepted."""

    async def main() -> Pursued:
        context = "The new passage." if kind == "grounded" else None
        draw = a_draw(kind)
        candidate = Candidate(draw, 1, question, context, None, {"write_questions": ("w",)}, fitting=draw.standard[:1])
        flow = Flow(a_spec((FREEFORM, GROUNDED), description="What it is."), a_config(config), asker)
        outcome = await flow.pursue(candidate, novel, first_rank)
        if accepted and isinstance(outcome, Passed):
            outcome = await flow.tag(candidate, outcome, first_rank)
        return Pursued(outcome, candidate)

    return virtual_time.play(main())


def write(asker: FakeAsker, kind: Kind = "freeform", **config: Any) -> Written:
    """Write one draw."""
    flow = Flow(a_spec(description="What it is.", count=2), a_config(config), asker)
    return virtual_time.play(flow.write(a_draw(kind), first_rank))


# -- writing ------------------------------------------------------------------------------------------------------------


def test_a_freeform_draw_asks_for_questions_alone() -> None:
    """One call, which shows seeds and accepted pairs as questions; what it wrote is stripped."""
    asker = FakeAsker()
    written = write(asker)
    assert written == Written(None, ("First?", "Second?"), {"write_questions": ("write_questions_freeform",)})
    assert asker.places == [(4, WHOLE_DRAW)]
    assert asker.asked == [
        (
            "write_questions_freeform",
            {
                "task_description": "What it is.",
                "length": "3 to 5 words",
                "examples": [Question(question=f"{name} question") for name in ("seed:0", "seed:1", "guest")],
                "count": 2,
                "plan": None,
            },
        )
    ]


def test_a_grounded_draw_asks_for_a_context_first() -> None:
    """Its writer sees contexts alone, its judge those of seeds; who writes questions sees the new one and others' questions."""
    asker = FakeAsker()
    written = write(asker, "grounded")
    assert written.context == "A new passage."
    assert list(written.calls) == ["write_context", "judge_context", "write_questions"]
    assert asker.steps == ["write_context", "judge_context", "write_questions"]
    seeds = [f"{name} context" for name in ("seed:0", "seed:1")]
    about = {"task_description": "What it is.", "context": "A new passage."}
    assert asker.inputs("judge_context") == {**about, "examples": seeds}
    names = ("seed:0", "seed:1", "guest")
    assert asker.inputs("write_context")["examples"] == [f"{name} context" for name in names]
    inputs = asker.inputs("write_questions")
    assert inputs["context"] == "A new passage."
    assert inputs["examples"] == [
        TextWithQuestions(context=f"{name} context", questions=[f"{name} question"]) for name in names
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unreadable("no JSON", "raw!"), "unreadable"),
        (Truncated("cut", "raw!"), "truncated"),
        (Residue("<think>", "raw!"), "residue"),
    ],
)
@pytest.mark.parametrize(
    ("step", "context"),
    [("write_context", None), ("judge_context", "A new passage."), ("write_questions", "A new passage.")],
)
def test_writing_that_fails_says_where_and_why(error: ReplyError, reason: Reason, step: str, context: str | None) -> None:
    """The draw as a whole is rejected, with the reply as it came, the context if there is one, and all digests."""
    lost = write(FakeAsker(replies={step: error}), "grounded")
    outcome = lost.failed
    assert outcome is not None
    assert lost.questions == ()
    assert (outcome.stage, outcome.reason, outcome.raw) == (step, reason, "raw!")
    assert str(error) in outcome.detail
    assert lost.context == context
    assert list(lost.calls) == list(STAGES[: STAGES.index(step) + 1])
    assert len(lost.calls[step]) == 2


def test_a_context_that_is_judged_bad_costs_its_draw() -> None:
    """Before questions are written for it; a setting says which ratings pass."""
    bad = {"explanation": "It talks about the task.", "rating": 0}
    asker = FakeAsker(replies={"judge_context": bad})
    lost = write(asker, "grounded")
    assert lost.failed == Dropped("judge_context", "judged bad", "It talks about the task.", None, "raw judge_context")
    assert (lost.context, lost.questions) == ("A new passage.", ())
    assert asker.steps == ["write_context", "judge_context"]
    assert write(FakeAsker(replies={"judge_context": bad}), "grounded", judges={"context_pass": [0, 1]}).questions


# -- the order of steps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["freeform", "grounded"])
def test_a_candidate_that_passes_goes_through_all_steps_in_order(kind: Kind) -> None:
    """Judge, quality, answer, judge, score; then difficulty and category. Every call is noted with the candidate."""
    asker = FakeAsker()
    pursued = pursue(asker, kind)
    assert asker.steps == SEPARATE
    assert asker.places == [(4, 1)] * 7
    assert {step.rsplit("_", 1)[-1] for step, _ in asker.asked if not step.startswith("tag")} == {kind}
    passed = pursued.passed
    assert passed.answer == "The answer."
    assert passed.question_verdict == QuestionVerdict(explanation="it is fit", rating=1)
    assert passed.pair_verdict == PairVerdict(explanation="it is right", rating=3)
    assert set(pursued.candidate.calls) == {"write_questions", *map(stage_of, SEPARATE)}


def test_tags_come_with_their_own_explanations_and_other_categories_without_the_first() -> None:
    """One tag call each."""
    tags = pursue(FakeAsker()).passed.tags
    assert (tags.instruction_quality, tags.sample_quality, tags.difficulty, tags.category) == ("good", 4, "easy", "planning")
    assert tags.other_categories == ("math",)
    assert tags.explanations == {
        "instruction_quality": "it is clear",
        "sample_quality": "it is good",
        "difficulty": "it takes a step",
        "category": "it asks for facts",
    }


def test_fused_tagging_asks_once_for_what_can_be_asked_together() -> None:
    """Before the answer, in the place of the instruction's quality; the one explanation stands for all three."""
    asker = FakeAsker()
    pursued = pursue(asker, tagging="fused")
    tags = pursued.passed.tags
    assert asker.steps == FUSED
    assert (tags.instruction_quality, tags.difficulty, tags.category) == ("excellent", "hard", "math")
    assert tags.other_categories == ("reasoning",)
    assert tags.explanations["difficulty"] == tags.explanations["category"] == "it is clear and hard"
    assert pursued.candidate.calls["instruction_quality"] == ("tag_fused",)
    assert "difficulty" not in pursued.candidate.calls


@pytest.mark.parametrize("tagging", ["separate", "fused"])
def test_probabilities_stand_beside_the_labels(tagging: str) -> None:
    """Each tag under its own name, whichever prompt it came from; a server that gave some gives no others."""
    fields = ("rating", "quality", "score", "difficulty")
    soft = {name: SoftRating(probabilities={name: 1.0}, expected=1, mass=1) for name in fields}
    passed = pursue(FakeAsker(soft=soft), tagging=tagging).passed
    assert passed.question_verdict.soft == passed.pair_verdict.soft == soft["rating"]
    tags = {"instruction_quality": "quality", "sample_quality": "score", "difficulty": "difficulty"}
    assert passed.tags.soft == {tag: soft[name] for tag, name in tags.items()}
    assert list(passed.tags.soft) == list(tags)
    some = pursue(FakeAsker(soft={"score": soft["score"]}), tagging=tagging).passed
    assert (some.question_verdict.soft, some.pair_verdict.soft) == (None, None)
    assert some.tags.soft == {"sample_quality": soft["score"]}


def test_difficulty_and_category_are_asked_at_once() -> None:
    """Nobody waits for the other, and who comes first changes nothing."""

    async def main(slow: Mapping[str, float]) -> tuple[Outcome, float]:
        candidate = Candidate(a_draw("freeform"), 1, "The question?", None, None, {})
        flow = Flow(a_spec(), a_config(), FakeAsker(slow=slow))
        passed = await flow.pursue(candidate, is_novel, first_rank)
        assert isinstance(passed, Passed)
        outcome = await flow.tag(candidate, passed, first_rank)
        return outcome, asyncio.get_running_loop().time()

    ended = [virtual_time.play(main({"tag_difficulty": slow, "tag_category": 21 - slow})) for slow in (1.0, 20.0)]
    assert ended[0] == ended[1]
    assert ended[0][1] == 25.0


# -- rejecting early ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "reply", "stage", "reason", "detail"),
    [
        ("judge_question", {"explanation": "off the task", "rating": 0}, "judge_question", "judged bad", "off the task"),
        (
            "tag_instruction_quality",
            {"explanation": "vague", "quality": "average"},
            "instruction_quality",
            "filtered",
            "instruction quality is average: vague",
        ),
        ("judge_pair", {"explanation": "wrong", "rating": 1}, "judge_pair", "judged bad", "wrong"),
        (
            "tag_sample_quality",
            {"explanation": "shallow", "score": 3},
            "sample_quality",
            "filtered",
            "sample quality is 3: shallow",
        ),
    ],
)
def test_a_rejection_is_the_last_call(step: str, reply: Mapping[str, Any], stage: str, reason: Reason, detail: str) -> None:
    """A question that the judge drops has cost one call, one that the filter drops is never answered, and so on."""
    asker = FakeAsker(replies={step: reply})
    pursued = pursue(asker)
    assert asker.steps == SEPARATE[: SEPARATE.index(step) + 1]
    dropped = pursued.dropped
    assert (dropped.stage, dropped.reason, dropped.detail) == (stage, reason, detail)
    assert dropped.raw == f"raw {asker.asked[-1][0]}"
    assert dropped.answer == ("The answer." if step in ("judge_pair", "tag_sample_quality") else None)
    assert pursued.candidate.calls[stage] == (asker.asked[-1][0],)


def test_a_question_that_the_fused_tag_filters_is_never_answered() -> None:
    """The filter looks at its quality."""
    asker = FakeAsker(replies={"tag_fused": {**PASSING["tag_fused"], "quality": "poor"}})
    assert pursue(asker, tagging="fused").dropped.stage == "instruction_quality"
    assert asker.steps == ["judge_question", "tag_fused"]


@pytest.mark.parametrize("kind", ["freeform", "grounded"])
def test_a_question_that_runs_on_for_ever_is_dropped_without_a_call(kind: Kind) -> None:
    """The windows have no room for it; the seeds say what is too long."""
    for words, passes in ((100, True), (600, False)):
        asker = FakeAsker()
        pursued = pursue(asker, kind, question="some word " * (words // 2))
        assert isinstance(pursued.outcome, Passed) == passes
        assert bool(asker.asked) == passes
    assert (pursued.dropped.stage, pursued.dropped.reason) == ("write_questions", "too long")
    assert "the seeds allow for" in pursued.dropped.detail


@pytest.mark.parametrize("found_out_at", [1, 2])
def test_a_duplicate_is_dropped_before_the_judge_and_again_before_the_answer(found_out_at: int) -> None:
    """The second look is for what was accepted in the meantime."""
    looks: list[str] = []

    async def novel(candidate: Candidate) -> bool:
        looks.append(candidate.stage)
        return len(looks) < found_out_at

    asker = FakeAsker()
    dropped = pursue(asker, novel=novel).dropped
    assert (dropped.stage, dropped.reason) == ("dedup", "duplicate")
    assert asker.steps == SEPARATE[: 2 * (found_out_at - 1)]
    assert looks == ["dedup", "instruction_quality"][:found_out_at]


# -- what each prompt shows ---------------------------------------------------------------------------------------------

QUESTIONS_ONLY = [Question(question=f"seed:{n} question") for n in range(3)]
FREEFORM_PAIR = Pair(question="seed:0 question", answer="seed:0 answer")
GROUNDED_PAIR = Pair(context="seed:0 context", question="seed:0 question", answer="seed:0 answer")


def test_prompts_about_a_freeform_candidate() -> None:
    """Judges and taggers see seeds, never accepted pairs; who writes or judges the answer sees those that fit it."""
    asker = FakeAsker()
    pursue(asker)
    about = {"task_description": "What it is.", "question": "The question?"}
    models = {"examples": [FREEFORM_PAIR]}
    answered = {**about, **models, "answer": "The answer."}
    length = "1 to 5 words, near the upper end where there is much worth saying"
    assert dict(asker.asked) == {
        "judge_question_freeform": {**about, "examples": QUESTIONS_ONLY},
        "tag_instruction_quality": {**about, "examples": QUESTIONS_ONLY, "context": None},
        "write_answer_freeform": {**about, **models, "length": length, "avoid": None},
        "judge_pair_freeform": answered,
        "tag_sample_quality": {**answered, "context": None},
        "tag_difficulty": {**about, "context": None},
        "tag_category": {**about, "context": None},
    }


def test_prompts_about_a_grounded_candidate_show_its_context() -> None:
    """Both judges, the writer and all taggers see it; the seeds' own contexts stand in whole pairs alone."""
    asker = FakeAsker()
    pursue(asker, "grounded")
    about = {"task_description": "What it is.", "context": "The new passage.", "question": "The question?"}
    models = {"examples": [GROUNDED_PAIR]}
    answered = {**about, **models, "answer": "The answer."}
    assert dict(asker.asked) == {
        "judge_question_grounded": {**about, "examples": QUESTIONS_ONLY},
        "tag_instruction_quality": {**about, "examples": QUESTIONS_ONLY},
        "write_answer_grounded": {**about, **models, "length": "1 to 3 words", "avoid": None},
        "judge_pair_grounded": answered,
        "tag_sample_quality": answered,
        "tag_difficulty": about,
        "tag_category": about,
    }


@pytest.mark.parametrize("kind", ["freeform", "grounded"])
@pytest.mark.parametrize("tagging", ["separate", "fused"])
def test_only_writers_of_contexts_and_questions_see_accepted_pairs(kind: Kind, tagging: str) -> None:
    """A model's own words must not become the standard that it is judged by."""
    asker = FakeAsker()
    pursue(asker, kind, tagging=tagging)
    assert len(asker.asked) > 3
    assert "guest" not in repr(asker.asked)


# -- failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"), [(Unreadable("no JSON", "raw!"), "unreadable"), (Truncated("cut", "raw!"), "truncated")]
)
@pytest.mark.parametrize("step", SEPARATE[:-2])
def test_a_reply_that_cannot_be_used_is_a_failure_and_no_verdict(error: ReplyError, reason: Reason, step: str) -> None:
    """The stage is the step's, the reason the failure's; reply, digests and answer are kept; what came after was not asked."""
    asker = FakeAsker(replies={step: error})
    pursued = pursue(asker)
    assert (pursued.dropped.stage, pursued.dropped.reason) == (stage_of(step), reason)
    assert pursued.dropped.raw == "raw!"
    assert pursued.dropped.answer == ("The answer." if step in ("judge_pair", "tag_sample_quality") else None)
    assert str(error) in pursued.dropped.detail
    (asked,) = (name for name, _ in asker.asked if kindless(name) == step)
    assert pursued.candidate.calls[stage_of(step)] == (f"{asked} 1", f"{asked} 2")
    assert asker.steps == SEPARATE[: SEPARATE.index(step) + 1]


@pytest.mark.parametrize("slower", ["tag_difficulty", "tag_category"])
def test_a_tag_that_filters_nothing_costs_no_row(slower: str) -> None:
    """Where it cannot be had, it is empty, and its explanation says why; the calls of both are on the books."""
    errors = {"tag_difficulty": Unreadable("no difficulty", "d"), "tag_category": Truncated("no category", "c")}
    pursued = pursue(FakeAsker(replies=errors, slow={slower: 30.0}))
    tags = pursued.passed.tags
    assert (tags.instruction_quality, tags.difficulty, tags.category, tags.other_categories) == ("good", None, None, ())
    assert tags.explanations["difficulty"] == "unreadable: no difficulty, twice"
    assert tags.explanations["category"] == "truncated: no category, twice"
    assert len(pursued.candidate.calls["difficulty"]) == 2
    assert len(pursued.candidate.calls["category"]) == 2


def test_nothing_is_asked_for_nothing() -> None:
    """A candidate that passes is asked for no tag that filters nothing before it is accepted."""
    asker = FakeAsker()
    assert pursue(asker, accepted=False).passed
    assert asker.steps == SEPARATE[:-2]


@pytest.mark.parametrize("step", ["judge_question", "tag_sample_quality"])
def test_a_missing_reply_is_an_outcome_of_its_own(step: str) -> None:
    """It matters only when the candidate has to settle, so it is no error yet."""
    missing = MissingReply("not recorded")
    assert pursue(FakeAsker(replies={step: missing})).outcome is missing


@pytest.mark.parametrize("step", ["judge_question", "write_answer", "tag_difficulty", "tag_category"])
@pytest.mark.parametrize("error", [RuntimeError("a bug"), StorageError("the disk is full")])
def test_what_no_candidate_is_to_blame_for_comes_out_as_it_is(step: str, error: Exception) -> None:
    """Neither a bug nor a broken machine becomes a rejection."""
    with pytest.raises(type(error)) as caught:
        pursue(FakeAsker(replies={step: error}))
    assert caught.value is error


@pytest.mark.parametrize("failing", ["tag_difficulty", "tag_category"])
@pytest.mark.parametrize("error", [RuntimeError("a bug"), StorageError("the disk is full"), MissingReply("not recorded")])
def test_of_two_things_that_go_wrong_at_once_the_graver_counts(failing: str, error: Exception) -> None:
    """A reply that cannot be used is no reason to overlook that the run cannot go on."""
    other = {"tag_difficulty": "tag_category", "tag_category": "tag_difficulty"}[failing]
    asker = FakeAsker(replies={failing: Unreadable("no JSON", "raw!"), other: error})
    with pytest.raises(type(error)):
        pursue(asker)


# -- names --------------------------------------------------------------------------------------------------------------


def test_every_step_belongs_to_a_stage_of_the_funnel() -> None:
    """And every stage has a step, but those that ask nobody. Only a task's description and its plan belong to no candidate."""
    asked = set(STAGES) - {"dedup", *SCREENING, *HABITS}
    assert {STEPS[step].stage for step in STEPS} - {"write_description", "plan_variety"} == asked
