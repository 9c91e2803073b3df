"""The report card as tables, for a terminal of 100 columns and as Markdown, both with the same content."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evals.judges.ask import DESCRIBING, FUSED
from evals.judges.card import JudgeCard, ReportCard, in_words
from evals.judges.figures import Figures
from evals.judges.fused import SEPARATE, FusedCard
from evals.judges.fused import in_words as fused_in_words
from evals.judges.scales import SCALES
from evals.judges.sweep import KEYS, Cut, Sweep
from evals.statistics import Interval, Rate

_MADE = {"hand": "by hand", "seed": "seed", "corruption": "corrupted seed"}
_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with sentences, a table, notes and lines of YAML, each of which may be missing.

    Attributes:
        title: the heading.
        columns: of the table; the first holds words, the others figures.
        rows: as many cells each as there are columns.
        notes: sentences below the table.
        lines: what can be copied as it is, below the notes.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def sections(card: ReportCard, facts: Sequence[tuple[str, str]], *, sweep: bool) -> tuple[Section, ...]:
    """The whole report.

    Args:
        card: what there is to say.
        facts: what stands at its head: name and value.
        sweep: with the thresholds.
    """
    found = [
        Section("Report card of the judges", notes=tuple(f"{name}: {value}" for name, value in facts)),
        _rates(card.judges),
        _reading(card.judges),
        *(_missed(judge) for judge in card.judges),
        _soft(card.judges),
    ]
    if card.fused is not None:
        found.append(_fused(card.fused))
    if sweep:
        sweeps = [judge.sweep for judge in card.judges if judge.sweep is not None]
        found += [section for each in sweeps for section in _sweep(each)]
        found += [_choosing(sweeps)] if sweeps else []
    return tuple(found)


def as_markdown(report: Iterable[Section]) -> str:
    """The report as a page of Markdown."""
    return "\n\n".join(part for place, section in enumerate(report) for part in _markdown(section, first=not place)) + "\n"


def print_report(report: Iterable[Section], out: Console) -> None:
    """The report in a terminal."""
    for section in report:
        out.print(f"\n[bold]{escape(section.title)}[/bold]")
        if section.columns:
            table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
            for place, heading in enumerate(section.columns):
                table.add_column(escape(heading), justify="right" if place else "left", no_wrap=bool(place))
            for row in section.rows:
                table.add_row(*map(escape, row))
            out.print(table)
        for note in section.notes:
            out.print(escape(note))
        for line in section.lines:
            out.print(escape(line), style="cyan")


def percent(value: float | None) -> str:
    """A share for people: `12.5 %`."""
    return _NOTHING if value is None else f"{_hundredfold(value)} %"


def with_interval(rate: Rate) -> str:
    """A rate for people: `12.5 % (4.1–28.9)`."""
    if rate.value is None:
        return _NOTHING
    return f"{percent(rate.value)} ({_hundredfold(rate.interval.low)}–{_hundredfold(rate.interval.high)})"


def number(value: float | None) -> str:
    """A kappa, an area or the like: `0.62`."""
    return _NOTHING if value is None else f"{value:.2f}"


def _hundredfold(value: float) -> str:
    return "100" if value == 1 else f"{100 * value:.1f}"


def _spread(value: float | None, interval: Interval | None, form: str = "{:.2f}") -> str:
    if value is None:
        return _NOTHING
    around = "" if interval is None else f" ({form.format(interval.low)} to {form.format(interval.high)})"
    return form.format(value) + around


def _rates(judges: Sequence[JudgeCard]) -> Section:
    rows = []
    alike = " Cases made from the same seed are alike, so intervals that count them are somewhat too narrow."
    for judge in judges:
        rows.append(_figures(judge.step, judge.all))
        if judge.hand is not None and judge.seeds is not None:
            rows += [_figures("  by hand", judge.hand), _figures("  from seeds", judge.seeds)]
    return Section(
        "Decisions",
        ("judge", "cases", "accuracy", "false accept", "false reject", "kappa"),
        tuple(rows),
        (
            "False accept: of the bad cases, those let through. False reject: of the good ones, those rejected. In brackets "
            "95 % intervals (Wilson). Kappa (Cohen): 1 is always right, 0 is as by chance. All by the first sample of each "
            "case; replies that cannot be used are left out here and counted below."
            + (alike if any(judge.seeds for judge in judges) else ""),
        ),
    )


def _figures(name: str, figures: Figures) -> tuple[str, ...]:
    rates = (figures.accuracy, figures.false_accept, figures.false_reject)
    return (name, str(figures.cases), *map(with_interval, rates), number(figures.kappa))


def _reading(judges: Sequence[JudgeCard]) -> Section:
    rows = [
        (
            judge.step,
            with_interval(judge.all.failed),
            str(judge.all.truncated),
            _spread(judge.all.kappa, judge.kappa_interval),
            number(judge.weighted_kappa),
            percent(judge.agreement.decision if judge.agreement else None),
            percent(judge.agreement.label if judge.agreement else None),
        )
        for judge in judges
    ]
    samples = max((judge.agreement.samples for judge in judges if judge.agreement), default=1)
    itself = (
        f"Decision, label: how often two of {samples} samples of a case agree on it."
        if samples > 1
        else "Each case was asked about once, so nothing is known of how a judge agrees with itself (--samples)."
    )
    return Section(
        "Replies and agreement",
        ("judge", "unreadable", "cut", "kappa", "weighted", "decision", "label"),
        tuple(rows),
        (
            "Unreadable: no usable reply twice in a row; cut: how many of these were truncated. Kappa with its 95 % interval "
            "(bootstrap); weighted: of the labels on the full scale, on cases by hand (quadratic weights). " + itself,
        ),
    )


def _missed(judge: JudgeCard) -> Section:
    rows = tuple(
        (row.name, _MADE[row.origin], "pass" if row.good else "fail", str(row.rate.of), with_interval(row.rate))
        for row in judge.missed
        if row.rate.count
    )
    columns = ("reason or corruption", "made", "should", "cases", "missed")
    return Section(f"What {judge.step} misses", columns if rows else (), rows, in_words(judge))


def _soft(judges: Sequence[JudgeCard]) -> Section:
    rated = [(judge, judge.soft) for judge in judges if judge.soft is not None]
    if not rated:
        said = "The server gave no probabilities of labels, so there are no soft ratings to compare."
        return Section("Soft ratings", notes=(said,))
    rows = [
        (
            judge.step,
            f"{soft.rated} of {soft.replies}",
            number(soft.label_auc),
            number(soft.soft_auc),
            _difference(soft.label_auc, soft.soft_auc, soft.difference),
            soft.verdict,
        )
        for judge, soft in rated
    ]
    none = [judge.step for judge in judges if judge.soft is None]
    without = (f"The server gave none for: {', '.join(none)}.",) if none else ()
    return Section(
        "Soft ratings",
        ("judge", "with soft", "label", "soft", "difference", "soft separates"),
        tuple(rows),
        (
            "Label, soft: the AUC of each, which is the chance that a good case is rated above a bad one, on the cases with a "
            "soft rating; 0.5 tells nothing. The difference with its 95 % interval (bootstrap).",
            *without,
        ),
    )


def _difference(first: float | None, second: float | None, interval: Interval | None) -> str:
    return _spread(None if first is None or second is None else second - first, interval, "{:+.3f}")


def _fused(fused: FusedCard) -> Section:
    gap = None if fused.fused.value is None or fused.separate.value is None else fused.fused.value - fused.separate.value
    rows = [
        ("quality: accuracy of separate", with_interval(fused.separate)),
        ("quality: accuracy of fused", with_interval(fused.fused)),
        ("quality: fused less separate", _spread(gap, fused.difference, "{:+.3f}")),
        ("quality: same decision", f"{with_interval(fused.decision)}, kappa {number(fused.decision_kappa)}"),
        ("quality: same label", f"{with_interval(fused.quality.same)}, weighted kappa {number(fused.quality.kappa)}"),
    ]
    for name, agreement in fused.described.items():
        kind = "weighted kappa" if name == "difficulty" else "kappa"
        rows.append((f"{name}: same label", f"{with_interval(agreement.same)}, {kind} {number(agreement.kappa)}"))
    rows += [
        ("unreadable, separate", with_interval(fused.separate_failed)),
        ("unreadable, fused", with_interval(fused.fused_failed)),
    ]
    shares: list[tuple[str, tuple[str, ...]]] = [
        ("fused, for each question", (FUSED,)),
        ("separate, for each question", (SEPARATE,)),
    ]
    shares.append(("separate, for each accepted pair more", tuple(DESCRIBING)))
    for name, steps in shares:
        tokens = fused.tokens(*steps)
        if tokens is not None:
            rows.append((name, f"{len(steps)} call{'s' if len(steps) > 1 else ''}, {tokens:.0f} tokens"))
    notes = (
        f"On {fused.cases} cases of {SEPARATE}. What difficulty and category truly are is not known.",
        *fused_in_words(fused),
    )
    return Section("Fused against separate tags", ("", "on the same cases"), tuple(rows), notes)


def _sweep(sweep: Sweep) -> list[Section]:
    columns = ("passes", "accepted", "false accept", "false reject", "kappa", "J", "is")
    found = [Section(f"Thresholds of {sweep.step}", columns, tuple(_cut(sweep.step, cut) for cut in sweep.labels))]
    if sweep.soft:
        note = (
            f"On the {sweep.rated} cases that have a soft rating. The configuration has no such threshold; the rows of a run "
            "hold the expected values to cut by."
        )
        rows = tuple(_cut(sweep.step, cut) for cut in sweep.soft)
        found.append(Section(f"Thresholds of {sweep.step}, soft rating", columns, rows, (note,)))
    return found


def _cut(step: str, cut: Cut) -> tuple[str, ...]:
    labels = SCALES[step].labels
    if cut.least is not None:
        name = f"{cut.least:g} and above"
    elif cut.accepts == labels[-1:]:
        name = str(labels[-1])
    elif cut.accepts == labels[-len(cut.accepts) :]:
        name = f"{cut.accepts[0]} and above"
    else:
        name = cut.name
    marks = [mark for mark, holds in (("best", cut.best), ("set", cut.configured)) if holds]
    rates = (with_interval(cut.false_accept), with_interval(cut.false_reject))
    return (name, percent(cut.accepted.value), *rates, number(cut.kappa), number(cut.youden), ", ".join(marks))


def _choosing(sweeps: Sequence[Sweep]) -> Section:
    """The lines of configuration; where two judges share a key and differ, both are said and the second is a comment."""
    chosen: dict[tuple[str, str], list[tuple[Sweep, Cut]]] = {}
    for sweep in sweeps:
        if (best := sweep.best) is not None:
            chosen.setdefault(KEYS[sweep.step], []).append((sweep, best))
    lines: list[str] = []
    for section in dict.fromkeys(section for section, _ in chosen):
        lines.append(f"{section}:")
        for (its, key), bests in chosen.items():
            if its == section:
                lines += _key_lines(key, bests)
    better = [sweep for sweep in sweeps if sweep.best is not None and not sweep.best.configured]
    notes = [
        f"{sweep.step}: kappa {number(sweep.best.kappa)} instead of {number(sweep.configured.kappa)}."
        for sweep in better
        if sweep.best is not None
    ]
    if untold := [sweep.step for sweep in sweeps if sweep.best is None]:
        notes.append(f"Which threshold is best cannot be told for {', '.join(untold)}: kappa is not defined.")
    if not notes:
        notes.append("The configured thresholds are the best ones.")
    if len(untold) < len(sweeps):
        notes.append("Best: the largest kappa. It was chosen on these cases, so on others it will do a little worse.")
    return Section("The best thresholds, for --config", notes=tuple(notes), lines=tuple(lines))


def _key_lines(key: str, bests: Sequence[tuple[Sweep, Cut]]) -> list[str]:
    by_value: dict[str, list[str]] = {}
    for sweep, best in bests:
        by_value.setdefault(best.name, []).append(sweep.step)
    lines = []
    for place, (value, steps) in enumerate(by_value.items()):
        lines.append(f"  {'# ' if place else ''}{key}: [{value}]   # best for {' and '.join(steps)}")
    return lines


def _markdown(section: Section, *, first: bool) -> list[str]:
    parts = [f"{'#' if first else '##'} {section.title}"]
    if section.columns:
        rows = [section.columns, tuple("---" if not place else "---:" for place in range(len(section.columns))), *section.rows]
        parts.append("\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows))
    if section.notes:
        parts.append("\n".join(f"- {note}" for note in section.notes) if first else "\n".join(section.notes))
    if section.lines:
        parts.append("\n".join(["```yaml", *section.lines, "```"]))
    return parts
