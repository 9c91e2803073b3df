"""Compiled programs: what a file holds and does to a program, and every way in which a file cannot be used."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signatures.examples import Pair, TextWithQuestions
from skills_dspy.base.errors import RequestError, StorageError
from skills_dspy.model.compiled import (
    PROGRAM_FORMAT,
    CompiledProgram,
    ProgramError,
    checked,
    compiled_content,
    load_compiled,
    since_compiled,
)
from skills_dspy.model.program import SkillsProgram, fingerprint, prompt_of
from skills_dspy.model.server.server import Model
from skills_dspy.model.steps import STEPS
from skills_dspy.store.aside import write_json
from tests.helpers.making import the_adapter

JUDGE, WRITER = "judge_pair_freeform", "write_questions_grounded"
PROVENANCE = {"created": "2026-01-01", "seen": ["ab"], "seed": 3}
DEMOS: dict[str, dict[str, Any]] = {
    JUDGE: {
        "augmented": True,
        "task_description": "Foxes.",
        "examples": [Pair(question="What is a fox?", answer="An animal.")],
        "question": "Where do foxes live?",
        "answer": "In woods, “mostly”.",
        "explanation": "It is right — and brief.",
        "rating": 3,
    },
    WRITER: {
        "augmented": True,
        "task_description": "Foxes.",
        "examples": [TextWithQuestions(context="The fox runs.", questions=["Who runs?"])],
        "context": "The cat sleeps.",
        "count": 2,
        "questions": ["Who sleeps?", "What does it do?"],
    },
    "write_context": {
        "augmented": True,
        "task_description": "Foxes.",
        "examples": ["The fox runs."],
        "context": "The cat sleeps.",
    },
}


def compiled(count: int = 5, instructions: str = "Judge as a fox would.") -> SkillsProgram:
    """A program with other instructions and demonstrations, as optimizers leave them."""
    program = SkillsProgram(count)
    for step, demo in DEMOS.items():
        predictor = program.predictor(step)
        predictor.signature = predictor.signature.with_instructions(f"{instructions} ({step})")
        predictor.demos = [dspy.Example(**demo)]
    return program


def content_of(*steps: str, count: int = 5) -> dict[str, Any]:
    """The content of a file with the prompts of these steps, as JSON gives it back."""
    content: dict[str, Any] = json.loads(json.dumps(compiled_content(compiled(count), steps or list(DEMOS), PROVENANCE)))
    return content


def written(folder: Path, content: object) -> Path:
    """A file with this content."""
    path = folder / "program.json"
    write_json(path, content)
    return path


def prompts(program: SkillsProgram) -> dict[str, object]:
    """What each step would send but for its inputs."""
    messages: dict[str, object] = {}
    for step in STEPS:
        predictor = program.predictor(step)
        messages[step] = prompt_of(predictor, {})
    return messages


# ---- what it does -----------------------------------------------------------------------------------------------------


def test_a_loaded_program_sends_what_the_compiled_one_sent(tmp_path: Path) -> None:
    """To the byte, demonstrations with typed examples included, for any number of questions."""
    path = written(tmp_path, content_of())
    for count in (1, 5):
        program = SkillsProgram(count)
        load_compiled(path).apply(program)
        assert prompts(program) == prompts(compiled(count))


def test_only_the_named_predictors_change(tmp_path: Path) -> None:
    """And of these only instructions and demonstrations: fields, bounds and models stay."""
    program, original = SkillsProgram(4), SkillsProgram(4)
    load_compiled(written(tmp_path, content_of(JUDGE, WRITER))).apply(program)
    for step in STEPS:
        now, before = program.predictor(step), original.predictor(step)
        if step in (JUDGE, WRITER):
            assert now.signature.instructions == f"Judge as a fox would. ({step})"
            assert len(now.demos) == 1
        else:
            assert fingerprint(now) == fingerprint(before)
            assert now.demos == []
        assert the_adapter().plan(now.signature).schema == the_adapter().plan(before.signature).schema
        assert (now.lm, now.traces, now.train) == (None, [], [])


def test_the_round_trip_gives_the_same_bytes(tmp_path: Path) -> None:
    """Written, read, put into a program and written again."""
    first = written(tmp_path, content_of())
    program = SkillsProgram(3)
    loaded = load_compiled(first)
    loaded.apply(program)
    again = tmp_path / "again.json"
    write_json(again, compiled_content(program, loaded.steps, loaded.provenance))
    assert again.read_bytes() == first.read_bytes()


def test_two_programs_do_not_share_what_was_applied(tmp_path: Path) -> None:
    """Who changes the demonstrations of one changes neither the other nor the file's content."""
    loaded = load_compiled(written(tmp_path, content_of(JUDGE)))
    one, other = SkillsProgram(1), SkillsProgram(1)
    loaded.apply(one)
    one.predictor(JUDGE).demos[0]["rating"] = 1
    one.predictor(JUDGE).demos.append({})
    loaded.apply(other)
    assert [demo["rating"] for demo in other.predictor(JUDGE).demos] == [3]


