"""What `check` has found, a line for each thing: whether it is fine, what was found and, if it is not fine, what to do."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from skills_dspy.base.config import Role, RunConfig
from skills_dspy.base.thinking import Think
from skills_dspy.commands.check.forecast import CHECKS, PASS_SHARE, StepCost
from skills_dspy.commands.check.measure import asked_as
from skills_dspy.commands.check.speed import GAIN, SHORT, Speed, Together, Trial
from skills_dspy.commands.check.thinking import Remedy
from skills_dspy.model.room import RETRY
from skills_dspy.model.server.server import Model
from skills_dspy.model.steps import STEPS
from skills_dspy.run.headway import duration, rate_of

_PARALLEL = 4
"""The OLLAMA_NUM_PARALLEL that is proposed."""
_SHOWN = 200
"""Characters that are shown of a reply that cannot be used."""
_NEARLY = 0.75
"""From this share of their room on thoughts may soon be cut."""


class Line(NamedTuple):
    """One line: whether it is fine, what it is about, what was found and, if it is not fine, what to do."""

    state: Literal["ok", "warn", "FAIL"]
    name: str
    text: str


def trial_line(trial: Trial, remedy: Remedy | None = None, command: str = "python -m skills_dspy") -> Line:
    """Whether a reply was parsed, and what to do where it was not."""
    name, asked, counts = "text reply" if trial.prose else "JSON reply", f"{trial.step} of {trial.model}", trial.counts
    if trial.fault is not None:
        began = "" if trial.unanswered else f"; the reply begins: {' '.join(trial.raw.split())[:_SHOWN] or 'nothing'}"
        twice, todo = ", twice" if trial.tries > 1 else "", "" if remedy is None else f"; {remedy.in_words()}"
        todo += "" if remedy and remedy.works else f"; take another model, or see `{command} prompts {trial.step}`"
        return Line("FAIL", name, f"{asked}: {trial.fault.rstrip('.')}{twice}{todo}{began}")
    loading = f", {counts.load_seconds:.1f} s of it loading the model" if counts.load_seconds >= 1 else ""
    read = f"{asked}: parsed, {counts.output_tokens} tokens in {counts.seconds:.1f} s{loading}"
    if trial.lost:
        return Line("warn", name, f"{read}, but not an earlier prompt: {trial.lost} A run rejects such a one, and goes on")
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


def soft_line(trials: Sequence[Trial]) -> Line:
    """Whether soft ratings can be read from this server's replies, of which 1 or more rate."""
    asked = [trial for trial in trials if trial.soft is not None]
    unread = [trial.step for trial in asked if not trial.soft]
    said = f"soft ratings are read from {len(asked) - len(unread)} of {len(asked)} replies that rate"
    if not unread:
        return Line("ok", "soft", said)
    todo = "set soft_ratings to auto in the configuration, if the rows need none: they take some of the server's speed"
    return Line("warn", "soft", f"{said}, not from {', '.join(unread)}: no log-probabilities that tell of the label; {todo}")


def think_lines(config: RunConfig, models: Mapping[str, Model], trials: Sequence[Trial]) -> Iterator[Line]:
    """What was found out of each model's thoughts where its replies could be read; nothing of one that does not think."""
    groups: dict[tuple[str, Think], list[Trial]] = {}
    for trial in trials:
        groups.setdefault(asked_as(config, STEPS[trial.step].role), []).append(trial)
    for (name, think), own in groups.items():
        if any(trial.fault for trial in own):
            continue
        most = max(trial.thoughts for trial in own)
        if think != "off":
            yield _thinking_line(config, think, own, most)
        elif most:
            why = f"{name} thinks although it is told not to (`think: off`), up to {most} tokens in the room of a reply"
            todo = "set `think: unset` for the roles that ask it, which leaves room for thoughts"
            yield Line("warn", "think", f"{why}: {todo}")
        elif models[name].thinks:
            yield Line("ok", "think", f"{name} can think, and is told not to (`think: off`)")


