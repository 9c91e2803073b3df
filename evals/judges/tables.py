"""The report card of the judges as sections of a report, for a terminal of 100 columns and as a page of Markdown."""

from collections.abc import Sequence

from evals.figures.statistics import Rate
from evals.figures.tables import UNDEFINED, Section, number
from evals.judges.ask import FUSED, UNFILTERED_TAGS, Figures
from evals.judges.card import JudgeCard, ReportCard
from evals.judges.cases import SCALE_OF_STEP
from evals.judges.fused import SEPARATE, FusedCard, TagAgreement, tokens_for_each
from evals.judges.sweep import KEYS, Cut, Sweep

_MADE = {"hand": "by hand", "reply": "by a model", "review": "reviewed", "seed": "seed", "corruption": "corrupted seed"}


def sections(card: ReportCard, facts: Sequence[tuple[str, str]], *, sweep: bool) -> tuple[Section, ...]:
    """Return the whole report: the facts, as name and value, the card, and with `sweep` the thresholds."""
    found = [
        Section("Report card of the judges", notes=tuple(f"{name}: {value}" for name, value in facts)),
        _rates(card.judges),
        *_reviews(card.judges),
        _replies(card.judges),
        *(_missed(judge) for judge in card.judges),
        _soft(card.judges),
    ]
    if card.fused_against_separate is not None:
        found.append(_fused(card.fused_against_separate))
    sweeps = {judge.step: judge.threshold_sweep for judge in card.judges if judge.threshold_sweep is not None}
    if sweep and sweeps:
        found += [section for step, each in sweeps.items() for section in _sweep(step, each)]
        found.append(_best_thresholds(sweeps))
    return tuple(found)


def percent(value: float | None) -> str:
    """A share for people: `12.5 %`."""
    return UNDEFINED if value is None else f"{_hundredfold(value)} %"


def with_interval(rate: Rate) -> str:
    """A rate for people: `12.5 % (4.1–28.9)`."""
    if rate.value is None:
        return UNDEFINED
    return f"{percent(rate.value)} ({_hundredfold(rate.interval.low)}–{_hundredfold(rate.interval.high)})"


def _hundredfold(value: float) -> str:
    return "100" if value == 1 else f"{100 * value:.1f}"


def _spread(value: float | None, low: float | None, high: float | None, form: str = "{:.2f}") -> str:
    if value is None:
        return UNDEFINED
    spread = UNDEFINED if low is None or high is None else f"{form.format(low)} to {form.format(high)}"
    return f"{form.format(value)} ({spread})"


def _rates(judges: Sequence[JudgeCard]) -> Section:
    rows = []
    for judge in judges:
        rows.append(_figures(judge.step, judge.all))
        parts = (
            ("  by hand", judge.by_hand),
            ("  by models", judge.of_models),
            ("  reviewed", judge.of_reviews),
            ("  from seeds", judge.from_seeds),
        )
        there = [_figures(name, figures) for name, figures in parts if figures is not None]
        rows += there if len(there) > 1 else []
    alike = " Cases made from the same seed are alike, so intervals that count them are somewhat too narrow."
    note = (
        "False accept: of the bad cases, those let through. False reject: of the good ones, those rejected. In brackets "
        "95 % intervals (Wilson). Kappa (Cohen): 1 is always right, 0 is as by chance. All by the first sample of each "
        "case; replies that cannot be used are left out here and counted below."
    )
    columns = ("judge", "cases", "accuracy", "false accept", "false reject", "kappa")
    return Section("Decisions", columns, tuple(rows), (note + (alike if any(judge.from_seeds for judge in judges) else ""),))


def _figures(name: str, figures: Figures) -> tuple[str, ...]:
    rates = (figures.accuracy, figures.false_accept, figures.false_reject)
    return (name, str(figures.cases), *map(with_interval, rates), number(figures.kappa))


