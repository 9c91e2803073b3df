"""The command line with a server of OpenAI's API: what `check` says of it, and where its key comes from."""

from datetime import date

import pytest

from skills_dspy.base.config import RunConfig
from skills_dspy.cli.shared.options import ServerOptions
from skills_dspy.commands.api.server import Connection
from skills_dspy.commands.check.hosts import CheckedHost, HostSpeed
from skills_dspy.commands.check.speed import Counts, Together
from skills_dspy.model.server.connections import place_of
from skills_dspy.model.server.ollama import OllamaServer
from skills_dspy.model.server.openai import OpenAIServer
from skills_dspy.model.server.server import Server
from tests.cli.test_check import checked, named
from tests.helpers.making import a_config
from tests.model.server.test_openai import HOST, MODEL, a_server, teacher

ASKED = ServerOptions("openai", (HOST,), 4)


def server_of(options: ServerOptions, config: RunConfig) -> Server:
    """What answers at the one address."""
    ((_, server),) = options.connection.each(options.over(config))
    return server


def test_check_says_what_the_server_is_and_what_it_lacks() -> None:
    """A line for each difference, and no command of Ollama's anywhere."""
    code, text = checked(a_server(teacher()))
    assert code == 0
    assert named(text, "host") == [f"ok host OpenAI API (vLLM 0.11.0) answers at {HOST}"]
    assert named(text, "model") == [f"ok model {MODEL} is there; its window has at most 131072 tokens"]
    assert named(text, "server") == [f"ok server {MODEL}: it takes no `strict` beside a schema, which is left out"]
    assert "ollama" not in text.lower()


def test_check_warns_of_an_ollama_behind_this_api() -> None:
    """It would cut prompts without a word; what only differs is no warning."""
    wire = teacher()
    wire.told["/v1/models"] = {"data": [{"id": MODEL, "owned_by": "library"}]}
    code, text = checked(a_server(wire))
    assert code == 0
    warned = [line for line in named(text, "server") if line.startswith("warn")]
    assert len(warned) == 1
    assert "--api ollama" in warned[0]
    assert "warn above" in text


def test_check_says_which_models_there_are() -> None:
    """In place of a command that would fetch the one that is missing, which --pull does not change."""
    wire = teacher()
    wire.told["/v1/models"] = {"data": [{"id": "a"}, {"id": "b"}]}
    code, text = checked(a_server(wire), pull=True)
    assert code == 2
    (line,) = named(text, "model")
    assert line.endswith("it has a, b: give one that it has with --model.")
    assert "pull" not in text


@pytest.mark.parametrize(
    ("environment", "sent"),
    [
        ({"SKILLS_DSPY_API_KEY": "ours", "OPENAI_API_KEY": "theirs"}, "Bearer ours"),
        ({"SKILLS_DSPY_API_KEY": "", "OPENAI_API_KEY": "theirs"}, "Bearer theirs"),
        ({}, None),
    ],
)
def test_the_key_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], sent: str | None
) -> None:
    """Ours goes before OpenAI's."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    server = server_of(ASKED, a_config())
    assert isinstance(server, OpenAIServer)
    (client, *_) = server._connections.all()
    assert client.headers.get("Authorization") == sent


def test_what_the_server_speaks_is_a_setting_too() -> None:
    """The command line goes before it."""
    config = a_config({"server": {"api": "openai"}})
    assert isinstance(server_of(ServerOptions(None, (HOST,), 4), config), OpenAIServer)
    assert isinstance(server_of(ServerOptions("ollama", (HOST,), 4), config), OllamaServer)
    assert isinstance(server_of(ServerOptions(None, (HOST,), 4), a_config()), OllamaServer)
    assert ASKED.over(a_config()).model_dump(mode="json")["server"]["api"] == "openai"
    assert "api" not in a_config().model_dump(mode="json")["server"]  # runs of Ollama are written as they always were


def test_what_check_measures_is_found_by_the_address_that_was_given() -> None:
    """Which may leave out the /v1 that the server's own ends in; another path is another server."""
    asked, config = Connection("openai", ("http://a:1", "http://me:pa55@b/v1", "http://c/x"), 4), a_config()
    together = Together(1, Counts(1, 1, 1, 1, 0, 1), 10.0, 10.0, 96, 5.0, most=1)
    kept = []
    for address, server in asked.each(asked.over(config)):
        speed = HostSpeed(CheckedHost(server, address.roles, 4), config.model_for("generator"), together, 2, {}, None)
        kept.append(speed.measured(date(2026, 1, 2)))
    assert [(one.host, one.model) for one in kept] == asked.wants_slots(config)
    assert place_of("http://c/x") != place_of("http://c/x/v1")
