"""The numbers that two datasets are compared by: those taken over single rows, and those of many rows together. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from evals.data.against_seeds import COSINE_BOUNDS, ROUGE_BOUNDS, Nearest
from evals.data.collapse import COPY_WORDS, NEAR_COPY
from evals.data.material import Material
from evals.data.measures import evenness, mean, mean_nearest_distance, median, value_of, vendi_score
from evals.data.near_copies import near_copy_pairs
from evals.data.rows import RATINGS, Row
from evals.data.text import OPENING, WordGrams, share_of_different, shared_opening, word_grams
from skills_dspy.pipeline.funnel import STAGES
from skills_dspy.similarity.languages import Languages, language_name

SetMeasure = Callable[[Sequence[int]], float | None]
"""Numbers that stand for rows, to a number."""
RowNumber = tuple[str, Callable[["Side"], Sequence[Any]], Callable[[Sequence[Any]], float | None]]
"""A number over single rows: its name, what it takes of a side (empty where that lacks it), what it makes of that."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two datasets that are compared, with the nearest seeds of its sample, and the rows of this that are compared."""

    material: Material
    nearest: Nearest | None
    chosen: tuple[int, ...]

    @property
    def places(self) -> list[int]:
        """The rows that are compared, by their place in the dataset."""
        return [self.material.places[place] for place in self.chosen]

    @property
    def rows(self) -> list[Row]:
        """The rows that are compared."""
        return [self.material.dataset.rows[place] for place in self.places]

    def model(self) -> str | None:
        """What made its vectors; None when it has none."""
        return None if self.material.vectors is None else self.material.vectors.model


