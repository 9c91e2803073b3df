"""What sets of rows are like without a judge: `python -m evals.judges.sets RUN...` prints a table of docs/quality.md.

All numbers but two are those of `eval data`. The mean cosine of two questions of a set says how varied its questions are. The
reading grade is that of Coleman and Liau (1975): the year of an American school from which on English prose is read with ease.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import fmean

import click

from evals.data.against_seeds import find_nearest
from evals.data.datasets import read_datasets
from evals.data.habits import habits_of
from evals.data.material import Material, gather
from evals.data.measures import products
from evals.figures.sentences import sentences
from evals.figures.tables import UNDEFINED, Section, markdown, number
from skills_dspy.base.config import load_config
from skills_dspy.base.visible import visible
from skills_dspy.model.embedding.embedder import SentenceEmbedder
from skills_dspy.similarity.languages import load_classifier

_COLUMNS = ("set", "rows", "copied runs", "shared", "to a seed", "to each other", "length", "grade")
_NOTES = (
    "Copied runs: of questions and of answers that take over 8 words or more of a seed. Shared: the most frequent beginning or "
    "end of prose, and how many rows have it where it is less frequent in the seeds. To a seed, to each other: mean cosine of "
    "a question to its nearest seed, and of two questions. Length: words of an answer over the seeds'. Grade: of all answers.",
)
_ENDS = re.compile(r"[.!?…]+(?=\s|$)")


def section_of(sets: Sequence[Material]) -> Section:
    """The table of some datasets that are ready to be measured."""
    return Section("Sets", _COLUMNS, tuple(map(_line, sets)), _NOTES)


def reading_grade(text: str) -> float | None:
    """The grade of an English text by the letters of its words and by its sentences; None without a word."""
    words = re.findall(r"[^\W\d_]+", text)
    if not words:
        return None
    letters, sentences = sum(map(len, words)), max(1, len(_ENDS.findall(text)))
    return 100 * (0.0588 * letters - 0.296 * sentences) / len(words) - 15.8


def _line(one: Material) -> tuple[str, ...]:
    habits, nearest = habits_of(one), find_nearest(one)
    answers = "\n".join(row.answer for row in one.dataset.rows)
    shared = max(
        (found for found in (habits.common.values() if habits else ()) if found.rows > (found.seeds or 0)),
        key=lambda found: found.rows,
        default=None,
    )
    copied = habits.copied if habits else {}
    return (
        one.dataset.name,
        str(len(one.dataset.rows)),
        " and ".join(_percent(copied.get(part)) for part in ("question", "answer")),
        UNDEFINED if shared is None else f"{_percent(shared.rows)} “{shared.words}”",
        number(fmean(nearest.cosine) if nearest and nearest.cosine else None),
        number(_between(one)),
        number(habits.length if habits else None),
        number(reading_grade(answers), 1),
    )


def _between(one: Material) -> float | None:
    count = len(one.places)
    if one.vectors is None or count < 2:
        return None
    total = sum(float(block.sum()) for _, block in products(one.vectors.rows, one.vectors.rows))
    return (total - count) / (count * (count - 1))


def _percent(share: float | None) -> str:
    return UNDEFINED if share is None else f"{share:.0%}"


@click.command(help=__doc__)
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(runs: tuple[Path, ...]) -> None:
    """Print the table."""
    settings, embedder_of, classify = load_config().embedder, cache(SentenceEmbedder), load_classifier()
    with sentences():
        sets = [one for path in runs for one in read_datasets(path)]
    made = [
        gather(
            one,
            None,
            0,
            embedder_of(settings.model if one.run is None else one.run.embedder, settings.device),
            classify=classify,
            progress=lambda *_: None,
        )
        for one in sets
    ]
    click.echo(visible(markdown([section_of(made)])))


if __name__ == "__main__":
    main()
