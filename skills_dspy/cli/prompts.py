"""`prompts`: each prompt as it will be sent, and where its text comes from."""

import inspect
import json
from difflib import unified_diff
from typing import Any

import dspy
from rich.console import Console
from rich.markup import escape

from signatures.examples import Pair, Passage
from skills_dspy.base.config import RunConfig, load_config
from skills_dspy.base.errors import RequestError
from skills_dspy.cli.arguments import PromptsOptions
from skills_dspy.cli.run import load_specs
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.compiled import CompiledProgram, load_compiled
from skills_dspy.model.context_window import steps_of
from skills_dspy.model.description import STEP as DESCRIBING
from skills_dspy.model.description import description_inputs, undescribed
from skills_dspy.model.program import STEPS, SkillsProgram, Step, fingerprint, step_of
from skills_dspy.model.room import reply_limits
from skills_dspy.pipeline.candidate import pair_shown, questions_shown
from skills_dspy.pipeline.draw import Draw, plan_draw, seed_examples
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
    program, adapter = SkillsProgram(spec.num_questions_to_generate_per_prompt), SkillsAdapter()
    out = Console(highlight=False, soft_wrap=True, emoji=False)
    for step in [wanted] if wanted else _steps(spec, config):
        _print(step, spec, config, program, adapter, out)
    return 0


def _differences(compiled: CompiledProgram, wanted: Step | None) -> int:
    """Each compiled prompt against the one that stands in signatures/: system message, then demonstrations."""
    if wanted is not None and wanted.name not in compiled.steps:
        raise RequestError(f"{compiled.path}: it leaves {wanted.name} as it is; it has: {', '.join(compiled.steps)}")
    out = Console(highlight=False, soft_wrap=True, emoji=False)
    adapter, before, after = SkillsAdapter(), SkillsProgram(1), SkillsProgram(1)
    compiled.apply(after)
    for name in compiled.steps if wanted is None else (wanted.name,):
        old, new = before.predictor(name), after.predictor(name)
        out.rule(name)
        out.print(f"[bold]from[/bold]         {origin(STEPS[name])}")
        out.print(
            f"[bold]compiled in[/bold]  {compiled.path}, by {compiled.provenance.get('optimizer', 'an unnamed optimizer')}"
        )
        out.print(f"[bold]fingerprint[/bold]  {fingerprint(old, adapter)} before, {fingerprint(new, adapter)} now")
        out.print()
        lines = list(
            unified_diff(_constant_part(old, adapter), _constant_part(new, adapter), "original", "compiled", "", "", 2, "")
        )
        for line in lines:
            out.print(escape(line), style=_STYLES.get(line[:1], ""))
        if not lines:
            out.print("the same as the original")
        out.print()
    return 0


_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def _constant_part(predictor: dspy.Predict, adapter: SkillsAdapter) -> list[str]:
    """The lines of a prompt that are the same for every request."""
    messages = adapter.format(predictor.signature, [dict(demo) for demo in predictor.demos], {})[:-1]
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages).splitlines()


def _steps(spec: TaskSpec, config: RunConfig) -> list[Step]:
    kinds = {seed.kind for seed in spec.seed_examples}
    taken = {step for kind in kinds for step in steps_of(kind, config.tagging)}
    if undescribed(spec):
        taken.add(DESCRIBING)
    return [step for name, step in STEPS.items() if name in taken]


def _print(step: Step, spec: TaskSpec, config: RunConfig, program: SkillsProgram, adapter: SkillsAdapter, out: Console) -> None:
    predictor, settings = program.predictor(step.name), config.role(step.role)
    plan = adapter.plan(predictor.signature)
    out.rule(step.name)
    out.print(f"[bold]from[/bold]         {origin(step)}")
    out.print(f"[bold]fingerprint[/bold]  {fingerprint(predictor, adapter)}")
    room = reply_limits(spec, config)[step.name]
    model = config.model_for(step.role)
    out.print(f"[bold]asked of[/bold]     {step.role} ({model}), temperature {settings.temperature:g}, num_predict {room}")
    out.print(f"[bold]reply[/bold]        {'plain text' if plan.schema is None else 'JSON, constrained by a schema'}")
    demos = [dict(demo) for demo in predictor.demos]
    for message in adapter.format(predictor.signature, demos, _inputs(step, spec, program)):
        out.print(f"\n[bold]{message['role']}[/bold]")
        out.print(escape(message["content"]))
    if plan.schema is not None:
        out.print("\n[bold]schema[/bold]")
        out.print(escape(json.dumps(plan.schema, ensure_ascii=False)))
    out.print()


def origin(step: Step) -> str:
    """Where the instructions of a step stand: class, file and line."""
    line = inspect.getsourcelines(step.source)[1]
    return f"{step.source.__module__}.{step.source.__name__} ({inspect.getsourcefile(step.source)}:{line})"


def _inputs(step: Step, spec: TaskSpec, program: SkillsProgram) -> dict[str, Any]:
    """What draw 0 would show; what the model writes on the way stands in angle brackets."""
    if step.name == DESCRIBING:
        return description_inputs(spec)
    draw = _first_draw(spec, step.name)
    fields = program.predictor(step.name).signature.input_fields
    with_context = step.name.startswith("write_questions")
    values: dict[str, Any] = {
        "task_description": "⟨the description that the model derives⟩" if undescribed(spec) else spec.task_description,
        "count": program.count,
        "example": pair_shown(draw.seeds[0]),
        "examples": [Passage(context=e.context or "") for e in draw.seeds]
        if step.name == "write_context"
        else questions_shown(draw.seeds if with_context else draw.standard, with_context=with_context),
        "context": "⟨the new context⟩" if draw.kind == "grounded" else None,
        "question": "⟨the new question⟩",
        "answer": "⟨its answer⟩",
    }
    return {name: values[name] for name in fields}


def _first_draw(spec: TaskSpec, step: str) -> Draw:
    """The first draw of the step's kind; where the task has no such seeds, one with placeholders."""
    kinds = {seed.kind for seed in spec.seed_examples}
    kind = "grounded" if step.endswith("grounded") or step == "write_context" or kinds == {"grounded"} else "freeform"
    seeds = [e for e in seed_examples(spec.seed_examples) if (e.context is not None) == (kind == "grounded")]
    if not seeds:
        from skills_dspy.pipeline.draw import Example

        placeholder = Pair(context="⟨a seed's context⟩", question="⟨a seed's question⟩", answer="⟨a seed's answer⟩")
        context = placeholder.context if kind == "grounded" else None
        seeds = [Example("seed:0", placeholder.question, placeholder.answer, context)]
    return plan_draw(
        0,
        seeds,
        (),
        task=spec.task_name,
        run_seed=0,
        examples=spec.num_icl_examples_per_prompt,
        accepted_share=0.0,
    )