def share_numbers(first: Side, second: Side) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Return shares of candidates and of rows: name, and for either side how many of how many, above 0."""
    sides = [side.material.dataset for side in (first, second)]
    funnels = [side.run.funnel for side in sides if side.run is not None and side.run.funnel is not None]
    shares = []
    if len(funnels) == len(sides):
        one, other = funnels
        shares.append(("accepted, of all candidates", (one.accepted, one.candidates), (other.accepted, other.candidates)))
        for stage in STAGES:
            before, after = ((each.reached(stage) - each.rejections(stage), each.reached(stage)) for each in funnels)
            if before[0] < before[1] or after[0] < after[1]:
                shares.append((f"went on at {stage}", before, after))
    tagged = [Counter(row.ratings["category"] for row in side.rows if "category" in row.ratings) for side in sides]
    for label in RATINGS["category"]:
        before, after = ((count[label], count.total()) for count in tagged)
        if before[0] or after[0]:
            shares.append((f"category {label}", before, after))
    return [(name, a, b) for name, a, b in shares if a[1] and b[1]]


def row_numbers(first: Side, second: Side) -> Iterator[RowNumber]:
    """Give the numbers over single rows."""
    for name in RATINGS:
        if name != "category":  # which has no order
            shown = name.replace("_", " ")
            yield f"{shown}, mean", partial(_labels, name=name), mean
            yield f"{shown}, mean expected", partial(_expected, name=name), mean
    yield "words of a question, median", lambda side: _lengths(side, side.material.questions), median
    yield "words of an answer, median", lambda side: _lengths(side, side.material.answers), median
    yield "words of a context, median", lambda side: _lengths(side, side.material.contexts), median
    yield "commonest opening of questions", _openings, lambda openings: shared_opening(openings)[1]
    if first.model() == second.model():  # cosines of different models are not of one scale
        bound = COSINE_BOUNDS[-1]
        yield "cosine to nearest seed, mean", partial(_near, measure="cosine"), mean
        yield f"rows with a cosine from {bound}", partial(_near, measure="cosine"), partial(_share_from, bound=bound)
    bound = ROUGE_BOUNDS[-1]
    yield "ROUGE-L to nearest seed, mean", partial(_near, measure="question_rouge"), mean
    yield f"rows with a ROUGE-L from {bound}", partial(_near, measure="question_rouge"), partial(_share_from, bound=bound)
    yield "ROUGE-L to seed's answer, mean", partial(_near, measure="answer_rouge"), mean
    if first.nearest is not None and second.nearest is not None and first.nearest.by == second.nearest.by:
        yield "evenness of the seeds' parts", _parts, _evenness
    mains = (side.material.answer_languages.main for side in (first, second))
    for language in dict.fromkeys(main for main in mains if main is not None):
        for field in ("question", "answer"):
            yield f"{field}s in {language_name(language)}, if told", partial(_in_language, field=field, language=language), mean


def set_measures(side: Side, places: Sequence[int]) -> Mapping[str, SetMeasure]:
    """Return measures of many rows of a sample together, by name; those that need vectors are missing where there are none.

    The measures are given numbers from 0 that stand for the places.
    """
    material = side.material
    questions = [material.questions[material.places[place]] for place in places]
    answers = [material.answers[material.places[place]] for place in places]
    measures: dict[str, SetMeasure] = {}
    if material.vectors is not None:
        vectors = material.vectors.rows[list(places)]
        measures["mean distance to the nearest"] = lambda chosen: mean_nearest_distance(vectors[list(chosen)])
        measures["Vendi score of the questions"] = lambda chosen: vendi_score(vectors[list(chosen)])
    for name, texts in (("questions", questions), ("answers", answers)):
        for n in (1, 2, 3):
            measures[f"distinct-{n} of the {name}"] = partial(_distinct, texts=[word_grams(text, n) for text in texts])
    compared = [material.compared[material.places[place]] for place in places]
    long = [number for number, answer in enumerate(compared) if len(answer) >= COPY_WORDS]
    pairs = near_copy_pairs([compared[number] for number in long], NEAR_COPY)
    measures["answers with a near-copy"] = partial(_copied, long=frozenset(long), pairs=[(long[a], long[b]) for a, b in pairs])
    return measures


def _labels(side: Side, name: str) -> list[float]:
    return [value_of(name, row.ratings[name]) for row in side.rows if name in row.ratings]


def _expected(side: Side, name: str) -> list[float]:
    return [row.soft[name].expected for row in side.rows if name in row.soft]


def _lengths(side: Side, texts: Sequence[Sequence[str] | None]) -> list[int]:
    return [len(words) for words in (texts[place] for place in side.places) if words is not None]


def _openings(side: Side) -> list[tuple[str, ...]]:
    return [tuple(side.material.questions[place][:OPENING]) for place in side.places]


def _near(side: Side, measure: Literal["cosine", "question_rouge", "answer_rouge"]) -> list[float]:
    known: Sequence[float] | None = None if side.nearest is None else getattr(side.nearest, measure)
    return [] if known is None else [known[place] for place in side.chosen]


def _share_from(values: Sequence[float], bound: float) -> float | None:
    return sum(value >= bound for value in values) / len(values) if values else None


def _parts(side: Side) -> list[tuple[int, int]]:
    """The nearest seed of each row, with the number of seeds."""
    seeds = len(side.material.dataset.seeds)
    return [] if side.nearest is None else [(side.nearest.seeds[place], seeds) for place in side.chosen]


def _evenness(parts: Sequence[tuple[int, int]]) -> float | None:
    counts = Counter(place for place, _ in parts)
    return evenness([counts[place] for place in range(parts[0][1])])


def _in_language(side: Side, field: str, language: str) -> list[float]:
    found = side.material.question_languages if field == "question" else side.material.answer_languages
    chosen = Languages(tuple(found.told[place] for place in side.chosen))
    return [float(told == language) for told in chosen.known]


def _distinct(chosen: Sequence[int], texts: Sequence[WordGrams]) -> float | None:
    return share_of_different(texts[number] for number in chosen)


def _copied(chosen: Sequence[int], long: frozenset[int], pairs: Sequence[tuple[int, int]]) -> float | None:
    among = long.intersection(chosen)
    copied = {number for pair in pairs if among.issuperset(pair) for number in pair}
    return len(copied) / len(among) if among else None
