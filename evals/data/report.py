"""The scores of datasets, each for itself or two side by side, as JSON and as sections for a terminal of 80 columns."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.data.against_seeds import Coverage, SeedLikeness
from evals.data.collapse import COPY_WORDS, NEAR_COPY
from evals.data.compare import ComparedNumber, Comparison, compare
from evals.data.datasets import Dataset
from evals.data.habits import SetHabits
from evals.data.material import Material, gather
from evals.data.measures import RatingScore, StageYield, WordCounts
from evals.data.score import DatasetScore, score
from evals.figures.tables import UNDEFINED, Section, as_json, number
from skills_dspy.base.errors import EmbedderMissing
from skills_dspy.model.embedding.embedder import Embedder
from skills_dspy.similarity.habits import HabitKind
from skills_dspy.similarity.languages import language_name, load_classifier
from skills_dspy.similarity.ngrams import SHORTEST

ScoreReport = tuple[dict[str, Any], list[Section]]

_DIGEST = re.compile("[0-9a-f]{64}")
_BRIEF = 42  # characters of a seed's question: its table then fits into 80 columns
_COMMON: Mapping[HabitKind, str] = {
    "opening": "answers begin with",
    "closing": "answers end with",
    "last paragraph": "last paragraphs begin with",
    "question opening": "questions begin with",
    "question closing": "questions end with",
}
_HALVES = "In distances and likeness of questions, the question and its context count half each."


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores datasets: at most `sample` rows for what is dear (None for the usual), which `seed` draws.

    Attributes:
        model_of: the embedding model for some datasets, by name; None to do without vectors.
        load: an embedding model by its name; is asked for the same one again and again.
        count: hears how many of how many texts have been embedded.
    """

    sample: int | None
    seed: int
    model_of: Callable[[Sequence[Dataset]], str] | None
    load: Callable[[str], Embedder]
    count: Callable[[int, int], None]

    def alone(self, datasets: Sequence[Dataset]) -> ScoreReport:
        """Each dataset for itself; EmbedderMissing if a model is needed and not there."""
        scores = [score(self._gathered(dataset, [dataset])) for dataset in datasets]
        content = {"sample_seed": self.seed, "datasets": as_json(scores)}
        return content, [section for found in scores for section in score_sections(found)]

    def compared(self, pairs: Sequence[tuple[Dataset, Dataset]]) -> ScoreReport:
        """Each pair side by side; EmbedderMissing if a model is needed and not there."""
        scores, comparisons, sections = list[DatasetScore](), list[Comparison](), list[Section]()
        for pair in pairs:
            first, second = (self._gathered(dataset, [dataset, *pair]) for dataset in pair)
            scores += [score(first), score(second)]
            comparisons.append(compare(first, second, self.seed))
            sections += comparison_sections(comparisons[-1], *scores[-2:])
        return {"sample_seed": self.seed, "datasets": as_json(scores), "comparisons": as_json(comparisons)}, sections

    def _gathered(self, dataset: Dataset, related: Sequence[Dataset]) -> Material:
        embedder = None if self.model_of is None else self.load(self.model_of(related))
        try:
            return gather(dataset, self.sample, self.seed, embedder, classify=load_classifier(), progress=self.count)
        except EmbedderMissing as error:
            raise EmbedderMissing(f"{error}; or do without it with --no-vectors") from error


def score_sections(found: DatasetScore) -> list[Section]:
    """Return the score of one dataset; what does not apply is not there."""
    sections = [*_head(found)]
    if found.yield_:
        sections.append(_yield(found.yield_, found.candidates or 0))
    if found.ratings:
        sections.append(_ratings(found.ratings))
    if found.rows:
        sections.append(_diversity(found))
    if found.novelty is not None:
        sections.append(_likeness(found.novelty, grounded="context" in found.words))
    if found.coverage is not None:
        sections.append(_coverage(found.coverage, found.sample))
    if found.habits is not None:
        sections.append(_habits(found.habits))
    if found.rows:
        sections += [_words(found.words), _languages(found.languages)]
    return [*sections, *_tail(found)]


