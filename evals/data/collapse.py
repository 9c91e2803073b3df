"""Collapse, named in words where it is there: what a set of generated rows has too much of. Pure.

Nothing is said of what the seeds do as well: data that follows narrow seeds is as narrow as it was asked to be. With
fewer rows than a bound nothing can be said, and nothing is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evals.data.against_seeds import Coverage
from evals.data.material import Material
from evals.data.measures import mean, mean_nearest_distance, median
from evals.data.near_copies import has_near_copy
from evals.data.text import OPENING, rouge_l_of_words, shared_opening
from skills_dspy.base.records import seed_texts
from skills_dspy.base.residue import residue_of_pair
from skills_dspy.similarity.languages import Languages, language_name
from skills_dspy.similarity.text import words

FEWEST_ROWS = 20  # with fewer, one row more or less is 5 points or more
_LAST_ROWS = 100  # collapse grows, so the end tells; 100 give a share to within 10 points
_OPENING = 0.4  # in the shipped tasks up to a third of the seeds share four first words, and are varied
_BEYOND_SEEDS = 0.2  # one of five seeds: fewer cannot tell a form that the seeds have from chance
NEAR_COPY = 0.9  # ROUGE-L; other answers of a narrow skill share a form and reach 0.5 to 0.8
COPY_WORDS = 8  # a label, a number or a name is rightly the answer to many questions
_NEAR_COPIES = 0.1  # one answer in ten brings nothing new to a training set
_ALIKE_SEEDS = 0.6  # mean ROUGE-L of a seed's answer with the nearest other: from here the skill is a mould itself
_REPEATED = 0.05  # a run of ours has none, so one in twenty is no accident
_ONE_SEED = 0.5  # half of all rows about one seed,
_TIMES_EVEN = 2  # and at least twice what each would have of an even spread
_THIRD = 50  # rows in a third, or texts in it whose language is told: with fewer, chance does too much
_FALLING = 0.7  # last third over first; chance moves it by about a tenth, as measured on seeds at hand
_ONE_LENGTH = 0.8  # share of answers about the median; where lengths spread by a quarter it is 0.16
_AROUND_MEDIAN = 0.05  # as a share of the median
_LENGTH_WORDS = 20  # 5 % of fewer is not even one word
_NEW_LANGUAGE = 0.25  # share; wrong guesses of the classifier stay far below
_RISING = 0.3  # from the first third to the last; three times what chance does with 50 in a third
_ROUNDING = 1e-9  # a difference of shares that is a bound's may come out a little below it


@dataclass(frozen=True, slots=True)
class Collapse:
    """One thing that has collapsed: a short name, a sentence with its number, that number, and the bound that it has passed."""

    kind: str
    sentence: str
    value: float
    limit: float

    def as_json(self) -> dict[str, Any]:
        """The four, the value to four decimals."""
        return {**asdict(self), "value": round(self.value, 4)}


def find_collapse(material: Material, coverage: Coverage | None, copies: float | None, repeated: float) -> tuple[Collapse, ...]:
    """Return all that has collapsed, in a fixed order.

    `copies` is the share of answers with a near-copy, of those long enough to be one; `repeated` that of questions that repeat.
    """
    if len(material.dataset.rows) < FEWEST_ROWS:
        return tuple(_residue(material))
    return (
        *_residue(material),
        *_openings(material),
        *_copies(material, copies),
        *_repeated(repeated),
        *_one_seed(coverage),
        *_falling(material),
        *_one_length(material),
        *_languages(material),
    )


def _residue(material: Material) -> Iterator[Collapse]:
    """However few the rows are: none should have any."""
    rows, known = material.dataset.rows, tuple(seed_texts(material.dataset.seeds))
    faults = [(number, residue_of_pair(row.question, row.answer, row.context, known)) for number, row in enumerate(rows, 1)]
    found = [(number, said) for number, said in faults if said is not None]
    if found:
        first = f"the first is row {found[0][0]}: {found[0][1]}"
        sentence = f"{len(found)} of {len(rows)} rows hold what a machine leaves behind; {first}"
        yield Collapse("residue", sentence, len(found) / len(rows), 0.0)


def near_copy_share(answers: Sequence[Sequence[str]]) -> float | None:
    """Return the share of answers with a near-copy among the others, of those with enough words; None when none has."""
    long = [answer for answer in answers if len(answer) >= COPY_WORDS]
    return sum(has_near_copy(long, NEAR_COPY)) / len(long) if long else None


def _openings(material: Material) -> Iterator[Collapse]:
    seeds = material.dataset.seeds
    for name, texts, of_seeds in (
        ("questions", material.questions, [words(seed.question) for seed in seeds]),
        ("answers", material.answers, [words(seed.answer) for seed in seeds]),
    ):
        last = texts[-_LAST_ROWS:]
        which = f"last {len(last)}" if len(texts) > len(last) else str(len(last))
        opening, share = shared_opening(last)
        usual = sum(text[:OPENING] == opening.split() for text in of_seeds) / len(of_seeds) if of_seeds else -1.0
        if share >= _OPENING and share - usual > _BEYOND_SEEDS - _ROUNDING:
            accepted = "accepted " if material.dataset.run and name == "questions" else ""
            sentence = f"{_percent(share)} of the {which} {accepted}{name} start with the same four words ({opening})"
            yield Collapse(f"opening of {name}", sentence, share, _OPENING)


def _copies(material: Material, share: float | None) -> Iterator[Collapse]:
    long = sum(len(answer) >= COPY_WORDS for answer in material.compared)
    if share is None or share < _NEAR_COPIES or long < FEWEST_ROWS:  # the share is of the long ones alone
        return
    own = [words(seed.answer) for seed in material.dataset.seeds]
    alike = [max(rouge_l_of_words(a, b) for b in own[:i] + own[i + 1 :]) for i, a in enumerate(own)] if len(own) > 1 else []
    if (mean(alike) or 0.0) < _ALIKE_SEEDS:  # else the seeds' own answers are cast in one mould
        which = "the answers" if long == len(material.answers) else f"the {long} answers of {COPY_WORDS} words or more"
        sentence = f"{_percent(share)} of {which} are near-copies of another answer (ROUGE-L of {NEAR_COPY} or more)"
        yield Collapse("near-copies", sentence, share, _NEAR_COPIES)


def _repeated(share: float) -> Iterator[Collapse]:
    if share >= _REPEATED:
        sentence = "of the questions repeat an earlier one word for word, about the same context if it has one"
        yield Collapse("repeated questions", f"{_percent(share)} {sentence}", share, _REPEATED)


def _one_seed(coverage: Coverage | None) -> Iterator[Collapse]:
    rows = 0 if coverage is None else sum(part.nearest for part in coverage.seeds)
    if coverage is None or rows < FEWEST_ROWS or len(coverage.seeds) <= 2:
        return
    most = max(coverage.seeds, key=lambda part: part.nearest)
    share, bound = most.nearest / rows, max(_ONE_SEED, _TIMES_EVEN * (1 / len(coverage.seeds)))
    if share >= bound:
        question = " ".join(most.question.split())
        begin = question if len(question) <= 60 else f"{question[:59]}…"
        sentence = (
            f"one seed dominates: {_percent(share)} of the rows are nearest to {most.seed} ({begin}), "
            f"one of {len(coverage.seeds)} seeds"
        )
        yield Collapse("one seed", sentence, share, bound)


def _falling(material: Material) -> Iterator[Collapse]:
    if material.vectors is None or len(material.vectors.rows) // 3 < _THIRD:
        return
    vectors, third = material.vectors.rows, len(material.vectors.rows) // 3
    first, last = mean_nearest_distance(vectors[:third]), mean_nearest_distance(vectors[-third:])
    if first and last is not None and last / first <= _FALLING:
        sentence = (
            f"diversity falls: the mean distance to the nearest other question is {first:.3f} in the first third of the rows "
            f"and {last:.3f} in the last"
        )
        yield Collapse("falling diversity", sentence, last / first, _FALLING)


def _one_length(material: Material) -> Iterator[Collapse]:
    share, middle = _around_median([len(answer) for answer in material.answers])
    of_seeds, _ = _around_median([len(words(seed.answer)) for seed in material.dataset.seeds])
    if middle >= _LENGTH_WORDS and share >= _ONE_LENGTH > of_seeds:
        about = f"within {_percent(_AROUND_MEDIAN)} of {middle:g} words"
        yield Collapse("one length", f"{_percent(share)} of the answers have one length, {about}", share, _ONE_LENGTH)


def _around_median(lengths: Sequence[int]) -> tuple[float, float]:
    """The share of lengths near the median, and the median; 0 and 0 for none."""
    middle = median(lengths) or 0.0
    near = sum(abs(length - middle) <= _AROUND_MEDIAN * middle for length in lengths)
    return near / len(lengths) if lengths else 0.0, middle


def _languages(material: Material) -> Iterator[Collapse]:
    of_rows = (material.question_languages, material.answer_languages)
    for name, languages, of_seeds in zip(("questions", "answers"), of_rows, material.seed_languages, strict=True):
        yield from _foreign(name, languages, of_seeds)
        yield from _rising(name, languages)


def _foreign(name: str, languages: Languages, of_seeds: Languages) -> Iterator[Collapse]:
    """A language that no seed has; with the seeds' own languages not told there is nothing to compare with."""
    if len(of_seeds.known) < 2 or len(languages.known) < FEWEST_ROWS:
        return
    for language, share in _shares(languages.known):
        if share >= _NEW_LANGUAGE and language not in of_seeds.known:
            sentence = f"{_percent(share)} of the {name} are in a language that no seed has ({language_name(language)})"
            yield Collapse(f"language of {name}", sentence, share, _NEW_LANGUAGE)


def _rising(name: str, languages: Languages) -> Iterator[Collapse]:
    third = len(languages.told) // 3
    first, last = Languages(languages.told[:third]).known, Languages(languages.told[-third:] if third else ()).known
    if min(len(first), len(last)) < _THIRD:
        return
    for language, share in _shares(last):
        before = first.count(language) / len(first)
        if share - before > _RISING - _ROUNDING:
            sentence = (
                f"one language takes over: {_percent(before)} of the {name} are {language_name(language)} in the first third "
                f"of the rows, {_percent(share)} in the last"
            )
            yield Collapse(f"rising language of {name}", sentence, share - before, _RISING)


def _shares(known: Sequence[str]) -> list[tuple[str, float]]:
    return [(language, known.count(language) / len(known)) for language in sorted(set(known))]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
