"""What can be optimized: the targets by name, and which predictors are compiled together for each."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from evals.optimize.metrics import AGREEMENT, ANSWER_QUALITY, QUESTION_YIELD, Metric
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind
from skills_dspy.model.steps import STEPS


@dataclass(frozen=True, slots=True)
class Unit:
    """Predictors that are compiled together.

    Attributes:
        makes: `labels` are measured on labelled cases, `questions` and `answers` by the judges.
        kind: of the seeds that it needs; None where any will do.
        steps: its predictors, in the order in which they are asked.
        judges: the steps that measure it, besides labels.
    """

    makes: Literal["labels", "questions", "answers"]
    kind: Kind | None
    steps: tuple[str, ...]
    judges: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its last step, for messages and program files."""
        return self.steps[-1]

    @property
    def metric(self) -> Metric:
        """What it is optimized for."""
        return {"labels": AGREEMENT, "questions": QUESTION_YIELD, "answers": ANSWER_QUALITY}[self.makes]


_KINDS: tuple[Kind, ...] = get_args(Kind)
_QUESTION_JUDGES = tuple(Unit("labels", kind, (f"judge_question_{kind}",)) for kind in _KINDS)
_PAIR_JUDGES = tuple(Unit("labels", kind, (f"judge_pair_{kind}",)) for kind in _KINDS)
_JUDGES = (*_QUESTION_JUDGES, *_PAIR_JUDGES)
_TAGS = tuple(Unit("labels", None, (step,)) for step in ("tag_instruction_quality", "tag_sample_quality"))
_QUESTIONS = (
    Unit("questions", "freeform", ("write_questions_freeform",), ("judge_question_freeform",)),
    Unit("questions", "grounded", ("write_context", "write_questions_grounded"), ("judge_question_grounded",)),
)
_ANSWERS = tuple(
    Unit("answers", kind, (f"write_answer_{kind}",), (f"judge_pair_{kind}", "tag_sample_quality")) for kind in _KINDS
)
_FUSED = Unit("labels", None, ("tag_fused",))
_EVERY = (*_JUDGES, *_TAGS, *_QUESTIONS, *_ANSWERS)

TARGETS: Mapping[str, tuple[Unit, ...]] = {
    "judges": _JUDGES,
    "question-judge": _QUESTION_JUDGES,
    "pair-judge": _PAIR_JUDGES,
    "tags": _TAGS,
    "questions": _QUESTIONS,
    "answers": _ANSWERS,
    "all": _EVERY,  # judges first: they measure what comes after them
    **{unit.name: (unit,) for unit in (*_EVERY, _FUSED)},
}
"""Target to its units, in the order in which they are compiled."""

_NO_TARGET = {
    "write_context": "it writes the contexts for write_questions_grounded and is compiled with it",
    "plan_variety": "nothing measures a plan by itself",
    "write_description": "nothing measures a description by itself",
}


def units_of(target: str, kinds: Collection[Kind], tagging: str) -> tuple[Unit, ...]:
    """Return the units of a target that concern tasks with seeds of these kinds.

    Raises:
        RequestError: there is no such target, or no task has the seeds that it is for.
    """
    if target not in TARGETS:
        if target in STEPS:
            reason = _NO_TARGET.get(target, "there are no labelled cases for it")
            raise RequestError(f"{target} cannot be a target of its own: {reason}; the targets are: {', '.join(TARGETS)}")
        raise RequestError(f"there is no target {target!r}; the targets are: {', '.join(TARGETS)}")
    units = [unit for unit in TARGETS[target] if unit.kind is None or unit.kind in kinds]
    if not units:
        raise RequestError(f"{target} is for {TARGETS[target][0].kind} seeds, and no task that was given has any")
    if tagging == "fused":
        units = [_FUSED if unit.name == "tag_instruction_quality" else unit for unit in units]
    return tuple(units)
