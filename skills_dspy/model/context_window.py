"""How large a model's window has to be: the longest prompt that a task can make, and the room for its reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from skills_dspy.base.config import ROLES, Role, RunConfig
from skills_dspy.base.errors import ConfigError, ContextTooLong
from skills_dspy.base.records import Kind, SeedExample
from skills_dspy.base.seeds import STANDARD
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.model.compiled import CompiledProgram
from skills_dspy.model.description import examples_in_turn, undescribed
from skills_dspy.model.exhibits import MOST_FITTING, TAG_TOKENS, Shows, fitting_room, shown_as, shown_tokens
from skills_dspy.model.program import SkillsProgram, estimate_of, prompt_of
from skills_dspy.model.room import RETRY, largest_shown, longest, question_limit
from skills_dspy.model.steps import (
    DESCRIBE,
    LONGEST_AVOID,
    LONGEST_NAME,
    LONGEST_VALUE,
    PLAN,
    STEPS,
    TOLD_AXES,
    Step,
    constant_inputs,
    inputs,
    plans,
    reply_limits,
    way,
)
from skills_dspy.tasks.spec import TaskSpec

_SMALLEST = 4096
"""The first size of a window; each next one is twice as large. So few sizes that tasks and commands mostly need the same one:
for each other one a server loads the model anew."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one step of one task may need: tokens of prompt and reply together."""

    task: TaskSpec
    step: str
    prompt: int
    reply: int

    @property
    def total(self) -> int:
        """Prompt and reply, in tokens."""
        return self.prompt + self.reply


@dataclass(frozen=True, slots=True)
class RunPrompts:
    """What decides the prompts of a run: its tasks, its settings, and a compiled program, None for those of signatures/."""

    specs: Sequence[TaskSpec]
    config: RunConfig
    program: CompiledProgram | None = None

    def windows(self, context_lengths: Mapping[str, int | None]) -> dict[str, int]:
        """Model to the num_ctx that a run asks it with; nothing where no task's prompts fit into any, see `choose_windows`.

        A run leaves out the tasks that do not fit, so they have no say here either.
        """
        fitting = []
        for spec in self.specs:
            program = SkillsProgram(spec.num_questions_to_generate_per_prompt)
            if self.program is not None:
                self.program.apply(program)
            wanted = needs(spec, self.config, program)
            if all(need.total <= _bound(need, self.config, context_lengths) for need in wanted.values()):
                fitting.append(wanted)
        if not fitting:
            return {}
        return {
            self.config.model_for(role): size for role, size in choose_windows(fitting, self.config, context_lengths).items()
        }


def step_up(needed: int, bound: int) -> int:
    """The smallest of 4096, 8192, 16384 ... that holds so many tokens, but at most `bound`."""
    size = _SMALLEST
    while size < needed:
        size *= 2
    return min(size, bound)


def window_words(own: int, usual: Mapping[str, int]) -> str:
    """In what window a command asks that needs `own` tokens, while a run of the same tasks asks models with `usual`."""
    if not usual:
        return f"{own:,} tokens"
    if smaller := sorted({size for size in usual.values() if size < own}):
        less = " and ".join(f"{size:,}" for size in smaller)
        return f"{own:,} tokens, more than the {less} of a run of these tasks: between the two the server loads the model anew"
    return f"{' and '.join(f'{size:,}' for size in sorted(set(usual.values())))} tokens, as in a run of these tasks"


def needs(spec: TaskSpec, config: RunConfig, program: SkillsProgram) -> dict[str, Need]:
    """The most that each step of a task may need; steps that the task never takes are left out.

    A description that is still to be derived counts with the most that it may have, so that the window is the same before and
    after it is there, and the server need not load the model anew.
    """
    limits = reply_limits(spec, config)
    found: dict[str, Need] = {}
    description = 0

    def reply(step: Step) -> int:
        return RETRY * (limits[step.name] + config.role(step.role).thoughts)

    if undescribed(spec):
        description = RETRY * limits[DESCRIBE.name] + TAG_TOKENS
        prompt = _prompt_tokens(program, DESCRIBE.name, inputs(DESCRIBE, spec, examples_in_turn(spec)))
        found[DESCRIBE.name] = Need(spec, DESCRIBE.name, prompt, reply(DESCRIBE))
    if plans(spec, config):
        prompt = description + _prompt_tokens(program, PLAN.name, inputs(PLAN, spec, examples_in_turn(spec)))
        found[PLAN.name] = Need(spec, PLAN.name, prompt, reply(PLAN))
    for kind in get_args(Kind):
        seeds = spec.seeds(kind)
        if not seeds:
            continue
        bounds = _Bounds(spec, config, seeds, limits)
        for step in way(kind, config.tagging):
            fixed = _prompt_tokens(program, step.name, constant_inputs(step, spec))
            need = Need(spec, step.name, fixed + description + bounds.variable_part(step), reply(step))
            if step.name not in found or need.total > found[step.name].total:
                found[step.name] = need
    return found


