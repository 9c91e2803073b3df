"""The checks of `check` in their order, and what they found; a hearer is told each thing as soon as it is known."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from skills_dspy.base.config import Role, RunConfig
from skills_dspy.base.errors import MachineError, Unanswered
from skills_dspy.commands.check.begun import begun_with_others
from skills_dspy.commands.check.forecast import StepCost, forecast
from skills_dspy.commands.check.lines import (
    Line,
    estimate_line,
    hours_line,
    soft_line,
    speed_line,
    together_line,
    trial_line,
)
from skills_dspy.commands.check.measure import Preflight, fit, survey
from skills_dspy.commands.check.seeds import RatedSeeds, rate_seeds
from skills_dspy.commands.check.speed import Trial, counted_share, model_speeds
from skills_dspy.commands.check.thinking import Remedy, find_remedy, may_help, think_lines, thoughts_by_role
from skills_dspy.commands.check.vectors import find_vectors
from skills_dspy.model.embedders import Serve, foreign_thresholds
from skills_dspy.model.embedding.weights import WeightsFolder
from skills_dspy.model.server.llamacpp import LlamaCppServer
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.server import Model, Server
from skills_dspy.model.steps import STEPS
from skills_dspy.store.run_json import server_in_words
from skills_dspy.tasks.spec import TaskSpec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What is to be checked, for a run that would be asked for in the same way.

    Attributes:
        specs: the tasks, one at least; the first one's prompts are tried.
        wanted: accepted pairs for each task.
        concurrency: requests in flight.
        output_dir: where the run will go; what was begun there is looked at.
        pull: fetch the models that an Ollama lacks.
        command: how the program is started, for commands that are proposed.
    """

    specs: Sequence[TaskSpec]
    config: RunConfig
    wanted: int = 20
    concurrency: int = 8
    output_dir: Path = Path("output")
    pull: bool = False
    command: str = "python -m skills_dspy"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found.

    Attributes:
        lines: one for each thing, `ok`, `warn` or `FAIL`, with its name and what was found.
        costs: of each step: calls for an accepted pair, tokens of a call; empty where that could not be measured.
        seconds: how long the run would take; None where that could not be measured.
    """

    lines: tuple[Line, ...]
    costs: tuple[StepCost, ...] = ()
    seconds: float | None = None

    @property
    def ready(self) -> bool:
        """Whether everything needed is there."""
        return not self.count("FAIL")

    def count(self, state: str) -> int:
        """How many lines are of this state."""
        return sum(line.state == state for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """All of it, for a program."""
        costs = [
            {
                "step": cost.step,
                "model": cost.model,
                "calls": cost.calls,
                "prompt_tokens": cost.prompt,
                "output_tokens": cost.output,
            }
            for cost in self.costs
        ]
        return {"ready": self.ready, "lines": [line._asdict() for line in self.lines], "costs": costs, "seconds": self.seconds}


class Hearer:
    """Is told what is found and what is being done; a display overrides the methods."""

    def said(self, line: Line) -> None:
        """Something was found."""

    def costs(self, costs: Sequence[StepCost]) -> None:
        """The forecast, step by step."""

    def doing(self, text: str) -> AbstractContextManager[object]:  # noqa: ARG002 - for who shows it
        """Something begins that takes its time, and ends with the block."""
        return nullcontext()

    def pulling(self, name: str, done: Iterable[tuple[str, int, int]]) -> None:  # noqa: ARG002 - for who shows it
        """A model is being fetched as long as this goes through what is done: of what, bytes, and of how many."""
        for _ in done:
            pass


class Drive(Protocol):
    """`asyncio.run`, or what does the same."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> T:
        """What it gives."""


