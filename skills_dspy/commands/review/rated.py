"""The rows of a run as a person looks at them, each with what the judges and taggers said of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.base.errors import RunDirError
from skills_dspy.base.records import Record, Rejection, SoftRating, is_failure
from skills_dspy.base.scales import PAIR, QUALITY, QUESTION, SAMPLE, Label, Scale
from skills_dspy.model.soft import soft_of
from skills_dspy.pipeline.funnel import AGAIN
from skills_dspy.store.files import read_rows, storage_errors
from skills_dspy.store.journal import JournaledReply, JournalReader
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import RunJson, run_json_errors
from skills_dspy.store.said import said_in

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
    with ExitStack() as stack:
        with storage_errors("read", paths.folder):
            journal = stack.enter_context(JournalReader.open(paths.journal)) if paths.journal.is_file() else None
            kinds = [(path, kind) for path, kind in ((paths.data, Record), (paths.rejected, Rejection)) if path.exists()]
        for path, kind in kinds:
            for number, content in read_rows(path):
                try:
                    row = kind.model_validate(content)
                except ValidationError as problem:
                    first = problem.errors(include_url=False)[0]
                    where = f"{path}:{number}: this is no row of a run"
                    raise RunDirError(f"{where} ({'.'.join(map(str, first['loc']))}: {first['msg']})") from problem
                if row.instruction:
                    yield RatedRow(row, _of_record(row) if isinstance(row, Record) else _of_rejection(row, journal))


def _of_record(row: Record) -> tuple[StageVerdict, ...]:
    question, pair, tags = row.question_verdict, row.pair_verdict, row.tags
    quality, sample = tags.instruction_quality, tags.sample_quality
    told = tags.explanations
    return (
        StageVerdict("judge_question", True, question.rating, question.soft, question.explanation),
        StageVerdict("instruction_quality", True, quality, tags.soft.get(QUALITY.name), told.get(QUALITY.name, "")),
        StageVerdict("judge_pair", True, pair.rating, pair.soft, pair.explanation),
        StageVerdict("sample_quality", True, sample, tags.soft.get(SAMPLE.name), told.get(SAMPLE.name, "")),
    )


def _of_rejection(row: Rejection, journal: JournalReader | None) -> tuple[StageVerdict, ...]:
    """What came before a rejection passed; the labels themselves stand in the journal alone."""
    found = []
    calls = row.provenance.calls
    for stage, scale in RATED.items():
        digests = calls.get(stage + AGAIN) or calls.get(stage)
        if not digests:
            continue
        passed: bool | None = True
        if stage == row.stage:
            passed = None if is_failure(row.reason, row.raw_reply) or row.reason == "not asked" else False
        reply = None if journal is None else journal.full(digests[-1])
        fields = {} if reply is None or passed is None else _fields(reply)
        label = fields.get(scale.field)
        soft = {} if reply is None or passed is None else soft_of(reply.reply, reply.request)
        said = str(fields.get("explanation", ""))
        known = label if label in scale.labels else None
        found.append(StageVerdict(stage, passed, known, soft.get(scale.field), said))
    return tuple(found)


def _fields(reply: JournaledReply) -> dict[str, Any]:
    """What a judge's reply holds; nothing where it is no JSON, which no verdict is."""
    try:
        found = json.loads(said_in(reply.reply, reply.request).text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
