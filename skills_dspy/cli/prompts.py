"""`prompts`: each prompt as it will be sent, and where its text comes from."""

import inspect
import json
from difflib import unified_diff
from typing import Any

import dspy
from rich.console import Console
from rich.markup import escape

from signatures.examples import Axis
from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.cli.run import load_specs
from skills_dspy.cli.shared.arguments import PromptsOptions
from skills_dspy.cli.terminal.consoles import make_console
from skills_dspy.commands.check.sample_prompts import sample_inputs
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.compiled import CompiledProgram, load_compiled
from skills_dspy.model.description import described, undescribed
from skills_dspy.model.program import SkillsProgram, fingerprint, prompt_of
from skills_dspy.model.steps import DESCRIBE, PLAN, STEPS, Step, Subject, plans, reply_limits, step_of, way
from skills_dspy.tasks.spec import TaskSpec


def prompts_command(options: PromptsOptions) -> int:
    """Print one prompt, or all those that the first task's candidates meet; returns the exit code.

    With a compiled program: its prompts, or the one named, as a diff from the originals.
    """
    config = load_config(options.config)
    wanted = None if options.name is None else step_of(options.name)
    if options.program is not None:
        return _differences(load_compiled(options.program), wanted)
    spec = load_specs(options.task_paths).specs[0]
    program = SkillsProgram(spec.num_questions_to_generate_per_prompt)
    out = make_console(soft_wrap=True)
    for step in [wanted] if wanted else _steps(spec, config):
        _print(step, spec, config, program, out)
    return 0


def _differences(compiled: CompiledProgram, wanted: Step | None) -> int:
    """Each compiled prompt against the one that stands in signatures/: system message, then demonstrations."""
    if wanted is not None and wanted.name not in compiled.steps:
        raise RequestError(f"{compiled.path}: it leaves {wanted.name} as it is; it has: {', '.join(compiled.steps)}")
    out = make_console(soft_wrap=True)
    before, after = SkillsProgram(1), SkillsProgram(1)
    compiled.apply(after)
    for name in compiled.steps if wanted is None else (wanted.name,):
        old, new = before.predictor(name), after.predictor(name)
        out.rule(name)
        _fact("from", origin(STEPS[name]), out)
        _fact("compiled in", f"{compiled.path}, by {compiled.provenance.get('optimizer', 'an unnamed optimizer')}", out)
        _fact("fingerprint", f"{fingerprint(old)} before, {fingerprint(new)} now", out)
        out.print()
        lines = list(unified_diff(_constant_part(old), _constant_part(new), "original", "compiled", "", "", 2, ""))
        for line in lines:
            out.print(escape(line), style=_STYLES.get(line[:1], ""))
        if not lines:
            out.print("the same as the original")
        out.print()
    return 0


_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def _constant_part(predictor: dspy.Predict) -> list[str]:
    """The lines of a prompt that are the same for every request."""
    messages = prompt_of(predictor, {})[:-1]
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages).splitlines()


def _steps(spec: TaskSpec, config: RunConfig) -> list[Step]:
    kinds = {seed.kind for seed in spec.seed_examples}
    taken = {step.name for kind in kinds for step in way(kind, config.tagging)}
    if undescribed(spec):
        taken.add(DESCRIBE.name)
    if plans(spec, config):
        taken.add(PLAN.name)
    return [step for name, step in STEPS.items() if name in taken]


def _print(step: Step, spec: TaskSpec, config: RunConfig, program: SkillsProgram, out: Console) -> None:
    predictor, settings = program.predictor(step.name), config.role(step.role)
    plan = SkillsAdapter().plan(predictor.signature)
    out.rule(step.name)
    _fact("from", origin(step), out)
    _fact("fingerprint", fingerprint(predictor), out)
    room = reply_limits(spec, config)[step.name] + settings.thoughts
    model, think = config.model_for(step.role), "" if settings.think == "off" else f", think {settings.think}"
    _fact("asked of", f"{step.role} ({model}), temperature {settings.temperature:g}, num_predict {room}{think}", out)
    _fact("reply", "plain text" if plan.schema is None else "JSON, constrained by a schema", out)
    for message in prompt_of(predictor, _inputs(step, spec, config)):
        out.print(f"\n[bold]{message['role']}[/bold]")
        out.print(escape(message["content"]))
    if plan.schema is not None:
        out.print("\n[bold]schema[/bold]")
        out.print(escape(json.dumps(plan.schema, ensure_ascii=False)))
    out.print()


def _fact(name: str, text: str, out: Console) -> None:
    out.print(f"[bold]{name}[/bold]{' ' * (13 - len(name))}{escape(text)}")


def origin(step: Step) -> str:
    """Where the instructions of a step stand: class, file and line."""
    line = inspect.getsourcelines(step.source)[1]
    return f"{step.source.__module__}.{step.source.__name__} ({inspect.getsourcefile(step.source)}:{line})"


def _inputs(step: Step, spec: TaskSpec, config: RunConfig) -> dict[str, Any]:
    """What draw 0 would show; what the model writes on the way stands in angle brackets, as do seeds that it lacks."""
    kinds = {seed.kind for seed in spec.seed_examples}
    kind: Kind = step.kind or ("grounded" if kinds == {"grounded"} else "freeform")
    subject = Subject("⟨the new context⟩" if kind == "grounded" else None, "⟨the new question⟩", "⟨its answer⟩")
    if step is not DESCRIBE and undescribed(spec):
        spec = described(spec, "⟨the description that the model derives⟩")
    if plans(spec, config):
        axis = Axis(name="⟨an axis that the model names⟩", values=("⟨one of its values⟩",))
        spec = spec.model_copy(update={"variety": (axis,)})
    if kind not in kinds:
        context = "⟨a seed's context⟩" if kind == "grounded" else None
        seed = SeedExample(question="⟨a seed's question⟩", answer="⟨a seed's answer⟩", context=context)
        spec = spec.model_copy(update={"seed_examples": (seed,)})
    return sample_inputs(spec, kind, step, subject=subject)
