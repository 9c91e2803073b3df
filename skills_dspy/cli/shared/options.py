"""How an options dataclass becomes the options of a command, and the options that several commands share."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from skills_dspy.base.thinking import Think
from skills_dspy.cli.shared.environment import hidden_at_import

if TYPE_CHECKING:
    from skills_dspy.base.config import RunConfig
    from skills_dspy.commands.api.server import Connection

T = TypeVar("T")
Declaration = Callable[[str, Any], Callable[[Any], Any]]
"""From the name and the type of a field to click's decorator."""

DEFAULT_HOST = "http://127.0.0.1:11434"
SEED = click.IntRange(0, 2**63 - 1)


class _Option(click.Option):
    """An option whose variable is called by its long name; the field's name, of which click makes one, works as well."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """What its variable holds; None for nothing."""
        long = next(flag for flag in self.opts if flag.startswith("--"))
        variable = f"{ctx.auto_envvar_prefix}_{long[2:].replace('-', '_').upper()}"
        return os.environ.get(variable) or super().resolve_envvar_value(ctx)


def option(text: str, *flags: str, **settings: Any) -> Declaration:
    """A field of an options dataclass that is an option with a help text, written as `flags` or else as the field is called.

    `settings` are those of `click.option`, where the field's type does not say them; a default is shown.
    """

    def declare(name: str, kind: Any) -> Callable[[Any], Any]:
        given = {"help": text, "show_default": "default" in settings, "multiple": get_origin(kind) is tuple, **_type_of(kind)}
        return click.option(*(flags or [f"--{name.replace('_', '-')}"]), name, cls=_Option, **{**given, **settings})

    return declare


def argument(**settings: Any) -> Declaration:
    """A field of an options dataclass that is an argument; `settings` are those of `click.argument`."""
    return lambda name, kind: click.argument(name, **_type_of(kind), **settings)


def _type_of(kind: Any) -> dict[str, Any]:
    if kind is bool:
        return {"is_flag": True}
    return {"type": click.Path(path_type=Path)} if Path in (kind, *get_args(kind)) else {}


def takes(kind: type, runs: str) -> Callable[[Callable[[], None]], Callable[..., int]]:
    """Declare the fields of a dataclass as a command's options, in their order.

    A field is `Annotated` with its declaration, or is a dataclass of such fields itself. The command is a name and a help
    text; `runs` is the function below skills_dspy.cli that takes one `kind`, imported when it is called: --help is quick.
    """

    def decorate(command: Callable[[], None]) -> Callable[..., int]:
        @wraps(command)
        def called(**values: Any) -> int:
            with hidden_at_import(os.environ):
                run = resolve_name(f"skills_dspy.cli.{runs}")
            return int(run(_filled(kind, values)))

        for declare in reversed([*_declarations(kind)]):
            called = declare(called)
        return called

    return decorate


def _declarations(kind: type) -> Iterator[Callable[[Any], Any]]:
    for name, hint in _hints(kind).items():
        if isinstance(hint, type):
            yield from _declarations(hint)
        else:
            yield hint.__metadata__[0](name, hint.__origin__)


def _filled(kind: type[T], values: dict[str, Any]) -> T:
    hints = _hints(kind)
    return kind(**{name: _filled(hint, values) if isinstance(hint, type) else values[name] for name, hint in hints.items()})


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _source(name: str) -> ParameterSource | None:
    """Where an option of the command that runs has its value from."""
    typed = click.get_current_context(silent=True)
    return None if typed is None else typed.get_parameter_source(name)


def _said(name: str) -> bool:
    """Whether somebody gave this option a value, by typing it or by its own variable."""
    return _source(name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def _by_other_variable(name: str) -> bool:
    """Whether it has its value from a variable that is not ours, as OLLAMA_HOST."""
    return _source(name) is ParameterSource.DEFAULT_MAP


class Number(click.FloatRange):
    """A number within bounds; click's own range lets `nan` through, with which nothing compares."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        found: float = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value} is not a number.", param, ctx)
        return found


_TAKING_MANY = ("--task-paths", "--decontaminate", "--reviews", "--seeds")


class ManyPaths(click.Command):
    """A command whose `--task-paths`, and other options that name files, take all the words up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give every path an option of its own, which is what click understands."""
        repeated = {flag for param in self.params if getattr(param, "multiple", False) for flag in param.opts}
        spread: list[str] = []
        taking: str | None = None
        for place, arg in enumerate(args):
            if arg.startswith("-"):
                taking = arg if arg in _TAKING_MANY and arg in repeated else None
                if taking is None:
                    spread.append(arg)
                elif not args[place + 1 :] or args[place + 1].startswith("-"):
                    raise click.BadOptionUsage(taking[2:].replace("-", "_"), f"Option '{arg}' requires an argument.", ctx)
            elif taking is not None:
                spread += [taking, arg]
            else:
                spread.append(arg)
        return super().parse_args(ctx, spread)


