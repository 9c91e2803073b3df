"""The shipped demo: what it says of itself, and that its replay gives the same bytes however it is run."""

import asyncio
import json
from functools import cache
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from evals.record.__main__ import note_of
from evals.record.answering import MODEL
from evals.record.demo import DEMO_FOLDER, WANTED, pack_run
from evals.teacher.config import TeacherConfig
from evals.teacher.server import make_app
from skills_dspy.base.errors import RequestError
from skills_dspy.cli.main import start
from skills_dspy.commands.export.facts import facts_of
from skills_dspy.model.embedding.embedder import SentenceEmbedder
from skills_dspy.model.program import SkillsProgram
from skills_dspy.run.account import prompt_fingerprints
from skills_dspy.run.past import DEMO as DEMO_NAME
from skills_dspy.run.past import PastRun, find_recorded
from skills_dspy.run.request import RunRequest
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import RunJson
from tests.helpers.small_runs import run_to_its_end

TASKS = ("instructlab/skills/coding/freeform/shell_command", "instructlab/skills/extraction/meeting_actions")

Bytes = dict[str, bytes]


@cache
def the_demo() -> dict[str, PastRun]:
    """The recorded runs by task name."""
    return {recorded.spec.task_name: recorded for recorded in find_recorded(DEMO_NAME)}


def replay(folder: Path, model: SentenceEmbedder, *, wanted: int = WANTED) -> Bytes:
    """Replay both runs; the rows as they lie there afterwards."""
    demo = the_demo()
    first = next(iter(demo.values()))
    specs = tuple(recorded.spec for recorded in demo.values())
    request = RunRequest(specs, first.config, wanted, folder, first.seed, recorded=demo)
    run_to_its_end(request, None, model)
    found: Bytes = {}
    for name in TASKS:
        paths = RunPaths(folder / name)
        found |= {f"{name}/{path.name}": path.read_bytes() for path in (paths.data, paths.rejected)}
        assert not facts_of(RunJson.of(json.loads(paths.run_json.read_bytes()))).no_model, "a real model's rows"
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, embedder: SentenceEmbedder) -> Bytes:
    """What one replay gives."""
    return replay(tmp_path_factory.mktemp("whole"), embedder)


def test_the_demo_was_recorded_with_todays_prompts() -> None:
    """A prompt that was changed since makes the recording useless: `python -m evals.record` records it anew."""
    for recorded in the_demo().values():
        program = SkillsProgram(recorded.spec.num_questions_to_generate_per_prompt)
        then = json.loads(recorded.paths.run_json.read_text("utf-8"))["inputs"]["prompts"]
        assert prompt_fingerprints(recorded.spec, recorded.config, program) == then


def test_the_demo_gives_what_was_asked_for(whole: Bytes) -> None:
    """Both tasks have their accepted pairs, no more and no less."""
    assert [whole[f"{task}/data.jsonl"].count(b"\n") for task in TASKS] == [WANTED, WANTED]


def test_the_replay_leaves_the_demo_as_it_is(whole: Bytes) -> None:
    """Nothing but what was shipped lies in its folders: it may be where nobody can write."""
    assert whole
    files = {path.relative_to(DEMO_FOLDER).as_posix() for path in DEMO_FOLDER.rglob("*") if path.is_file()}
    assert files == {"README.txt"} | {f"{name}/{file}" for name in TASKS for file in ("journal.sqlite", "run.json")}


def test_the_demo_says_what_answered() -> None:
    """Text, run.json and journal say it in the same words."""
    notes = {recorded.answered_by for recorded in the_demo().values()}
    assert len(notes) == 1
    (note,) = notes
    told = " ".join((DEMO_FOLDER / "README.txt").read_text("utf-8").split())
    assert f"WHAT ANSWERED: {note}." in told
    for recorded in the_demo().values():
        server = json.loads(recorded.paths.run_json.read_text("utf-8"))["server"]
        assert server["note"] == note
        assert "simulated" not in server["version"]
        assert MODEL in note
        assert not recorded.no_model
        with JournalReader.open(recorded.paths.journal) as journal:
            assert journal.meta()["answered_by"] == note


def test_each_rejection_keeps_what_decided(whole: Bytes) -> None:
    """The reply that rejected it, but where no reply did; and its reason in words."""
    rows = [json.loads(line) for name in TASKS for line in whole[f"{name}/rejected.jsonl"].splitlines()]
    assert rows
    assert all(row["detail"] for row in rows)
    assert {row["reason"] for row in rows if not row["raw_reply"]} <= {
        "duplicate",
        "too long",
        "copy",
        "echo",
        "overused",
        "length",
    }
    assert all(row["raw_reply"] for row in rows if row["reason"] in ("judged bad", "filtered"))


def test_the_command_replays_it_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run --replay demo -n 2`, somewhere else and with no network, says as JSON that both tasks are complete."""
    monkeypatch.chdir(tmp_path)
    assert start(["run", "--replay", "demo", "-n", "2", "--output-dir", "out", "--quiet", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [task["status"] for task in summary["tasks"]] == ["complete", "complete"]
    assert [(tmp_path / task["data"]).read_text("utf-8").count("\n") for task in summary["tasks"]] == [2, 2]


def test_a_packed_run_can_be_replayed(tmp_path: Path, embedder: SentenceEmbedder) -> None:
    """What the recorder packs of a run is found as a recording, with the words for what answered, in two files."""
    replay(tmp_path / "runs", embedder, wanted=1)
    packed = tmp_path / "packed"
    pack_run(RunPaths(tmp_path / "runs" / TASKS[0]), "a test", packed)
    assert sorted(path.name for path in packed.iterdir()) == ["journal.sqlite", "run.json"]
    (recorded,) = find_recorded(str(packed))
    original = the_demo()[TASKS[0]]
    assert (recorded.spec.task_name, recorded.wanted, recorded.seed) == (TASKS[0], 1, original.seed)
    assert recorded.spec.model_copy(update={"path": original.spec.path}) == original.spec
    with JournalReader.open(recorded.paths.journal) as journal:
        assert journal.meta()["answered_by"] == "a test"


@pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
@pytest.mark.parametrize("api", ["ollama", "openai"])
def test_a_simulation_is_not_recorded_as_a_model(api: str) -> None:
    """A simulated teacher given as a real server is refused, before anything is recorded."""

    async def main() -> str:
        async with TestServer(make_app(TeacherConfig())) as server:
            return await note_of(str(server.make_url("/")), api)

    with pytest.raises(RequestError, match="is a simulated teacher"):
        asyncio.run(main())
