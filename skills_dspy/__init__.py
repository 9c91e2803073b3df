"""Turn a few seed examples of a skill into validated training data with a local teacher model.

From Python: `from skills_dspy import run, check, export, load_run`, and `arun`, `acheck`, `aexport` for event loops. What they
need is imported when one is first asked for.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from skills_dspy.base.errors import SkillsError
    from skills_dspy.commands.api.check import CheckReport, acheck, check
    from skills_dspy.commands.api.export import Exported, aexport, export
    from skills_dspy.commands.api.loaded import Run, load_run
    from skills_dspy.commands.api.run import arun, run

_PLACES = {
    "SkillsError": "base.errors",
    **dict.fromkeys(("CheckReport", "acheck", "check"), "commands.api.check"),
    **dict.fromkeys(("Exported", "aexport", "export"), "commands.api.export"),
    **dict.fromkeys(("Run", "load_run"), "commands.api.loaded"),
    **dict.fromkeys(("arun", "run"), "commands.api.run"),
}

__all__ = [
    "CheckReport",
    "Exported",
    "Run",
    "SkillsError",
    "acheck",
    "aexport",
    "arun",
    "check",
    "export",
    "load_run",
    "run",
]


class _Package(ModuleType):
    """This package, in which `run` is the function: Python would put the folder of that name in its place, once imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import logging
    import os
    from importlib import import_module

    from skills_dspy.cli.shared.environment import hidden_at_import

    logging.getLogger(__name__).addHandler(logging.NullHandler())  # what is logged is printed only where somebody wants it
    with hidden_at_import(os.environ):
        found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    setattr(sys.modules[__name__], name, found)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


sys.modules[__name__].__class__ = _Package