def _thinking_line(config: RunConfig, think: Think, own: Sequence[Trial], most: int) -> Line:
    """Of a model that may think: whether it does, and whether its thoughts have room and time enough."""
    name, room, limit = own[0].model, config.role(STEPS[own[0].step].role).thoughts, config.server.timeout
    if not most:
        said = f"{name} has no thoughts with `think: {think}`, or the server hides them; {room} tokens are kept free for them"
        return Line("ok" if think == "unset" else "warn", "think", said)
    said = f"{name} thinks with `think: {think}`, up to {most} tokens before a reply, of {room} that are planned for them"
    if most >= _NEARLY * room:
        return Line("warn", "think", f"{said}: set `think_room` to {2 * most} or more")
    speed = sum(trial.counts.output_tokens for trial in own) / sum(trial.counts.output_seconds for trial in own)
    if (longest := RETRY * room / speed) > limit:
        long = f"thoughts that take all of it twice over write for {longest:.0f} s, and server.timeout is {limit:g}"
        return Line("warn", "think", f"{said}; {long}: raise that, or lower `think_room`")
    return Line("ok", "think", said)


def speed_line(model: str, speed: Speed) -> Line:
    """A model's speed alone."""
    writes = f"writes {rate_of(speed.output)} tokens/s"
    if speed.prompt is None:
        return Line("warn", "speed", f"{model}, asked alone, {writes}; how fast it reads is unknown and left out below")
    return Line("ok", "speed", f"{model}, asked alone, reads {rate_of(speed.prompt)} tokens/s and {writes}")


def together_line(
    together: Together, concurrency: int, seconds: float, num_ctx: int | None, *, has_slots: bool = False
) -> Line:
    """What several requests at once bring; `seconds` is how long the run takes as it is, `num_ctx` the window of an Ollama.

    `has_slots` says that the server is known to have a slot for each of them.
    """
    if together.requests == 1:
        return Line("ok", "at once", "not tried: --concurrency is 1")
    tried = f"{together.requests} requests at once{'' if together.requests == concurrency else ' (more are not tried)'}"
    said = f"{tried} bring {together.factor:.1f} times the tokens/s of one alone ({rate_of(together.at_once)} tokens/s)"
    if together.factor >= GAIN:
        return Line("ok", "at once", said)
    if together.mean_tokens < SHORT:
        return Line("warn", "at once", f"{said}, but replies of {together.mean_tokens:.0f} tokens are too short to tell much")
    if has_slots or together.busy >= GAIN:
        todo = "a lower --concurrency does as well"
        return Line("warn", "at once", f"{said}: the server does work on several, but the machine has no more to give; {todo}")
    slots = min(_PARALLEL, together.requests)
    how = (
        f"(OLLAMA_NUM_PARALLEL is 1 by default). Start it with `OLLAMA_NUM_PARALLEL={slots} ollama serve` and it works on "
        f"{slots}; its memory then holds {slots} x {num_ctx} tokens of window"
        if num_ctx is not None
        else f"or has no more to give. Start it with {slots} slots if it has fewer (llama.cpp: --parallel {slots} and {slots} "
        f"times the --ctx-size; vLLM: --max-num-seqs {slots})"
    )
    advice = (
        f"{said}: the server seems to answer one at a time {how}. A run may become up to {slots} times as fast, "
        f"{duration(seconds / slots)} instead of {duration(seconds)}; how much of that comes true cannot be known before it is "
        "tried"
    )
    return Line("warn", "at once", advice)


def hours_line(costs: Sequence[StepCost], seconds: float, wanted: int, tasks: int) -> Line:
    """How long the run takes, and what that rests on."""
    pairs = f"{wanted} pairs" if tasks == 1 else f"{wanted} pairs for each of {tasks} tasks"
    several = len({cost.model for cost in costs}) > 1
    swapping = " Loading one model in place of another, where memory cannot hold all, is not counted." if several else ""
    return Line(
        "ok",
        "time",
        f"about {duration(seconds)} for {pairs} at the measured speed. Assumed, not measured: each of the {CHECKS} "
        "checks (duplicates, two judges, two tags; for a new text one more) "
        f"lets {PASS_SHARE:.0%} through, and replies are as long as those of the longest seed.{swapping}",
    )
