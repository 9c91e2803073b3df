"""How rows are spread over stages, labels and lengths, and how varied their vectors are. Pure.

Distances are squared L2 distances of unit vectors, 0 (same) to 4 (opposite), as everywhere in the program: the bound of
dedup can be held against them. They are those of float32 products, right to about 1e-6.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.data.rows import RATINGS, Row
from skills_dspy.base.scales import Label
from skills_dspy.pipeline.funnel import SELDOM, STAGES, Funnel
from skills_dspy.similarity.nearest import Vectors

_PRODUCTS = 1 << 23  # held at a time: 32 MB of float32
LETTERS = 384
"""Numbers of a vector of letters, behind those of the model's vector."""
_SAME = 1 - 1e-5
"""The product of two vectors from which on the model saw the same."""


@dataclass(frozen=True, slots=True)
class StageYield:
    """How many candidates came to a stage, were rejected there, by reason, and went on; `share` is None where none came."""

    stage: str
    came: int
    rejected: Mapping[str, int]
    went_on: int
    share: float | None


@dataclass(frozen=True, slots=True)
class RatingScore:
    """How the rows are rated by one judge or tagger.

    Attributes:
        counts: label to rows, worst first, or in the order of the vocabulary.
        mean: of the labels, a word counted as its place on the scale from 1; None for the category, which has no order.
        soft_rows: the rows with a soft rating.
        mean_expected, mean_probabilities: of their expected values and of each label's probability; None or empty without any.
    """

    counts: Mapping[Label, int]
    mean: float | None
    soft_rows: int
    mean_expected: float | None
    mean_probabilities: Mapping[Label, float]


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How many words some texts have: the least, the quartiles and the most."""

    texts: int
    min: int
    q1: float
    median: float
    q3: float
    max: int


def yield_by_stage(funnel: Funnel) -> tuple[StageYield, ...]:
    """Return every stage that can reject what it is given; those that nearly never do are left out where they have not."""
    found = []
    for stage in STAGES:
        rejected: dict[str, int] = {reason: count for at, reason, count in funnel.rows() if at == stage}
        if rejected or stage not in SELDOM:
            came = funnel.reached(stage)
            went_on = came - sum(rejected.values())
            found.append(StageYield(stage, came, rejected, went_on, went_on / came if came else None))
    return tuple(found)


def rate(rows: Sequence[Row]) -> dict[str, RatingScore]:
    """Return how rows are rated, by the names of RATINGS that any of them has."""
    found = {}
    for name, labels in RATINGS.items():
        counts = Counter(row.ratings[name] for row in rows if name in row.ratings)
        if not counts:
            continue
        soft = [row.soft[name] for row in rows if name in row.soft]
        found[name] = RatingScore(
            counts={label: counts[label] for label in labels},
            mean=None if name == "category" else mean([value_of(name, label) for label in counts.elements()]),
            soft_rows=len(soft),
            mean_expected=mean([one.expected for one in soft]),
            mean_probabilities={
                label: statistics.fmean(one.probabilities[str(label)] for one in soft) for label in (labels if soft else ())
            },
        )
    return found


def value_of(name: str, label: Label) -> float:
    """Return what a label of a rating of RATINGS counts: a number itself, a word its place on the scale, from 1."""
    return float(label) if isinstance(label, int) else RATINGS[name].index(label) + 1.0


def word_counts(texts: Sequence[Sequence[str]]) -> WordCounts | None:
    """Return how many words texts have; None when there is no text."""
    if not texts:
        return None
    counts = [len(words) for words in texts]
    low, middle, high = np.quantile(np.array(counts, dtype=np.float64), [0.25, 0.5, 0.75]).tolist()
    return WordCounts(len(counts), min(counts), low, middle, high, max(counts))


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None for no values."""
    return statistics.fmean(values) if values else None


def median(values: Sequence[float]) -> float | None:
    """Return the median; None for no values."""
    return float(statistics.median(values)) if values else None


def evenness(counts: Sequence[int]) -> float | None:
    """Return the entropy of counts over its largest value, 0 (all on one) to 1 (all equal); None for fewer than 2, or all 0."""
    if len(counts) < 2 or not sum(counts):
        return None
    return min(1.0, _entropy(np.array(counts, dtype=np.float64)) / math.log(len(counts)))


def mean_nearest_distance(vectors: Vectors) -> float | None:
    """Return the mean squared distance of each row to the nearest other, less the more rows there are; None below two."""
    if len(vectors) < 2:
        return None
    best = np.zeros(len(vectors), dtype=np.float32)
    for rows, found in products(vectors, vectors):
        found[np.arange(len(found)), np.arange(rows.start, rows.stop)] = -np.inf  # a row is no neighbour of its own
        best[rows] = found.max(axis=1)
    return float(np.clip(2.0 - 2.0 * best.astype(np.float64), 0.0, 4.0).mean())


def nearest_of(vectors: Vectors, others: Vectors) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each row the nearest of the others, at least one, and its cosine; the first of equally near ones."""
    place = np.zeros(len(vectors), dtype=np.int64)
    best = np.zeros(len(vectors), dtype=np.float64)
    for rows, found in products(vectors, others):
        place[rows], best[rows] = found.argmax(axis=1), found.max(axis=1)
    return place, np.asarray(np.clip(best, -1.0, 1.0))


def vendi_score(vectors: Vectors) -> float | None:
    """Return the effective number of different rows, 1 (all the same) to min(n, d); None without a row.

    The exponential of the Shannon entropy of the eigenvalues of K/n, where K holds the cosines of all pairs of n rows
    (Friedman and Dieng 2023). K = X X^T has the eigenvalues of X^T X but for zeros, so the smaller of the two is taken:
    100,000 rows of dimension 384 need a matrix of 384 x 384. It grows with n, so it compares only sets of one size.
    """
    if not len(vectors):
        return None
    exact = vectors.astype(np.float64)
    exact[_with_letters(vectors)] /= math.sqrt(2.0)
    matrix = exact @ exact.T if len(exact) <= exact.shape[1] else exact.T @ exact
    return math.exp(_entropy(np.linalg.eigvalsh(matrix).astype(np.float64)))


def _entropy(weights: NDArray[np.float64]) -> float:
    """The Shannon entropy of weights that are made to add up to 1; those not above 0 are left out."""
    shares = weights[weights > 0]
    shares = shares / shares.sum()
    return max(0.0, -float((shares * np.log(shares)).sum()))


def products(left: Vectors, right: Vectors) -> Iterator[tuple[slice, Vectors]]:
    """The products of rows of `left`, some at a time, with all of `right`: the cosines.

    Rows of length sqrt(2) have a model's vector and LETTERS more for what it did not see. Two of them whose model's vectors are
    the same have the mean of both products; else the letters do not count.
    """
    step = max(1, _PRODUCTS // len(right))
    of_both = _with_letters(right)
    for start in range(0, len(left), step):
        rows = left[start : start + step]
        found = rows @ right.T
        some = _with_letters(rows)
        letters = rows[some, -LETTERS:] @ right[of_both, -LETTERS:].T
        model = found[np.ix_(some, of_both)] - letters
        found[np.ix_(some, of_both)] = np.where(model > _SAME, (model + letters) / 2, model)
        yield slice(start, start + len(rows)), found


def _with_letters(rows: Vectors) -> NDArray[np.int64]:
    return np.flatnonzero(np.einsum("ij,ij->i", rows, rows) > 1.5)
