"""Whole runs of a freeform and a grounded task, over HTTP, from cassettes: the exact funnel, and every row as scripted.

Six draws and no more, with more pairs wanted than they give: a run that has enough stops what is in flight, and what that
is depends on timing; here every call is needed. `python -m evals.record` records them anew.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evals.record.answering import SCRIPTS
from evals.record.demo import TASKS
from evals.teacher.script import ScriptedQuestion, load_script
from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.base.records import Record, Rejection
from skills_dspy.model.embedding.embedder import AsyncEmbedder, SentenceEmbedder
from skills_dspy.model.ollama import OllamaServer
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner, Watcher
from skills_dspy.run.task import TaskView
from skills_dspy.similarity.nearest import Vectors
from skills_dspy.store.files import read_rows
from skills_dspy.tasks.files import load_tasks
from tests.helpers.cassette_format import is_simulated

DRAWS = 6
MORE = 31
"""Pairs wanted: one more than there are candidates."""


class InlineEmbedder(AsyncEmbedder):
    """Embeds at once and in place: no thread, so that the order of events is the same every time."""

    def __init__(self, embedder: SentenceEmbedder) -> None:
        super().__init__(embedder)
        self._inline = embedder

    async def ready(self) -> None:
        """It is loaded."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text."""
        return self._inline.embed(texts)


@dataclass(frozen=True)
class Ended:
    """A run that has ended, and its rows."""

    task: TaskView
    manifest: dict[str, Any]
    records: list[Record]
    rejections: list[Rejection]
    requests: list[Any]
    simulated: bool

    def funnel(self) -> dict[str, int]:
        """Stage and reason to count, and how many were accepted."""
        rejected = {f"{stage}: {reason}": count for stage, reason, count in self.task.run.funnel.rows()}
        return {**rejected, "accepted": self.task.run.funnel.accepted}


def settings() -> RunConfig:
    """The built-in settings, six draws, and no patience with a server that has no reply."""
    config = load_config()
    draws = config.draws.model_copy(update={"max_draws": DRAWS})
    return config.model_copy(update={"draws": draws, "server": config.server.model_copy(update={"patience": 0.0})})


def run(place: int, host: str, folder: Path, embedder: SentenceEmbedder, cassette: Any) -> Ended:
    """Run a task to its end, one request at a time."""
    specs = load_tasks((TASKS[place],)).specs
    config = settings()

    async def main() -> tuple[TaskView, ...]:
        request = RunRequest(specs, config, wanted=MORE, output_dir=folder, concurrency=1)
        server = OllamaServer(host, config.server, concurrency=1)
        return await Runner(request, server, InlineEmbedder(embedder), Watcher()).run()

    (task,) = asyncio.run(main())
    return Ended(
        task,
        json.loads(task.paths.run_json.read_text("utf-8")),
        [Record.model_validate_json(line) for line in task.paths.data.read_text("utf-8").splitlines()],
        [Rejection.model_validate_json(line) for line in task.paths.rejected.read_text("utf-8").splitlines()],
        [json.loads(request.body) for request in cassette.requests if request.path == "/api/chat"],
        all(is_simulated({"response": response}) for response in cassette.responses),
    )


def check_any(ended: Ended) -> None:
    """What holds of every run, whoever answered."""
    funnel = ended.task.run.funnel
    assert ended.task.status == f"stopped: {DRAWS} draws were made (draws.max_draws)"
    assert ended.manifest["status"] == ended.task.status
    assert funnel.candidates == funnel.accepted + sum(count for *_, count in funnel.rows())
    assert (len(ended.records), len(ended.rejections)) == (funnel.accepted, funnel.candidates - funnel.accepted)
    assert ended.manifest["result"]["funnel"] == funnel.as_json()
    # Nothing was asked twice, and nothing was asked that is not on the books.
    asked = {json.dumps(request, sort_keys=True) for request in ended.requests}
    assert len(asked) == len(ended.requests) == ended.manifest["result"]["usage"]["calls"]
    check_rows(ended)


def check_rows(ended: Ended) -> None:
    """Each row says where it came from; duplicates are near something, the others are not; what decided is kept."""
    limit = settings().dedup.max_squared_distance
    rows: list[Record | Rejection] = [*ended.records, *ended.rejections]
    places = [(row.provenance.draw, row.provenance.index) for row in rows]
    assert len(set(places)) == len(places)
    assert len({row.id for row in rows}) == len(rows)
    for record in ended.records:
        assert record.provenance.neighbour is not None
        assert record.provenance.neighbour.distance >= limit
    for rejection in ended.rejections:
        neighbour = rejection.provenance.neighbour
        near = neighbour is not None and neighbour.distance < limit
        assert near == (rejection.stage == "dedup") == (rejection.reason == "duplicate")
        assert (rejection.raw_reply is None) == (rejection.stage == "dedup")
        assert rejection.detail


