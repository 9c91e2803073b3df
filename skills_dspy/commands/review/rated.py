"""The rows of a run as a person looks at them, each with what the judges and taggers said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.base.records import Record, Rejection, SoftRating, is_failure
from skills_dspy.base.scales import PAIR, QUALITY, QUESTION, SAMPLE, Label, Scale
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.pipeline.funnel import latest
from skills_dspy.pipeline.ratings import Rating, own_ratings, replied_ratings
from skills_dspy.store.files import typed_rows
from skills_dspy.store.journal_reader import JournalReader, journal_at
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import RunJson, run_json_errors

RATED: Mapping[str, Scale] = {
    "judge_question": QUESTION,
    "instruction_quality": QUALITY,
    "judge_pair": PAIR,
    "sample_quality": SAMPLE,
}
"""The stages whose labels decide, in their order."""


@dataclass(frozen=True, slots=True)
class StageVerdict:
    """What one judge or tagger said of a row.

    Attributes:
        stage: a name in RATED.
        passed: whether the row went on; None where there was no reply that could be used.
        label, soft, explanation: None and empty where the journal does not tell.
    """

    stage: str
    passed: bool | None
    label: Label | None = None
    soft: SoftRating | None = None
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class RatedRow:
    """A row with a question, accepted or rejected, and its verdicts in the order of the stages."""

    row: Record | Rejection
    verdicts: tuple[StageVerdict, ...]

    @property
    def accepted(self) -> bool:
        """Whether the run let it in."""
        return isinstance(self.row, Record)

    @property
    def judged_out(self) -> bool:
        """Whether a judge or a tag has rejected it."""
        return any(verdict.passed is False for verdict in self.verdicts)

    @property
    def place(self) -> tuple[int, int]:
        """Draw and index: the order in which rows were settled."""
        return self.row.provenance.draw, self.row.provenance.index


def settings_of(paths: RunPaths, run: RunJson) -> RunConfig:
    """The settings with the thresholds that a run was made with; RunDirError where its run.json is broken."""
    usual, noted = load_config().model_dump(), run.config or {}
    with run_json_errors(paths):
        changed = {name: {**usual[name], **noted.get(name, {})} for name in ("judges", "filter")}
        return RunConfig.model_validate({**usual, **changed})


def rated_rows(paths: RunPaths) -> Iterator[RatedRow]:
    """All rows that have a question, the accepted ones first, one at a time.

    Raises:
        RunDirError: a row is broken.
    """
    adapter = SkillsAdapter()
    with journal_at(paths.journal) as journal:
        for _, record in typed_rows(paths.data, Record, mended=True):
            yield RatedRow(record, _of_record(record))
        for _, row in typed_rows(paths.rejected, Rejection, mended=True):
            if row.instruction:
                yield RatedRow(row, _of_rejection(row, journal, adapter))


def _of_record(row: Record) -> tuple[StageVerdict, ...]:
    own = own_ratings(row)
    return tuple(_verdict(stage, own.get(scale.name), passed=True) for stage, scale in RATED.items())


def _of_rejection(row: Rejection, journal: JournalReader | None, adapter: SkillsAdapter) -> tuple[StageVerdict, ...]:
    """What came before a rejection passed; the labels themselves stand in the journal alone."""
    calls, found = latest(row.provenance.calls), []
    asked = [stage for stage in RATED if calls.get(stage)]
    decided = row.stage
    # An answer that was written again may have been rejected by the last that was asked about it, under the name of habits.
    about_answer = [stage for stage in asked if RATED[stage].about == "pair"]
    if row.stage == "answer_habits" and row.reason != "overused" and about_answer:
        decided = about_answer[-1]
    for stage in asked:
        failed = stage == decided and is_failure(row.reason, row.raw_reply)
        reply = None if journal is None or failed else journal.full(calls[stage][-1])
        said = {} if reply is None else replied_ratings(reply, adapter)
        found.append(_verdict(stage, said.get(RATED[stage].name), passed=None if failed else stage != decided))
    return tuple(found)


def _verdict(stage: str, said: Rating | None, *, passed: bool | None) -> StageVerdict:
    return StageVerdict(stage, passed, *(() if said is None else (said.label, said.soft, said.explanation)))