def test_a_model_that_has_changed_since_is_said(tmp_path: Path) -> None:
    """By whatever name it is asked for now; a model of another name, or without a digest, has not changed."""
    content = content_of()
    content["provenance"] |= {"models": {"generator": {"name": "m:latest", "digest": "1" * 64}, "proposer": None}}
    program = load_compiled(written(tmp_path, content))
    now = [Model("M", digest, None) for digest in ("1" * 64, "2" * 64, "")] + [Model("n", "3" * 64, None)]
    (said,) = since_compiled(program, now)
    assert "the same name has other weights now: M (111111111111 then, 222222222222 now)" in said
    assert "eval program" in said


def test_steps_come_in_the_order_of_the_flow(tmp_path: Path) -> None:
    """However they were named; the provenance is at hand."""
    loaded = load_compiled(written(tmp_path, content_of(JUDGE, WRITER, "write_context")))
    assert loaded.steps == ("write_context", WRITER, JUDGE)
    assert loaded.provenance == PROVENANCE


# ---- what is refused --------------------------------------------------------------------------------------------------


def refused(path: Path, *words: str) -> None:
    """It is refused in one sentence that names the file, exit 2."""
    with pytest.raises(ProgramError) as caught:
        load_compiled(path)
    told = str(caught.value)
    assert told.startswith(str(path))
    assert "\n" not in told
    for word in words:
        assert word in told
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, RequestError)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b'{"format": ', b"\xff\xfe\x00", b"\x80\x81", b"[" * 100_000],
    ids=["empty", "text", "cut", "utf-16", "binary", "deep"],
)
def test_a_file_that_is_no_json(tmp_path: Path, data: bytes) -> None:
    """Text, a cut file, any bytes."""
    path = tmp_path / "program.json"
    path.write_bytes(data)
    refused(path, "this is no JSON")


def test_broken_json_is_told_with_its_line(tmp_path: Path) -> None:
    """Where the reading stopped, and what nobody sees there."""
    path = tmp_path / "program.json"
    path.write_text('{\n "format": \n}', "utf-8")
    refused(path, f"{path}:3: ")
    path.write_text('{\n \u00a0"format": 1}', "utf-8")
    refused(path, f"{path}:2: ", "there is U+00A0 (no-break space) in column 2: write a blank instead")


@pytest.mark.parametrize(
    "content", [[], "text", 3, None, {}, {"format": "other"}, {"format": [PROGRAM_FORMAT]}, {"metadata": {}}]
)
def test_json_that_is_not_ours(tmp_path: Path, content: object) -> None:
    """Lists, numbers, DSPy's own programs."""
    refused(written(tmp_path, content), "no compiled program of skills_dspy", "optimize")


