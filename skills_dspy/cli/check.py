"""`check`: tries everything that a run needs, a line for each as it is done, and an exit code."""

import asyncio
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from skills_dspy.base.config import Role, RunConfig
from skills_dspy.base.errors import MachineError, Unanswered
from skills_dspy.cli.run import load_specs
from skills_dspy.cli.shared.arguments import CheckOptions
from skills_dspy.cli.shared.sessions import complainer, make_server, vector_server
from skills_dspy.cli.summary import command
from skills_dspy.cli.terminal.consoles import make_console, make_table
from skills_dspy.cli.terminal.streams import echo_json
from skills_dspy.commands.check.begun import begun_with_others
from skills_dspy.commands.check.forecast import CHECKS, PASS_SHARE, StepCost, forecast
from skills_dspy.commands.check.measure import Preflight, find_weights, fit, survey
from skills_dspy.commands.check.seeds import RatedSeeds, closing_line, rate_seeds
from skills_dspy.commands.check.speed import Speed, Together, Trial, counted_share, model_speeds
from skills_dspy.commands.check.thinking import Remedy, find_remedy, may_help, think_lines, thoughts_by_role
from skills_dspy.commands.check.vectors import find_vectors
from skills_dspy.model.embedders import Serve, foreign_thresholds
from skills_dspy.model.embedding.weights import WeightsFolder
from skills_dspy.model.server.llamacpp import LlamaCppServer
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.server import Model, Server
from skills_dspy.model.steps import STEPS
from skills_dspy.run.headway import duration, rate_of
from skills_dspy.store.run_json import server_in_words
from skills_dspy.tasks.spec import TaskSpec

READY, SEEDS_FAIL, NOT_READY = 0, 1, 2
_PATIENCE = 15.0
"""Seconds that a broken server is tried again: somebody sits in front of a check."""
_MARKS = {"ok": "[green]ok[/green]  ", "warn": "[yellow]warn[/yellow]", "FAIL": "[red]FAIL[/red]"}
_GAIN = 1.3
"""Requests at once that bring fewer times the tokens of one alone than this bring nothing."""
_SHORT = 16
"""Replies with fewer tokens than this say little of how fast a server writes."""
_PARALLEL = 4
"""The OLLAMA_NUM_PARALLEL that is proposed."""
_SHOWN = 200
"""Characters that are shown of a reply that cannot be used."""


class Line(NamedTuple):
    """One line: whether it is fine, what it is about, what was found and, if it is not fine, what to do."""

    state: Literal["ok", "warn", "FAIL"]
    name: str
    text: str


def check_command(options: CheckOptions) -> int:
    """Check what was asked for; returns the exit code: 0 when everything needed is there, 2 when something is not.

    Of seeds: 0 when all pass, 1 when one does not.
    """
    if options.as_json and not options.seeds:
        raise click.UsageError("--json goes with --seeds")
    config = options.server.over(options.models.load(options.embedder))
    specs = load_specs(options.task_paths, options.taxonomy_base).specs
    hasty = config.server.model_copy(update={"patience": min(config.server.patience, _PATIENCE)})
    asked = options.server.over(config.model_copy(update={"server": hasty}))
    server, serve = make_server(options.server, asked, complainer(sys.stderr)), partial(vector_server, options.server, asked)
    out = make_console(err=options.as_json, soft_wrap=True)
    check = Check(options, specs, config, server, out, find_weights, serve)
    return check.rate_seeds() if options.seeds else check.run()


