"""The steps of the flow: one table, and the one builder of what their prompts show.

All that is peculiar to a step stands in its entry; who needs to know it asks the entry, and never the step's name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import dspy

from signatures import describe, generate, judge, tag
from skills_dspy.base.config import Role, RunConfig
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind, Reason
from skills_dspy.base.scales import CATEGORY, CONTEXT, DIFFICULTY, PAIR, QUALITY, QUESTION, SAMPLE, Label, Scale
from skills_dspy.model.exhibits import Exercise, Shows, bare, shown_as
from skills_dspy.model.room import RETRY, Lengths, longest, reply_room
from skills_dspy.similarity.length import usual_length
from skills_dspy.tasks.spec import TaskSpec

Part = Literal["context", "question", "answer"]
"""A part of what a prompt is about."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a prompt is about, where it is no seed and no candidate."""

    context: str | None = None
    question: str | None = None
    answer: str | None = None


@dataclass(frozen=True)
class Step:
    """One kind of call."""

    name: str  # the predictor's, in programs, journals and messages
    stage: str  # in the funnel and in rows; both kinds of seed, and both ways of tagging, share their stages
    role: Role  # whose model answers
    source: type[dspy.Signature]  # as it stands in signatures/
    kind: Kind | None = None  # of the seeds that it is for; None for both
    shows: Shows = "nothing"
    about: tuple[Part, ...] = ()
    rates: tuple[Scale, ...] = ()  # the first decides whether a candidate passes, where the settings say what does
    makes: Part | None = None  # the part of an exercise that it writes: how long those of the seeds are is said to it
    # How long a reply may be by the longest seeds and the number of questions, in tokens; None for explanations with labels.
    writes: Callable[[Lengths, int], int] | None = None
    brief: int | None = None  # the most tokens of a reply that is short whatever the seeds are
    tagging: Literal["separate", "fused"] | None = None  # the setting with which it is asked; None for both
    counted: bool = False  # whether it asks for a number of questions, which then bounds its list

    @property
    def filter(self) -> Scale | None:
        """The scale that decides whether a candidate passes; None where the step rejects nobody."""
        return next((scale for scale in self.rates[:1] if scale.passing), None)

    @property
    def of_draw(self) -> bool:
        """Whether it is asked once for all candidates of a draw: it knows none of their questions."""
        return "question" not in self.about

    @property
    def checked(self) -> bool:
        """Whether candidates are lost after it: to its own rating, or as repetitions once their questions are written."""
        return self.filter is not None or self.counted

    def signature(self, count: int) -> type[dspy.Signature]:
        """The signature for `count` questions a writing."""
        source: Any = self.source  # dspy ships no types, and a cached function wants to know that a class is hashable
        return generate.bounded(source, count) if self.counted else self.source

    def room(self, seeds: Lengths, count: int, config: RunConfig) -> int:
        """The most tokens of a first reply: for writers by the longest seeds, for the others what the role has."""
        most = config.role(self.role).num_predict
        if self.writes is not None:
            return reply_room(self.writes(seeds, count), most)
        return min(most, self.brief or most)

    def passing(self, config: RunConfig) -> tuple[Label, ...]:
        """The labels that let a candidate pass; ValueError for a step that rejects nobody."""
        if self.filter is None or self.filter.passing is None:
            raise ValueError(f"{self.name} rejects nobody")
        return self.filter.passing(config)

    def rejects(self, values: Mapping[str, Any], config: RunConfig) -> str | None:
        """Why the fields of a reply reject its candidate, in words; None where it passes."""
        scale = self.filter
        if scale is None or values[scale.field] in self.passing(config):
            return None
        said = str(values["explanation"])
        return said if self.role == "validator" else f"{scale.name.replace('_', ' ')} is {values[scale.field]}: {said}"

    @property
    def reason(self) -> Reason:
        """The reason of a candidate that it rejects."""
        return "judged bad" if self.role == "validator" else "filtered"


def _questions(seeds: Lengths, count: int) -> int:
    return count * (seeds.question + 8)  # what a question in a JSON list takes besides its own tokens


DESCRIBE = Step("write_description", "write_description", "generator", describe.WriteDescription, shows="pairs", brief=256)
"""Asked once for a task whose file leaves the description blank."""
PLAN = Step("plan_variety", "plan_variety", "generator", generate.PlanVariety, shows="pairs", brief=1280)
"""Asked once for a task whose exercises are to differ by plan, and whose file does not say how."""

TOLD_AXES = 2
LONGEST_NAME, LONGEST_VALUE = 12, 24
"""How many axes of a plan one text is told of at most: more would not go together. How many tokens, estimated, the name of
one has at most, and each of its values."""

LONGEST_AVOID = 120
"""The tokens, estimated, of a sentence on what an answer is to be without: it quotes at most three habits."""


def _both_kinds(step: Step, grounded: type[dspy.Signature]) -> tuple[Step, Step]:
    """A step for freeform candidates, and its counterpart for those with a context, which its prompt shows first."""
    about: tuple[Part, ...] = ("context", *step.about)
    return (
        replace(step, name=f"{step.name}_freeform", kind="freeform"),
        replace(step, name=f"{step.name}_grounded", kind="grounded", source=grounded, about=about),
    )