class Checks:
    """The checks in their order; each tells its line as soon as it is done.

    `find` gives the embedding model's files, none when a run would have to fetch them,
    `serve` the server of one that is no model of this machine, `drive` runs what is asked to its end.
    """

    def __init__(
        self,
        request: CheckRequest,
        server: Server,
        hearer: Hearer,
        find: Callable[[str], WeightsFolder | None],
        serve: Serve,
        drive: Drive = asyncio.run,
    ) -> None:
        self._request, self._specs, self._config = request, request.specs, request.config
        self._server, self._hearer, self._find, self._serve, self._drive = server, hearer, find, serve, drive
        self._said: list[Line] = []
        self._costs: tuple[StepCost, ...] = ()
        self._seconds: float | None = None

    def run(self) -> CheckReport:
        """All checks that can be made. Blocking: it asks on event loops of its own."""
        models = self._models()
        self._embedder()
        if models is not None:
            for said in begun_with_others(self._specs, self._request.output_dir, models):
                self._say(Line("warn", "begun", said))
            about = "window"
            try:
                windows, longest = fit(self._specs, self._config, models)
                for model, need in longest.items():
                    prompt = f"its longest prompt ({need.step} of {need.task.task_name}) may take {need.prompt} tokens"
                    asked = f"{model} is asked with num_ctx {windows[STEPS[need.step].role]}"
                    self._say(Line("ok", "window", f"{asked}: {prompt} and the reply {need.reply}"))
                about = "reply"
                self._drive(self._measure(windows, models))
            except (MachineError, Unanswered) as error:
                self._say(Line("FAIL", about, str(error)))
        return CheckReport(tuple(self._said), self._costs, self._seconds)

    def rate_seeds(self) -> Sequence[RatedSeeds] | CheckReport:
        """What the judges say of the seeds; what was found where the host or a model is not there. Blocking, as `run` is."""
        models = self._models()
        if models is None:
            return CheckReport(tuple(self._said))
        windows, _ = fit(self._specs, self._config, models)
        with self._hearer.doing("asking the judges about the seeds"):
            return self._drive(self._rated(windows))

    async def _rated(self, windows: Mapping[Role, int]) -> Sequence[RatedSeeds]:
        try:
            return await rate_seeds(self._specs, self._config, self._server, windows, self._request.concurrency)
        finally:
            await self._server.close()

    def _say(self, line: Line) -> None:
        self._said.append(line)
        self._hearer.said(line)

    def _models(self) -> Mapping[str, Model] | None:
        """The models by name; None when the host or one of them is not there."""
        try:
            with self._hearer.doing("asking the server what it has"):
                version, models, missing = self._drive(survey(self._server, self._config))
            self._say(Line("ok", "host", f"{server_in_words(self._server.kind, version)} answers at {self._server.host}"))
            pulls = isinstance(self._server, OllamaServer)
            if isinstance(self._server, OllamaServer) and missing and self._request.pull:
                for name in missing:
                    # Not on the event loop, so that Ctrl-C ends it at once; what was pulled so far stays on the server.
                    self._hearer.pulling(name, self._server.pull(name))
                _, models, missing = self._drive(survey(self._server, self._config))
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

    def _embedder(self) -> None:
        try:
            found = self._drive(find_vectors(self._config, self._find, self._serve, self._specs))
        except MachineError as error:
            self._say(Line("FAIL", "embedder", str(error)))
            return
        self._say(Line("ok" if found.ready else "warn", "embedder", found.text))
        for said in found.warnings:
            self._say(Line("warn", "embedder", said))
        if warning := foreign_thresholds(self._config, found.weights, decontaminates=True):
            self._say(Line("warn", "embedder", warning))

    async def _measure(self, windows: Mapping[Role, int], models: Mapping[str, Model]) -> None:
        config, specs = self._config, self._specs
        flight = Preflight(specs[0], config, self._server, windows, concurrency=self._request.concurrency)
        trials: list[Trial] = []
        remedies: dict[tuple[str, str], Remedy | None] = {}
        try:
            for step in flight.steps:
                how = config.model_for(STEPS[step].role), config.role(STEPS[step].role).think
                with self._hearer.doing(f"asking for {step}"):
                    trials.append(await flight.attempt(step))
                    if may_help(trials[-1]) and how not in remedies:
                        remedies[how] = await find_remedy(flight, trials[-1], lambda other: fit(specs, other, models)[0])
                self._say(trial_line(trials[-1], remedies.get(how), self._request.command))
            for state, text in think_lines(config, models, trials):
                self._say(Line(state, "think", text))
            if not all(trial.tries for trial in trials):
                return  # who refuses what is asked cannot be measured
            self._say(estimate_line(trials, windows))
            if any(trial.soft is not None for trial in trials):
                self._say(soft_line(trials))
            with self._hearer.doing("asking for several answers at once"):
                together = await flight.together()
        finally:
            await self._server.close()
        speeds = model_speeds(trials, together)
        for model, speed in speeds.items():
            self._say(speed_line(model, speed))
        costs, per_pair = forecast(specs, config, counted_share(trials), speeds, thoughts_by_role(config, trials))
        seconds = per_pair * self._request.wanted * len(specs) / max(1.0, together.factor)
        parallel, ours = isinstance(self._server, OllamaServer), isinstance(self._server, LlamaCppServer)
        window = windows["generator"] if parallel else None
        self._say(together_line(together, self._request.concurrency, seconds, window, has_slots=ours))
        self._costs, self._seconds = tuple(costs), seconds
        self._hearer.costs(costs)
        self._say(hours_line(costs, seconds, self._request.wanted, len(specs)))
