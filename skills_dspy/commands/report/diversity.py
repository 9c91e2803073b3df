"""Where rows and seeds lie among each other: the two directions in which their vectors differ most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skills_dspy.commands.report.reading import ShownRun
from skills_dspy.model.embedding.vectors import JournalVectors
from skills_dspy.similarity.nearest import Vector, joined
from skills_dspy.store.journal_reader import journal_at

Point = list[float]
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class DiversityMap:
    """Points on a plane: principal components of the vectors of questions, each with its context where there are contexts.

    Attributes:
        rows, seeds: run by run, in their order; None for what has no vector in the journal, or one of another model.
        shown: the share of all variance that the plane shows, 0 to 1; None where fewer than three texts have a vector.
        left_out: the numbers of the runs that are not on it, though they have vectors: those are of another model.
    """

    rows: tuple[tuple[Point | None, ...], ...]
    seeds: tuple[tuple[Point | None, ...], ...]
    shown: float | None
    left_out: tuple[int, ...] = ()


def draw_map(runs: Sequence[ShownRun]) -> DiversityMap:
    """The map of some runs; those whose vectors are of another model than the first one's, or other weights, are left out."""
    # Where any has a context, question and context count half each, as in dedup; what has none counts its question twice.
    grounded = any(row.context is not None for run in runs for row in (*run.seeds, *run.rows))
    found = [_vectors(run, grounded) for run in runs]
    first = next((model for model, vectors in found if any(vector is not None for vector in vectors)), None)
    others = [model != first and any(vector is not None for vector in vectors) for model, vectors in found]
    left_out = tuple(number for number, other in enumerate(others) if other)
    kept = [[] if number in left_out else vectors for number, (_, vectors) in enumerate(found)]
    known = [vector for vectors in kept for vector in vectors if vector is not None]
    drawn = len(known) >= 3
    places, shown = _principal(np.stack(known)) if drawn else (np.empty((0, 2)), None)
    points = iter(places.round(_DECIMALS).tolist())
    rows, seeds = [], []
    for run, vectors in zip(runs, kept, strict=True):
        texts = vectors if drawn and vectors else [None] * (len(run.seeds) + len(run.rows))
        of_run = [None if vector is None else next(points) for vector in texts]
        seeds.append(tuple(of_run[: len(run.seeds)]))
        rows.append(tuple(of_run[len(run.seeds) :]))
    return DiversityMap(tuple(rows), tuple(seeds), shown, left_out)


def _principal(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Each vector's two first principal components, and the share of the variance that they have."""
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=0)
    # X X^T and X^T X have the same eigenvalues but for zeros: the smaller of the two is taken.
    few = len(centred) <= centred.shape[1]
    values, sides = np.linalg.eigh(centred @ centred.T if few else centred.T @ centred)
    chosen = sides[:, [-1, -2]]
    places = chosen * np.sqrt(np.maximum(values[[-1, -2]], 0.0)) if few else centred @ chosen
    # An axis may point either way; here what is farthest from zero is above it, on every machine.
    places = places * np.sign(places[np.abs(places).argmax(axis=0), [0, 1]])
    total = float(values.sum())
    return places, float(values[-2:].sum()) / total if total > 0 else 0.0


def _vectors(run: ShownRun, grounded: bool) -> tuple[str, list[Vector | None]]:
    """The model with its weights, and the vectors of seeds and then of rows; none at all without a journal."""
    name = run.about.embedder.name
    with journal_at(run.paths.journal) as journal:
        if name is None or journal is None:
            return "", []
        vectors = JournalVectors(journal, name, run.paths)
        return f"{name} {vectors.weights}", list(_of_run(run, vectors, grounded))


def _of_run(run: ShownRun, vectors: JournalVectors, grounded: bool) -> Iterator[Vector | None]:
    texts = [(seed.question, seed.context) for seed in run.seeds]
    both = [*texts, *((row.instruction, row.context) for row in run.rows)]
    for question, context in both:
        own = None if not question else vectors.find(question)
        beside = own if context is None else vectors.find(context)
        yield own if not grounded or own is None else None if beside is None else joined(own, beside)
