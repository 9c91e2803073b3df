"""What a dataset is scored by: its words, the vectors of its questions, its languages; gathered once, measured often."""

import random
import sys
from dataclasses import dataclass

from evals.data.datasets import Dataset
from evals.data.vectors import Embedded, OnEmbedded, embed
from skills_dspy.model.embedding.embedder import Embedder
from skills_dspy.similarity.languages import Classifier, Languages, languages_of
from skills_dspy.similarity.text import tokens, words

FILE_SAMPLE = 3_000  # rows of a file of which vectors are made: half a minute at 10 ms a text
RUN_SAMPLE = 10_000  # rows of a run that are looked at: the vectors are there, but all are compared with all
_UNSPACED = 32  # characters, as many as eight words have in a script without spaces between them

RowWords = list[str]


@dataclass(frozen=True, slots=True)
class Material:
    """A dataset made ready to be measured.

    Attributes:
        questions, answers, contexts: the words of every row; None for a row without context.
        compared: the answers as near-copies are looked for: by characters where these make words without spaces between them.
        places: the rows of the sample, in their order: all of them, or some drawn by a seed.
        vectors: of the rows of the sample and of all seeds; None when none were wanted, or there is no row.
        question_languages, answer_languages: of the rows of the sample.
        seed_languages: of the seeds' questions and of their answers.
    """

    dataset: Dataset
    questions: tuple[RowWords, ...]
    answers: tuple[RowWords, ...]
    compared: tuple[RowWords, ...]
    contexts: tuple[RowWords | None, ...]
    places: tuple[int, ...]
    vectors: Embedded | None
    question_languages: Languages
    answer_languages: Languages
    seed_languages: tuple[Languages, Languages]


def gather(
    dataset: Dataset,
    sample: int | None,
    seed: int,
    embedder: Embedder | None,
    *,
    classify: Classifier,
    progress: OnEmbedded,
) -> Material:
    """Make a dataset ready to be measured.

    Args:
        sample: the most rows for what is dear, drawn by the seed; None for the default of a run or a file.
        embedder: computes the vectors that a run does not remember; None to do without any vectors.

    Raises:
        EmbedderMissing, StorageError: as `embed`.
    """
    rows = dataset.rows
    most = sample or (FILE_SAMPLE if dataset.run is None else RUN_SAMPLE)
    places = sample_places(len(rows), most, seed)
    chosen = [rows[place] for place in places]
    answers = tuple(_words(row.answer) for row in rows)
    words_of = {row.context: _words(row.context) for row in rows if row.context is not None}  # many rows share one
    return Material(
        dataset=dataset,
        questions=tuple(_words(row.question) for row in rows),
        answers=answers,
        compared=tuple(compared_words(row.answer, own) for row, own in zip(rows, answers, strict=True)),
        contexts=tuple(None if row.context is None else words_of[row.context] for row in rows),
        places=places,
        vectors=embed(chosen, dataset.seeds, dataset.run, embedder, progress) if chosen and embedder is not None else None,
        question_languages=languages_of([row.question for row in chosen], classify),
        answer_languages=languages_of([row.answer for row in chosen], classify),
        seed_languages=(
            languages_of([item.question for item in dataset.seeds], classify),
            languages_of([item.answer for item in dataset.seeds], classify),
        ),
    )


def _words(text: str) -> RowWords:
    # Interned: the same word is one object, so that many lists of words cost little and compare quickly.
    return [sys.intern(word) for word in words(text)]


def compared_words(text: str, own: RowWords) -> RowWords:
    """The words of a text by which near-copies are looked for; `own` are those that it is otherwise taken apart into."""
    found = [] if text.isascii() else tokens(text)
    return list(map(sys.intern, found)) if len(found) > max(2 * len(own), _UNSPACED) else own


def sample_places(count: int, most: int, seed: int) -> tuple[int, ...]:
    """The places from 0 to count - 1, or `most` of them drawn by a seed, in their order."""
    if count <= most:
        return tuple(range(count))
    return tuple(sorted(random.Random(seed).sample(range(count), most)))
