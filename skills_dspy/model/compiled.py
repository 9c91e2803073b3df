"""A compiled program: the optimized state of some predictors in one JSON file, with where it came from.

The state of a predictor is DSPy's own (`Predict.dump_state`): instructions and demonstrations. A program fits the base
prompts that it was compiled for and no others, so the file holds their fingerprints.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from skills_dspy.base.errors import FileError
from skills_dspy.base.records import Frozen
from skills_dspy.base.unseen import odd_json
from skills_dspy.model.program import SkillsProgram, fingerprint
from skills_dspy.model.server.names import other_weights, same_model
from skills_dspy.model.server.server import Model
from skills_dspy.model.steps import STEPS
from skills_dspy.store.files import storage_errors

PROGRAM_FORMAT = "skills_dspy program 1"
"""What a program file says of itself."""


class ProgramError(FileError):
    """A program file cannot be used."""


class _Field(Frozen):
    prefix: str
    description: str


class _Signature(Frozen):
    instructions: str
    fields: tuple[_Field, ...]


class _State(Frozen):
    traces: tuple[Any, ...] = ()
    train: tuple[Any, ...] = ()
    demos: tuple[dict[str, Any], ...]
    signature: _Signature
    lm: None = None


class _File(Frozen):
    format: str
    base: dict[str, str]
    predictors: dict[str, _State]
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CompiledProgram:
    """The optimized state of some predictors: the file's content, as JSON gives it, and its path, for messages."""

    content: Mapping[str, Any]
    path: Path

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that it has a state for, in the order of the flow."""
        return tuple(step for step in STEPS if step in self.content["predictors"])

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where it came from: target, optimizer, models, seeds, scores."""
        return dict(self.content["provenance"])

    def apply(self, program: SkillsProgram) -> None:
        """Put its instructions and demonstrations into a program's predictors."""
        for step in self.steps:  # copied, because DSPy keeps the lists that it is given
            program.predictor(step).load_state(deepcopy(self.content["predictors"][step]))


def since_compiled(program: CompiledProgram, models: Iterable[Model]) -> list[str]:
    """What is to be said of each of these models that has other weights than when the program was compiled with it."""
    told = program.provenance.get("models")
    before = [model for model in (told.values() if isinstance(told, Mapping) else ()) if isinstance(model, Mapping)]
    pairs = [(str(then.get("name")), str(then.get("digest", "")), now) for then in before for now in models]
    changed = [(now.name, then, now.digest) for name, then, now in pairs if same_model(name, now.name) and now.digest]
    todo = "and its prompts were tried on the former: measure it with `eval program`, or compile it again"
    return [f"{program.path}: {other_weights(*each)}, {todo}" for each in dict.fromkeys(changed) if each[1] != each[2]]


def base_fingerprint(step: str) -> str:
    """The fingerprint of a step's prompt as it stands in signatures/, whatever number of questions is asked for."""
    return fingerprint(dspy.Predict(STEPS[step].signature(1)))


def compiled_content(program: SkillsProgram, steps: Sequence[str], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a program file: these steps of a program, with where they came from, ready for JSON."""
    states = {step: _plain(program.predictor(step).dump_state()) for step in STEPS if step in steps}
    return {
        "format": PROGRAM_FORMAT,
        "base": {step: base_fingerprint(step) for step in states},
        "provenance": dict(provenance),
        "predictors": states,
    }


def load_compiled(path: Path) -> CompiledProgram:
    """Read a program file; ProgramError where it is none of ours, or was compiled for other prompts or signatures."""
    with storage_errors("read", path):
        data = path.read_bytes()
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        said = f"this is no JSON; give a file that `optimize` has written{odd_json(error)}"
        raise ProgramError(said, path, getattr(error, "lineno", None)) from error
    return checked(content, path)


def checked(content: object, path: Path) -> CompiledProgram:
    """A program from the content of its file, or of a recording; raises ProgramError, see `load_compiled`."""
    if not isinstance(content, Mapping) or content.get("format") != PROGRAM_FORMAT:
        raise ProgramError("this is no compiled program of skills_dspy; give a file that `optimize` has written", path)
    try:
        file = _File.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f" at {'.'.join(map(str, first['loc']))}" for _ in first["loc"][:1])
        raise ProgramError(f"this program is damaged{where} ({first['msg'].lower()}); compile it again", path) from error
    for step, state in file.predictors.items():
        _check_step(step, state, file.base.get(step), path)
    seen = file.provenance.get("seen")  # it keeps tests honest, so a list that was lost must not pass for an empty one
    if not isinstance(seen, list) or not all(isinstance(item, str) for item in seen):
        raise ProgramError("this program is damaged at provenance.seen (it is no list of texts); compile it again", path)
    if not file.predictors:
        raise ProgramError("this program has no predictors; compile it again", path)
    return CompiledProgram(content, path)


def _check_step(step: str, state: _State, base: str | None, path: Path) -> None:
    if step not in STEPS:
        raise ProgramError(f"it has a prompt named {step!r}, which this version has not; compile it again", path)
    wanted = STEPS[step].signature(1)
    fields = [(field["prefix"], field["description"]) for field in wanted.dump_state()["fields"]]
    if [(field.prefix, field.description) for field in state.signature.fields] != fields:
        raise ProgramError(f"it was compiled for another signature of {step}: compile it again for this version", path)
    if base != base_fingerprint(step):
        raise ProgramError(f"it was compiled for other base prompts of {step}: compile it again for this version", path)
    names = {*wanted.input_fields, *wanted.output_fields, "augmented"}
    for number, demo in enumerate(state.demos, start=1):
        if strange := sorted(set(demo) - names):
            raise ProgramError(f"demonstration {number} of {step} has a field {strange[0]!r}; compile it again", path)
        if missing := [name for name in wanted.output_fields if name not in demo]:
            raise ProgramError(f"demonstration {number} of {step} lacks its {missing[0]}; compile it again", path)
        for name, field in STEPS[step].source.output_fields.items():
            if not _fits(demo[name], field):
                raise ProgramError(f"demonstration {number} of {step} has no {name} as a reply has it; compile it again", path)


def _fits(value: Any, field: FieldInfo) -> bool:
    """Whether a demonstration's output is what a reply's could be: one of the labels, text, a list of texts."""
    kind: Any = field.annotation  # dspy ships no types
    try:
        TypeAdapter(kind).validate_json(json.dumps(value), strict=True)  # in JSON a list stands for any sequence
    except ValidationError:
        return False
    return True


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """DSPy's state without what only its optimizers look at, ready for JSON."""
    demos = [to_jsonable_python(dict(demo)) for demo in state["demos"]]
    return {"traces": [], "train": [], "demos": demos, "signature": state["signature"], "lm": None}
