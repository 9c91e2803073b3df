"""What decides a dataset's bytes: written down, compared when a run goes on, and named when it differs."""

import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.base.config import NO_SCREENS, ROLES, Role, ScreensConfig
from skills_dspy.base.errors import RunDirError
from skills_dspy.base.records import SeedExample
from skills_dspy.model.program import fingerprint
from skills_dspy.model.server.server import Model
from skills_dspy.pipeline.funnel import HABITS, SCREENING, STAGES
from skills_dspy.run import account
from skills_dspy.run.account import (
    as_begun,
    check_same_inputs,
    inputs_of,
    prompt_fingerprints,
)
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import RUN_FORMAT
from skills_dspy.tasks.spec import TaskSpec
from tests.helpers.making import FREEFORM, GROUNDED, a_config, a_program, a_spec

MODELS: dict[Role, Model] = {role: Model("m", "digest", 8192) for role in ROLES}
PROMPTS = {"freeform": {"judge_question": "aa", "judge_pair": "bb"}}


def inputs(
    spec: TaskSpec | None = None,
    config: dict[str, Any] | None = None,
    seed: int = 0,
    models: dict[Role, Model] | None = None,
    prompts: dict[str, dict[str, str]] | None = None,
) -> dict[str, Any]:
    """The inputs of a run."""
    return inputs_of(spec or a_spec(), a_config(config), seed, models or MODELS, prompts or PROMPTS)


def begun(folder: Path, content: object) -> RunPaths:
    """A run's directory with this run.json."""
    paths = RunPaths(folder)
    paths.run_json.write_text(json.dumps(content))
    return paths


def refused(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> str:
    """What is said of a run that was begun with other inputs."""
    with pytest.raises(RunDirError) as caught:
        check_same_inputs(begun(folder, {"format": RUN_FORMAT, "inputs": before}), now)
    return str(caught.value)


def test_the_same_inputs_after_they_were_written(tmp_path: Path) -> None:
    """Through JSON and back they are still the same; where nothing was begun, nothing differs."""
    check_same_inputs(RunPaths(tmp_path), inputs())
    spec = a_spec([FREEFORM, GROUNDED])
    check_same_inputs(begun(tmp_path, {"format": RUN_FORMAT, "inputs": inputs(spec)}), inputs(spec))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: inputs(seed=1), "(seed: 0 then, 1 now)"),
        (lambda: inputs(a_spec(description="Other.")), "(task: task_description)"),
        (lambda: inputs(a_spec([GROUNDED], shown=2)), "(task: seed_examples, num_icl_examples_per_prompt)"),
        (lambda: inputs(config={"generator": {"temperature": 0.1}}), "(config: generator)"),
        (lambda: inputs(config={"filter": {"sample_quality": [5]}, "tagging": "fused"}), "(config: tagging, filter)"),
        (
            lambda: inputs(models={**MODELS, "tagger": Model("m", "new", None)}),
            "(models: the same name has other weights now: m (digest then, new now), and it goes on only with the former)",
        ),
        (lambda: inputs(models={**MODELS, "tagger": Model("n", "new", None)}), "(models: tagger)"),
        (lambda: inputs(prompts={"freeform": {"judge_question": "cc", "judge_pair": "bb"}}), "(prompts: freeform)"),
        (lambda: inputs(seed=1, config={"tagging": "fused"}), "(config: tagging; seed: 0 then, 1 now)"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, change: Callable[[], dict[str, Any]], said: str) -> None:
    """With the part of the inputs, and both ways on."""
    message = refused(tmp_path, inputs(), change())
    assert said in message
    assert message.startswith(f"{tmp_path} holds a run that was begun with other inputs")
    assert message.endswith("use --restart to set it aside, or another --output-dir")
    before = {name: value for name, value in inputs().items() if name != "models"}  # by somebody who has shortened it
    assert "(models: None then, " in refused(tmp_path, before, inputs())


@pytest.mark.parametrize(
    "change",
    [
        lambda: inputs(a_spec([SeedExample(**{**FREEFORM.model_dump(), "line": 99})])),
        lambda: inputs(a_spec().model_copy(update={"path": Path("elsewhere.yaml")})),
        lambda: inputs(models={role: Model("m", "digest", None) for role in ROLES}),
        lambda: inputs(config={"server": {"patience": 1.0}, "max_num_ctx": 8192, "generator": {"keep_alive": "1h"}}),
    ],
    ids=["line", "path", "window", "hosting"],
)
def test_what_decides_no_byte_may_change(tmp_path: Path, change: Callable[[], dict[str, Any]]) -> None:
    """A comment in the task file, another place for it, another patience: the run goes on."""
    check_same_inputs(begun(tmp_path, {"format": RUN_FORMAT, "inputs": inputs()}), change())