def _reviews(judges: Sequence[JudgeCard]) -> list[Section]:
    """What a person said, where one said something."""
    rows = []
    for judge in judges:
        if (own := judge.of_reviews) is not None:
            alone = own.cases == judge.all.cases
            kappa = _spread(own.kappa, judge.kappa_low, judge.kappa_high) if alone else number(own.kappa)
            agreed = f"{own.accuracy.count} of {own.accuracy.of}"
            rows.append((judge.step, agreed, kappa, UNDEFINED if judge.more_reviews is None else f"about {judge.more_reviews}"))
    if not rows:
        return []
    note = (
        "Kappa of each judge's decision and yours, with its 95 % interval (none where you or the judge always say the same); "
        "in the end, how many more reviews like these would halve it (no figure there, and where all agree). An accepted row "
        "has a good question and a good pair; one whose answer alone you rejected has a good question; what you edited was not "
        "good as it was. Rows that you saw because the judges were unsure are harder than others: `review --order random` is "
        "fair to them."
    )
    return [Section("The judges and you", ("judge", "agrees", "kappa", "more reviews"), tuple(rows), (note,))]


def _replies(judges: Sequence[JudgeCard]) -> Section:
    rows = []
    for judge in judges:
        kappa, itself = _spread(judge.all.kappa, judge.kappa_low, judge.kappa_high), judge.self_agreement
        agreed = (percent(itself.same_decision), percent(itself.same_label)) if itself else (UNDEFINED, UNDEFINED)
        replies = (with_interval(judge.all.unreadable), str(judge.all.of_these_truncated))
        rows.append((judge.step, *replies, kappa, number(judge.weighted_kappa_by_hand), *agreed))
    samples = max((judge.self_agreement.samples for judge in judges if judge.self_agreement), default=1)
    said = (
        f"Decision, label: how often two of {samples} samples of a case agree on it."
        if samples > 1
        else "Each case was asked about once, so nothing is known of how a judge agrees with itself (--samples)."
    )
    note = (
        "Unreadable: no usable reply twice in a row; cut: how many of these were truncated. Kappa with its 95 % interval "
        "(bootstrap); weighted: of the labels on the full scale, on cases by hand (quadratic weights). " + said
    )
    columns = ("judge", "unreadable", "cut", "kappa", "weighted", "decision", "label")
    return Section("Replies and agreement", columns, tuple(rows), (note,))


def _missed(judge: JudgeCard) -> Section:
    rows = tuple(
        (row.name, _MADE[row.origin], "pass" if row.good else "fail", str(row.missed.of), with_interval(row.missed))
        for row in judge.missed
        if row.missed.count
    )
    columns = ("reason or corruption", "made", "should", "cases", "missed")
    return Section(f"What {judge.step} misses", columns if rows else (), rows, judge.said)


def _soft(judges: Sequence[JudgeCard]) -> Section:
    rows = [
        (
            judge.step,
            f"{soft.with_soft_rating} of {soft.replies}",
            number(soft.label_auc),
            number(soft.soft_auc),
            _spread(soft.difference, soft.low, soft.high, "{:+.3f}"),
            soft.verdict,
        )
        for judge in judges
        if (soft := judge.soft) is not None
    ]
    if not rows:
        none = "The server gave no probabilities of labels, so there are no soft ratings to compare."
        return Section("Soft ratings", notes=(none,))
    note = (
        "Label, soft: the AUC of each, which is the chance that a good case is rated above a bad one, on the cases with a "
        "soft rating; 0.5 tells nothing. The difference with its 95 % interval (bootstrap)."
    )
    without = ", ".join(judge.step for judge in judges if judge.soft is None)
    notes = (note, f"The server gave none for: {without}.") if without else (note,)
    columns = ("judge", "with soft", "label", "soft", "difference", "soft separates")
    return Section("Soft ratings", columns, tuple(rows), notes)


