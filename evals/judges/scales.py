"""The scales that judges and taggers rate on: their labels from worst to best, and which of them let a candidate pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from signatures.labels import PairRating, Quality, QuestionRating, Score
from skills_dspy.base.config import RunConfig

Label = int | str
"""A label of any scale."""


@dataclass(frozen=True, slots=True)
class Scale:
    """One rating of one step.

    Attributes:
        field: the output field of the signature that holds it.
        labels: all labels, worst first.
        about: whether the question alone is rated, or the whole pair.
    """

    field: str
    labels: tuple[Label, ...]
    about: Literal["question", "pair"]

    def position(self, label: Label) -> int:
        """The label's place on the scale, from 1 (worst); ValueError for one that is not on it."""
        return self.labels.index(label) + 1


_QUESTION = Scale("rating", get_args(QuestionRating), "question")
_PAIR = Scale("rating", get_args(PairRating), "pair")

SCALES: Mapping[str, Scale] = {
    "judge_question_freeform": _QUESTION,
    "judge_question_grounded": _QUESTION,
    "judge_pair_freeform": _PAIR,
    "judge_pair_grounded": _PAIR,
    "tag_instruction_quality": Scale("quality", get_args(Quality), "question"),
    "tag_sample_quality": Scale("score", get_args(Score), "pair"),
}
"""The steps that labelled cases exist for: the four judges and the two tags that filter."""


def passing(step: str, config: RunConfig) -> tuple[Label, ...]:
    """The labels of a step that let a candidate pass under a configuration, in the scale's order; KeyError for other steps."""
    if step.startswith("judge_question"):
        return config.judges.question_pass
    if step.startswith("judge_pair"):
        return config.judges.pair_pass
    return {"tag_instruction_quality": config.filter.instruction_quality, "tag_sample_quality": config.filter.sample_quality}[
        step
    ]
