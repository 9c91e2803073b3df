"""The setting with which a model works that thinks before it answers, and what its thoughts take."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from skills_dspy.base.config import ROLES, Role, RunConfig
from skills_dspy.base.errors import MachineError
from skills_dspy.base.thinking import Think
from skills_dspy.commands.check.measure import Preflight, asked_as
from skills_dspy.commands.check.speed import Trial
from skills_dspy.model.steps import STEPS

_OTHERS: tuple[Think, ...] = ("off", "unset", "on", "low")
"""The settings that are tried in place of one that does not work, in this order."""
_MORE = 4
"""So many times the room is tried where thoughts take all of it."""

ThinkSettings = Mapping[str, Any]
"""`think`, and `think_room` where that is to change."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What was tried in place of a setting that fails, for these roles, and the one of it that works, if any does."""

    roles: tuple[Role, ...]
    tried: tuple[ThinkSettings, ...]
    works: ThinkSettings | None

    def in_words(self) -> str:
        """What to do about it, or what does not help."""
        if self.works is None:
            tried = dict.fromkeys(str(settings["think"]) for settings in self.tried)
            return f"nor with `think` {_listed([*tried], 'or')}"
        typed = f" (or give --think {self.works['think']})" if self.roles == ROLES and len(self.works) == 1 else ""
        where = f"{_listed(self.roles, 'and')} in the configuration{typed}"
        return f"with {_written(self.works)} it can be read: set that for {where}"


def _listed(words: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _written(settings: ThinkSettings) -> str:
    return f"`{', '.join(f'{name}: {value}' for name, value in settings.items())}`"


def may_help(trial: Trial) -> bool:
    """Whether another setting may help a trial that failed: not where a text without thoughts is only too long."""
    return trial.fault is not None and not trial.unanswered and (not trial.cut or bool(trial.thoughts) or not trial.raw.strip())


async def find_remedy(flight: Preflight, trial: Trial, windows: Callable[[RunConfig], Mapping[Role, int]]) -> Remedy | None:
    """Try what a role whose trial failed asks for, and all others that ask the same model so, with other settings.

    `windows` gives each role's num_ctx for other settings, or raises a MachineError where they do not fit; None if none does.
    """
    config = flight.config
    own = STEPS[trial.step].role
    roles = tuple(role for role in ROLES if asked_as(config, role) == asked_as(config, own))
    others: list[ThinkSettings] = [{"think": think} for think in _OTHERS if think != config.role(own).think]
    if trial.cut and config.role(own).thoughts:
        others.insert(0, {"think": config.role(own).think, "think_room": _MORE * config.role(own).thoughts})
    steps = [step for step in flight.steps if STEPS[step].role in roles]
    tried: list[ThinkSettings] = []
    for settings in others:
        changed: dict[str, Any] = {role: config.role(role).model_copy(update=dict(settings)) for role in roles}
        other = config.model_copy(update=changed)
        try:
            again = flight.changed(other, windows(other))
        except MachineError:
            continue
        tried.append(settings)
        if all([(await again.attempt(step)).fault is None for step in steps]):
            return Remedy(roles, tuple(tried), settings)
    return Remedy(roles, tuple(tried), None) if tried else None


def thoughts_by_role(config: RunConfig, trials: Sequence[Trial]) -> dict[Role, float]:
    """The tokens of thoughts that a reply to each role has on average, as far as it was tried."""
    found: dict[Role, float] = {}
    for role in ROLES:
        own = [trial.thoughts for trial in trials if asked_as(config, STEPS[trial.step].role) == asked_as(config, role)]
        found[role] = fmean(own) if own else 0.0
    return found