Change = Callable[[dict[str, Any]], Any]
DAMAGE: dict[str, tuple[Change, str]] = {
    "no base": (lambda c: c.pop("base"), "damaged at base"),
    "what was seen is lost": (lambda c: c["provenance"].update(seen=None), "damaged at provenance.seen"),
    "what was seen is missing": (lambda c: c["provenance"].pop("seen"), "damaged at provenance.seen"),
    "a rating off the scale": (
        lambda c: c["predictors"][JUDGE]["demos"][0].update(rating=99),
        f"demonstration 1 of {JUDGE} has no rating",
    ),
    "a rating in quotes": (
        lambda c: c["predictors"][JUDGE]["demos"][0].update(rating="3"),
        f"demonstration 1 of {JUDGE} has no rating",
    ),
    "an explanation that is a number": (
        lambda c: c["predictors"][JUDGE]["demos"][0].update(explanation=5),
        f"demonstration 1 of {JUDGE} has no explanation",
    ),
    "what was seen is a number": (lambda c: c["provenance"].update(seen=[5]), "damaged at provenance.seen"),
    "a key more": (lambda c: c.update(more=1), "damaged at more"),
    "instructions are a number": (
        lambda c: c["predictors"][JUDGE]["signature"].update(instructions=3),
        "signature.instructions",
    ),
    "a demo is a text": (lambda c: c["predictors"][JUDGE]["demos"].append("x"), f"damaged at predictors.{JUDGE}.demos.1"),
    "a model": (lambda c: c["predictors"][JUDGE].update(lm={"model": "x"}), f"damaged at predictors.{JUDGE}.lm"),
    "half a character": (lambda c: c["predictors"][JUDGE]["signature"].update(instructions="\ud800"), "damaged"),
    "no predictor at all": (lambda c: c["predictors"].clear(), "has no predictors"),
    "an unknown predictor": (lambda c: c["predictors"].update(judge_fox=c["predictors"][JUDGE]), "'judge_fox'"),
    "no fingerprint": (lambda c: c["base"].pop(JUDGE), f"other base prompts of {JUDGE}"),
    "another base prompt": (lambda c: c["base"].update({JUDGE: "0" * 12}), f"other base prompts of {JUDGE}"),
    "a field less": (lambda c: c["predictors"][JUDGE]["signature"]["fields"].pop(), f"another signature of {JUDGE}"),
    "another description": (
        lambda c: c["predictors"][JUDGE]["signature"]["fields"][0].update(description="x"),
        f"another signature of {JUDGE}",
    ),
    "another step's state": (
        lambda c: c["predictors"].update({"tag_difficulty": c["predictors"][JUDGE]}),
        "another signature of tag_difficulty",
    ),
    "a strange field in a demo": (lambda c: c["predictors"][JUDGE]["demos"][0].update(rationale="x"), "'rationale'"),
    "a demo without its rating": (lambda c: c["predictors"][JUDGE]["demos"][0].pop("rating"), "lacks its rating"),
}


@pytest.mark.parametrize(("change", "told"), list(DAMAGE.values()), ids=list(DAMAGE))
def test_a_program_that_was_changed_by_hand(tmp_path: Path, change: Change, told: str) -> None:
    """Missing keys, keys too many, wrong types, other prompts, other signatures: what is wrong, and where."""
    content = content_of(JUDGE)
    change(content)
    path = tmp_path / "program.json"
    path.write_text(json.dumps(content), "utf-8")
    refused(path, told, "compile it again")


def test_a_prompt_that_was_changed_since_is_another_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays as it was; the instructions in signatures/ do not."""
    path = written(tmp_path, content_of(JUDGE))
    load_compiled(path)
    step = STEPS[JUDGE]
    changed = replace(step, source=step.source.with_instructions("Now otherwise."))
    monkeypatch.setattr("skills_dspy.model.compiled.STEPS", {**STEPS, JUDGE: changed})
    refused(path, f"other base prompts of {JUDGE}")


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    """One sentence with the path, exit 2."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(StorageError, match=str(path)) as caught:
            load_compiled(path)
        assert caught.value.exit_code == 2


@settings(deadline=None)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_content_makes_it_crash(anything: object) -> None:
    """Whatever stands behind our keys."""
    good = content_of(JUDGE)
    for key in ("base", "predictors", "provenance"):
        with suppress(ProgramError):
            found = checked({**good, key: anything}, Path("p.json"))
            assert isinstance(found, CompiledProgram)
            found.apply(SkillsProgram(1))