class Check:
    """The checks in their order; each prints its line as soon as it is done.

    The first task's prompts are tried; `find` gives the embedding model's files, none when a run would have to fetch them,
    `serve` the server of one that is no model of this machine.
    """

    def __init__(
        self,
        options: CheckOptions,
        specs: Sequence[TaskSpec],
        config: RunConfig,
        server: Server,
        out: Console,
        find: Callable[[str], WeightsFolder | None],
        serve: Serve,
    ) -> None:
        self._options, self._specs, self._config = options, specs, config
        self._server, self._out, self._find, self._serve, self._said = server, out, find, serve, list[str]()

    def run(self) -> int:
        """All checks that can be made; returns the exit code."""
        models = self._models()
        self._embedder()
        if models is not None:
            for said in begun_with_others(self._specs, self._options.output_dir, models):
                self._say(Line("warn", "begun", said))
            about = "window"
            try:
                windows, longest = fit(self._specs, self._config, models)
                for model, need in longest.items():
                    prompt = f"its longest prompt ({need.step} of {need.task.task_name}) may take {need.prompt} tokens"
                    asked = f"{model} is asked with num_ctx {windows[STEPS[need.step].role]}"
                    self._say(Line("ok", "window", f"{asked}: {prompt} and the reply {need.reply}"))
                about = "reply"
                asyncio.run(self._measure(windows, models))
            except (MachineError, Unanswered) as error:
                self._say(Line("FAIL", about, str(error)))
        failed, warned = self._said.count("FAIL"), self._said.count("warn")
        if failed:
            self._out.print(f"\nNot ready, {failed} FAIL above: a run needs what is missing there.")
            return NOT_READY
        self._out.print(f"\nEverything needed is there{f', with {warned} warn above' if warned else ''}.")
        return READY

    def rate_seeds(self) -> int:
        """What the judges say of the seeds, on stdout; returns the exit code."""
        models = self._models()
        if models is None:
            return NOT_READY
        windows, _ = fit(self._specs, self._config, models)
        with self._out.status("asking the judges about the seeds"):
            rated = asyncio.run(self._rated(windows))
        closing = closing_line(rated)
        if self._options.as_json:
            content = {"tasks": [task.as_json() for task in rated], "said": closing}
            echo_json(content)
        else:
            for line in [line for task in rated for line in task.lines()]:
                self._out.print(escape(line))
            self._out.print(f"\n{closing}")
        return READY if all(task.count(True) == len(task.spec.seed_examples) for task in rated) else SEEDS_FAIL

    async def _rated(self, windows: Mapping[Role, int]) -> Sequence[RatedSeeds]:
        try:
            return await rate_seeds(self._specs, self._config, self._server, windows, self._options.server.concurrency)
        finally:
            await self._server.close()

    def _say(self, line: Line) -> None:
        self._said.append(line.state)
        self._out.print(f"{_MARKS[line.state]}  {line.name:<10}  {escape(line.text)}")

    def _models(self) -> Mapping[str, Model] | None:
        """The models by name; None when the host or one of them is not there."""
        try:
            with self._out.status("asking the server what it has"):
                version, models, missing = asyncio.run(survey(self._server, self._config))
            self._say(Line("ok", "host", f"{server_in_words(self._server.kind, version)} answers at {self._server.host}"))
            pulls = isinstance(self._server, OllamaServer)
            if isinstance(self._server, OllamaServer) and missing and self._options.pull:
                for name in missing:
                    self._pull(self._server, name)
                _, models, missing = asyncio.run(survey(self._server, self._config))
        except MachineError as error:
            self._say(Line("FAIL", "host", str(error)))
            return None
        for name, model in models.items():
            known = model.context_length
            size = f"at most {known} tokens" if known else "a size that the server does not tell"
            self._say(Line("ok", "model", f"{name} is {'pulled' if pulls else 'there'}; its window has {size}"))
            for sentence in model.in_words:
                self._say(Line("ok", "server", f"{name}: {sentence}"))
            for sentence in model.warnings:
                self._say(Line("warn", "server", f"{name}: {sentence}"))
        for said in missing.values():
            self._say(Line("FAIL", "model", f"{said} (or add --pull to this command)" if pulls else said))
        return None if missing else models

    def _pull(self, server: OllamaServer, name: str) -> None:
        """Not on the event loop, so that Ctrl-C ends it at once; what was pulled so far stays on the server."""
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        bars: dict[str, TaskID] = {}
        with Progress(TextColumn("{task.description}"), *columns, console=self._out) as progress:
            for doing, done, total in server.pull(name):
                if total:
                    if doing not in bars:
                        bars[doing] = progress.add_task(f"{escape(name)}: {escape(doing)}", total=total)
                    progress.update(bars[doing], completed=done)

    def _embedder(self) -> None:
        try:
            found = asyncio.run(find_vectors(self._config, self._find, self._serve, self._specs))
        except MachineError as error:
            self._say(Line("FAIL", "embedder", str(error)))
            return
        self._say(Line("ok" if found.ready else "warn", "embedder", found.text))
        for said in found.warnings:
            self._say(Line("warn", "embedder", said))
        if warning := foreign_thresholds(self._config, found.weights, decontaminates=True):
            self._say(Line("warn", "embedder", warning))

    async def _measure(self, windows: Mapping[Role, int], models: Mapping[str, Model]) -> None:
        options, config, specs = self._options, self._config, self._specs
        flight = Preflight(specs[0], config, self._server, windows, concurrency=options.server.concurrency)
        trials: list[Trial] = []
        remedies: dict[tuple[str, str], Remedy | None] = {}
        try:
            for step in flight.steps:
                how = config.model_for(STEPS[step].role), config.role(STEPS[step].role).think
                with self._out.status(f"asking for {step}"):
                    trials.append(await flight.attempt(step))
                    if may_help(trials[-1]) and how not in remedies:
                        remedies[how] = await find_remedy(flight, trials[-1], lambda other: fit(specs, other, models)[0])
                self._say(trial_line(trials[-1], remedies.get(how)))
            for state, text in think_lines(config, models, trials):
                self._say(Line(state, "think", text))
            if not all(trial.tries for trial in trials):
                return  # who refuses what is asked cannot be measured
            self._say(estimate_line(trials, windows))
            if any(trial.soft is not None for trial in trials):
                self._say(soft_line(trials))
            with self._out.status("asking for several answers at once"):
                together = await flight.together()
        finally:
            await self._server.close()
        speeds = model_speeds(trials, together)
        for model, speed in speeds.items():
            self._say(speed_line(model, speed))
        costs, per_pair = forecast(specs, config, counted_share(trials), speeds, thoughts_by_role(config, trials))
        seconds = per_pair * options.wanted * len(specs) / max(1.0, together.factor)
        parallel, ours = isinstance(self._server, OllamaServer), isinstance(self._server, LlamaCppServer)
        window = windows["generator"] if parallel else None
        self._say(together_line(together, options.server.concurrency, seconds, window, has_slots=ours))
        self._out.print(costs_table(costs))
        self._say(hours_line(costs, seconds, options.wanted, len(specs)))