def comparison_sections(comparison: Comparison, first: DatasetScore, second: DatasetScore) -> list[Section]:
    """Return the comparison of two datasets, below what is to be said of each."""
    sections = [part for found in (first, second) for part in (*_head(found), *_tail(found))]
    rows = tuple(_side_by_side(number) for number in comparison.numbers)
    notes = (
        f"1 is {comparison.first}, 2 is {comparison.second}; the difference is 2 minus 1, with its 95 % interval.",
        "The interval is a bootstrap's; for what depends on the number of rows, the spread over halves.",
        "* marks an interval that leaves out 0; of twenty, about one does so by chance.",
        *comparison.notes,
    )
    return [*sections, Section("Side by side", ("", "1", "2", "difference", "from", "to", "rows"), rows, notes, numbers=6)]


def _head(dataset: DatasetScore) -> Iterator[Section]:
    rows = f"{dataset.rows} rows" if dataset.rows != 1 else "1 row"
    notes = [f"{rows}{'' if dataset.status is None else f', {dataset.status}'}: {dataset.path}"]
    if dataset.answered_by is not None:
        notes.append(f"Answered by: {dataset.answered_by}")
    if dataset.embedder is not None:
        notes.append(f"Vectors by {_DIGEST.sub(lambda found: found[0][:12], dataset.embedder)}")
    yield Section(dataset.name, notes=tuple(notes))
    if dataset.collapse:
        sentences = (found.sentence for found in dataset.collapse)
        yield Section("Collapse", notes=tuple(f"{sentence[:1].upper()}{sentence[1:]}." for sentence in sentences))


def _tail(dataset: DatasetScore) -> Iterator[Section]:
    if dataset.notes:
        yield Section("To be known", notes=dataset.notes)


def _yield(stages: Sequence[StageYield], candidates: int) -> Section:
    rows = []
    for stage in stages:
        numbers = map(str, (stage.came, stage.came - stage.went_on, stage.went_on))
        why = ", ".join(f"{reason} {count}" for reason, count in stage.rejected.items())
        rows.append((stage.stage, *numbers, _percent(stage.share), why))
    accepted = stages[-1].went_on
    note = f"{accepted} of {candidates} candidates were accepted ({_percent(accepted / candidates)})." if candidates else ""
    columns = ("stage", "came", "rejected", "went on", "share", "why")
    return Section("Yield by stage", columns, tuple(rows), (note,) if note else (), numbers=4)


def _ratings(ratings: Mapping[str, RatingScore]) -> Section:
    rows = []
    for name, rating in ratings.items():
        counts = ", ".join(f"{label}: {count}" for label, count in rating.counts.items() if count)
        rows.append((name.replace("_", " "), str(sum(rating.counts.values())), number(rating.mean, 2), counts))
        if rating.soft_rows:
            shares = ", ".join(f"{label}: {_percent(share)}" for label, share in rating.mean_probabilities.items() if share)
            rows.append(("  soft", str(rating.soft_rows), number(rating.mean_expected, 2), shares))
    notes = ["A label in words counts as its place on the scale, from 1."]
    if any(rating.soft_rows for rating in ratings.values()):
        notes.append("Soft: the mean of the expected values, and the mean probability of each label.")
    columns = ("rating", "rows", "mean", "by label")
    return Section("Verdicts and tags of the accepted rows", columns, tuple(rows), tuple(notes), numbers=2)


def _diversity(dataset: DatasetScore) -> Section:
    found = dataset.diversity
    rows = (
        ("mean distance to the nearest other", number(found.mean_nearest_distance, 3), UNDEFINED),
        ("Vendi score", number(found.vendi, 1), UNDEFINED),
        *(
            (f"distinct-{n}", number(found.distinct_questions[n], 3), number(found.distinct_answers[n], 3))
            for n in found.distinct_questions
        ),
        ("repeat an earlier one", _percent(dataset.repeated_questions), UNDEFINED),
        ("have a near-copy", UNDEFINED, _percent(dataset.near_copies_of_answers)),
    )
    notes = (
        f"Of {dataset.sample} rows. Distances are squared, 0 to 4, those of dedup; the Vendi score is the effective number of "
        "different questions. With more rows it rises, and distances and distinct-n fall: compare sets of one size.",
        *((_HALVES,) if "context" in dataset.words else ()),
        f"A near-copy has a ROUGE-L of {NEAR_COPY} or more; answers of fewer than {COPY_WORDS} words are not counted as "
        "copies.",
    )
    return Section("Diversity", ("", "questions", "answers"), rows, notes, numbers=2)


