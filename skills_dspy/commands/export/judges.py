"""How often the judges of a run err, for the card of a dataset: what a report of `eval judges` says of them.

It is about labelled cases, which the judges were asked about, or (`--reviews`) about rows that a person looked at, with what
the judges had said of them. Such a report names all models and servers, and no program: the rows say what judged them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skills_dspy.base.errors import ExportError
from skills_dspy.base.records import Noted
from skills_dspy.commands.export.facts import RunFacts
from skills_dspy.commands.export.source import SourceRun
from skills_dspy.model.server.names import same_model
from skills_dspy.store.files import storage_errors
from skills_dspy.store.run_dir import JUDGES_REPORTS

_REPORT = JUDGES_REPORTS[0]
_USUAL_PLACE = "output-evals"
"""Where `eval judges` puts its report unless it is told otherwise, beside the folder of runs."""
_THRESHOLDS = {
    "judge_question": "judges.question_pass",
    "judge_pair": "judges.pair_pass",
    "tag_instruction_quality": "filter.instruction_quality",
    "tag_sample_quality": "filter.sample_quality",
}
"""Step, without the kind of its candidates, to the setting that says what passes."""
OF_ANSWERS = ("judge_pair_freeform", "judge_pair_grounded", "tag_sample_quality")
"""The steps that decide about an answer, and so what a preference is."""


class ErrorRate(Noted):
    """So many of so many were decided wrong; `low` and `high` are the ends of its 95 % interval, 0 to 1."""

    count: int
    of: int
    low: float
    high: float

    def in_words(self) -> str:
        """`3 of 12 (25 %; 9 to 53 %)`."""
        if not self.of:
            return "none was tried"
        return (
            f"{self.count} of {self.of} ({100 * self.count / self.of:.0f} %; {100 * self.low:.0f} to {100 * self.high:.0f} %)"
        )


@dataclass(frozen=True, slots=True)
class JudgeRates:
    """How often one judge or tagger errs at one threshold.

    Attributes:
        step: whose prompt it is.
        passes: the labels that let a candidate pass.
        false_accept, false_reject: of the bad ones, those let through; of the good ones, those rejected.
        source: by what that was measured, in words.
    """

    step: str
    passes: str
    false_accept: ErrorRate
    false_reject: ErrorRate
    source: str


class _Cut(Noted):
    accepts: tuple[int | str, ...] | None
    false_accept: ErrorRate
    false_reject: ErrorRate


class _Sweep(Noted):
    labels: tuple[_Cut, ...]


class _Figures(Noted):
    cases: int
    false_accept: ErrorRate
    false_reject: ErrorRate


class _Judge(Noted):
    step: str
    all: _Figures
    threshold_sweep: _Sweep | None = None


class _Report(Noted):
    answered_by: str | tuple[str, ...]
    judge_model: str | None = None
    tagger_model: str | None = None
    judge_models: tuple[str, ...] = ()
    tagger_models: tuple[str, ...] = ()
    reviews: dict[str, int] | None = None
    program: str | None = None
    judges: tuple[_Judge, ...]

    def models_of(self, role: str) -> tuple[str, ...]:
        one, all_ = (self.judge_model, self.judge_models) if role == "validator" else (self.tagger_model, self.tagger_models)
        return all_ if one is None else (one,)

    def source(self, cases: int) -> str:
        by = self.answered_by if isinstance(self.answered_by, str) else "; ".join(self.answered_by)
        if self.reviews is not None:
            return f"a person, who looked at {sum(self.reviews.values())} rows, {cases} of them about this; answered by {by}"
        return f"`eval judges`, {cases} labelled cases, answered by {by}"


def judge_rates(runs: Sequence[SourceRun], given: Path | None) -> tuple[tuple[JudgeRates, ...], list[str]]:
    """How often the judges of some runs err, by the report that is given, or else by the one that lies with each run.

    A report lies with a run in its own folder, in the folder of all runs, or in `output-evals` beside that. Returned is also
    what is to be said: which reports were used, which were not, and why.

    Raises:
        ExportError: the given file is no report, or is of other models than those that judged.
    """
    rates, said, read = dict[JudgeRates, None](), dict[str, None](), dict[Path, _Report | str]()
    for run in runs:
        places = (folder / _REPORT for folder in run.paths.report_folders(run.facts.task_name, _USUAL_PLACE))
        path = given or next(filter(Path.is_file, places), None)
        if path is None:
            continue
        report = read[path] = read.get(path) or _read(path)
        wrong = report if isinstance(report, str) else _mismatch(report, run.facts)
        if wrong is not None or isinstance(report, str):
            if given is not None:
                raise ExportError(f"--judge-report {path}: {wrong}; give another, or leave it out")
            said[f"{path} was not used: {wrong}"] = None
            continue
        found, unknown = _rates(report, run.facts)
        rates |= dict.fromkeys(found)
        said[f"How often the judges err: from {path}"] = None
        said |= dict.fromkeys(unknown)
    return tuple(rates), list(said)


def _read(path: Path) -> _Report | str:
    """A report, or in words why it is none."""
    with storage_errors("read", path):
        text = path.read_bytes()
    try:
        content: Any = json.loads(text)
        return _Report.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"it is no report of `eval judges` ({'.'.join(map(str, first['loc']))}: {first['msg']})"
    except (ValueError, RecursionError):
        return "it is no report of `eval judges`, but no JSON at all"


def _mismatch(report: _Report, facts: RunFacts) -> str | None:
    """Why a report says nothing of the judges of a run, in words; None where it does."""
    for role, name, _ in facts.models:
        theirs = report.models_of(role)
        if role in ("validator", "tagger") and not (theirs and all(same_model(name, one) for one in theirs)):
            return (
                f"it is about {' and '.join(theirs) or 'no model that it names'}, and the {role} of {facts.task_name} is {name}"
            )
    if report.reviews is None and (report.program is None) != (facts.compiled is None):
        return f"it is about other prompts than those of {facts.task_name}: one of the two has a compiled program"
    return None


def _rates(report: _Report, facts: RunFacts) -> tuple[list[JudgeRates], list[str]]:
    """What a report says of the judges that a run has, at its thresholds, and of which of them it says nothing."""
    kinds, thresholds = {seed.kind for seed in facts.seeds}, dict(facts.thresholds)
    found, unknown = [], []
    for judge in report.judges:
        step, _, kind = judge.step.rpartition("_")
        step = step if kind in ("freeform", "grounded") else judge.step
        passes = thresholds.get(_THRESHOLDS.get(step, ""))
        if passes is None or (kind in ("freeform", "grounded") and kind not in kinds):
            continue
        figures: _Figures | _Cut | None = judge.all
        if judge.threshold_sweep is not None:
            cuts = judge.threshold_sweep.labels
            figures = next((cut for cut in cuts if ", ".join(map(str, cut.accepts or ())) == passes), None)
        if figures is None:
            unknown.append(f"The report has nothing of {judge.step} where {passes} pass")
            continue
        source = report.source(judge.all.cases)
        found.append(JudgeRates(judge.step, passes, figures.false_accept, figures.false_reject, source))
    return found, unknown