def choose_windows(
    per_task: Sequence[Mapping[str, Need]], config: RunConfig, context_lengths: Mapping[str, int | None]
) -> dict[Role, int]:
    """One num_ctx for each model in a run, and so for each role.

    A role's own num_ctx decides where it is set; else max_num_ctx and the model's context length, where known, bound it.

    Raises:
        ContextTooLong: a prompt and its reply cannot fit; names task, step, seed and what to change.
        ConfigError: two roles want different windows of one model.
    """
    windows: dict[str, int] = {}
    for role in ROLES:
        model = config.model_for(role)
        wanted = [need for steps in per_task for need in steps.values() if STEPS[need.step].role == role]
        most = max(wanted, key=lambda need: need.total)
        bound = _bound(most, config, context_lengths)
        if most.total > bound:
            raise _too_long(most, config, bound)
        chosen = config.role(role).num_ctx or step_up(most.total, bound)
        windows[model] = max(windows.get(model, 0), chosen)
    for role in ROLES:
        own, window = config.role(role).num_ctx, windows[config.model_for(role)]
        if own is not None and own != window:
            raise ConfigError(
                f"{role}.num_ctx is {own}, but another role needs {window} of the same model ({config.model_for(role)}), and "
                "each other value makes the server load it anew: give both the larger one, or leave both out"
            )
    return {role: windows[config.model_for(role)] for role in ROLES}


def _bound(need: Need, config: RunConfig, context_lengths: Mapping[str, int | None]) -> int:
    role = STEPS[need.step].role
    length = context_lengths.get(config.model_for(role))
    return config.role(role).num_ctx or min(config.max_num_ctx, length or config.max_num_ctx)


def _way_out(role: Role, config: RunConfig, bound: int) -> str:
    if config.role(role).num_ctx:
        return f"raise {role}.num_ctx in the configuration"
    if bound == config.max_num_ctx:
        return "raise max_num_ctx in the configuration if the model and the machine's memory allow it"
    return "take a model with a larger window"


def _too_long(need: Need, config: RunConfig, bound: int) -> ContextTooLong:
    task, role = need.task, STEPS[need.step].role
    thoughts = config.role(role).thoughts
    seed = max(task.seed_examples, key=lambda s: estimate_tokens(s.question + s.answer + (s.context or "")))
    if thoughts and need.total - RETRY * thoughts <= bound:
        advice = f"lower {role}.think_room ({thoughts} now) or set {role}.think to off"
    elif need.reply > need.prompt and STEPS[need.step].counted:
        advice = "lower num_questions_to_generate_per_prompt"
    elif need.step == DESCRIBE.name:
        advice = "write a task_description, which saves this prompt"
    elif estimate_tokens(task.task_description) > need.prompt // 2:
        advice = "shorten task_description"
    else:
        advice = "shorten the longest seed (this line), lower num_icl_examples_per_prompt"
    return ContextTooLong(
        f"{task.path}:{seed.line}: a prompt of {need.step} may take {need.prompt} tokens and its reply {need.reply}, but "
        f"the window of {config.model_for(role)} is {bound}: {advice}, or {_way_out(role, config, bound)}."
    )


class _Bounds:
    """Bounds in tokens of the parts of a prompt that differ from call to call."""

    def __init__(self, spec: TaskSpec, config: RunConfig, seeds: Sequence[SeedExample], limits: Mapping[str, int]) -> None:
        kind, lengths = seeds[0].kind, longest(seeds)
        # What was written with the room of a second try may stand in later prompts.
        self._parts = {
            "context": RETRY * limits["write_context"] + TAG_TOKENS if kind == "grounded" else 0,
            "question": question_limit(lengths) + TAG_TOKENS,
            "answer": RETRY * limits[f"write_answer_{kind}"] + TAG_TOKENS,
        }
        self._avoid = LONGEST_AVOID + TAG_TOKENS if config.habits.watched else 0
        self._plan, self._count = _plan_line(spec, config), spec.num_questions_to_generate_per_prompt
        self._guest, self._seeds, self._shown = largest_shown(lengths), seeds, spec.num_icl_examples_per_prompt
        self._guests = min(int(self._shown * config.draws.accepted_share + 1e-9), self._shown - 1)

    def variable_part(self, step: Step) -> int:
        """Everything in a prompt of this step but the system message, the description and the ending."""
        plan = self._plan * (self._count if step.counted else 1) if "plan" in step.source.input_fields else 0
        avoid = self._avoid if "avoid" in step.source.input_fields else 0
        return self._examples(step.shows) + sum(self._parts[part] for part in step.about) + plan + avoid

    def _examples(self, shows: Shows) -> int:
        if shows == "nothing":
            return 0
        seeds = [shown_tokens(example) for example in shown_as(shows, self._seeds)]
        seeds.sort(reverse=True)
        if shows == "fitting":
            return TAG_TOKENS + min(sum(seeds[: min(MOST_FITTING, self._shown)]), fitting_room(self._seeds))
        if shows == "standard":
            return TAG_TOKENS + sum(seeds[:STANDARD])
        guest = self._guest.context if shows == "passages" else self._guest.context + self._guest.question + TAG_TOKENS
        numbers = range(self._guests + 1)  # a draw shows any number of accepted pairs up to their share
        return TAG_TOKENS + max(sum(seeds[: self._shown - guests]) + guests * (guest + 2 * TAG_TOKENS) for guests in numbers)


def _plan_line(spec: TaskSpec, config: RunConfig) -> int:
    """The most tokens of a line of the plan, with the tags around it; 0 where nothing is planned."""
    if plans(spec, config):
        return TAG_TOKENS + TOLD_AXES * (LONGEST_NAME + LONGEST_VALUE + 4)
    axes = [(estimate_tokens(axis.name), max(map(estimate_tokens, axis.values))) for axis in spec.variety or ()]
    return TAG_TOKENS + sum(name + value + 4 for name, value in axes) if axes else 0


def _prompt_tokens(program: SkillsProgram, step: str, values: dict[str, Any]) -> int:
    return estimate_of(prompt_of(program.predictor(step), values))
