"""Small optimizations over HTTP, from cassettes: the gain, the program and its bytes, without a server.

Recorded from the teacher of one improvable sentence, always: what an optimizer finds with a real model cannot be known
beforehand. `python -m evals.record` records them anew.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from evals.teacher.improvable import SENTENCE
from skills_dspy.model.compiled import load_compiled
from skills_dspy.model.program import SkillsProgram
from tests.helpers.optimizing_lab import JUDGE, NOBODY, NOTE, command, typed, write_inputs

Faulty = Callable[..., AbstractContextManager[str]]

CONFIG = "soft_ratings: false\n"  # probabilities would make the cassettes three times as long


def check(words: tuple[str, ...], faulty: Faulty, folder: Path, cassette: Any) -> dict[str, Any]:
    """Optimize from the cassette, and once more from the journal that this has left; returns the program."""
    config = folder / "config.yaml"
    config.write_text(CONFIG, "utf-8")
    write_inputs(folder / "tasks", folder / "cases", seeds=1)  # of so few no cases are made that the teacher would not know
    given = (JUDGE, *words, "--config", str(config), "--concurrency", "1", "--quiet")
    with faulty("--improvable", str(folder / "cases")) as host:
        code, out, err = typed(*command(folder, host, folder / "output", folder / "program.json", *given))
    assert (code, [line for line in err.splitlines() if "seed example; from 5 on" not in line]) == (0, [])
    asked = [json.loads(request.body) for request in cassette.requests if request.path == "/api/chat"]
    most = int(words[words.index("--max-calls") + 1])
    assert len({json.dumps(body, sort_keys=True) for body in asked}) == len(asked) <= most
    replay = command(folder, NOBODY, folder / "again", folder / "again.json", *given, "--replay", str(folder / "output"))
    code, again, err = typed(*[word for word in replay if word not in ("--note", NOTE)])
    assert (code, again) == (0, out.replace("program.json", "again.json")), err
    assert (folder / "again.json").read_bytes() == (folder / "program.json").read_bytes()
    assert load_compiled(folder / "program.json").steps == (JUDGE,)
    program: dict[str, Any] = json.loads((folder / "program.json").read_bytes())
    (unit,) = program["provenance"]["units"]
    assert unit["kept"]
    assert unit["calls"] == len(asked)
    assert unit["test"]["low"] > 0
    assert unit["suspicions"] == []
    return program


def golden(program: dict[str, Any]) -> str:
    """The SHA-256 of a program file but for the versions of packages."""
    del program["provenance"]["versions"]
    return hashlib.sha256(json.dumps(program, ensure_ascii=False).encode()).hexdigest()


@pytest.mark.vcr
def test_gepa(faulty: Faulty, tmp_path: Path, vcr: Any) -> None:
    """It adds the sentence to the instructions, which gain on held-out cases; the file is the same to the byte every time."""
    program = check(("--optimizer", "gepa", "--max-calls", "90"), faulty, tmp_path, vcr)
    base = SkillsProgram(5).predictor(JUDGE).signature.instructions
    state = program["predictors"][JUDGE]
    assert state["signature"]["instructions"] == f"{base}\n{SENTENCE}"
    assert state["demos"] == []
    assert golden(program) == "108f6a7c49bb1e000d39040db11fcb4709f23e650ed1a3eb700f39ba8696c91d"


@pytest.mark.vcr
def test_bootstrap(faulty: Faulty, tmp_path: Path, vcr: Any) -> None:
    """It shows replies that were right; the file is the same to the byte every time."""
    program = check(("--optimizer", "bootstrap", "--max-calls", "60"), faulty, tmp_path, vcr)
    state = program["predictors"][JUDGE]
    assert state["signature"]["instructions"] == SkillsProgram(5).predictor(JUDGE).signature.instructions
    assert {demo["rating"] for demo in state["demos"]} == {0, 1}
    assert golden(program) == "0a6a1e81310606bb478899a07002c74c3ad6c3fa618925fe25d06eaefb01dd49"
