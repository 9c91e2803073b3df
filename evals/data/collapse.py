"""Collapse, named in words where it is there: what a set of generated rows has too much of. Pure.

Nothing is said of what the seeds do as well: data that follows narrow seeds is as narrow as it was asked to be. With
fewer rows than a bound of LIMITS nothing can be said, and nothing is.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.data.against_seeds import Coverage
from evals.data.diversity import mean_nearest_distance
from evals.data.material import Material
from evals.data.near_copies import has_near_copy
from evals.data.text import rouge_l_of_words, shared_opening
from skills_dspy.similarity.languages import Languages, name_of
from skills_dspy.similarity.text import words


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound and why it is where it is."""

    value: float
    reason: str


LIMITS: Mapping[str, Limit] = {
    "fewest rows": Limit(20, "with fewer, one row more or less is 5 points or more"),
    "last rows": Limit(100, "collapse grows, so the end tells; 100 give a share to within 10 points"),
    "opening": Limit(0.4, "in the shipped tasks up to a third of the seeds share four first words, and are varied"),
    "opening beyond seeds": Limit(0.2, "one of five seeds: fewer cannot tell a form that the seeds have from chance"),
    "near-copy": Limit(0.9, "ROUGE-L; other answers of a narrow skill share a form and reach 0.5 to 0.8"),
    "words of a copy": Limit(8, "a label, a number or a name is rightly the answer to many questions"),
    "near-copies": Limit(0.1, "one answer in ten brings nothing new to a training set"),
    "alike seeds": Limit(0.6, "mean ROUGE-L of a seed's answer with the nearest other: from here the skill is a mould itself"),
    "repeated questions": Limit(0.05, "a run of ours has none, so one in twenty is no accident"),
    "one seed": Limit(0.5, "half of all rows about one seed"),
    "one seed, times its share": Limit(2, "and at least twice what each would have of an even spread"),
    "third": Limit(50, "rows in a third, or texts in it whose language is told: with fewer, chance does too much"),
    "falling diversity": Limit(0.7, "last third over first; chance moves it by about a tenth, as measured on seeds at hand"),
    "one length": Limit(0.8, "share of answers about the median; where lengths spread by a quarter it is 0.16"),
    "around the median": Limit(0.05, "as a share of the median"),
    "words for a length": Limit(20, "5 % of fewer is not even one word"),
    "language beyond seeds": Limit(0.25, "share; wrong guesses of the classifier stay far below"),
    "language rising": Limit(0.3, "from the first third to the last; three times what chance does with 50 in a third"),
}  # fmt: skip
"""When collapse is named: every bound, and the reason for it."""


_ROUNDING = 1e-9
"""A difference of shares that is a bound's may come out a little below it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that has collapsed.

    Attributes:
        kind: a short name.
        sentence: what it is, in words, with its number.
        value: that number.
        limit: the bound that it has passed, a value of LIMITS.
    """

    kind: str
    sentence: str
    value: float
    limit: float

    def as_json(self) -> dict[str, Any]:
        """The four, the value to four decimals."""
        return {"kind": self.kind, "sentence": self.sentence, "value": round(self.value, 4), "limit": self.limit}


def find_collapse(material: Material, coverage: Coverage | None, copies: float | None, repeated: float) -> tuple[Finding, ...]:
    """All that has collapsed, in a fixed order; empty when nothing has.

    Args:
        material: the dataset.
        coverage: the part of each seed; None without seeds.
        copies: the share of answers that are near-copies; None when no answer is long enough to be one.
        repeated: the share of questions that repeat an earlier one.
    """
    if len(material.dataset.rows) < _limit("fewest rows"):
        return ()
    return (
        *_openings(material),
        *_copies(material, copies),
        *_repeated(repeated),
        *_one_seed(coverage),
        *_falling(material),
        *_one_length(material),
        *_languages(material),
    )


def near_copy_share(answers: Sequence[Sequence[str]]) -> float | None:
    """The share of answers with a near-copy among the others, of those with enough words; None when none has."""
    long = [answer for answer in answers if len(answer) >= _limit("words of a copy")]
    return sum(has_near_copy(long, _limit("near-copy"))) / len(long) if long else None


def _openings(material: Material) -> Iterator[Finding]:
    rows, seeds = material.dataset.rows, material.dataset.seeds
    last = rows[-int(_limit("last rows")) :]
    accepted = "accepted " if material.dataset.run else ""
    fields: list[tuple[str, Sequence[str], Sequence[str]]] = [
        (f"{accepted}questions", [row.question for row in last], [seed.question for seed in seeds]),
        ("answers", [row.answer for row in last], [seed.answer for seed in seeds]),
    ]
    for name, texts, of_seeds in fields:
        opening, share = shared_opening(texts)
        usual = sum(words(text)[:4] == opening.split() for text in of_seeds) / len(of_seeds) if of_seeds else 0.0
        if share >= _limit("opening") and (not of_seeds or share - usual > _limit("opening beyond seeds") - _ROUNDING):
            which = f"last {len(last)}" if len(rows) > len(last) else str(len(last))
            sentence = f"{_percent(share)} of the {which} {name} start with the same four words ({opening})"
            yield Finding(f"opening of {name.removeprefix('accepted ')}", sentence, share, _limit("opening"))


