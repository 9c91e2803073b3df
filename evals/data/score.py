"""The score of a dataset: what became of its candidates, how its rows are rated, how varied, new and long they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.data.against_seeds import Coverage, Novelty, coverage_of, find_nearest, novelty_of
from evals.data.collapse import Finding, find_collapse, near_copy_share
from evals.data.distributions import Lengths, RatingScore, StageYield, lengths_of, rate, rounded, yield_by_stage
from evals.data.diversity import mean_nearest_distance, vendi_score
from evals.data.material import Material
from evals.data.rows import Row
from evals.data.text import distinct_n

GRAMS = (1, 2, 3)
"""The lengths of n-grams that distinct-n is given for."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """How varied the rows of the sample are.

    Attributes:
        nearest: the mean squared distance, 0 to 4, of a question to the nearest other; None without vectors.
        vendi: the effective number of different questions, 1 to the number of rows; None without vectors.
        questions, answers: n to distinct-n; None where no text has n words.
    """

    nearest: float | None
    vendi: float | None
    questions: Mapping[int, float | None]
    answers: Mapping[int, float | None]

    def as_json(self) -> dict[str, Any]:
        """All of it, to four decimals."""
        return {
            "mean_nearest_distance": rounded(self.nearest),
            "vendi": rounded(self.vendi),
            "distinct_questions": {str(n): rounded(value) for n, value in self.questions.items()},
            "distinct_answers": {str(n): rounded(value) for n, value in self.answers.items()},
        }


@dataclass(frozen=True, slots=True)
class DatasetScore:
    """Everything that is known of one dataset; what does not apply is None or empty.

    Attributes:
        name, path: of the dataset.
        status, answered_by: of the run; None for a file.
        rows: how many there are.
        sample: how many of them the diversity, the novelty, the nearest seeds and the languages are measured on.
        embedder: the model of the vectors and its weights; None without vectors.
        notes: what was left out, and why.
        candidates: how many the run had.
        stages: what became of them; empty for a file.
        ratings: a name of `rows.RATINGS` to how the rows are rated.
        lengths: question, answer and context to their lengths.
        near_copies: the share of answers with a near-copy, of those long enough to be one.
        repeated: the share of questions that repeat an earlier one about the same context word for word.
        languages: question and answer to language to rows.
        collapse: what has collapsed.
    """

    name: str
    path: str
    status: str | None
    answered_by: str | None
    rows: int
    sample: int
    embedder: str | None
    notes: tuple[str, ...]
    candidates: int | None
    stages: tuple[StageYield, ...]
    ratings: Mapping[str, RatingScore]
    diversity: Diversity
    novelty: Novelty | None
    coverage: Coverage | None
    lengths: Mapping[str, Lengths]
    near_copies: float | None
    repeated: float | None
    languages: Mapping[str, Mapping[str, int]]
    collapse: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """All of it with numbers to four decimals; the same data gives the same bytes."""
        return {
            "name": self.name,
            "path": self.path,
            "status": self.status,
            "answered_by": self.answered_by,
            "rows": self.rows,
            "sample": self.sample,
            "embedder": self.embedder,
            "notes": list(self.notes),
            "collapse": [finding.as_json() for finding in self.collapse],
            "candidates": self.candidates,
            "yield": [stage.as_json() for stage in self.stages],
            "ratings": {name: rating.as_json() for name, rating in self.ratings.items()},
            "diversity": self.diversity.as_json(),
            "repeated_questions": rounded(self.repeated),
            "near_copies_of_answers": rounded(self.near_copies),
            "novelty": None if self.novelty is None else self.novelty.as_json(),
            "coverage": None if self.coverage is None else self.coverage.as_json(),
            "words": {name: lengths.as_json() for name, lengths in self.lengths.items()},
            "languages": {name: dict(counts) for name, counts in self.languages.items()},
        }


def score(material: Material) -> DatasetScore:
    """Measure a dataset."""
    dataset, places = material.dataset, material.places
    nearest = find_nearest(material)
    coverage = None if nearest is None else coverage_of(material, nearest)
    copies, repeated = near_copy_share(material.answers), repeated_share(dataset.rows, material.questions)
    vectors = None if material.vectors is None else material.vectors.rows
    return DatasetScore(
        name=dataset.name,
        path=str(dataset.path),
        status=None if dataset.run is None else dataset.run.status,
        answered_by=None if dataset.run is None else dataset.run.answered_by,
        rows=len(dataset.rows),
        sample=len(places),
        embedder=None if material.vectors is None else material.vectors.model,
        notes=tuple(_notes(material)),
        candidates=None if dataset.run is None or dataset.run.funnel is None else dataset.run.funnel.candidates,
        stages=() if dataset.run is None or dataset.run.funnel is None else yield_by_stage(dataset.run.funnel),
        ratings=rate(dataset.rows),
        diversity=Diversity(
            nearest=None if vectors is None else mean_nearest_distance(vectors),
            vendi=None if vectors is None else vendi_score(vectors),
            questions=_distinct([material.questions[place] for place in places]),
            answers=_distinct([material.answers[place] for place in places]),
        ),
        novelty=None if nearest is None else novelty_of(nearest),
        coverage=coverage,
        lengths=_all_lengths(material),
        near_copies=copies,
        repeated=repeated,
        languages={"question": material.question_languages.counts, "answer": material.answer_languages.counts},
        collapse=find_collapse(material, coverage, copies, repeated or 0.0),
    )


def repeated_share(rows: Sequence[Row], questions: Sequence[Sequence[str]]) -> float | None:
    """The share of rows whose question, about the same context, has the words of an earlier one; None without a row."""
    if not rows:
        return None
    # A question without a word, such as a sum in signs, is told by its text.
    different = {(tuple(words) or row.question, row.context) for row, words in zip(rows, questions, strict=True)}
    return 1 - len(different) / len(rows)


def _all_lengths(material: Material) -> dict[str, Lengths]:
    counts = {
        "question": [len(words) for words in material.questions],
        "answer": [len(words) for words in material.answers],
        "context": [len(words) for words in material.contexts if words is not None],
    }
    return {name: lengths for name, texts in counts.items() if (lengths := lengths_of(texts)) is not None}


def _distinct(texts: Sequence[Sequence[str]]) -> dict[int, float | None]:
    longest = max(map(len, texts), default=0)
    return {n: distinct_n(texts, n) if n <= longest else None for n in GRAMS}


def _notes(material: Material) -> list[str]:
    dataset, notes = material.dataset, []
    rows, sample = len(dataset.rows), len(material.places)
    if dataset.run is not None and dataset.run.funnel is None:
        notes.append("The yield by stage is left out: the run has not written it down yet.")
    if dataset.run is not None and dataset.run.funnel is not None and dataset.run.funnel.accepted != rows:
        counted = f"run.json counts {dataset.run.funnel.accepted} accepted rows, and {rows} are there now"
        notes.append(f"The yield is older than the rows: {counted}.")
    if not rows:
        notes.append("There is no accepted row, so there is nothing else to score.")
    if sample < rows:
        notes.append(
            f"Diversity, novelty, nearest seeds and languages are measured on {sample} of the {rows} rows, drawn by the seed."
        )
    if rows and material.vectors is None:
        by_rouge = ", and the nearest seed is the one by ROUGE-L" if dataset.seeds else ""
        notes.append(f"Distances, the Vendi score and cosines are left out{by_rouge}: no vectors were wanted.")
    if rows and not dataset.seeds:
        notes.append("Novelty and coverage are left out: nobody said what the seeds were; give their task file with --seeds.")
    return notes
