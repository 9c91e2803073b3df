"""The ledger of one task: every decision becomes a row of data.jsonl or rejected.jsonl, in settled order."""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, get_args

from skills_dspy.base.columns import to_columns
from skills_dspy.base.records import Kind, Neighbour, Provenance, Record, Rejection
from skills_dspy.model.steps import way
from skills_dspy.pipeline.candidate import Candidate, Dropped, Passed
from skills_dspy.pipeline.funnel import AGAIN, STAGES
from skills_dspy.tasks.spec import TaskSpec

WRITING = tuple(dict.fromkeys(step.stage for kind in get_args(Kind) for step in way(kind, "separate") if step.of_draw))
"""The stages that all candidates of a draw share."""

_LATE = STAGES.index("answer_habits")
_ORDER = (*STAGES[:_LATE], *(stage + AGAIN for stage in STAGES[:_LATE]), *STAGES[_LATE:])
"""What calls stand under, in a row: the stages, and those that an answer went through again."""


class RowLog(Protocol):
    """Where rows go, one after the other: an AppendLog."""

    def append(self, row: Mapping[str, Any]) -> None:
        """Take the next row."""


class RunLedger:
    """Writes what the scheduler decides; `prompts` has fingerprints by kind and stage, `models` the names by role."""

    def __init__(
        self,
        spec: TaskSpec,
        seed: int,
        models: Mapping[str, str],
        prompts: Mapping[str, Mapping[str, str]],
        data: RowLog,
        rejected: RowLog,
    ) -> None:
        self._spec = spec
        self._seed = seed
        self._models = dict(models)
        self._prompts = prompts
        self._data = data
        self._rejected = rejected

    def name(self, candidate: Candidate) -> str:
        """Sixteen hex digits: the same row of the same run has the same id, rows of other runs have others."""
        parts = (self._spec.task_name, self._seed, candidate.draw.number, candidate.index, candidate.question or "")
        return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]

    def accept(self, candidate: Candidate, passed: Passed, neighbour: Neighbour | None) -> str:
        """Write an accepted pair; returns its id."""
        record = Record(
            id=self.name(candidate),
            task_name=self._spec.task_name,
            task_description=self._spec.task_description,
            instruction=candidate.question or "",
            response=passed.answer,
            context=candidate.context,
            tags=passed.tags,
            question_verdict=passed.question_verdict,
            pair_verdict=passed.pair_verdict,
            provenance=self._provenance(candidate, candidate.calls, neighbour),
        )
        self._data.append(to_columns(record.model_dump(mode="json")))
        return record.id

    def reject(self, candidate: Candidate, dropped: Dropped, neighbour: Neighbour | None) -> None:
        """Write a rejection."""
        calls = candidate.calls
        if dropped.stage in ("dedup", "question_habits"):
            # How far it had come when it was found out depends on timing, so it is not written down.
            calls = {stage: digests for stage, digests in calls.items() if stage in WRITING}
        rejection = Rejection(
            id=self.name(candidate),
            task_name=self._spec.task_name,
            stage=dropped.stage,
            reason=dropped.reason,
            detail=dropped.detail,
            instruction=candidate.question,
            response=dropped.answer,
            context=candidate.context,
            raw_reply=dropped.raw,
            provenance=self._provenance(candidate, calls, neighbour),
        )
        self._rejected.append(to_columns(rejection.model_dump(mode="json")))

    def _provenance(
        self, candidate: Candidate, calls: Mapping[str, tuple[str, ...]], neighbour: Neighbour | None
    ) -> Provenance:
        prompts = self._prompts[candidate.draw.kind]
        # In this order: two tags are asked for at once, and which comes first depends on timing.
        asked = [stage for stage in _ORDER if stage in calls]
        return Provenance(
            draw=candidate.draw.number,
            index=candidate.index,
            shown=tuple(example.id for example in candidate.draw.shown),
            fitting=tuple(example.id for example in candidate.fitting) if "write_answer" in calls else (),
            rewritten=candidate.rewritten,
            models=self._models,
            prompts={stage: prompts[stage.removesuffix(AGAIN)] for stage in asked},
            calls={stage: calls[stage] for stage in asked},
            neighbour=neighbour,
        )
