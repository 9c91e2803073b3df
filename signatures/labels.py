"""The label vocabularies that judges and taggers choose from (layer 0: standard library only).

The tag vocabularies follow Magpie (Xu et al. 2024, arXiv:2406.08464), the scales InstructLab's skills pipeline.
"""

from typing import Literal

ContextRating = Literal[0, 1]
"""Verdict on a new context: 1 passes, 0 does not."""

QuestionRating = Literal[0, 1]
"""Verdict on a question: 1 passes, 0 does not."""

PairRating = Literal[1, 2, 3]
"""Verdict on a question with its answer: 1 is wrong or useless, 2 acceptable, 3 excellent."""

Quality = Literal["very poor", "poor", "average", "good", "excellent"]
"""How clear and usable an instruction is, worst first."""

Score = Literal[1, 2, 3, 4, 5]
"""How good an instruction and its response are as a training sample, 5 is best."""

Difficulty = Literal["very easy", "easy", "medium", "hard", "very hard"]
"""How much knowledge and reasoning an instruction asks for, easiest first."""

Category = Literal[
    "information seeking",
    "reasoning",
    "planning",
    "editing",
    "coding & debugging",
    "math",
    "role playing",
    "data analysis",
    "creative writing",
    "advice seeking",
    "brainstorming",
    "others",
]
"""What kind of task an instruction is."""
