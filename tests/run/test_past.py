"""Recorded runs: found below a directory, read back as they were made, refused in a sentence when they are broken."""

import json
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.base.config import ROLES
from skills_dspy.base.errors import RunDirError
from skills_dspy.model.server.server import Model
from skills_dspy.run import past as module
from skills_dspy.run.account import inputs_of, spec_as_json
from skills_dspy.run.past import find_recorded
from skills_dspy.store.run_json import RUN_FORMAT
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_spec

MODELS = {role: Model(f"{role}-model", f"{role}-digest", None) for role in ROLES}


def manifest(spec: TaskSpec) -> dict[str, Any]:
    """What a run writes down of itself."""
    return {
        "format": RUN_FORMAT,
        "wanted": 12,
        "inputs": inputs_of(spec, a_config(), 7, MODELS, {}),
        "server": {"host": "http://127.0.0.1:11434", "version": "0.12.3", "note": None},
        "task": spec_as_json(spec),
        "config": a_config({"tagging": "fused"}).model_dump(mode="json"),
    }


def record(folder: Path, content: object) -> Path:
    """A run's directory with this run.json."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(content))
    return folder


def test_a_run_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    """Task, settings, seed, models and number: a replay needs nothing else."""
    spec = a_spec([FREEFORM, GROUNDED])
    folder = record(tmp_path / "run", manifest(spec))
    (found,) = find_recorded(str(folder))
    assert found.paths.folder == folder
    assert found.spec == spec.model_copy(update={"path": folder / "run.json"})
    assert found.config == a_config({"tagging": "fused"})
    assert (found.seed, found.wanted, found.models) == (7, 12, MODELS)
    assert found.answered_by == "Ollama 0.12.3"


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_no_such_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The name as it was given, and what to give instead."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(RunDirError, match=f"--replay {name}: there is no such directory; give a run's directory, or `demo`"):
        find_recorded(name)


def test_a_directory_without_runs(tmp_path: Path) -> None:
    """A directory of something else."""
    (tmp_path / "data.jsonl").write_text("")
    with pytest.raises(RunDirError, match="no run was recorded there"):
        find_recorded(str(tmp_path))


def test_the_demo_comes_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`demo` is looked for in the package, not in the current directory; a package without it says so."""
    record(tmp_path / "here" / "demo", manifest(a_spec(name="wrong")))
    record(tmp_path / "package" / "demo" / "debate", manifest(a_spec(name="right")))
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(module, "files", lambda _: tmp_path / "package")
    assert [found.spec.task_name for found in find_recorded("demo")] == ["right"]
    monkeypatch.setattr(module, "files", lambda _: tmp_path / "nothing")
    with pytest.raises(RunDirError, match="--replay demo: there is no such directory"):
        find_recorded("demo")


def without(key: str) -> dict[str, Any]:
    """A run.json that lacks something."""
    return {name: value for name, value in manifest(a_spec()).items() if name != key}


def changed(key: str, value: Any) -> dict[str, Any]:
    """A run.json with something else in a place."""
    return {**manifest(a_spec()), key: value}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "task is missing"),
        *((without(key), f"{key} is missing") for key in ("wanted", "inputs", "server", "task", "config")),
        (changed("inputs", {"seed": 0}), "models is missing"),
        (changed("inputs", {"seed": 0, "models": {}}), "generator is missing"),
        (changed("inputs", {"seed": 0, "models": {role: {"name": "m"} for role in ROLES}}), "digest is missing"),
        (changed("inputs", {"seed": "x", "models": {}}), "inputs.seed: Input should be a valid integer"),
        (changed("inputs", [1]), "inputs: Input should be"),
        (changed("wanted", None), "wanted is missing"),
        (changed("server", []), "server: Input should be"),
        (changed("server", {"note": ""}), "version is missing"),
        (changed("task", []), "task: Input should be"),
        (changed("task", {**spec_as_json(a_spec()), "seed_examples": []}), "seed_examples: "),
        (changed("config", {**a_config().model_dump(mode="json"), "tagging": "none"}), "tagging: "),
        (changed("config", {**a_config().model_dump(mode="json"), "colour": "red"}), "colour: Extra inputs"),
    ],
)
def test_a_recording_that_cannot_be_replayed(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    """The file and the first thing that is wrong, in one line."""
    folder = record(tmp_path / "run", content)
    with pytest.raises(RunDirError) as caught:
        find_recorded(str(folder))
    message = str(caught.value)
    assert message.startswith(f"{folder / 'run.json'}: this run cannot be replayed: ")
    assert said in message
    assert "\n" not in message


def test_a_journal_without_a_run_json(tmp_path: Path) -> None:
    """A run that was killed before it wrote anything down."""
    (tmp_path / "journal.sqlite").write_bytes(b"")
    with pytest.raises(RunDirError, match=r"run\.json is missing"):
        find_recorded(str(tmp_path))
