"""`check`: tries everything that a run needs, a line for each as it is done, and an exit code."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from skills_dspy.base.config import ROLES, Role, RunConfig
from skills_dspy.base.errors import EmbedderMissing, MachineError
from skills_dspy.cli.arguments import CheckOptions
from skills_dspy.cli.check_lines import (
    Line,
    costs_table,
    embedder_line,
    estimate_line,
    hours_line,
    model_line,
    speed_line,
    together_line,
    trial_line,
    window_line,
)
from skills_dspy.cli.run import load_specs
from skills_dspy.commands.check.forecast import mean_costs, seconds_per_pair, step_costs
from skills_dspy.commands.check.measure import Preflight, Server, Survey, find_weights, survey
from skills_dspy.commands.check.sample_prompts import prompt_estimates
from skills_dspy.commands.check.speed import Trial, counted_share, model_speeds
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.context_window import choose_windows, needs
from skills_dspy.model.embedding.weights import Found
from skills_dspy.model.ollama import Model, OllamaServer, model_missing
from skills_dspy.model.program import STEPS, SkillsProgram
from skills_dspy.tasks.spec import TaskSpec

READY, NOT_READY = 0, 2
_PATIENCE = 15.0
"""Seconds that a broken server is tried again: somebody sits in front of a check."""
_MARKS = {"ok": "[green]ok[/green]  ", "warn": "[yellow]warn[/yellow]", "FAIL": "[red]FAIL[/red]"}


def check_command(options: CheckOptions) -> int:
    """Check what was asked for; returns the exit code: 0 when everything needed is there, 2 when something is not."""
    config = options.models.load(options.embedder)
    specs = load_specs(options.task_paths, options.taxonomy_base).specs
    hasty = config.server.model_copy(update={"patience": min(config.server.patience, _PATIENCE)})
    server = OllamaServer(options.server.base_url, hasty, concurrency=options.server.concurrency)
    return Check(options, specs, config, server, Console(highlight=False, soft_wrap=True), find_weights).run()


class Check:
    """The checks in their order; each prints its line as soon as it is done.

    Args:
        options: what was asked for.
        specs: the tasks, at least one; the first one's prompts are tried.
        config: the run's.
        server: the host.
        out: where the lines go.
        find: finds the embedding model's files; none when a run would have to fetch them.
    """

    def __init__(
        self,
        options: CheckOptions,
        specs: Sequence[TaskSpec],
        config: RunConfig,
        server: Server,
        out: Console,
        find: Callable[[str], Found | None],
    ) -> None:
        self._options = options
        self._specs = specs
        self._config = config
        self._server = server
        self._out = out
        self._find = find
        self._said: list[str] = []

    def run(self) -> int:
        """All checks that can be made; returns the exit code."""
        models = self._models()
        self._embedder()
        windows = None if models is None else self._windows(models)
        if windows is not None:
            try:
                asyncio.run(self._measure(windows))
            except MachineError as error:
                self._say(Line("FAIL", "reply", str(error)))
        failed, warned = self._said.count("FAIL"), self._said.count("warn")
        if failed:
            self._out.print(f"\nNot ready, {failed} FAIL above: a run needs what is missing there.")
            return NOT_READY
        self._out.print(f"\nEverything needed is there{f', with {warned} warn above' if warned else ''}.")
        return READY

    def _say(self, line: Line) -> None:
        self._said.append(line.state)
        self._out.print(f"{_MARKS[line.state]}  {line.name:<10}  {escape(line.text)}")

    def _models(self) -> Mapping[str, Model] | None:
        """The models by name; None when the host or one of them is not there."""
        try:
            found = asyncio.run(self._survey())
            self._say(Line("ok", "host", f"Ollama {found.version} answers at {self._server.host}"))
            if found.missing and self._options.pull:
                for name in found.missing:
                    self._pull(name)
                found = asyncio.run(self._survey())
        except MachineError as error:
            self._say(Line("FAIL", "host", str(error)))
            return None
        for name, model in found.models.items():
            self._say(model_line(name, model))
        for name in found.missing:
            self._say(Line("FAIL", "model", f"{model_missing(name)} (or add --pull to this command)"))
        return None if found.missing else found.models

    async def _survey(self) -> Survey:
        try:
            return await survey(self._server, self._config)
        finally:
            await self._server.close()

    def _pull(self, name: str) -> None:
        """Not on the event loop, so that Ctrl-C ends it at once; what was pulled so far stays on the server."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        bars: dict[str, TaskID] = {}
        with Progress(*columns, console=self._out) as progress:
            for doing, done, total in self._server.pull(name):
                if total:
                    if doing not in bars:
                        bars[doing] = progress.add_task(f"{escape(name)}: {escape(doing)}", total=total)
                    progress.update(bars[doing], completed=done)

    def _embedder(self) -> None:
        name = self._config.embedder.model
        try:
            self._say(embedder_line(name, self._find(name)))
        except EmbedderMissing as error:
            self._say(Line("FAIL", "embedder", str(error)))

    def _windows(self, models: Mapping[str, Model]) -> dict[Role, int] | None:
        """Each role's window; None when a prompt does not fit."""
        config, adapter = self._config, SkillsAdapter()
        wanted = [
            needs(spec, config, SkillsProgram(spec.num_questions_to_generate_per_prompt), adapter) for spec in self._specs
        ]
        try:
            windows = choose_windows(wanted, config, {name: model.context_length for name, model in models.items()})
        except MachineError as error:
            self._say(Line("FAIL", "window", str(error)))
            return None
        for name in models:
            roles = [role for role in ROLES if config.model_for(role) == name]
            asked = [need for steps in wanted for need in steps.values() if STEPS[need.step].role in roles]
            self._say(window_line(name, max(asked, key=lambda need: need.total), windows[roles[0]]))
        return windows

    async def _measure(self, windows: Mapping[Role, int]) -> None:
        options, config, specs = self._options, self._config, self._specs
        flight = Preflight(specs[0], config, self._server, windows, concurrency=options.server.concurrency)
        trials: list[Trial] = []
        try:
            for step in flight.steps:
                with self._out.status(f"asking for {step}"):
                    trials.append(await flight.attempt(step))
                self._say(trial_line(trials[-1]))
            with self._out.status("asking for several answers at once"):
                together = await flight.together()
        finally:
            await self._server.close()
        self._say(estimate_line(trials, windows))
        speeds = model_speeds(trials, together)
        for model, speed in speeds.items():
            self._say(speed_line(model, speed))
        ratio = counted_share(trials)
        costs = [cost for spec in specs for cost in step_costs(spec, config, prompt_estimates(spec, config), ratio)]
        means = mean_costs(costs, len(specs))
        seconds = seconds_per_pair(means, speeds) * options.wanted * len(specs) / max(1.0, together.factor)
        self._say(together_line(together, options.server.concurrency, seconds, windows["generator"]))
        self._out.print(costs_table(means))
        self._say(hours_line(means, seconds, options.wanted, len(specs)))
