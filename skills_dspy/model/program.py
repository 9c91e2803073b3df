"""The program: a dspy.Module with every predictor of the flow by name, to be optimized, saved, loaded."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dspy

from signatures import describe, generate, judge, tag
from skills_dspy.base.config import Role
from skills_dspy.base.errors import RequestError
from skills_dspy.model.adapter import SkillsAdapter

QUIET: Mapping[str, Any] = {"disable_history": True, "track_usage": False, "trace": None, "warn_on_type_mismatch": False}
"""What DSPy would keep of every call, for ever, and check at every call: the journal keeps it, the program checks it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of call.

    Attributes:
        name: the predictor's name.
        role: whose model answers.
        source: the signature as it stands in signatures/.
        counted: whether it asks for a number of questions, which then bounds its list.
    """

    name: str
    role: Role
    source: type[dspy.Signature]
    counted: bool = False

    def signature(self, count: int) -> type[dspy.Signature]:
        """The signature for `count` questions a writing."""
        source: Any = self.source  # dspy ships no types, and a cached function wants to know that a class is hashable
        exact: type[dspy.Signature] = generate.bounded(source, count) if self.counted else source
        return exact


STEPS: Mapping[str, Step] = {
    step.name: step
    for step in (
        Step("write_description", "generator", describe.WriteDescription),
        Step("write_context", "generator", generate.WriteContext),
        Step("write_questions_freeform", "generator", generate.WriteQuestionsFreeform, counted=True),
        Step("write_questions_grounded", "generator", generate.WriteQuestionsGrounded, counted=True),
        Step("judge_question_freeform", "validator", judge.JudgeQuestionFreeform),
        Step("judge_question_grounded", "validator", judge.JudgeQuestionGrounded),
        Step("tag_instruction_quality", "tagger", tag.TagInstructionQuality),
        Step("tag_fused", "tagger", tag.TagFused),
        Step("write_answer_freeform", "generator", generate.WriteAnswerFreeform),
        Step("write_answer_grounded", "generator", generate.WriteAnswerGrounded),
        Step("judge_pair_freeform", "validator", judge.JudgePairFreeform),
        Step("judge_pair_grounded", "validator", judge.JudgePairGrounded),
        Step("tag_sample_quality", "tagger", tag.TagSampleQuality),
        Step("tag_difficulty", "tagger", tag.TagDifficulty),
        Step("tag_category", "tagger", tag.TagCategory),
    )
}
"""Every step in the order of the flow. Both kinds of seed have their own writers and judges.

The first is asked once for a task whose file leaves the description blank; the others belong to candidates.
"""


def step_of(name: str) -> Step:
    """The step of this name; RequestError that lists the names when there is none."""
    step = STEPS.get(name)
    if step is None:
        raise RequestError(f"there is no prompt named {name!r}; the prompts are: {', '.join(STEPS)}")
    return step


class SkillsProgram(dspy.Module):
    """Every predictor of the flow, as attributes named like the steps.

    Args:
        count: how many questions one writing asks for (1 or more); it bounds the list in the writers' signatures.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        for step in STEPS.values():
            setattr(self, step.name, dspy.Predict(step.signature(count)))

    def predictor(self, step: str) -> dspy.Predict:
        """The predictor of a step."""
        predictor = getattr(self, step_of(step).name)
        if not isinstance(predictor, dspy.Predict):
            raise TypeError(f"{step} is a {type(predictor).__name__}, not a dspy.Predict")
        return predictor

    async def aforward(self, step: str, inputs: Mapping[str, Any], lm: dspy.LM, config: Mapping[str, Any]) -> dspy.Prediction:
        """Ask one step's predictor.

        Args:
            step: a name in STEPS.
            inputs: exactly the signature's input fields; an optional one may be None.
            lm: the model to ask.
            config: options of this one request (seed, temperature, max_tokens).

        Raises:
            ValueError: the inputs are not the signature's (dspy itself only warns).
        """
        predictor = self.predictor(step)
        wanted = set(predictor.signature.input_fields)
        if set(inputs) != wanted:
            raise ValueError(f"{step} takes {sorted(wanted)}, got {sorted(inputs)}")
        return await predictor.acall(lm=lm, config=dict(config), **inputs)


def fingerprint(predictor: dspy.Predict, adapter: SkillsAdapter) -> str:
    """Twelve hex digits that change with anything in a prompt but its inputs: instructions, fields, schema, demos."""
    plan = adapter.plan(predictor.signature)
    demos = adapter.format(predictor.signature, [dict(demo) for demo in predictor.demos], {})
    text = json.dumps([demos, plan.schema], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
