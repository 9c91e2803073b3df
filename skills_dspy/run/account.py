"""The account that a run gives in run.json: the inputs that decide its bytes, versions, and what it has used."""

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from skills_dspy.base.config import NO_SCREENS, ROLES, Role, RunConfig
from skills_dspy.base.errors import RunDirError
from skills_dspy.model.description import undescribed
from skills_dspy.model.program import SkillsProgram, fingerprint
from skills_dspy.model.server.names import other_weights, same_model
from skills_dspy.model.server.server import Model
from skills_dspy.model.soft import RATING_STEPS, rated, rated_fields, soft_of
from skills_dspy.model.steps import DESCRIBE, PLAN, STEPS, plans, way
from skills_dspy.pipeline.funnel import AGAIN
from skills_dspy.store.files import last_line, read_rows
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import needed, read_run_json, run_json_errors
from skills_dspy.tasks.spec import TaskSpec

_UNSAID = "it does not say what the run was begun with; restore it, or use --restart"
_OTHER_VERSION = "this run was made by another version of skills_dspy; use --restart"
HOLD_OUT = "hold_out"
"""The key of the inputs that says how many seeds stay out."""
_PACKAGES = ("skills-dspy", "dspy", "ollama", "sentence-transformers", "torch", "numpy", "pydantic")


def prompt_fingerprints(spec: TaskSpec, config: RunConfig, program: SkillsProgram) -> dict[str, dict[str, str]]:
    """Kind to stage to the fingerprint of the prompt that serves it, for the kinds that the task has.

    Where description or variety are derived, `task` has those prompts'.
    """
    kinds = sorted({seed.kind for seed in spec.seed_examples})
    once = [step for step, asked in ((DESCRIBE, undescribed(spec)), (PLAN, plans(spec, config))) if asked]
    whole = {step.stage: fingerprint(program.predictor(step.name)) for step in once}
    return ({"task": whole} if whole else {}) | {
        kind: {step.stage: fingerprint(program.predictor(step.name)) for step in way(kind, config.tagging)} for kind in kinds
    }


def spec_as_json(spec: TaskSpec) -> dict[str, Any]:
    """A task as run.json keeps it."""
    return spec.model_dump(mode="json", exclude={"path", "held_out"})


