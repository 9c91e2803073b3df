"""The result of `eval student` as tables and as JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from evals.figures.statistics import spread_json
from evals.figures.tables import UNDEFINED, Section
from evals.student.lessons import Fit
from evals.student.outcome import Difference, Taught, TrialOutcome
from evals.student.training import RANK, TrainingSettings


@dataclass(frozen=True, slots=True)
class StudentReport:
    """What was measured, of what, and how.

    Attributes:
        student, data: as they were given.
        tasks: how many seeds are measured, by task.
        left_out: by dataset, the rows that may be taught and those left out.
        notes: what else is to be known.
        runs_of_data: of the data that are runs, the task to the SHA-256 of its rows, so that a card can find the report.
        judged: of answers before and after, what a judge prefers, as sections and as JSON has it; None where none was named.
    """

    student: str
    data: tuple[str, ...]
    tasks: Mapping[str, int]
    left_out: Mapping[str, Fit]
    settings: TrainingSettings
    window: int
    device: str
    seed: int
    runs: int
    outcome: TrialOutcome
    notes: tuple[str, ...] = ()
    runs_of_data: Mapping[str, str] = field(default_factory=dict)
    judged: Mapping[str, Any] | None = None

    def sections(self) -> tuple[Section, ...]:
        """The report, its head first."""
        how = "all weights" if self.settings.full else f"LoRA of rank {RANK}"
        seeds = ", ".join(f"{count} of {name}" for name, count in self.tasks.items())
        passes = "1 pass" if self.settings.epochs == 1 else f"{self.settings.epochs} passes"
        head = [
            f"Student: {self.student}, trained by TRL ({how}, {passes}, learning rate "
            f"{self.settings.rate:g}, {self.settings.batch} rows a step, window {self.window}) on {self.device}",
            f"Data: {', '.join(self.data)}",
            f"Measured on held-out seeds: {seeds}; random seeds {self.seed} to {self.seed + self.runs - 1}"
            if self.runs > 1
            else f"Measured on held-out seeds: {seeds}; random seed {self.seed}",
            *(_left_out(name, fit) for name, fit in self.left_out.items()),
            *self.notes,
        ]
        judged = () if self.judged is None else (Section("Judged blind, in both orders", notes=(self.judged["in_words"],)),)
        said = Section("What that comes to", notes=self.outcome.verdicts)
        return (Section("What a student learns from the rows", notes=tuple(head)), *_tables(self.outcome), said, *judged)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "student": self.student,
            "data": list(self.data),
            "runs": dict(self.runs_of_data),
            "seeds": dict(self.tasks),
            "rows": {
                name: {
                    "taught": len(fit.rows),
                    "near_copies": fit.near,
                    "too_long": fit.long,
                    "empty": fit.empty,
                    "repeated": fit.repeated,
                }
                for name, fit in self.left_out.items()
            },
            "training": {
                "full": self.settings.full,
                "lora_rank": None if self.settings.full else RANK,
                "epochs": self.settings.epochs,
                "learning_rate": self.settings.rate,
                "batch": self.settings.batch,
                "window": self.window,
                "device": self.device,
                "seed": self.seed,
                "runs": self.runs,
            },
            "before": round(self.outcome.before, 4),
            "unsaid": {lesson: list(names) for lesson, names in self.outcome.unsaid.items() if names},
            "taught": [_taught_json(one) for one in self.outcome.taught],
            "verdicts": list(self.outcome.verdicts),
            "notes": list(self.notes),
            **({} if self.judged is None else {"judged": dict(self.judged)}),
        }


def _tables(outcome: TrialOutcome) -> Iterator[Section]:
    """Each as narrow as a terminal of 80 columns."""
    before = ("nothing (before)", UNDEFINED, UNDEFINED, f"{outcome.before:.3f}", *_cells(None))
    rows = [(one.lesson, str(one.rows), str(one.tokens), f"{one.loss:.3f}", *_cells(one.change)) for one in outcome.taught]
    title = "Loss per token of the held-out seeds' answers, given their questions"
    yield Section(title, ("taught", "rows", "tokens", "loss", "change", "95 %"), (before, *rows))
    against = tuple((one.lesson, *_cells(one.all_less)) for one in outcome.taught if one.all_less is not None)
    if against:
        yield Section("All rows against each other lesson", ("taught", "all rows less this", "95 %"), against)
    spreads = tuple((one.lesson, *map("{:.3f}".format, one.spread)) for one in outcome.taught if one.spread is not None)
    if spreads:
        yield Section("Losses with other random seeds", ("taught", "lowest", "highest"), spreads)


def _cells(difference: Difference | None) -> tuple[str, str]:
    if difference is None:
        return UNDEFINED, UNDEFINED
    return f"{difference.mean:+z.3f}", f"{difference.interval.low:+z.3f} to {difference.interval.high:+z.3f}"


def _taught_json(one: Taught) -> dict[str, Any]:
    return {
        "lesson": one.lesson,
        "rows": one.rows,
        "tokens": one.tokens,
        "loss": round(one.loss, 4),
        "spread": None if one.spread is None else [round(end, 4) for end in one.spread],
        "change": _difference_json(one.change),
        "all_rows_less_this": None if one.all_less is None else _difference_json(one.all_less),
    }


def _difference_json(difference: Difference) -> dict[str, float | None]:
    return {"value": round(difference.mean, 4), **spread_json(difference.interval), "p": round(difference.p, 4)}


def _left_out(name: str, fit: Fit) -> str:
    told = [f"{len(fit.rows)} may be taught"]
    told += [f"of which {fit.repeated} {'repeats' if fit.repeated == 1 else 'repeat'} another"] if fit.repeated else []
    told += [f"{fit.near} near a held-out seed left out", f"{fit.long} longer than the window left out"]
    told += [f"{fit.empty} blank or labelled false left out"] if fit.empty else []
    return f"Rows of {name}: {', '.join(told)}"