_FLOW = (
    DESCRIBE,
    PLAN,
    Step(
        "write_context",
        "write_context",
        "generator",
        generate.WriteContext,
        kind="grounded",
        shows="passages",
        makes="context",
        writes=lambda seeds, _: seeds.context,
    ),
    Step(
        "judge_context",
        "judge_context",
        "validator",
        judge.JudgeContext,
        kind="grounded",
        shows="passages",
        about=("context",),
        rates=(CONTEXT,),
    ),
    *_both_kinds(
        Step(
            "write_questions",
            "write_questions",
            "generator",
            generate.WriteQuestionsFreeform,
            shows="questions",
            makes="question",
            writes=_questions,
            counted=True,
        ),
        generate.WriteQuestionsGrounded,
    ),
    *_both_kinds(
        Step(
            "judge_question",
            "judge_question",
            "validator",
            judge.JudgeQuestionFreeform,
            shows="standard",
            about=("question",),
            rates=(QUESTION,),
        ),
        judge.JudgeQuestionGrounded,
    ),
    Step(
        "tag_instruction_quality",
        "instruction_quality",
        "tagger",
        tag.TagInstructionQuality,
        shows="standard",
        about=("context", "question"),
        rates=(QUALITY,),
        tagging="separate",
    ),
    Step(
        "tag_fused",
        "instruction_quality",
        "tagger",
        tag.TagFused,
        shows="standard",
        about=("context", "question"),
        rates=(QUALITY, DIFFICULTY, CATEGORY),
        tagging="fused",
    ),
    *_both_kinds(
        Step(
            "write_answer",
            "write_answer",
            "generator",
            generate.WriteAnswerFreeform,
            shows="fitting",
            about=("question",),
            makes="answer",
            writes=lambda seeds, _: seeds.answer,
        ),
        generate.WriteAnswerGrounded,
    ),
    *_both_kinds(
        Step(
            "judge_pair",
            "judge_pair",
            "validator",
            judge.JudgePairFreeform,
            shows="fitting",
            about=("question", "answer"),
            rates=(PAIR,),
        ),
        judge.JudgePairGrounded,
    ),
    Step(
        "tag_sample_quality",
        "sample_quality",
        "tagger",
        tag.TagSampleQuality,
        shows="fitting",
        about=("context", "question", "answer"),
        rates=(SAMPLE,),
    ),
    Step(
        "tag_difficulty",
        "difficulty",
        "tagger",
        tag.TagDifficulty,
        about=("context", "question"),
        rates=(DIFFICULTY,),
        tagging="separate",
    ),
    Step(
        "tag_category",
        "category",
        "tagger",
        tag.TagCategory,
        about=("context", "question"),
        rates=(CATEGORY,),
        tagging="separate",
    ),
)
STEPS: Mapping[str, Step] = {step.name: step for step in _FLOW}
"""Every step in the order of the flow. Both kinds of seed have their own writers and judges."""


def step_of(name: str) -> Step:
    """The step of this name; RequestError that lists the names when there is none."""
    step = STEPS.get(name)
    if step is None:
        raise RequestError(f"there is no prompt named {name!r}; the prompts are: {', '.join(STEPS)}")
    return step


def way(kind: Kind, tagging: str) -> tuple[Step, ...]:
    """The steps that a candidate of this kind goes through, in order."""
    own = (step for step in STEPS.values() if step not in (DESCRIBE, PLAN))
    return tuple(step for step in own if step.kind in (None, kind) and step.tagging in (None, tagging))


def plans(spec: TaskSpec, config: RunConfig) -> bool:
    """Whether a model plans the variety of a task: as the settings say, where its file says nothing."""
    return spec.variety is None and config.draws.variety == "auto"


def reply_limits(spec: TaskSpec, config: RunConfig) -> dict[str, int]:
    """Step to num_predict of its first reply, in tokens."""
    seeds, count = longest(spec.seed_examples), spec.num_questions_to_generate_per_prompt
    return {step.name: step.room(seeds, count, config) for step in STEPS.values()}


def longest_reply(limits: Mapping[str, int], config: RunConfig) -> int:
    """The most tokens of any reply, thoughts and a second try with twice the room included; `limits` as `reply_limits`."""
    return RETRY * max(limit + config.role(STEPS[name].role).thoughts for name, limit in limits.items())


def inputs(
    step: Step,
    spec: TaskSpec | str,
    examples: Sequence[Exercise],
    subject: Exercise | None = None,
    plan: Sequence[str] = (),
    avoid: str | None = None,
) -> dict[str, Any]:
    """What a step's prompt is given: exactly its signature's input fields.

    The task's description alone will do for `spec` where the prompt shows nothing else of it; then lengths are those of the
    examples. `examples` are those that this step shows, at least one unless it shows nothing. `plan` has a line for each new
    question, or one for a new context; without lines there is no plan. `avoid` says what too many answers have already.
    """
    values: dict[str, Any] = {"plan": None, "avoid": avoid}
    if plan:
        values["plan"] = list(plan) if step.counted else plan[0]
    values |= constant_inputs(step, spec, examples) | {part: getattr(subject, part) for part in step.about}
    if step.shows != "nothing":
        values["examples"] = shown_as(step.shows, examples)
    return {name: values[name] for name in step.source.input_fields}


def constant_inputs(step: Step, spec: TaskSpec | str, examples: Sequence[Exercise] = ()) -> dict[str, Any]:
    """Of a step's inputs those that are the same for all prompts of a task; `examples` stand for seeds that are not told."""
    values: dict[str, Any] = {"task_description": spec}
    if isinstance(spec, TaskSpec):
        values = {"task_description": bare(spec.task_description), "count": spec.num_questions_to_generate_per_prompt}
        values["path"] = spec.task_name
        examples = [seed for seed in spec.seed_examples if step.kind in (None, seed.kind)] or examples
    if step.makes is not None:
        texts = [getattr(one, step.makes) or "" for one in examples]
        values["length"] = usual_length(texts, answers=step.makes == "answer", richer=step.kind == "freeform")
    return {name: value for name, value in values.items() if name in step.source.input_fields}
