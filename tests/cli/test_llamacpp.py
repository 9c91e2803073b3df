"""The command line with a model file in the place of a server: what is refused, and what is made of it. Real: tests/live."""

from pathlib import Path

import click
import pytest

from skills_dspy.cli.shared.options import ServerOptions
from skills_dspy.model.server.llamacpp import LlamaCppServer
from tests.helpers.fake_server import FakeServer
from tests.helpers.making import a_config
from tests.helpers.terminal import Terminal

COMMANDS = (("run",), ("check",), ("eval", "judges"), ("optimize", "judges", "--optimizer", "bootstrap", "--out", "x.json"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What begins like a model file."""
    path = tmp_path / "fox-1b.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + bytes(16))
    return path


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in answers in the place of llama.cpp."""
    monkeypatch.setattr("skills_dspy.commands.api.server.LlamaCppServer", lambda *_, **__: FakeServer())


def said(terminal: Terminal, *words: object) -> str:
    """The one sentence with which a command is refused."""
    done = terminal.type(*words)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    return line


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("other", [("--base-url", "http://127.0.0.1:11434"), ("--api", "ollama")], ids=lambda other: other[0])
def test_a_model_file_and_a_server_are_one_too_many(
    terminal: Terminal, model: Path, command: tuple[str, ...], other: tuple[str, str]
) -> None:
    """For every command that asks a model, also where the address is the usual one."""
    line = said(terminal, *command, "--task-paths", terminal.task(), "--llamacpp", model, *other)
    assert line == f"error: --llamacpp starts a server of its own, and {other[0]} is about another; leave out one of the two"


def test_an_address_in_the_environment_is_no_second_server(
    terminal: Terminal, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OLLAMA_HOST is set for good on some machines, and nobody has asked for that server here."""
    monkeypatch.setenv("OLLAMA_HOST", "http://elsewhere:11434")
    line = said(terminal, "run", "--task-paths", terminal.task(), "--llamacpp", model, "--judge-model", "jay")
    assert "is one file, and so one model, fox-1b, but jay is wanted too" in line


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize("flag", ["--model", "--judge-model", "--tagger-model"])
def test_one_file_is_one_model(terminal: Terminal, model: Path, flag: str) -> None:
    """Another is refused; the file's own name is none."""
    line = said(terminal, "run", "--task-paths", terminal.task(), "--llamacpp", model, flag, "jay")
    assert f"{model} is one file, and so one model, fox-1b, but jay is wanted too" in line
    done = terminal.run("-n", 1, "--task-paths", terminal.task(), "--llamacpp", model, flag, "fox-1b")
    assert done.code == 0


@pytest.mark.usefixtures("answering")
def test_the_model_of_every_role_is_the_files(terminal: Terminal, model: Path) -> None:
    """It is called like the file, whatever the settings call the teacher."""
    assert terminal.run("-n", 1, "--task-paths", terminal.task(), "--llamacpp", model).code == 0
    assert {model["name"] for model in terminal.run_json()["inputs"]["models"].values()} == {"fox-1b"}


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read: No such file or directory"), (b"PK\3\4", "is no GGUF file")],
)
def test_what_is_no_model_file_is_refused(terminal: Terminal, content: bytes | None, why: str) -> None:
    """Before anything is written."""
    path = terminal.folder / "wrong.gguf"
    if content is not None:
        path.write_bytes(content)
    assert said(terminal, "run", "--task-paths", terminal.task(), "--llamacpp", path).startswith(f"error: {path} {why}")
    assert not terminal.output.exists()


def test_llama_cpp_gets_a_slot_for_each_request_in_flight(model: Path) -> None:
    """And is another server than the one of an address."""
    with click.Context(click.Command("run")):
        options = ServerOptions(None, ("",), 3, model)
        ((_, server),) = options.connection.each(options.over(a_config()))
    assert isinstance(server, LlamaCppServer)
    assert server._slots == 3
