"""How an options dataclass becomes the options of a command."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click
import pytest
from click.testing import CliRunner

from skills_dspy.cli.main import PREFIX, cli
from skills_dspy.cli.shared.options import argument, option, takes


@dataclass(frozen=True, slots=True)
class Inner:
    """A group that several commands share."""

    least: Annotated[float | None, option("The least.", type=float)]
    paths: Annotated[tuple[Path, ...], option("Paths.", "--path")]


@dataclass(frozen=True, slots=True)
class Outer:
    """All that a command takes."""

    name: Annotated[str, argument()]
    inner: Inner
    count: Annotated[int, option("How many.", default=3)]
    dry_run: Annotated[bool, option("Do nothing.")]


def test_a_command_gets_one_object_with_its_groups_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags, repetition and paths follow from the types, names from the fields; a negative number is a value."""
    given: list[Outer] = []

    def note(options: Outer) -> int:
        given.append(options)
        return 0

    @click.command()
    @takes(Outer, "run.run_command")
    def command() -> None:
        """A command."""

    monkeypatch.setattr("skills_dspy.cli.run.run_command", note)
    CliRunner().invoke(command, ["x", "--least", "-1", "--path", "a", "--path", "b", "--dry-run"], catch_exceptions=False)
    assert given == [Outer("x", Inner(-1.0, (Path("a"), Path("b"))), 3, True)]
    assert [param.name for param in command.params] == ["name", "least", "paths", "count", "dry_run"]


def _commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        below = f"{prefix}_{name}".upper().replace("-", "_")
        yield from _commands(command, below) if isinstance(command, click.Group) else [(below, command)]


OWN = [
    (prefix, command, param)
    for prefix, command in _commands(cli, PREFIX)
    for param in command.params
    if isinstance(param, click.Option) and param.expose_value
]


@pytest.mark.parametrize("named", ["long", "field"])
def test_each_option_of_each_command_is_set_by_a_variable(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """By its long name, as the docs say, and by what it was called before: `..._WANTED`, `..._AS_JSON`, `..._LAYOUT`."""
    assert len(OWN) > 100
    for prefix, command, param in OWN:
        long = next(flag for flag in param.opts if flag.startswith("--"))[2:].replace("-", "_")
        variable = f"{prefix}_{long if named == 'long' else param.name}".upper()
        with monkeypatch.context() as patch, click.Context(command, auto_envvar_prefix=prefix) as context:
            patch.setenv(variable, "1")
            assert param.value_from_envvar(context) in ("1", ["1"]), variable
