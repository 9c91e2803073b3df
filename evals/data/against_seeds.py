"""Rows against the seeds of their task: how new they are, and whether all seeds have a part in them. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from evals.data.diversity import nearest_of
from evals.data.material import Material
from evals.data.text import rouge_l_of_words
from skills_dspy.similarity.text import words

COSINE_BOUNDS = (0.8, 0.9)
"""Cosines above which a question is counted as near to a seed; dedup drops from 0.975 on by default."""
ROUGE_BOUNDS = (0.5, 0.7)
"""The same for ROUGE-L. From 0.7 on Self-Instruct (Wang et al. 2023) drops an instruction as not new."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """For each row of the sample the seed that is nearest to it.

    Attributes:
        question_rouge: the largest ROUGE-L of its question with a seed's; if any seed has a context, the mean of that of
            the questions and that of the contexts.
        answer_rouge: the largest ROUGE-L of its answer with a seed's answer.
        cosine: the largest cosine with a seed; None without vectors.
        seeds: the number of the nearest seed, from 0: by cosine, or by ROUGE-L without vectors.
        by: which of the two.
    """

    question_rouge: tuple[float, ...]
    answer_rouge: tuple[float, ...]
    cosine: tuple[float, ...] | None
    seeds: tuple[int, ...]
    by: Literal["cosine", "ROUGE-L"]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near rows are to the seeds by one measure: the mean, and bound to the share of rows that reach it."""

    mean: float
    shares: Mapping[float, float]

    def as_json(self) -> dict[str, Any]:
        """Mean and shares, to four decimals."""
        shares = {f"{bound:g}": round(share, 4) for bound, share in self.shares.items()}
        return {"mean": round(self.mean, 4), "share_from": shares}


@dataclass(frozen=True, slots=True)
class Novelty:
    """How near the rows of the sample are to their nearest seeds; `cosine` is None without vectors."""

    cosine: Likeness | None
    question_rouge: Likeness
    answer_rouge: Likeness

    def as_json(self) -> dict[str, Any]:
        """The three measures."""
        return {
            "question_cosine": None if self.cosine is None else self.cosine.as_json(),
            "question_rouge_l": self.question_rouge.as_json(),
            "answer_rouge_l": self.answer_rouge.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which part each seed has in the rows.

    Attributes:
        questions: of the seeds.
        nearest: how many rows of the sample have the seed as the nearest.
        shown: in how many of all rows' prompts the seed was shown; None where that is not known.
        by: what says which seed is the nearest.
    """

    questions: tuple[str, ...]
    nearest: tuple[int, ...]
    shown: tuple[int, ...] | None
    by: Literal["cosine", "ROUGE-L"]

    @property
    def evenness(self) -> float | None:
        """Of `nearest`; see `evenness`."""
        return evenness(self.nearest)

    @property
    def shown_evenness(self) -> float | None:
        """Of `shown`."""
        return None if self.shown is None else evenness(self.shown)

    def as_json(self) -> dict[str, Any]:
        """The counts by seed and how even they are."""
        shown = self.shown or (None,) * len(self.questions)
        seeds = [
            {"seed": f"seed:{place}", "question": question, "nearest": near, "shown": in_prompts}
            for place, (question, near, in_prompts) in enumerate(zip(self.questions, self.nearest, shown, strict=True))
        ]
        return {
            "nearest_by": self.by,
            "evenness": _rounded(self.evenness),
            "shown_evenness": _rounded(self.shown_evenness),
            "seeds": seeds,
        }


def find_nearest(material: Material) -> Nearest | None:
    """The nearest seed of each row of the sample; None when there is no row or no seed."""
    seeds = material.dataset.seeds
    if not seeds or not material.places:
        return None
    asked = [words(seed.question) for seed in seeds]
    answered = [words(seed.answer) for seed in seeds]
    about = [None if seed.context is None else words(seed.context) for seed in seeds]
    grounded = any(context is not None for context in about)

    @cache  # many rows share a context
    def context_rouge(context: str, seed: int) -> float:
        return rouge_l_of_words(words(context), about[seed] or ())

    def question_rouge(place: int) -> list[float]:
        own = [rouge_l_of_words(material.questions[place], other) for other in asked]
        context = material.dataset.rows[place].context
        if not grounded:
            return own
        return [(rouge + (context_rouge(context, seed) if context else 0.0)) / 2 for seed, rouge in enumerate(own)]

    by_rouge = [question_rouge(place) for place in material.places]
    answers = [max(rouge_l_of_words(material.answers[place], other) for other in answered) for place in material.places]
    best = tuple(max(rouges) for rouges in by_rouge)
    if material.vectors is None:
        nearest = tuple(rouges.index(most) for rouges, most in zip(by_rouge, best, strict=True))
        return Nearest(best, tuple(answers), None, nearest, "ROUGE-L")
    places, cosines = nearest_of(material.vectors.rows, material.vectors.seeds)
    return Nearest(best, tuple(answers), tuple(cosines.tolist()), tuple(places.tolist()), "cosine")


def novelty_of(nearest: Nearest) -> Novelty:
    """How near the rows are to their seeds."""
    return Novelty(
        cosine=None if nearest.cosine is None else _likeness(nearest.cosine, COSINE_BOUNDS),
        question_rouge=_likeness(nearest.question_rouge, ROUGE_BOUNDS),
        answer_rouge=_likeness(nearest.answer_rouge, ROUGE_BOUNDS),
    )


def coverage_of(material: Material, nearest: Nearest) -> Coverage:
    """Which part each seed has in the rows."""
    seeds, rows = material.dataset.seeds, material.dataset.rows
    near = Counter(nearest.seeds)
    told = [row.shown for row in rows if row.shown is not None]
    in_prompts = Counter(name for shown in told for name in set(shown))
    return Coverage(
        questions=tuple(seed.question for seed in seeds),
        nearest=tuple(near[place] for place in range(len(seeds))),
        shown=tuple(in_prompts[f"seed:{place}"] for place in range(len(seeds))) if told else None,
        by=nearest.by,
    )


def evenness(counts: Sequence[int]) -> float | None:
    """How evenly counts are spread: their Shannon entropy over its largest value, 0 (all on one) to 1 (all equal).

    None for fewer than two counts, or when all are 0.
    """
    total = sum(counts)
    if len(counts) < 2 or not total:
        return None
    entropy = -math.fsum(count / total * math.log(count / total) for count in counts if count)
    return max(0.0, min(1.0, entropy / math.log(len(counts))))


def _likeness(values: Sequence[float], bounds: Sequence[float]) -> Likeness:
    return Likeness(
        mean=math.fsum(values) / len(values),
        shares={bound: sum(value >= bound for value in values) / len(values) for bound in bounds},
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