def trial_line(trial: Trial, remedy: Remedy | None = None) -> Line:
    """Whether a reply was parsed, and what to do where it was not."""
    name, asked, counts = "text reply" if trial.prose else "JSON reply", f"{trial.step} of {trial.model}", trial.counts
    if trial.fault is not None:
        began = "" if trial.unanswered else f"; the reply begins: {' '.join(trial.raw.split())[:_SHOWN] or 'nothing'}"
        twice, todo = ", twice" if trial.tries > 1 else "", "" if remedy is None else f"; {remedy.in_words()}"
        todo += "" if remedy and remedy.works else f"; take another model, or see `{command()} prompts {trial.step}`"
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
    if together.factor >= _GAIN:
        return Line("ok", "at once", said)
    if together.mean_tokens < _SHORT:
        return Line("warn", "at once", f"{said}, but replies of {together.mean_tokens:.0f} tokens are too short to tell much")
    if has_slots or together.busy >= _GAIN:
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


def costs_table(costs: Sequence[StepCost]) -> Table:
    """Step by step: calls for each accepted pair, tokens of a call."""
    numbers = ("calls per pair", "prompt tokens", "reply tokens")
    table = make_table("step", *numbers, numbers=numbers)
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
        "checks (duplicates, two judges, two tags; for a new text one more) "
        f"lets {PASS_SHARE:.0%} through, and replies are as long as those of the longest seed.{swapping}",
    )
