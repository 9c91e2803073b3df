"""The program: a dspy.Module with every predictor of the flow by name, to be optimized, saved, loaded."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import dspy

from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.steps import STEPS, step_of

_PER_MESSAGE = 16
"""Tokens of a chat template around one message, at most."""

QUIET: Mapping[str, Any] = {"disable_history": True, "track_usage": False, "trace": None, "warn_on_type_mismatch": False}
"""What DSPy would keep of every call, for ever, and check at every call: the journal keeps it, the program checks it."""


class SkillsProgram(dspy.Module):
    """Every predictor of the flow, as attributes named like the steps; one writing asks for `count` questions, 1 or more."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        for step in STEPS.values():
            setattr(self, step.name, dspy.Predict(step.signature(count)))

    def predictor(self, step: str) -> dspy.Predict:
        """The predictor of a step."""
        predictor: dspy.Predict = getattr(self, step_of(step).name)
        return predictor

    async def aforward(self, step: str, inputs: Mapping[str, Any], lm: dspy.LM, config: Mapping[str, Any]) -> dspy.Prediction:
        """Ask one step's predictor with options of this one request (seed, temperature, max_tokens).

        Raises:
            ValueError: the inputs are not exactly the signature's (dspy itself only warns); an optional one may be None.
        """
        predictor = self._taking(step, inputs)
        return await predictor.acall(lm=lm, config=dict(config), **inputs)

    async def answered(self, step: str, inputs: Mapping[str, Any], lm: dspy.LM, config: Mapping[str, Any]) -> dspy.Prediction:
        """What `acall` gives, and raises; the short way where nobody of DSPy's listens or keeps a trace.

        What DSPy prepares for adapters that call tools, for streams, traces and callbacks takes longer than the prompt itself.
        """
        predictor = self._taking(step, inputs)
        heard = dspy.settings.callbacks or lm.callbacks or predictor.callbacks or self.callbacks
        if heard or dspy.settings.trace is not None or not isinstance(dspy.settings.adapter, SkillsAdapter):
            return await self.acall(step=step, inputs=inputs, lm=lm, config=config)
        signature = predictor.signature
        options = {**predictor.config, **config, **dspy.settings.adapter.plan(signature).response_format}
        (text,) = await lm.acall(messages=dspy.settings.adapter.format(signature, predictor.demos, dict(inputs)), **options)
        return dspy.Prediction.from_completions([dspy.settings.adapter.parse(signature, text)], signature=signature)

    def _taking(self, step: str, inputs: Mapping[str, Any]) -> dspy.Predict:
        predictor = self.predictor(step)
        wanted = set(predictor.signature.input_fields)
        if set(inputs) != wanted:
            raise ValueError(f"{step} takes {sorted(wanted)}, got {sorted(inputs)}")
        return predictor


def instructions_of(program: SkillsProgram) -> tuple[str, ...]:
    """The system message of every step's prompt."""
    return tuple(SkillsAdapter().plan(program.predictor(name).signature).system for name in STEPS)


def prompt_of(predictor: dspy.Predict, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages that these inputs are asked with, the predictor's demonstrations among them."""
    return SkillsAdapter().format(predictor.signature, [dict(demo) for demo in predictor.demos], dict(inputs))


def estimate_of(messages: Sequence[Mapping[str, Any]]) -> int:
    """The tokens of a prompt, estimated from above."""
    return sum(estimate_tokens(message["content"]) + _PER_MESSAGE for message in messages)


def fingerprint(predictor: dspy.Predict) -> str:
    """Twelve hex digits that change with anything in a prompt but its inputs: instructions, fields, schema, demos."""
    schema = SkillsAdapter().plan(predictor.signature).schema
    text = json.dumps([prompt_of(predictor, {}), schema], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
