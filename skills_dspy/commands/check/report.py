"""What is asked of a check, what it has found, and who hears of it."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skills_dspy.base.config import RunConfig
from skills_dspy.commands.check.forecast import StepCost
from skills_dspy.commands.check.hosts import HostSpeed
from skills_dspy.commands.check.lines import Line
from skills_dspy.tasks.spec import TaskSpec


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
        hosts: the speed of each of several hosts.
    """

    lines: tuple[Line, ...]
    costs: tuple[StepCost, ...] = ()
    seconds: float | None = None
    hosts: tuple[HostSpeed, ...] = ()

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
        found = {"ready": self.ready, "lines": [line._asdict() for line in self.lines], "costs": costs, "seconds": self.seconds}
        return found | ({"hosts": [host.as_json() for host in self.hosts]} if self.hosts else {})


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
