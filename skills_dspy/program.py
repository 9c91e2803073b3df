"""The program: a dspy.Module with every predictor of the flow by name, to be optimized, saved, loaded (layer 3)."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dspy

from signatures import generate, judge, tag
from skills_dspy.adapter import SkillsAdapter
from skills_dspy.config import Role
from skills_dspy.errors import RequestError


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of call: the predictor's name, the role whose model answers, its signature for lists of `count` questions."""

    name: str
    role: Role
    signature: Callable[[int], type[dspy.Signature]]


def _fixed(signature: type[dspy.Signature]) -> Callable[[int], type[dspy.Signature]]:
    return lambda _count: signature


STEPS: Mapping[str, Step] = {
    step.name: step
    for step in (
        Step("write_context", "generator", _fixed(generate.WriteContext)),
        Step("write_questions_freeform", "generator", generate.write_questions_freeform),
        Step("write_questions_grounded", "generator", generate.write_questions_grounded),
        Step("judge_question_freeform", "validator", _fixed(judge.JudgeQuestionFreeform)),
        Step("judge_question_grounded", "validator", _fixed(judge.JudgeQuestionGrounded)),
        Step("tag_instruction_quality", "tagger", _fixed(tag.TagInstructionQuality)),
        Step("tag_fused", "tagger", _fixed(tag.TagFused)),
        Step("write_answer_freeform", "generator", _fixed(generate.WriteAnswerFreeform)),
        Step("write_answer_grounded", "generator", _fixed(generate.WriteAnswerGrounded)),
        Step("judge_pair_freeform", "validator", _fixed(judge.JudgePairFreeform)),
        Step("judge_pair_grounded", "validator", _fixed(judge.JudgePairGrounded)),
        Step("tag_sample_quality", "tagger", _fixed(tag.TagSampleQuality)),
        Step("tag_difficulty", "tagger", _fixed(tag.TagDifficulty)),
        Step("tag_category", "tagger", _fixed(tag.TagCategory)),
    )
}
"""Every step in the order of the flow. Both kinds of seed have their own writers and judges."""


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

    async def aforward(
        self, step: str, inputs: Mapping[str, Any], lm: dspy.LM, config: Mapping[str, Any]
    ) -> dspy.Prediction:
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
