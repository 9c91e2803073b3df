"""The scales that models rate on: where a label stands in a reply and in a row, and which labels pass the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from signatures.labels import Category, ContextRating, Difficulty, PairRating, Quality, QuestionRating, Score
from skills_dspy.base.config import RunConfig

Label = int | str
"""A label of any scale."""


@dataclass(frozen=True, slots=True)
class Scale:
    """One rating: its name in a row, the field of the reply that holds it, and its labels.

    Attributes:
        labels: worst first where they are `ordered`, and so have an expected value.
        about: whether a context is rated, the question alone, or the whole pair.
        passing: the labels that let a candidate pass, in the scale's order; None where the rating rejects nobody.
    """

    name: str
    field: str
    labels: tuple[Label, ...]
    about: Literal["context", "question", "pair"]
    passing: Callable[[RunConfig], tuple[Label, ...]] | None = None
    ordered: bool = True

    def position(self, label: Label) -> int:
        """The label's place on the scale, from 1 (worst); ValueError for one that is not on it."""
        return self.labels.index(label) + 1


CONTEXT = Scale("context_verdict", "rating", get_args(ContextRating), "context", lambda config: config.judges.context_pass)
QUESTION = Scale("question_verdict", "rating", get_args(QuestionRating), "question", lambda config: config.judges.question_pass)
PAIR = Scale("pair_verdict", "rating", get_args(PairRating), "pair", lambda config: config.judges.pair_pass)
QUALITY = Scale(
    "instruction_quality", "quality", get_args(Quality), "question", lambda config: config.filter.instruction_quality
)
SAMPLE = Scale("sample_quality", "score", get_args(Score), "pair", lambda config: config.filter.sample_quality)
DIFFICULTY = Scale("difficulty", "difficulty", get_args(Difficulty), "question")
CATEGORY = Scale("category", "category", get_args(Category), "question", ordered=False)

SCALES = (QUESTION, PAIR, QUALITY, SAMPLE, DIFFICULTY, CATEGORY)
"""Every scale that a row has a label of, in the order in which a candidate is rated."""
