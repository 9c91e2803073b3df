"""The score of a dataset and the comparison of two, for the terminal and as Markdown: the same tables in both."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evals.data.against_seeds import Coverage, Likeness, Novelty
from evals.data.collapse import LIMITS
from evals.data.compare import Compared, Comparison
from evals.data.distributions import Lengths, RatingScore, StageYield
from evals.data.score import DatasetScore, Diversity
from skills_dspy.similarity.languages import name_of

_DIGEST = re.compile("[0-9a-f]{64}")
_NOTHING = "–"
_BRIEF = 42
"""Characters of a seed's question: its table then fits into 80 columns."""
_HALVES = "In distances and likeness of questions, the question and its context count half each."


@dataclass(frozen=True, slots=True)
class Section:
    """One table with what is said of it.

    Attributes:
        title: what it is about.
        headings: of its columns; empty for no table.
        numbers: how many columns from the second on hold numbers.
        rows: as many cells each as there are headings.
        lines: sentences under it.
    """

    title: str
    headings: tuple[str, ...] = ()
    numbers: int = 0
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()


def score_sections(score: DatasetScore) -> list[Section]:
    """The score of one dataset; what does not apply is not there."""
    sections = [*_head(score)]
    if score.stages:
        sections.append(_yield(score.stages, score.candidates or 0))
    if score.ratings:
        sections.append(_ratings(score.ratings))
    if score.rows:
        sections.append(_diversity(score.diversity, score))
    if score.novelty is not None:
        sections.append(_novelty(score.novelty, grounded="context" in score.lengths))
    if score.coverage is not None:
        sections.append(_coverage(score.coverage, score.sample))
    if score.rows:
        sections += [_lengths(score.lengths), _languages(score.languages)]
    return [*sections, *_tail(score)]


def comparison_sections(comparison: Comparison, first: DatasetScore, second: DatasetScore) -> list[Section]:
    """The comparison of two datasets, below what is to be said of each."""
    sections = [part for score in (first, second) for part in (*_head(score), *_tail(score))]
    rows = tuple(_compared(number) for number in comparison.numbers)
    lines = (
        f"1 is {comparison.first}, 2 is {comparison.second}; the difference is 2 minus 1, with its 95 % interval.",
        "The interval is a bootstrap's; for what depends on the number of rows, the spread over halves.",
        "* marks an interval that leaves out 0; of twenty, about one does so by chance.",
        *comparison.notes,
    )
    headings = ("", "1", "2", "difference", "from", "to", "rows")
    return [*sections, Section("Side by side", headings, 6, rows, lines)]


def print_sections(sections: Sequence[Section], out: Console) -> None:
    """All sections on a terminal."""
    for section in sections:
        out.print()
        if section.title:
            out.print(f"[bold]{_visible(section.title)}[/bold]")
        if section.headings:
            table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
            for place, heading in enumerate(section.headings):
                table.add_column(heading, justify="right" if 0 < place <= section.numbers else "left", overflow="fold")
            for row in section.rows:
                table.add_row(*map(_visible, row))
            out.print(table)
        for line in section.lines:
            out.print(_visible(line))


def markdown(sections: Sequence[Section]) -> str:
    """All sections as Markdown, with a final newline."""
    return "\n\n".join(part for section in sections for part in _markdown(section)) + "\n"


def _markdown(section: Section) -> Iterator[str]:
    if section.title:
        yield f"## {_plain(section.title)}"
    if section.headings:
        rules = ["---:" if 0 < place <= section.numbers else "---" for place in range(len(section.headings))]
        lines = [section.headings, tuple(rules), *(tuple(map(_plain, row)) for row in section.rows)]
        yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if section.lines:
        yield "\n".join(f"- {_plain(line)}" for line in section.lines)


def _plain(text: str) -> str:
    """A text without what Markdown would take for its own."""
    return re.sub(r"([\\`*_|<>\[\]#])", r"\\\1", _printable(text))


def _visible(text: str) -> str:
    """A text without what a terminal or rich would take for its own."""
    return escape(_printable(text))