def inputs_of(
    spec: TaskSpec,
    config: RunConfig,
    seed: int,
    models: Mapping[Role, Model],
    prompts: Mapping[str, Mapping[str, str]],
    decontamination: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that decides the dataset's bytes; a run goes on only with the same.

    Evaluation questions and the number of seeds held out stand in it only where there are any, so that a run without them is
    what it always was.
    """
    task = spec_as_json(spec)
    for example in task["seed_examples"]:
        del example["line"]  # a comment added to the file changes no prompt
    del task["licence"]  # and nor does what stands beside it
    if task["variety"] is None:
        del task["variety"]  # as it was before there was any
    return {
        "task": task,
        "config": config.shaping(),
        "seed": seed,
        "models": {role: {"name": model.name, "digest": model.digest} for role, model in models.items()},
        "prompts": {kind: dict(stages) for kind, stages in prompts.items()},
        **({} if decontamination is None else {"decontamination": dict(decontamination)}),
        **({HOLD_OUT: len(spec.held_out)} if spec.held_out else {}),
    }


def count_soft(paths: RunPaths, journal: JournalReader) -> dict[str, int]:
    """Of the replies to all candidates that have a row, `asked`: those that rate, with probabilities asked for, and `read`:
    those of them whose every rating is soft. What was asked ahead of a run's end is left out, so a replay counts the same.
    """
    stages = {STEPS[name].stage + again for name in RATING_STEPS for again in ("", AGAIN)}
    rows = (row for path in (paths.data, paths.rejected) if path.exists() for _, row in read_rows(path))
    calls = (row.get("provenance", {}).get("calls", {}) for row in rows)
    digests = [digest for tried in calls for stage in tried.keys() & stages for digest in tried[stage]]
    asked = [reply for reply in map(journal.full, dict.fromkeys(digests)) if reply and rated(reply.reply, reply.request)]
    read = sum(soft_of(reply.reply, reply.request).keys() == rated_fields(reply.request).keys() for reply in asked)
    return {"asked": len(asked), "read": read}


def count_hosts(
    journal: JournalReader, server: Mapping[str, Any], before: Mapping[str, Any], faults: Mapping[str, int]
) -> dict[str, Any]:
    """What each of several hosts has done, ready to be added to a result's usage; nothing where one alone answered.

    `server` is as run.json notes it, `before` the usage of an earlier result there, and `faults` those since that.
    """
    known = before.get("by_host", {})
    if not known and "hosts" not in server:
        return {}
    used, nothing = journal.usage_by_host(), {"calls": 0, "prompt_tokens": 0, "output_tokens": 0}
    names = dict.fromkeys([*(str(host["host"]) for host in server.get("hosts", ())), *known, *used])
    failed = {name: known.get(name, nothing).get("faults", 0) + faults.get(name, 0) for name in names}
    return {"by_host": {name: {**used.get(name, nothing), "faults": failed[name]} for name in names}}


def as_begun(config: RunConfig, paths: RunPaths, recorded: RunConfig | None = None) -> RunConfig:
    """The settings, as far as they follow the recording, else the run that was begun here.

    These decide on true or false for `soft_ratings: auto`; one from before there were screens or habits goes on without; and a
    model that is named otherwise now, as the server does not mind, goes by the name of then.
    """
    begun = read_run_json(paths, _UNSAID, _OTHER_VERSION)
    known = recorded.shaping() if recorded else begun.inputs.config if begun and begun.inputs else config.shaping()
    off = {"screens": NO_SCREENS, "habits": config.habits.model_copy(update={"watched": False})}
    changes: dict[str, Any] = {section: settings for section, settings in off.items() if section not in known}
    if config.soft_ratings == "auto":
        changes["soft_ratings"] = known.get("soft_ratings") is True
    config = config.model_copy(update=changes)
    for role in ROLES:
        then, now = known.get(role, {}).get("model"), config.model_for(role)
        if then not in (None, now) and same_model(then, now, cased=config.server.api == "openai"):
            config = config.model_copy(update={role: config.role(role).model_copy(update={"model": then})})
    return config


def check_same_inputs(paths: RunPaths, inputs: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was begun with other inputs: a RunDirError names what differs."""
    previous = read_run_json(paths, _UNSAID, _OTHER_VERSION)
    if previous is None:
        return
    with run_json_errors(paths, _UNSAID):
        needed(previous.inputs, "inputs")
    old = previous.content["inputs"]
    differing = [name for name in inputs if old.get(name) != inputs[name]]
    differing += [name for name in ("decontamination", HOLD_OUT) if name in old and name not in inputs]
    if HOLD_OUT in differing and "task" in differing and _but_seeds(old["task"]) == _but_seeds(inputs["task"]):
        differing.remove("task")  # of course it has other seeds then
    if differing:
        differences = "; ".join(_difference(old, inputs, name) for name in differing)
        raise RunDirError(
            f"{paths.folder} holds a run that was begun with other inputs ({differences}): "
            "use --restart to set it aside, or another --output-dir"
        )


def _difference(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> str:
    before, after = old.get(name), new.get(name)
    if name == "decontamination" and (before is None or after is None):
        return f"{name}: {_files(before)} then, {_files(after)} now"
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        if name == "models" and (changed := _other_weights(before, after)):
            return f"{name}: {'; '.join(changed)}"
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return f"{name}: {', '.join(keys)}"
    if name == HOLD_OUT:
        return f"seeds held out: {before or 'none'} then, {after or 'none'} now"
    return f"{name}: {before} then, {after} now"


def _but_seeds(task: Any) -> dict[str, Any]:
    return {key: value for key, value in task.items() if key != "seed_examples"}


def _other_weights(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[str]:
    """What is to be said of models that have kept their names; nothing where anything else differs between them."""
    pairs = [(before.get(role), now) for role, now in after.items() if before.get(role) != now]
    kept = [(then, now) for then, now in pairs if then is not None and then["name"] == now["name"]]
    if len(kept) < len(pairs):
        return ()
    said = [other_weights(now["name"], then["digest"], now["digest"]) for then, now in kept]
    return [f"{line}, and it goes on only with the former" for line in dict.fromkeys(said)]


def _files(decontamination: Any) -> str:
    return "none" if decontamination is None else ", ".join(file["name"] for file in decontamination["files"])


@cache
def versions() -> Mapping[str, str]:
    """Versions of everything that has a part in a run, as far as it is installed; each is read from a file."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):  # torch and what needs it, where no vector is computed
            found[package] = version(package)
    return found


def stamp(moment: datetime) -> str:
    """A moment as run.json has it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def last_decided(paths: RunPaths) -> tuple[int, int] | None:
    """Draw and index of the last candidate that an earlier run in this directory decided; None when there is none."""
    places = []
    for line in filter(None, map(last_line, (paths.data, paths.rejected))):
        try:
            source = json.loads(line)["provenance"]
            places.append((int(source["draw"]), int(source["index"])))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None  # not a row of ours: it will be written anew
    return max(places, default=None)
