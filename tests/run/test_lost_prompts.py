"""A whole run on a server that can never answer some prompts: it goes on, says what was lost, and does not ask again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evals.bench.hash_embedder import HashEmbedder
from evals.teacher.config import TeacherConfig
from skills_dspy.base.errors import EmbedderMissing, SpecError, Unanswered
from skills_dspy.base.records import Rejection
from skills_dspy.store.journal import request_digest
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.fake_server import FakeServer
from tests.helpers.small_runs import accepted_in, decided_anew, make_run, rejected_in, rows_of, story_of

WHY = "The server answered 500: unexpected EOF. It answers others, and this never."
SALT = b"k"
"""One of those with which what cannot be answered is met at every stage of the run and in its tags, as the tests want it."""
TRUST = TeacherConfig(pass_rate=0.95)


class Poisoned(FakeServer):
    """A server that can never answer one prompt in four, whatever its sampling seed; which is as chance has it."""

    def __init__(self, config: TeacherConfig, seed: int = 0) -> None:
        super().__init__(config, seed=seed)
        self.told: list[str] = []

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        if hashlib.sha256(SALT + json.dumps(payload["messages"]).encode()).digest()[0] % 4 == 0:
            self.told.append(request_digest(payload))
            raise Unanswered(WHY, "")
        return super()._body(payload)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunPaths, Poisoned]:
    """The run, which nobody changes, and its server."""
    server = Poisoned(TRUST)
    return make_run(tmp_path_factory.mktemp("poisoned"), {}, 5, server), server


def rejections(paths: RunPaths) -> list[Rejection]:
    """What was rejected because the server failed."""
    return [row for row in rejected_in(paths) if row.reason == "server failed"]


def test_it_goes_on_and_says_what_was_lost(made: tuple[RunPaths, Poisoned]) -> None:
    """All that was wanted is accepted; each loss is a rejection at the stage that asked, with what the server said."""
    paths, server = made
    accepted = accepted_in(paths)
    lost = rejections(paths)
    assert len(accepted) == 5
    assert {(row.detail, row.raw_reply) for row in lost} == {(WHY, None)}
    stages = {row.stage for row in lost}
    assert stages >= {"write_questions", "judge_question", "write_answer", "judge_pair"}
    result = json.loads(paths.run_json.read_text("utf-8"))["result"]
    told = {one["stage"]: one["count"] for one in result["funnel"]["rejected"] if one["reason"] == "server failed"}
    assert told == {stage: sum(row.stage == stage for row in lost) for stage in stages}
    # Tags that filter nothing are left empty where they were lost, and say why.
    tags = [row.tags for row in accepted]
    empty = {tag.explanations[name] for tag in tags for name in ("difficulty", "category") if getattr(tag, name) is None}
    assert empty == {f"server failed: {WHY}"}
    assert result["funnel"]["tags_lost"] == sum((tag.difficulty, tag.category).count(None) for tag in tags)
    assert len(server.asked) == len(set(server.asked))


def test_it_does_not_depend_on_timing(made: tuple[RunPaths, Poisoned], tmp_path: Path) -> None:
    """Another order of replies, the same bytes."""
    other = make_run(tmp_path, {}, 5, Poisoned(TRUST, seed=5))
    assert rows_of(other) == rows_of(made[0])


def test_what_was_lost_is_not_asked_for_again(made: tuple[RunPaths, Poisoned], tmp_path: Path) -> None:
    """A run that is resumed finds it in its journal, whatever the server can do by then, and loses nothing of what it had."""
    first, second = Poisoned(TRUST), FakeServer(TRUST)
    make_run(tmp_path, {}, 3, first)
    paths = make_run(tmp_path, {}, 4, second)
    assert first.told
    assert not {*first.told} & {*second.asked}
    early = [row for row in rejections(made[0]) if row.provenance.draw < 2]
    assert early
    assert rejections(paths)[: len(early)] == early


def test_it_is_decided_anew_as_it_was(made: tuple[RunPaths, Poisoned], tmp_path: Path) -> None:
    """The journal says that there is no reply, and why."""
    _, again = decided_anew(made[0].folder, tmp_path / "again")
    assert rows_of(again) == rows_of(made[0])


def test_it_is_explained(made: tuple[RunPaths, Poisoned]) -> None:
    """With the prompt that was asked, and in the place of a reply why there is none."""
    paths, _ = made
    row = next(row for row in rejections(paths) if row.stage == "judge_pair")
    story = story_of(row.id, paths.folder)
    assert f"rejected by judge_pair: server failed: {WHY}" in story
    assert f"no reply\n{WHY}" in story
    assert "the reply that decided" not in story


class Blind(HashEmbedder):
    """An embedding model of a server that trips over one new text in three."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors, or why one of them cannot be had."""
        for text in texts:
            if text[:4] not in ("What", "A ha", "A st") and len(text) % 3 == 0:
                raise Unanswered(f"it has no vector of {text[:9]}", text)
        return super().embed(texts)


def test_a_text_without_a_vector_is_lost_alone(tmp_path: Path) -> None:
    """The others of its draw are compared and go on; a resumed run and a decision know of it without asking."""
    first = make_run(tmp_path, {}, 3, FakeServer(TRUST), embedder=Blind())
    lost = rejections(first)
    assert {row.stage for row in lost} == {"dedup"}
    assert all(row.instruction is not None and row.detail == f"it has no vector of {row.instruction[:9]}" for row in lost)
    assert {row.provenance.draw for row in accepted_in(first)} & {row.provenance.draw for row in lost}
    _, again = decided_anew(first.folder, tmp_path / "again")
    assert again.rejected.read_bytes() == first.rejected.read_bytes()
    more = make_run(tmp_path, {}, 5, FakeServer(TRUST))
    assert rejections(more)[: len(lost)] == lost


def test_an_evaluation_question_without_a_vector_is_said(tmp_path: Path) -> None:
    """With what helps, before anything is asked."""
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"question": "How many legs has it?"}\n', "utf-8")
    server = FakeServer(TRUST)
    with pytest.raises(EmbedderMissing, match=r"no vector of How many .*set decontamination\.max_cosine to null"):
        make_run(tmp_path, {}, 3, server, questions=questions, embedder=Blind())
    assert server.asked == []


def test_a_seed_without_a_vector_is_named(tmp_path: Path) -> None:
    """Nothing could be compared with it: the task ends with file and line, before anything is lost."""

    class Never(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            raise Unanswered("it has no vector.", texts[0])

    with pytest.raises(SpecError, match=r"^tasks/foxes\.yaml:1: it has no vector\. .*change this seed, or take another"):
        make_run(tmp_path, {}, 3, FakeServer(TRUST), embedder=Never())