def _copies(material: Material, share: float | None) -> Iterator[Finding]:
    least = int(_limit("words of a copy"))
    long = sum(len(answer) >= least for answer in material.answers)
    if long < _limit("fewest rows"):  # the share is of these alone
        return
    if share is not None and share >= _limit("near-copies") and not _alike([seed.answer for seed in material.dataset.seeds]):
        bound = _limit("near-copy")
        which = "the answers" if long == len(material.answers) else f"the {long} answers of {least} words or more"
        sentence = f"{_percent(share)} of {which} are near-copies of another answer (ROUGE-L of {bound} or more)"
        yield Finding("near-copies", sentence, share, _limit("near-copies"))


def _alike(answers: Sequence[str]) -> bool:
    """Whether the seeds' own answers are cast in one mould."""
    found = [words(answer) for answer in answers]
    if len(found) < 2:
        return False
    nearest = [max(rouge_l_of_words(a, b) for j, b in enumerate(found) if j != i) for i, a in enumerate(found)]
    return math.fsum(nearest) / len(nearest) >= _limit("alike seeds")


def _repeated(share: float) -> Iterator[Finding]:
    if share >= _limit("repeated questions"):
        sentence = (
            f"{_percent(share)} of the questions repeat an earlier one word for word, about the same context if it has one"
        )
        yield Finding("repeated questions", sentence, share, _limit("repeated questions"))


def _one_seed(coverage: Coverage | None) -> Iterator[Finding]:
    if coverage is None or sum(coverage.nearest) < _limit("fewest rows"):
        return
    most = max(coverage.nearest)
    share, even = most / sum(coverage.nearest), 1 / len(coverage.nearest)
    bound = max(_limit("one seed"), _limit("one seed, times its share") * even)
    if share >= bound and len(coverage.nearest) > 2:
        place = coverage.nearest.index(most)
        question = " ".join(coverage.questions[place].split())
        begin = question if len(question) <= 60 else f"{question[:59]}…"
        sentence = (
            f"one seed dominates: {_percent(share)} of the rows are nearest to seed:{place} ({begin}), "
            f"one of {len(coverage.nearest)} seeds"
        )
        yield Finding("one seed", sentence, share, bound)


def _falling(material: Material) -> Iterator[Finding]:
    if material.vectors is None:
        return
    vectors = material.vectors.rows
    third = len(vectors) // 3
    if third < _limit("third"):
        return
    first, last = mean_nearest_distance(vectors[:third]), mean_nearest_distance(vectors[-third:])
    if first and last is not None and last / first <= _limit("falling diversity"):
        sentence = (
            f"diversity falls: the mean distance to the nearest other question is {first:.3f} in the first third of the rows "
            f"and {last:.3f} in the last"
        )
        yield Finding("falling diversity", sentence, last / first, _limit("falling diversity"))


def _one_length(material: Material) -> Iterator[Finding]:
    share, median = _around_median([len(answer) for answer in material.answers])
    of_seeds, _ = _around_median([len(words(seed.answer)) for seed in material.dataset.seeds])
    if median >= _limit("words for a length") and share >= _limit("one length") > of_seeds:
        about = f"within {_percent(_limit('around the median'))} of {median:g} words"
        sentence = f"{_percent(share)} of the answers have one length, {about}"
        yield Finding("one length", sentence, share, _limit("one length"))


def _around_median(lengths: Sequence[int]) -> tuple[float, float]:
    """The share of lengths near the median, and the median; 0 and 0 for none."""
    if not lengths:
        return 0.0, 0.0
    ordered = sorted(lengths)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    width = _limit("around the median") * median
    return sum(abs(length - median) <= width for length in ordered) / len(ordered), median


def _languages(material: Material) -> Iterator[Finding]:
    of_questions, of_answers = material.seed_languages
    for name, languages, of_seeds in (
        ("questions", material.question_languages, of_questions),
        ("answers", material.answer_languages, of_answers),
    ):
        yield from _foreign(name, languages, of_seeds)
        yield from _rising(name, languages)


def _foreign(name: str, languages: Languages, of_seeds: Languages) -> Iterator[Finding]:
    """A language that no seed has; with the seeds' own languages not told there is nothing to compare with."""
    known = languages.known
    if len(of_seeds.known) < 2 or len(known) < _limit("fewest rows"):
        return
    for language, share in _shares(known, lambda language: language not in of_seeds.known):
        if share >= _limit("language beyond seeds"):
            sentence = f"{_percent(share)} of the {name} are in a language that no seed has ({name_of(language)})"
            yield Finding(f"language of {name}", sentence, share, _limit("language beyond seeds"))


def _rising(name: str, languages: Languages) -> Iterator[Finding]:
    third = len(languages.told) // 3
    first, last = Languages(languages.told[:third]).known, Languages(languages.told[-third:] if third else ()).known
    if min(len(first), len(last)) < _limit("third"):
        return
    for language, share in _shares(last, lambda _: True):
        before = first.count(language) / len(first)
        if share - before > _limit("language rising") - _ROUNDING:
            sentence = (
                f"one language takes over: {_percent(before)} of the {name} are {name_of(language)} in the first third of the "
                f"rows, {_percent(share)} in the last"
            )
            yield Finding(f"rising language of {name}", sentence, share - before, _limit("language rising"))


def _shares(known: Sequence[str], wanted: Callable[[str], bool]) -> list[tuple[str, float]]:
    return [(language, known.count(language) / len(known)) for language in sorted(set(known)) if wanted(language)]


def _limit(name: str) -> float:
    return LIMITS[name].value


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
