"""Who is asked from Python where nothing says it, and how patiently a check asks."""

from typing import Any

import pytest

from skills_dspy import check, run
from skills_dspy.base.errors import RequestError
from tests.helpers.fake_server import FakeServer
from tests.helpers.terminal import Terminal


@pytest.mark.parametrize("ask", [run, check])
@pytest.mark.parametrize(
    ("told", "asked"),
    [(None, "http://127.0.0.1:11434"), (' "elsewhere:1"\n', "elsewhere:1"), ("http://[::", "")],
    ids=["nothing", "a host", "no host"],
)
def test_ollama_host_says_who_is_asked(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, told: str | None, asked: str, ask: Any
) -> None:
    """Else it is the Ollama of this machine; what is no address is named, and nobody is asked."""
    if told is not None:
        monkeypatch.setenv("OLLAMA_HOST", told)
    if not asked:
        with pytest.raises(RequestError, match=r"^OLLAMA_HOST in the environment is no address of a server; write it like"):
            ask(terminal.task(), n=1)
        return
    ask(terminal.task(), n=1)
    assert {server.host for server in terminal.servers} == {asked}


@pytest.mark.parametrize(("set_to", "patience"), [(None, 15.0), (3, 3.0)])
def test_a_check_has_no_more_patience_than_who_waits_for_it(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, set_to: int | None, patience: float
) -> None:
    """From Python and as a command, whatever a run is told to have; less stays less."""
    patiences: list[float] = []

    def server(_: str, config: Any, **__: Any) -> FakeServer:
        patiences.append(config.patience)
        return FakeServer()

    monkeypatch.setattr("skills_dspy.commands.api.server.OllamaServer", server)
    config = None if set_to is None else terminal.write("config.yaml", f"server:\n  patience: {set_to}\n")
    check(terminal.task(), n=1, config=config)
    terminal.type("check", "--task-paths", terminal.task(), *(() if config is None else ("--config", config)))
    assert set(patiences) == {patience}
    assert len(patiences) == 2