def _fused(fused: FusedCard) -> Section:
    quality = fused.instruction_quality
    rows = [
        ("quality: accuracy of separate", with_interval(quality.separate_accuracy)),
        ("quality: accuracy of fused", with_interval(quality.fused_accuracy)),
        ("quality: fused less separate", _spread(quality.difference, quality.low, quality.high, "{:+.3f}")),
        ("quality: same decision", f"{with_interval(quality.same_decision)}, kappa {number(quality.decision_kappa)}"),
        ("quality: same label", _agreed(quality, "weighted kappa")),
        ("difficulty: same label", _agreed(fused.difficulty, "weighted kappa")),
        ("category: same label", _agreed(fused.category, "kappa")),
        ("unreadable, separate", with_interval(fused.separate_unreadable)),
        ("unreadable, fused", with_interval(fused.fused_unreadable)),
    ]
    for name, steps in (
        ("fused, for each question", (FUSED,)),
        ("separate, for each question", (SEPARATE,)),
        ("separate, for each accepted pair more", tuple(UNFILTERED_TAGS)),
    ):
        tokens = tokens_for_each(fused.costs, fused.cases, *steps)
        if tokens is not None:
            rows.append((name, f"{len(steps)} call{'s' if len(steps) > 1 else ''}, {tokens:.0f} tokens"))
    note = f"On {fused.cases} cases of {SEPARATE}. What difficulty and category truly are is not known."
    return Section("Fused against separate tags", ("", "on the same cases"), tuple(rows), (note, *fused.said))


def _agreed(agreement: TagAgreement, kappa: str) -> str:
    return f"{with_interval(agreement.same_label)}, {kappa} {number(agreement.kappa)}"


def _sweep(step: str, sweep: Sweep) -> list[Section]:
    columns = ("passes", "accepted", "false accept", "false reject", "kappa", "J", "is")
    found = [Section(f"Thresholds of {step}", columns, tuple(_cut(step, cut) for cut in sweep.labels))]
    if sweep.soft:
        note = (
            f"On the {sweep.with_soft_rating} cases that have a soft rating. The configuration has no such threshold; the rows "
            "of a run hold the expected values to cut by."
        )
        found.append(
            Section(f"Thresholds of {step}, soft rating", columns, tuple(_cut(step, cut) for cut in sweep.soft), (note,))
        )
    return found


def _cut(step: str, cut: Cut) -> tuple[str, ...]:
    labels = SCALE_OF_STEP[step].labels
    if cut.accepts is None:
        name = f"{cut.expected_from:g} and above"
    elif len(cut.accepts) > 1 and cut.accepts == labels[-len(cut.accepts) :]:
        name = f"{cut.accepts[0]} and above"
    else:
        name = cut.labels
    marks = [mark for mark, holds in (("best", cut.best_by_kappa), ("set", cut.configured)) if holds]
    rates = (with_interval(cut.false_accept), with_interval(cut.false_reject))
    return (name, percent(cut.accepted.value), *rates, number(cut.kappa), number(cut.youden), ", ".join(marks))


def _best_thresholds(sweeps: dict[str, Sweep]) -> Section:
    """The lines of configuration; where two judges share a key and differ, both are said and the second is a comment."""
    chosen: dict[tuple[str, str], dict[str, list[str]]] = {}  # section and key to value to steps
    notes, lines = [], list[str]()
    for step, sweep in sweeps.items():
        if (best := sweep.best) is None:
            continue
        chosen.setdefault(KEYS[SCALE_OF_STEP[step]], {}).setdefault(best.labels, []).append(step)
        if not best.configured:
            notes.append(f"{step}: kappa {number(best.kappa)} instead of {number(sweep.configured.kappa)}.")
    for (section, key), values in chosen.items():
        lines += [f"{section}:"] if f"{section}:" not in lines else []
        for place, (value, steps) in enumerate(values.items()):
            lines.append(f"  {'# ' if place else ''}{key}: [{value}]   # best for {' and '.join(steps)}")
    if unknown := [step for step, sweep in sweeps.items() if sweep.best is None]:
        notes.append(f"Which threshold is best cannot be told for {', '.join(unknown)}: kappa is not defined.")
    if not notes:
        notes.append("The configured thresholds are the best ones.")
    if len(unknown) < len(sweeps):
        notes.append("Best: the largest kappa. It was chosen on these cases, so on others it will do a little worse.")
    return Section("The best thresholds, for --config", notes=tuple(notes), lines=tuple(lines))