def check_scripted(ended: Ended, place: int) -> None:
    """Every row is what the script says, word for word; what was written by hand has no probabilities."""
    script = load_script(SCRIPTS[place])
    described = [draw.context[-1] if draw.context else None for draw in script.draws]
    for record in ended.records:
        draw, index = record.provenance.draw, record.provenance.index
        scripted: Any = script.draws[draw].questions[index]
        assert (record.instruction, record.response) == (scripted.question, scripted.answer[-1])
        assert record.context == described[draw]
        assert record.question_verdict.model_dump() == {**scripted.judge_question[-1], "soft": None}
        assert record.pair_verdict.model_dump() == {**scripted.judge_pair[-1], "soft": None}
        check_tags(record, scripted)
    for rejection in ended.rejections:
        scripted = script.draws[rejection.provenance.draw].questions[rejection.provenance.index]
        assert rejection.instruction == scripted.question
        if rejection.stage != "dedup":
            check_raw(rejection, scripted)


def check_tags(record: Record, scripted: ScriptedQuestion) -> None:
    """The tags of a record and their explanations are the last that the script gives."""
    names = ("instruction_quality", "sample_quality", "difficulty", "category")
    quality, sample, difficulty, category = (getattr(scripted, name)[-1] for name in names)
    assert record.tags.model_dump(mode="json") == {
        "instruction_quality": quality["quality"],
        "sample_quality": sample["score"],
        "difficulty": difficulty["difficulty"],
        "category": category["category"],
        "other_categories": category["other_categories"],
        "explanations": {
            "instruction_quality": quality["explanation"],
            "sample_quality": sample["explanation"],
            "difficulty": difficulty["explanation"],
            "category": category["explanation"],
        },
        "soft": {},
    }


def check_raw(rejection: Rejection, scripted: ScriptedQuestion) -> None:
    """The reply that decided is kept as it came: word for word where it could not be read."""
    decided: Any = scripted.replies(rejection.stage)[-1]
    assert rejection.raw_reply is not None
    if "raw" in decided:
        assert (rejection.reason, rejection.raw_reply) == ("unreadable", decided["raw"])
    elif "truncated" in decided:
        assert (rejection.reason, rejection.raw_reply) == ("truncated", decided["truncated"])
    else:
        assert json.loads(rejection.raw_reply) == decided


def golden(path: Path) -> str:
    """The SHA-256 of rows without what may differ: the prompts with their digests, the last digits of distances."""
    lines = []
    for _, row in read_rows(path):
        origin = row["provenance"]
        del origin["prompts"], origin["calls"], origin["neighbour"]["distance"]
        lines.append(json.dumps(row, ensure_ascii=False))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.vcr
def test_debate(host: str, tmp_path: Path, embedder: SentenceEmbedder, vcr: Any) -> None:
    """The freeform task: 13 of 30 candidates are accepted, and each stage rejects what the script made for it."""
    ended = run(0, host, tmp_path, embedder, vcr)
    check_any(ended)
    assert all(record.context is None for record in ended.records)
    if not ended.simulated:
        return  # what follows holds of the script alone
    assert ended.funnel() == {
        "dedup: duplicate": 3,
        "judge_question: judged bad": 5,
        "instruction_quality: filtered": 2,
        "write_answer: truncated": 1,
        "judge_pair: judged bad": 4,
        "judge_pair: unreadable": 1,
        "sample_quality: filtered": 1,
        "accepted": 13,
    }
    check_scripted(ended, 0)
    assert golden(ended.task.paths.data) == "cc456331c0dfcefc43078abacbb01602d92315cf5d1c46238949c88ffb466808"


@pytest.mark.vcr
def test_grammar(host: str, tmp_path: Path, embedder: SentenceEmbedder, vcr: Any) -> None:
    """The grounded task: 13 of 30 candidates are accepted, with their contexts, and each stage rejects what it should."""
    ended = run(1, host, tmp_path, embedder, vcr)
    check_any(ended)
    assert all(record.context for record in ended.records)
    if not ended.simulated:
        return  # what follows holds of the script alone
    assert ended.funnel() == {
        "dedup: duplicate": 2,
        "judge_question: judged bad": 6,
        "judge_question: unreadable": 1,
        "instruction_quality: filtered": 2,
        "write_answer: truncated": 1,
        "judge_pair: judged bad": 3,
        "sample_quality: filtered": 2,
        "accepted": 13,
    }
    check_scripted(ended, 1)
    assert golden(ended.task.paths.data) == "b0de99591e1aeedfeaa9abe0ae48d36c6e0f0b1f1cae9619056fd5a2f7d7ad90"
