"""The checks of `check` in their order; a hearer is told each thing as soon as it is known."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from skills_dspy.base.config import Role
from skills_dspy.base.errors import MachineError, RequestError, Unanswered
from skills_dspy.commands.check.begun import begun_with_others
from skills_dspy.commands.check.forecast import StepCost, forecast
from skills_dspy.commands.check.hosts import (
    CheckedHost,
    HostSpeed,
    found_lines,
    look,
    measure_hosts,
    same_models,
    seconds_of,
    speed_lines,
)
from skills_dspy.commands.check.lines import (
    Line,
    estimate_line,
    hours_line,
    soft_line,
    speed_line,
    think_lines,
    together_line,
    trial_line,
)
from skills_dspy.commands.check.measure import Preflight, asked_as, fit, survey
from skills_dspy.commands.check.memory import memory_line, swaps_of
from skills_dspy.commands.check.report import CheckReport, CheckRequest, Hearer
from skills_dspy.commands.check.seeds import RatedSeeds, rate_seeds
from skills_dspy.commands.check.speed import Together, Trial, counted_share, model_speeds
from skills_dspy.commands.check.thinking import Remedy, find_remedy, may_help, thoughts_by_role
from skills_dspy.commands.check.vectors import find_vectors
from skills_dspy.model.embedders import Serve, foreign_thresholds
from skills_dspy.model.embedding.weights import WeightsFolder
from skills_dspy.model.server.llamacpp import LlamaCppServer
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.server import Model, Server
from skills_dspy.model.steps import STEPS
from skills_dspy.store.run_json import server_in_words

T = TypeVar("T")


class Drive(Protocol):
    """`asyncio.run`, or what does the same."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> T:
        """What it gives."""


class Checks:
    """The checks in their order; each tells its line as soon as it is done.

    `server` is who answers a run; `hosts` are its parts where there are several, which are measured one by one.
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
        hosts: Sequence[CheckedHost] = (),
        drive: Drive = asyncio.run,
    ) -> None:
        self._hosts, self._speeds = hosts, list[HostSpeed]()
        self._concurrency = sum(host.slots for host in hosts) or request.concurrency
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
        return CheckReport(tuple(self._said), self._costs, self._seconds, tuple(self._speeds))

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
            return await rate_seeds(self._specs, self._config, self._server, windows, self._concurrency)
        finally:
            await self._server.close()

    def _say(self, line: Line) -> None:
        self._said.append(line)
        self._hearer.said(line)

    def _models(self) -> Mapping[str, Model] | None:
        """The models by name; None when the host or one of them is not there."""
        if self._hosts:
            return self._models_of_hosts()
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

    def _models_of_hosts(self) -> Mapping[str, Model] | None:
        """The models by name, as all hosts that answer have them; None where one is not there."""
        try:
            with self._hearer.doing("asking the hosts what they have"):
                found = self._drive(look(self._hosts, self._config))
            if self._request.pull and any(one.missing for one in found):
                for server, name in ((one.host.server, name) for one in found for name in one.missing):
                    if isinstance(server, OllamaServer):
                        self._hearer.pulling(f"{name} at {server.host}", server.pull(name))
                found = self._drive(look(self._hosts, self._config))
            for line in found_lines(found):
                self._say(line)
            self._hosts = [one.host for one in found if one.error is None]
            return None if any(line.state == "FAIL" for line in self._said) else same_models(found)
        except (MachineError, RequestError) as error:
            self._say(Line("FAIL", "model", str(error)))
            return None

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
        flight = Preflight(self._specs[0], self._config, self._server, windows, concurrency=self._request.concurrency)
        try:
            if self._hosts:
                await self._server.version()  # who does not answer is left alone
            trials = await self._tried(flight, models)
            if not all(trial.tries for trial in trials):
                return  # who refuses what is asked cannot be measured
            self._say(estimate_line(trials, windows))
            if any(trial.soft is not None for trial in trials):
                self._say(soft_line(trials))
            with self._hearer.doing("asking for several answers at once"):
                together = await self._timed(flight)
                loaded = await self._server.loaded() if len(models) > 1 and not self._hosts else None
        finally:
            await self._server.close()
        if together is not None:
            self._foresee(trials, together, loaded, windows)

    async def _tried(self, flight: Preflight, models: Mapping[str, Model]) -> list[Trial]:
        """A real prompt of each sort, and what became of it."""
        trials: list[Trial] = []
        remedies: dict[tuple[str, str], Remedy | None] = {}
        for step in flight.steps:
            how = asked_as(self._config, STEPS[step].role)
            with self._hearer.doing(f"asking for {step}"):
                trials.append(await flight.attempt(step))
                if may_help(trials[-1]) and how not in remedies:
                    remedies[how] = await find_remedy(flight, trials[-1], lambda other: fit(self._specs, other, models)[0])
            self._say(trial_line(trials[-1], remedies.get(how), self._request.command))
        for line in think_lines(self._config, models, trials):
            self._say(line)
        return trials

    async def _timed(self, flight: Preflight) -> Together | None:
        """The teacher's speed, of several hosts at the first that has it; None where none of these could be measured."""
        if not self._hosts:
            return await flight.together()
        found = await measure_hosts(self._hosts, flight)
        for line in (one for one in found if isinstance(one, Line)):
            self._say(line)
        self._speeds = [one for one in found if isinstance(one, HostSpeed)]
        return next((one.together for one in self._speeds if one.model == self._config.generator.model), None)

    def _foresee(
        self, trials: Sequence[Trial], together: Together, loaded: Sequence[str] | None, windows: Mapping[Role, int]
    ) -> None:
        """Say what the measured speeds come to, for a run."""
        config, specs, pairs = self._config, self._specs, self._request.wanted * len(self._specs)
        speeds = model_speeds(trials, together)
        for model, speed in speeds.items():
            self._say(speed_line(model, speed))
        costs, per_pair = forecast(specs, config, counted_share(trials), speeds, thoughts_by_role(config, trials))
        if self._hosts:
            seconds = pairs * seconds_of(costs, speeds, self._speeds)
            said = list(speed_lines(self._speeds))
        else:
            seconds = pairs * per_pair / max(1.0, together.factor)
            parallel, ours = isinstance(self._server, OllamaServer), isinstance(self._server, LlamaCppServer)
            window = windows["generator"] if parallel else None
            said = [together_line(together, self._request.concurrency, seconds, window, has_slots=ours)]
        self._costs, self._seconds = tuple(costs), seconds
        loads = {model: max(t.counts.load_seconds for t in trials if t.model == model) for model in speeds}
        for line in (*said, *self._memory(loads, loaded)):
            self._say(line)
        self._hearer.costs(costs)
        self._say(hours_line(costs, seconds, self._request.wanted, len(specs)))

    def _memory(self, loads: Mapping[str, float], loaded: Sequence[str] | None) -> Iterator[Line]:
        """Whether the models of each host fit into its memory."""
        swaps = swaps_of(
            self._specs, self._config, self._costs, self._request.wanted, self._concurrency, max(1, len(self._speeds))
        )
        lines = [memory_line(one.loads, one.loaded, swaps, one.host.name) for one in self._speeds]
        yield from filter(None, lines or [memory_line(loads, loaded, swaps, "the server")])
