"""run.json: one reader that gives a type or a sentence, whatever version wrote it, and one writer."""

import json
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.base.errors import RunDirError
from skills_dspy.store.aside import write_json
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import NotedServer, RunJson, read_run_json


def read(folder: Path, content: dict[str, Any], **sentences: str) -> RunJson | None:
    """What is read of a run.json with this content."""
    paths = RunPaths(folder)
    write_json(paths.run_json, content)
    return read_run_json(paths, **sentences)


def test_what_is_written_is_read_and_none_at_first(tmp_path: Path) -> None:
    """With its keys in the order in which they were given, and those that this version does not know."""
    assert read_run_json(RunPaths(tmp_path)) is None
    content = {"wanted": 8, "größe": [1], "format": 1, "inputs": {"seed": 7, "taste": "sweet"}}
    found = read(tmp_path, content)
    assert found is not None
    assert (found.wanted, found.inputs and found.inputs.seed, list(found.content)) == (8, 7, list(content))
    assert found.content == content
    assert (tmp_path / "run.json").read_text("utf-8") == json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def test_a_run_of_an_older_version_lacks_what_came_later(tmp_path: Path) -> None:
    """It is read all the same."""
    found = read(tmp_path, {"format": 1, "embedder": {"name": "mini"}})
    assert found is not None
    assert (found.embedder.weights, found.decontamination, found.derived_description, found.result) == (None,) * 4


@pytest.mark.parametrize(
    ("text", "line"), [(b"", 1), (b"[1]", 1), (b'{\n"a": 1,\n"b" 2}', 3), (b"\xff\xfe", 1), (b"[" * 100_000, 1)]
)
def test_what_is_no_json_object_is_named_with_its_line(tmp_path: Path, text: bytes, line: int) -> None:
    """A run.json that was edited or damaged is not taken for an empty one."""
    (tmp_path / "run.json").write_bytes(text)
    with pytest.raises(RunDirError, match=rf"run\.json:{line}: this is not a JSON object"):
        read_run_json(RunPaths(tmp_path))


def test_the_first_fault_is_named_in_the_readers_sentence(tmp_path: Path) -> None:
    """With the way to it."""
    with pytest.raises(RunDirError, match=r"run\.json: this is not what a run writes: inputs\.seed: .*; restore"):
        read(tmp_path, {"inputs": {"seed": "x"}})
    with pytest.raises(RunDirError, match=r"run\.json: no use: digest is missing$"):
        read(tmp_path, {"inputs": {"models": {"tagger": {"name": "m"}}}}, broken="no use: {}")


def test_another_format_is_refused_where_it_matters(tmp_path: Path) -> None:
    """Before anything else is looked at: its layout is not known."""
    content = {"format": 2, "inputs": [1]}
    with pytest.raises(RunDirError, match=r"run\.json: its format is 2$"):
        read(tmp_path, content, other_format="its format is {}")


def test_who_answered() -> None:
    """In the words of a note, else the server's version."""
    assert NotedServer(version="0.9", note="a stand-in").answered_by == "a stand-in"
    assert NotedServer(version="0.9").answered_by == "Ollama 0.9"
    with pytest.raises(KeyError, match="version"):
        _ = NotedServer(note="").answered_by
