"""Whole runs of a freeform and a grounded task, over HTTP, from cassettes: the exact funnel, and every row by one hash.

Two draws and no more, with more pairs wanted than they give: a run that has enough stops what is in flight, and what that
is depends on timing; here every call is needed. `python -m evals.record --base-url URL` records them anew, from a real model;
then funnel and hash stand here anew, too.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evals.record.answering import CASSETTE_TASKS, MODEL
from skills_dspy.base.config import NO_SCREENS, RunConfig, load_config
from skills_dspy.base.records import Record, Rejection
from skills_dspy.model.embedding.embedder import AsyncEmbedder, SentenceEmbedder
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.run.request import RunRequest
from skills_dspy.run.runner import Runner, Watcher
from skills_dspy.run.task import TaskView
from skills_dspy.similarity.nearest import Vectors
from skills_dspy.store.files import read_rows
from skills_dspy.tasks.files import load_tasks

DRAWS = 2
MORE = 11
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

    def funnel(self) -> dict[str, int]:
        """Stage and reason to count, and how many were accepted."""
        rejected = {f"{stage}: {reason}": count for stage, reason, count in self.task.run.funnel.rows()}
        return {**rejected, "accepted": self.task.run.funnel.accepted}


def settings() -> RunConfig:
    """A small model, two draws, no patience; no screens: this model's contexts are echoes, and what comes after is replayed.

    Nor is it looked for habits: what would be written again was not recorded.
    """
    config = load_config(models={"generator": MODEL})
    draws = config.draws.model_copy(update={"max_draws": DRAWS})
    server = config.server.model_copy(update={"patience": 0.0})
    habits = config.habits.model_copy(update={"watched": False})
    return config.model_copy(update={"draws": draws, "server": server, "screens": NO_SCREENS, "habits": habits})


def run(place: int, host: str, folder: Path, embedder: SentenceEmbedder, cassette: Any) -> Ended:
    """Run a task to its end, one request at a time."""
    specs = load_tasks((CASSETTE_TASKS[place],)).specs
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


def golden(ended: Ended) -> str:
    """The SHA-256 of all rows without what may differ: the prompts with their digests, the last digits of distances."""
    lines = []
    for _, row in (*read_rows(ended.task.paths.data), *read_rows(ended.task.paths.rejected)):
        origin = row["provenance"]
        del origin["prompts"], origin["calls"]
        row.pop("detail", None)  # may say a distance
        (origin["neighbour"] or {}).pop("distance", None)
        lines.append(json.dumps(row, ensure_ascii=False))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.vcr
def test_shell_command(host: str, tmp_path: Path, embedder: SentenceEmbedder, vcr: Any) -> None:
    """The freeform task: what the model's own verdicts accept and reject, and the same rows in every replay."""
    ended = run(0, host, tmp_path, embedder, vcr)
    check_any(ended)
    assert all(record.context is None for record in ended.records)
    assert ended.funnel() == {"dedup: duplicate": 7, "accepted": 3}
    assert golden(ended) == "4e8c62dd2c8f952b14d5d834c1183a64ed2a62ff59d1e8db42fa264c44a26753"


@pytest.mark.vcr
def test_sql_query(host: str, tmp_path: Path, embedder: SentenceEmbedder, vcr: Any) -> None:
    """The grounded task: the same, with their contexts."""
    ended = run(1, host, tmp_path, embedder, vcr)
    check_any(ended)
    assert all(record.context for record in ended.records)
    assert ended.funnel() == {"instruction_quality: filtered": 1, "judge_pair: judged bad": 2, "accepted": 7}
    assert golden(ended) == "8d420151e535aa3f25b062560ff4d4b25e588decfb51a3d1a760e7b760a126f8"