TaskPaths = Annotated[
    tuple[Path, ...],
    option(
        "Task files, qna.yaml files, or folders of them, such as a taxonomy.  [default: task_specs/ here, "
        "else the shipped debate]",
        metavar="PATH ...",
    ),
]
TaxonomyBase = Annotated[
    str | None,
    option(
        "Only task files of a git checkout that have changed since it branched off REF, uncommitted ones included.",
        metavar="REF",
    ),
]
Config = Annotated[Path | None, option("YAML over the built-in defaults (skills_dspy/skills.yaml).")]
EmbedderName = Annotated[
    str | None,
    option(
        "A sentence-transformers model, name or path; ollama:NAME or openai:NAME is the server's.  [default: all-MiniLM-L6-v2]"
    ),
]
LocalEmbedderName = Annotated[str | None, option("A sentence-transformers model: name or path.  [default: all-MiniLM-L6-v2]")]
Program = Annotated[Path | None, option("Prompts that `optimize` has compiled.", metavar="FILE")]
Cases = Annotated[
    tuple[Path, ...],
    option("Labelled cases: files or folders, once for each.  [default: those of evals/cases]", metavar="PATH"),
]
Reviews = Annotated[
    tuple[Path, ...],
    option("Runs that a person has looked at with `review`, or folders of runs.  [default: none]", metavar="RUN ..."),
]
Seed = Annotated[int, option("Decides splits, samples and choices.", type=SEED, default=0)]
Markdown = Annotated[Path | None, option("Write the tables here as well.", metavar="FILE")]
Note = Annotated[str | None, option("What answers, in words, in place of the server's name (for recordings).", hidden=True)]
Quiet = Annotated[bool, option("No progress.")]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The settings, and the models in place of theirs."""

    config: Config
    model: Annotated[str | None, option("The server's name of the teacher.  [default: mistral-small3.2]")]
    judge_model: Annotated[str | None, option("The judge's.  [default: follows --model]")]
    tagger_model: Annotated[str | None, option("The tagger's.  [default: follows --model]")]
    think: Annotated[
        str | None,
        option(
            "Whether all models think first, or how much: off, on, low, medium, high, or unset (not said).  [default: off]",
            type=click.Choice(get_args(Think), case_sensitive=False),
            metavar="HOW",
        ),
    ] = None

    def load(self, embedder: str | None = None) -> "RunConfig":
        """The settings with everything that was given; ConfigError when the file or a setting is at fault."""
        from skills_dspy.base.config import load_config

        return load_config(self.config, self.named(embedder), self.think)

    def named(self, embedder: str | None = None) -> dict[str, str | None]:
        """Section of the settings to the model that was given for it, None where none was."""
        return {"generator": self.model, "validator": self.judge_model, "tagger": self.tagger_model, "embedder": embedder}


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The host, what it speaks, and how much is asked of it at once."""

    api: Annotated[
        str | None,
        option(
            "What the server speaks: Ollama's own API or OpenAI's.  [default: ollama]", type=click.Choice(["ollama", "openai"])
        ),
    ]
    base_url: Annotated[
        tuple[str, ...],
        option(
            "The server's address; several as URL,URL, with *N for the slots of one, of a role as judge=URL.",
            default=(DEFAULT_HOST,),
            show_default=f"OLLAMA_HOST, else {DEFAULT_HOST}",
            metavar="[ROLE=]URL[*N],...",
        ),
    ]
    concurrency: Annotated[int, option("Requests in flight at each host.", type=click.IntRange(1, 1024), default=8)]
    llamacpp: Annotated[
        Path | None,
        option(
            "Instead of a server: a model file, with which the program starts llama.cpp (pip install 'skills-dspy[llamacpp]').",
            metavar="MODEL.gguf",
        ),
    ] = None

    @property
    def connection(self) -> "Connection":
        """Where models answer; without an address where only OLLAMA_HOST or nothing says one, and so for a model file."""
        from skills_dspy.commands.api.server import Connection

        usual = _by_other_variable("base_url") or (self.llamacpp is not None and not _said("base_url"))
        told, at_hand = ((), self.base_url[0]) if usual else (self.base_url, "")
        return Connection(self.api, told, self.concurrency, self.llamacpp, at_hand)

    def over(self, config: "RunConfig") -> "RunConfig":
        """The settings with what the command line says of the server; RequestError as `Connection.over` has it."""
        typed = click.get_current_context(silent=True)
        return self.connection.over(config, None if typed is None else typed.params.get("model"))


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What the commands of the evaluations that ask models have in common."""

    models: ModelOptions
    server: ServerOptions
    seed: Seed
    output_dir: Annotated[Path, option("Where evaluations keep their journal and their reports.", default=Path("output-evals"))]
    replay: Annotated[
        Path | None, option("Answer every model call from the --output-dir of an earlier evaluation.", metavar="DIR")
    ]
