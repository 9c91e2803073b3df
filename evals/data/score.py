"""The score of a dataset: what became of its candidates, how its rows are rated, how varied, new and long they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evals.data import measures
from evals.data.against_seeds import Coverage, SeedLikeness, coverage_of, find_nearest, likeness_of
from evals.data.collapse import Collapse, find_collapse, near_copy_share
from evals.data.datasets import Dataset
from evals.data.habits import SetHabits, habits_of
from evals.data.material import Material
from evals.data.rows import Row
from evals.data.text import distinct_n
from evals.figures.tables import count_in_words
from skills_dspy.similarity.sight import ComparedText, compared_text, distance

GRAMS = (1, 2, 3)  # lengths of n-grams


@dataclass(frozen=True, slots=True)
class Diversity:
    """How varied the rows of the sample are.

    The mean squared distance of a question to the nearest other, 0 to 4, and the Vendi score are None without vectors, and
    distinct-n where no text has n words.
    """

    mean_nearest_distance: float | None
    vendi: float | None
    distinct_questions: Mapping[int, float | None]
    distinct_answers: Mapping[int, float | None]


@dataclass(frozen=True, slots=True)
class DatasetScore:
    """Everything that is known of one dataset; what does not apply is None or empty.

    Attributes:
        sample: how many rows the diversity, the novelty, the nearest seeds and the languages are measured on.
        embedder: the model of the vectors and its weights.
        notes: what is left out, and why.
        candidates, yield_: how many the run had, and what became of them by stage.
        ratings: a name of `rows.RATINGS` to how the rows are rated.
        repeated_questions: the share that repeat an earlier one about the same context word for word.
        near_copies_of_answers: the share with a near-copy, of those long enough to be one.
        habits: what the rows have in common; None without a row.
        words, languages: of question, answer and, for words, context.
    """

    name: str
    path: str
    status: str | None
    answered_by: str | None
    rows: int
    sample: int
    embedder: str | None
    notes: tuple[str, ...]
    collapse: tuple[Collapse, ...]
    candidates: int | None
    yield_: tuple[measures.StageYield, ...]
    ratings: Mapping[str, measures.RatingScore]
    diversity: Diversity
    repeated_questions: float | None
    near_copies_of_answers: float | None
    novelty: SeedLikeness | None
    coverage: Coverage | None
    habits: SetHabits | None
    words: Mapping[str, measures.WordCounts]
    languages: Mapping[str, Mapping[str, int]]


def score(material: Material) -> DatasetScore:
    """Measure a dataset."""
    dataset, run, embedded = material.dataset, material.dataset.run, material.vectors
    nearest = find_nearest(material)
    coverage = None if nearest is None else coverage_of(material, nearest)
    copies, repeated = near_copy_share(material.compared), repeated_share(dataset.rows, material.questions)
    contexts = [words for words in material.contexts if words is not None]
    texts = {"question": material.questions, "answer": material.answers, "context": contexts}
    return DatasetScore(
        name=dataset.name,
        path=str(dataset.path),
        status=None if run is None else run.status,
        answered_by=None if run is None else run.answered_by,
        rows=len(dataset.rows),
        sample=len(material.places),
        embedder=None if embedded is None else embedded.model,
        notes=tuple(_notes(material)),
        collapse=find_collapse(material, coverage, copies, repeated or 0.0),
        candidates=None if run is None or run.funnel is None else run.funnel.candidates,
        yield_=() if run is None or run.funnel is None else measures.yield_by_stage(run.funnel),
        ratings=measures.rate(dataset.rows),
        diversity=Diversity(
            mean_nearest_distance=None if embedded is None else measures.mean_nearest_distance(embedded.rows),
            vendi=None if embedded is None else measures.vendi_score(embedded.rows),
            distinct_questions={n: distinct_n((material.questions[place] for place in material.places), n) for n in GRAMS},
            distinct_answers={n: distinct_n((material.answers[place] for place in material.places), n) for n in GRAMS},
        ),
        repeated_questions=repeated,
        near_copies_of_answers=copies,
        novelty=None if nearest is None else likeness_of(nearest),
        coverage=coverage,
        habits=habits_of(material),
        words={name: counts for name, some in texts.items() if (counts := measures.word_counts(some)) is not None},
        languages={"question": material.question_languages.counts, "answer": material.answer_languages.counts},
    )


def repeated_share(rows: Sequence[Row], questions: Sequence[Sequence[str]]) -> float | None:
    """Return the share of rows whose question, about the same context, has the words of an earlier one; None without a row."""
    if not rows:
        return None
    # The same words are not the same question where case, signs, layout or emoji tell it from another.
    same: dict[object, list[ComparedText | None]] = {}
    for row, words in zip(rows, questions, strict=True):
        kept, text = same.setdefault((tuple(words) or row.question, row.context), []), compared_text("some", row.question)
        if all(distance(0.0, other, text) > 0 for other in kept):
            kept.append(text)
    return 1 - sum(map(len, same.values())) / len(rows)


def _notes(material: Material) -> Iterator[str]:
    dataset, run = material.dataset, material.dataset.run
    rows, sample = len(dataset.rows), len(material.places)
    if run is not None and run.funnel is None:
        yield "The yield by stage is left out: the run has not written it down yet."
    if run is not None and run.funnel is not None and run.funnel.accepted != rows:
        counted = f"run.json counts {run.funnel.accepted} accepted rows, and {rows} are there now"
        yield f"The yield is older than the rows: {counted}."
    yield from _notes_of_files(dataset)
    if not rows:
        yield "There is no accepted row, so there is nothing else to score."
    if sample < rows:
        yield f"Diversity, novelty, nearest seeds and languages are measured on {sample} of the {rows} rows, drawn by the seed."
    if rows and material.vectors is None:
        by_rouge = ", and the nearest seed is the one by ROUGE-L" if dataset.seeds else ""
        yield f"Distances, the Vendi score and cosines are left out{by_rouge}: no vectors were wanted."
    if rows and not dataset.seeds:
        left_out = "Novelty, coverage, copied runs and what the seeds have are left out"
        yield f"{left_out}: nobody said what the seeds were; give their task file with --seeds."


def _notes_of_files(dataset: Dataset) -> Iterator[str]:
    if dataset.files:
        yield f"The rows are of {dataset.files} file{'s' * (dataset.files > 1)} of the folder."
    if dataset.left_out:
        yield f"{_rows(dataset.left_out)} whose question or answer is blank {_are(dataset.left_out)} left out."
    if count := dataset.labelled_false:
        yield f"{_rows(count)} labelled false, whose answer was rejected, {_are(count)} left out."
    if dataset.chosen:
        yield f"{_rows(dataset.chosen)} {_are(dataset.chosen)} of pairs of answers, of which `chosen` is read."


def _rows(count: int) -> str:
    return count_in_words(count, "row")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