def _likeness(likeness: SeedLikeness, *, grounded: bool) -> Section:
    rows = tuple(
        (name, number(found.mean, 3), ", ".join(f"{_percent(share)} from {at:g}" for at, share in found.share_from.items()))
        for name, found in (
            ("question, cosine", likeness.question_cosine),
            ("question, ROUGE-L", likeness.question_rouge_l),
            ("answer, ROUGE-L", likeness.answer_rouge_l),
        )
        if found is not None
    )
    notes = (_HALVES,) if grounded else ()
    return Section("Likeness to the nearest seed", ("", "mean", "share of rows"), rows, notes, numbers=1)


def _coverage(coverage: Coverage, sample: int) -> Section:
    rows = []
    for part in coverage.seeds:
        shown = UNDEFINED if part.shown is None else str(part.shown)
        rows.append((part.seed, str(part.nearest), _percent(part.nearest / sample), shown, _brief(part.question)))
    note = f"Evenness of the seeds' parts, 0 (one has all) to 1: {number(coverage.evenness, 3)}"
    if any(part.shown is not None for part in coverage.seeds):
        note += f"; of how often they were shown: {number(coverage.shown_evenness, 3)}"
    columns = ("seed", "nearest to", "share", "shown for", "question")
    return Section(f"Coverage of the seeds, by {coverage.nearest_by}", columns, tuple(rows), (f"{note}.",), numbers=3)


def _habits(habits: SetHabits) -> Section:
    common = habits.common.items()
    rows = [(_COMMON[kind], _percent(one.rows), _percent(one.seeds), f'"{_brief(one.words)}"') for kind, one in common]
    rows += [(f"answers: {name}", _percent(one.rows), _percent(one.seeds), "") for name, one in habits.layouts.items()]
    rows += [(f"{part}s with a copied run", _percent(share), UNDEFINED, "") for part, share in habits.copied.items()]
    rows.append(("words of an answer, over the seeds'", number(habits.length, 2), UNDEFINED, ""))
    note = (
        f"Openings and closings of prose, the most frequent that two rows share. A copied run is of {SHORTEST} words or more "
        "of one seed's; what seeds share, and what the row's own text holds, is none."
    )
    return Section("Habits", ("", "rows", "seeds", "which"), tuple(rows), (note,), numbers=2)


def _words(words: Mapping[str, WordCounts]) -> Section:
    rows = tuple(
        (name, str(n.texts), str(n.min), f"{n.q1:g}", f"{n.median:g}", f"{n.q3:g}", str(n.max)) for name, n in words.items()
    )
    return Section("Words", ("", "texts", "least", "quarter", "median", "three quarters", "most"), rows, numbers=6)


def _languages(languages: Mapping[str, Mapping[str, int]]) -> Section:
    rows = []
    for name, counts in languages.items():
        total = sum(counts.values())
        rows.append(
            (name, ", ".join(f"{language_name(language)} {_percent(count / total)}" for language, count in counts.items()))
        )
    note = "Told by py3langid, one for each text; short texts, code and near relatives among languages it cannot tell."
    return Section("Languages", ("", "share of rows"), tuple(rows), (note,), numbers=0)


def _side_by_side(number: ComparedNumber) -> tuple[str, ...]:
    (one, other), spread = number.rows, number.interval
    ends = (UNDEFINED, UNDEFINED) if spread is None else (f"{spread.low:+.3f}", f"{spread.high:+.3f}")
    values = (f"{number.first:.3f}", f"{number.second:.3f}", f"{number.difference:+.3f}{'*' if number.differs else ''}")
    return (number.name, *values, *ends, str(one) if one == other else f"{one}, {other}")


def _percent(share: float | None) -> str:
    if share is None:
        return UNDEFINED
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 < share < 1 else f"{100 * share:.0f}%"


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _BRIEF else line[: _BRIEF - 1] + "…"
