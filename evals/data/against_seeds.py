"""Rows against the seeds of their task: how new they are, and whether all seeds have a part in them. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import Literal

from evals.data.material import Material
from evals.data.measures import evenness, nearest_of
from evals.data.text import rouge_l_of_words
from skills_dspy.similarity.text import words

COSINE_BOUNDS = (0.8, 0.9)  # from which a question is counted as near to a seed; dedup drops from 0.975 on by default
ROUGE_BOUNDS = (0.5, 0.7)  # from 0.7 on Self-Instruct (Wang et al. 2023) drops an instruction as not new

By = Literal["cosine", "ROUGE-L"]


@dataclass(frozen=True, slots=True)
class Nearest:
    """For each row of the sample how near it is to the seed that is nearest to it by each measure.

    Attributes:
        question_rouge: ROUGE-L of the questions; if any seed has a context, the mean of that and of ROUGE-L of the contexts.
        answer_rouge: ROUGE-L of the answers.
        cosine: of the vectors; None without these.
        seeds: the number of the nearest seed, from 0: by cosine, or by ROUGE-L without vectors.
        by: which of the two.
    """

    question_rouge: tuple[float, ...]
    answer_rouge: tuple[float, ...]
    cosine: tuple[float, ...] | None
    seeds: tuple[int, ...]
    by: By


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near rows are to the seeds by one measure: the mean, and bound to the share of rows that reach it."""

    mean: float
    share_from: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class SeedLikeness:
    """How near the rows of the sample are to their nearest seeds; `question_cosine` is None without vectors."""

    question_cosine: Likeness | None
    question_rouge_l: Likeness
    answer_rouge_l: Likeness


@dataclass(frozen=True, slots=True)
class SeedPart:
    """How many rows of the sample have a seed as the nearest, and in how many of all rows' prompts it was shown, if known."""

    seed: str
    question: str
    nearest: int
    shown: int | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which part each seed has in the rows, and how even the parts are: see `evenness`."""

    nearest_by: By
    evenness: float | None
    shown_evenness: float | None
    seeds: tuple[SeedPart, ...]


def find_nearest(material: Material) -> Nearest | None:
    """Return the nearest seed of each row of the sample; None when there is no row or no seed."""
    seeds = material.dataset.seeds
    if not seeds or not material.places:
        return None
    of_seeds = [(words(seed.question), words(seed.answer), words(seed.context or "")) for seed in seeds]
    grounded = any(seed.context is not None for seed in seeds)

    @cache  # many rows share a context
    def context_rouge(context: str, seed: int) -> float:
        return rouge_l_of_words(words(context), of_seeds[seed][2])

    def question_rouge(place: int) -> list[float]:
        own = [rouge_l_of_words(material.questions[place], question) for question, _, _ in of_seeds]
        context = material.dataset.rows[place].context or ""
        return [(rouge + context_rouge(context, seed)) / 2 for seed, rouge in enumerate(own)] if grounded else own

    rouges = [question_rouge(place) for place in material.places]
    answers = [max(rouge_l_of_words(material.answers[place], answer) for _, answer, _ in of_seeds) for place in material.places]
    best = tuple(map(max, rouges))
    if material.vectors is None:
        nearest = tuple(each.index(most) for each, most in zip(rouges, best, strict=True))
        return Nearest(best, tuple(answers), None, nearest, "ROUGE-L")
    places, cosines = nearest_of(material.vectors.rows, material.vectors.seeds)
    return Nearest(best, tuple(answers), tuple(cosines.tolist()), tuple(places.tolist()), "cosine")


def likeness_of(nearest: Nearest) -> SeedLikeness:
    """Return the means and shares of all rows."""
    return SeedLikeness(
        question_cosine=None if nearest.cosine is None else _likeness(nearest.cosine, COSINE_BOUNDS),
        question_rouge_l=_likeness(nearest.question_rouge, ROUGE_BOUNDS),
        answer_rouge_l=_likeness(nearest.answer_rouge, ROUGE_BOUNDS),
    )


def coverage_of(material: Material, nearest: Nearest) -> Coverage:
    """Return which part each seed has in the rows."""
    known = [row.shown for row in material.dataset.rows if row.shown is not None]
    near, in_prompts = Counter(nearest.seeds), Counter(name for shown in known for name in set(shown))
    parts = tuple(
        SeedPart(f"seed:{place}", seed.question, near[place], in_prompts[f"seed:{place}"] if known else None)
        for place, seed in enumerate(material.dataset.seeds)
    )
    shown = [part.shown for part in parts if part.shown is not None]
    return Coverage(nearest.by, evenness([part.nearest for part in parts]), evenness(shown), parts)


def _likeness(values: Sequence[float], bounds: Sequence[float]) -> Likeness:
    shares = {bound: sum(value >= bound for value in values) / len(values) for bound in bounds}
    return Likeness(fmean(values), shares)
