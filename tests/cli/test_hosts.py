"""Several hosts on the command line: what is refused, what a run writes and shows of each, and who works with them."""

from collections.abc import Sequence

import pytest

from skills_dspy.base.errors import ModelMissing
from skills_dspy.model.server.connections import without_secrets
from skills_dspy.model.server.server import Model
from tests.helpers.fake_server import FakeServer
from tests.helpers.terminal import Said, Terminal

A, B = "http://a:11434", "http://b:11434"
SECRET = "pa55"


class Lacking(FakeServer):
    """One that has its models only at host a."""

    async def model(self, name: str) -> Model:
        """It."""
        if self.host.endswith("b:11434"):
            raise ModelMissing(f"The model {name!r} is not on the server. Fetch it with: ollama pull {name}")
        return await super().model(name)


class Other(FakeServer):
    """One that has other weights at each host."""

    async def model(self, name: str) -> Model:
        """It."""
        found = await super().model(name)
        return Model(found.name, self.host[7] * 64, found.context_length)


def run(terminal: Terminal, *options: object) -> Said:
    """Two pairs of a task."""
    return terminal.run("--task-paths", terminal.task(), "-n", 2, *options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--base-url", f"http://me:{SECRET}@a,http://me:{SECRET}@a/"], "--base-url names http://a/ twice"),
        (
            ["--base-url", A, "--base-url", f"jugde={B}"],
            "names a role 'jugde', which is none; roles are teacher, judge and tagger",
        ),
        (["--base-url", f"judge={A}"], "--base-url names no host for the teacher"),
        (["--base-url", f"http://me:{SECRET}@a*0"], "--base-url gives http://a '0' slots"),
        (["--base-url", f"http://me:{SECRET[:2]},{SECRET}@a"], "--base-url has a comma before an @"),
        (["--base-url", f"{A},{B}", "--llamacpp", "m.gguf"], "--llamacpp starts a server of its own, and --base-url is about"),
    ],
)
def test_bad_addresses_are_refused(terminal: Terminal, options: Sequence[str], said: str) -> None:
    """One sentence without a password, exit code 2, nothing written."""
    shown = run(terminal, *options)
    assert shown.code == 2
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert SECRET not in shown.err + shown.out
    assert not terminal.output.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5", "my.yaml:2: `server.base_url` is the number 5; write an address, a list of addresses"),
        (f"['http://me:{SECRET}@a', 5]", "my.yaml:2: item 2 of `server.base_url` is the number 5"),
        (f"['{A}', '{A}']", f"server.base_url in the configuration names {A} twice"),
        (f"{{teacher: '{A}', jugde: '{B}'}}", "server.base_url in the configuration names a role 'jugde', which is none"),
    ],
)
def test_bad_settings_are_refused(terminal: Terminal, text: str, said: str) -> None:
    """Those of a wrong type with their line."""
    shown = run(terminal, "--config", terminal.write("my.yaml", f"server:\n  base_url: {text}\n"))
    assert shown.code == 2
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert SECRET not in shown.err


@pytest.mark.parametrize("text", ["http://a:11434", "['http://a:11434', 'http://b:11434*2']", "{teacher: http://a:11434}"])
def test_the_configuration_names_hosts(terminal: Terminal, text: str) -> None:
    """As text, a list or roles."""
    shown = run(terminal, "--config", terminal.write("my.yaml", f"server:\n  base_url: {text}\n"))
    assert shown.code == 0
    assert [server.host for server in terminal.servers] == [A, B][: 1 + ("b:" in text)]


def test_a_host_without_the_model_is_named(terminal: Terminal) -> None:
    """With the line that pulls it there."""
    terminal.make_server = Lacking
    shown = run(terminal, "--base-url", f"{A},{B}")
    assert shown.code == 2
    assert f"is not on the server at {B}." in shown.err
    assert f"OLLAMA_HOST={B} ollama pull mistral-small3.2" in shown.err
    assert "Traceback" not in shown.err


def test_no_password_of_any_host_is_shown_in_a_command() -> None:
    """The hosts stay, for who goes on with it."""
    given = f"run --base-url 'http://me:{SECRET}@a:1*8,http://me:{SECRET}/@@b*2' --base-url 'judge=http://you:{SECRET}@c' -n 5"
    assert without_secrets(given) == "run --base-url 'http://a:1*8,http://b*2' --base-url 'judge=http://c' -n 5"
    given = f"run --base-url http://a:11434*8,http://me:{SECRET}@b"
    assert without_secrets(given) == "run --base-url http://a:11434*8,http://b"


def test_hosts_with_different_weights_are_refused(terminal: Terminal) -> None:
    """Naming both."""
    terminal.make_server = Other
    shown = run(terminal, "--base-url", f"{A},{B}")
    assert shown.code == 2
    assert f"{A} and {B} have different weights under the name mistral-small3.2 (aaaaaaaaaaaa and bbbbbbbbbbbb)" in shown.err