@pytest.mark.parametrize("content", [{}, {"format": RUN_FORMAT + 1, "inputs": {}}, {"format": str(RUN_FORMAT)}])
def test_a_run_of_another_version(tmp_path: Path, content: object) -> None:
    """Its layout is not known, so it is not guessed at."""
    with pytest.raises(RunDirError, match=r"run\.json: this run was made by another version.*--restart"):
        check_same_inputs(begun(tmp_path, content), inputs())


@pytest.mark.parametrize(
    "content", [{"format": RUN_FORMAT}, {"format": RUN_FORMAT, "inputs": None}, {"format": RUN_FORMAT, "inputs": []}]
)
def test_a_run_that_does_not_say_what_it_was_begun_with(tmp_path: Path, content: object) -> None:
    """A sentence, not a crash."""
    with pytest.raises(RunDirError, match=r"run\.json: it does not say what the run was begun with"):
        check_same_inputs(begun(tmp_path, content), inputs())


@pytest.mark.parametrize("screens", [NO_SCREENS, a_config().screens], ids=["before there were any", "with screens"])
def test_a_run_goes_on_with_the_screens_that_it_was_begun_with(tmp_path: Path, screens: ScreensConfig) -> None:
    """One from before there were any has none; so has the replay of such a recording. A new one has those that are set."""
    before, now = a_config({"screens": screens.model_dump()}), a_config()
    paths = begun(tmp_path, {"format": RUN_FORMAT, "inputs": {"config": before.shaping()}})
    assert as_begun(now, paths).screens == screens
    assert as_begun(now, RunPaths(tmp_path / "new"), before).screens == screens
    assert as_begun(now, RunPaths(tmp_path / "new")).screens == now.screens


def test_a_run_from_before_goes_on_without_a_look_at_the_set(tmp_path: Path) -> None:
    """Its settings say nothing of habits, and neither do those of a run that was begun without; so nothing shapes it anew."""
    now, off = a_config(), a_config({"habits": {"watched": False, "share": 0.5}})
    assert "habits" not in off.shaping() | off.noted()
    old = as_begun(now, begun(tmp_path, {"format": RUN_FORMAT, "inputs": {"config": off.shaping()}}))
    assert (old.habits.watched, old.habits.share) == (False, now.habits.share)
    assert as_begun(now, RunPaths(tmp_path / "new")).habits == now.habits


def test_a_run_goes_on_with_the_names_of_its_models(tmp_path: Path) -> None:
    """Another spelling of the same model is no other input; another model is."""
    before = a_config({"generator": {"model": "m:7b"}, "validator": {"model": "j"}})
    paths = begun(tmp_path, {"format": RUN_FORMAT, "inputs": {"config": before.shaping()}})
    now = as_begun(a_config({"generator": {"model": "library/M:7B"}, "validator": {"model": "J:latest"}}), paths)
    assert now.shaping() == before.shaping()
    strict = a_config({"generator": {"model": "M:7b"}, "validator": {"model": "j"}, "server": {"api": "openai"}})
    assert as_begun(strict, paths).model_for("generator") == "M:7b"  # which may be another one there
    other = as_begun(a_config({"generator": {"model": "m"}, "validator": {"model": "j"}}), paths)
    assert [other.model_for(role) for role in ROLES] == ["m", "j", "m"]


@pytest.mark.parametrize("tagging", ["separate", "fused"])
def test_prompts_by_kind_and_stage(tagging: str) -> None:
    """Only kinds that the task has; every stage that asks a model has the print of the prompt that serves it."""
    config, program = a_config({"tagging": tagging, "draws": {"variety": "off"}}), a_program()
    planned = prompt_fingerprints(a_spec([FREEFORM], description=""), a_config(), program)
    assert list(planned["task"]) == ["write_description", "plan_variety"]
    assert list(prompt_fingerprints(a_spec([FREEFORM]), config, program)) == ["freeform"]
    prints = prompt_fingerprints(a_spec([GROUNDED, FREEFORM]), config, program)
    assert list(prints) == ["freeform", "grounded"]
    fused = {"difficulty", "category"} if tagging == "fused" else set()
    assert set(prints["grounded"]) == set(STAGES) - {"dedup", *SCREENING, *HABITS} - fused
    assert set(prints["freeform"]) == set(prints["grounded"]) - {"write_context", "judge_context"}
    assert prints["freeform"]["judge_pair"] == fingerprint(program.judge_pair_freeform)
    assert prints["grounded"]["judge_pair"] == fingerprint(program.judge_pair_grounded)
    tagger = program.tag_fused if tagging == "fused" else program.tag_instruction_quality
    assert prints["freeform"]["instruction_quality"] == fingerprint(tagger)


def test_what_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay where torch is missing writes its run.json all the same, without it."""

    def version(package: str) -> str:
        if package == "torch":
            raise PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(account, "version", version)
    found = account.versions.__wrapped__()
    assert "torch" not in found
    assert found["numpy"] == "1"
