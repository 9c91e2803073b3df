"""What `check` says of each thing that it found: a state, a name, and a sentence with what to do."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table

from skills_dspy.base.config import Role
from skills_dspy.cli.progress import duration
from skills_dspy.cli.summary import command
from skills_dspy.commands.check.forecast import CHECKS, PASS_SHARE, StepCost
from skills_dspy.commands.check.speed import Speed, Together, Trial
from skills_dspy.model.context_window import Need
from skills_dspy.model.embedding.weights import HINT, Found
from skills_dspy.model.ollama import Model
from skills_dspy.model.steps import STEPS

_GAIN = 1.3
"""Requests at once that bring fewer times the tokens of one alone than this bring nothing."""
_SHORT = 16
"""Replies with fewer tokens than this say little of how fast a server writes."""
_PARALLEL = 4
"""The OLLAMA_NUM_PARALLEL that is proposed."""
_SHOWN = 200
"""Characters that are shown of a reply that cannot be used."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: whether it is fine, what it is about, what was found and, if it is not fine, what to do."""

    state: Literal["ok", "warn", "FAIL"]
    name: str
    text: str


def model_line(name: str, model: Model) -> Line:
    """A model that is there."""
    size = f"at most {model.context_length} tokens" if model.context_length else "a size that the server does not tell"
    return Line("ok", "model", f"{name} is pulled; its window has {size}")


def embedder_line(name: str, found: Found | None) -> Line:
    """Where the embedding model's weights are."""
    if found is None:
        return Line("warn", "embedder", f"{name} is not on this machine: a run fetches it from the hub first; or {HINT}")
    return Line("ok", "embedder", f"{name} is in {found.folder} ({found.source})")


def window_line(model: str, longest: Need, num_ctx: int) -> Line:
    """A window that fits."""
    prompt = f"its longest prompt ({longest.step} of {longest.task.task_name})"
    return Line(
        "ok",
        "window",
        f"{model} is asked with num_ctx {num_ctx}: {prompt} may take {longest.prompt} tokens and the reply {longest.reply}",
    )


def trial_line(trial: Trial) -> Line:
    """Whether a reply was parsed."""
    name, counts = "text reply" if trial.prose else "JSON reply", trial.counts
    asked = f"{trial.step} of {trial.model}"
    if trial.fault is not None:
        began = " ".join(trial.raw.split())[:_SHOWN]
        todo = f"take another model, or look at the prompt with `{command()} prompts {trial.step}`"
        return Line("FAIL", name, f"{asked}: {trial.fault}, twice; {todo}; the reply begins: {began or 'nothing'}")
    loading = f", {counts.load_seconds:.1f} s of it loading the model" if counts.load_seconds >= 1 else ""
    read = f"{asked}: parsed, {counts.output_tokens} tokens in {counts.seconds:.1f} s{loading}"
    if trial.tries > 1:
        return Line("warn", name, f"{read}, but only at the second try; a run tries twice, too, and drops what fails then")
    return Line("ok", name, read)


def estimate_line(trials: Sequence[Trial], windows: Mapping[Role, int]) -> Line:
    """How our estimate of tokens, by which the windows are chosen, stands to the server's count."""
    counted = [(trial.counts.prompt_tokens, trial) for trial in trials if trial.counts.prompt_tokens is not None]
    if not counted:
        return Line("warn", "estimate", "the server does not count the tokens of prompts, so our estimate stands unchecked")
    real, guessed = sum(tokens for tokens, _ in counted), sum(trial.estimate for _, trial in counted)
    said = f"the server counts {real} tokens in these prompts, our estimate is {guessed}, {guessed / real:.2f} times as many"
    tokens, worst = max(counted, key=lambda pair: pair[0] / pair[1].estimate)
    if tokens <= worst.estimate:
        return Line("ok", "estimate", said)
    role = STEPS[worst.step].role
    enough = math.ceil(windows[role] * tokens / worst.estimate)
    todo = f"set {role}.num_ctx to {enough} or more in the configuration, or long prompts may be cut"
    return Line("warn", "estimate", f"{said}; {worst.step} has more than estimated: {todo}")


def speed_line(model: str, speed: Speed) -> Line:
    """A model's speed alone."""
    writes = f"writes {_rate(speed.output)} tokens/s"
    if speed.prompt is None:
        return Line("warn", "speed", f"{model}, asked alone, {writes}; how fast it reads is unknown and left out below")
    return Line("ok", "speed", f"{model}, asked alone, reads {_rate(speed.prompt)} tokens/s and {writes}")


def together_line(together: Together, concurrency: int, seconds: float, num_ctx: int) -> Line:
    """What several requests at once bring; `seconds` is how long the run takes as it is."""
    if together.requests == 1:
        return Line("ok", "at once", "not tried: --concurrency is 1")
    tried = f"{together.requests} requests at once{'' if together.requests == concurrency else ' (more are not tried)'}"
    said = f"{tried} bring {together.factor:.1f} times the tokens/s of one alone ({_rate(together.at_once)} tokens/s)"
    if together.factor >= _GAIN:
        return Line("ok", "at once", said)
    if together.mean_tokens < _SHORT:
        return Line("warn", "at once", f"{said}, but replies of {together.mean_tokens:.0f} tokens are too short to tell much")
    if together.busy >= _GAIN:
        todo = "a lower --concurrency does as well"
        return Line("warn", "at once", f"{said}: the server does work on several, but the machine has no more to give; {todo}")
    slots = min(_PARALLEL, together.requests)
    return Line(
        "warn",
        "at once",
        f"{said}: the server seems to answer one at a time (OLLAMA_NUM_PARALLEL is 1 by default). Start it with "
        f"`OLLAMA_NUM_PARALLEL={slots} ollama serve` and it works on {slots}; its memory then holds {slots} x {num_ctx} tokens "
        f"of window. A run may become up to {slots} times as fast, {duration(seconds / slots)} instead of {duration(seconds)}; "
        "how much of that comes true cannot be known before it is tried",
    )


def costs_table(costs: Sequence[StepCost]) -> Table:
    """Step by step: calls for each accepted pair, tokens of a call."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("step")
    for heading in ("calls per pair", "prompt tokens", "reply tokens"):
        table.add_column(heading, justify="right")
    for cost in costs:
        table.add_row(cost.step, f"{cost.calls:.2f}", f"{cost.prompt:.0f}", f"{cost.output:.0f}")
    calls = sum(cost.calls for cost in costs)
    prompt, output = sum(cost.calls * cost.prompt for cost in costs), sum(cost.calls * cost.output for cost in costs)
    table.add_row("each accepted pair", f"{calls:.2f}", f"{prompt:.0f}", f"{output:.0f}")
    return table


def hours_line(costs: Sequence[StepCost], seconds: float, wanted: int, tasks: int) -> Line:
    """How long the run takes, and what that rests on."""
    pairs = f"{wanted} pairs" if tasks == 1 else f"{wanted} pairs for each of {tasks} tasks"
    several = len({cost.model for cost in costs}) > 1
    swapping = " Loading one model in place of another, where memory cannot hold all, is not counted." if several else ""
    return Line(
        "ok",
        "time",
        f"about {duration(seconds)} for {pairs} at the measured speed. Assumed, not measured: each of the {CHECKS} "
        f"checks (duplicates, two judges, two tags) lets {PASS_SHARE:.0%} through, and replies are as long as those of the "
        f"longest seed.{swapping}",
    )


def _rate(tokens: float) -> str:
    return f"{tokens:.0f}" if tokens >= 10 else f"{tokens:.1f}"