def _printable(text: str) -> str:
    """A text with escapes for what is not to be seen: control characters, and halves of characters in the name of a file."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _head(score: DatasetScore) -> Iterator[Section]:
    rows = f"{score.rows} rows" if score.rows != 1 else "1 row"
    lines = [f"{rows}{'' if score.status is None else f', {score.status}'}: {score.path}"]
    if score.answered_by is not None:
        lines.append(f"Answered by: {score.answered_by}")
    if score.embedder is not None:
        lines.append(f"Vectors by {_DIGEST.sub(lambda found: found[0][:12], score.embedder)}")
    yield Section(score.name, lines=tuple(lines))
    if score.collapse:
        yield Section("Collapse", lines=tuple(_sentence(finding.sentence) for finding in score.collapse))


def _tail(score: DatasetScore) -> Iterator[Section]:
    if score.notes:
        yield Section("To be known", lines=score.notes)


def _yield(stages: Sequence[StageYield], candidates: int) -> Section:
    rows = tuple(
        (
            stage.stage,
            str(stage.came),
            str(stage.came - stage.went_on),
            str(stage.went_on),
            _percent(stage.went_on / stage.came) if stage.came else _NOTHING,
            ", ".join(f"{reason} {count}" for reason, count in stage.rejected.items()),
        )
        for stage in stages
    )
    accepted = stages[-1].went_on
    line = f"{accepted} of {candidates} candidates were accepted ({_percent(accepted / candidates)})." if candidates else ""
    headings = ("stage", "came", "rejected", "went on", "share", "why")
    return Section("Yield by stage", headings, 4, rows, (line,) if line else ())


def _ratings(ratings: Mapping[str, RatingScore]) -> Section:
    rows = []
    for name, rating in ratings.items():
        counts = ", ".join(f"{label}: {count}" for label, count in rating.counts.items() if count)
        rows.append((name.replace("_", " "), str(sum(rating.counts.values())), _number(rating.mean, 2), counts))
        if rating.soft_rows:
            shares = ", ".join(f"{label}: {_percent(share)}" for label, share in rating.mean_probabilities.items() if share)
            rows.append(("  soft", str(rating.soft_rows), _number(rating.mean_expected, 2), shares))
    lines = ["A label in words counts as its place on the scale, from 1."]
    if any(rating.soft_rows for rating in ratings.values()):
        lines.append("Soft: the mean of the expected values, and the mean probability of each label.")
    headings = ("rating", "rows", "mean", "by label")
    return Section("Verdicts and tags of the accepted rows", headings, 2, tuple(rows), tuple(lines))


def _diversity(diversity: Diversity, score: DatasetScore) -> Section:
    rows = [("mean distance to the nearest other", _number(diversity.nearest, 3), _NOTHING)]
    rows.append(("Vendi score", _number(diversity.vendi, 1), _NOTHING))
    rows += [
        (f"distinct-{n}", _number(diversity.questions[n], 3), _number(diversity.answers[n], 3)) for n in diversity.questions
    ]
    rows.append(("repeat an earlier one", _NOTHING if score.repeated is None else _percent(score.repeated), _NOTHING))
    rows.append(("have a near-copy", _NOTHING, _NOTHING if score.near_copies is None else _percent(score.near_copies)))
    bound, words = LIMITS["near-copy"].value, LIMITS["words of a copy"].value
    lines = (
        f"Of {score.sample} rows. Distances are squared, 0 to 4, those of dedup; the Vendi score is the effective number of "
        "different questions. With more rows it rises, and distances and distinct-n fall: compare sets of one size.",
        *((_HALVES,) if "context" in score.lengths else ()),
        f"A near-copy has a ROUGE-L of {bound:g} or more; answers of fewer than {words:g} words are not counted as copies.",
    )
    return Section("Diversity", ("", "questions", "answers"), 2, tuple(rows), lines)


def _novelty(novelty: Novelty, *, grounded: bool) -> Section:
    rows = []
    measured: tuple[tuple[str, Likeness | None], ...] = (
        ("question, cosine", novelty.cosine),
        ("question, ROUGE-L", novelty.question_rouge),
        ("answer, ROUGE-L", novelty.answer_rouge),
    )
    for name, likeness in measured:
        if likeness is not None:
            shares = ", ".join(f"{_percent(share)} from {bound:g}" for bound, share in likeness.shares.items())
            rows.append((name, _number(likeness.mean, 3), shares))
    lines = (_HALVES,) if grounded else ()
    return Section("Likeness to the nearest seed", ("", "mean", "share of rows"), 1, tuple(rows), lines)


def _coverage(coverage: Coverage, sample: int) -> Section:
    rows = tuple(
        (
            f"seed:{place}",
            str(nearest),
            _percent(nearest / sample),
            _NOTHING if coverage.shown is None else str(coverage.shown[place]),
            _brief(question),
        )
        for place, (nearest, question) in enumerate(zip(coverage.nearest, coverage.questions, strict=True))
    )
    lines = [f"Evenness of the seeds' parts, 0 (one has all) to 1: {_number(coverage.evenness, 3)}"]
    if coverage.shown is not None:
        lines[0] += f"; of how often they were shown: {_number(coverage.shown_evenness, 3)}"
    headings = ("seed", "nearest to", "share", "shown for", "question")
    return Section(f"Coverage of the seeds, by {coverage.by}", headings, 3, rows, (lines[0] + ".",))


def _lengths(lengths: Mapping[str, Lengths]) -> Section:
    rows = tuple(
        (name, str(n.texts), str(n.least), f"{n.low:g}", f"{n.median:g}", f"{n.high:g}", str(n.most))
        for name, n in lengths.items()
    )
    return Section("Words", ("", "texts", "least", "quarter", "median", "three quarters", "most"), 6, rows)


def _languages(languages: Mapping[str, Mapping[str, int]]) -> Section:
    rows = []
    for name, counts in languages.items():
        total = sum(counts.values())
        rows.append((name, ", ".join(f"{name_of(language)} {_percent(count / total)}" for language, count in counts.items())))
    lines = ("Told by py3langid, one for each text; short texts, code and near relatives among languages it cannot tell.",)
    return Section("Languages", ("", "share of rows"), 0, tuple(rows), lines)


def _compared(number: Compared) -> tuple[str, ...]:
    one, other = number.rows
    low, high = (
        (_NOTHING, _NOTHING) if number.interval is None else (f"{number.interval.low:+.3f}", f"{number.interval.high:+.3f}")
    )
    return (
        number.name,
        f"{number.first:.3f}",
        f"{number.second:.3f}",
        f"{number.difference:+.3f}{'*' if number.differs else ''}",
        low,
        high,
        str(one) if one == other else f"{one}, {other}",
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _percent(share: float) -> str:
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 < share < 1 else f"{100 * share:.0f}%"


def _number(value: float | None, decimals: int) -> str:
    return _NOTHING if value is None else f"{value:.{decimals}f}"


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _BRIEF else line[: _BRIEF - 1] + "…"
