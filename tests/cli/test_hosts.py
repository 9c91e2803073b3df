"""Several hosts on the command line: what is refused, what a run writes and shows of each, and who works with them."""

import json
import shlex
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.base.errors import ModelMissing, ServerError, Unreachable
from skills_dspy.model.server.connections import without_secrets
from skills_dspy.model.server.server import Model
from skills_dspy.run.account import count_hosts
from skills_dspy.store.journal_reader import JournalReader, create_tables
from skills_dspy.store.run_json import NotedServer
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


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Lacking, f"is not on the server at {B}. Fetch it with: OLLAMA_HOST={B} ollama pull mistral-small3.2"),
        (
            Other,
            f"{A} and {B} have different weights under the name mistral-small3.2 (aaaaaaaaaaaa and bbbbbbbbbbbb)",
        ),
    ],
)
def test_a_host_that_does_not_go_with_the_others_is_named(terminal: Terminal, server: type[FakeServer], said: str) -> None:
    """One without the model, with the line that pulls it there, and two with different weights."""
    terminal.make_server = server
    shown = run(terminal, "--base-url", f"{A},{B}")
    assert shown.code == 2
    assert said in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["--base-url", f"http://me:{SECRET}@a:1*8,http://me:{SECRET}/@@b*2", "--base-url", f"judge=http://you:{SECRET}@c"],
            ["--base-url", "http://a:1*8,http://b*2", "--base-url", "judge=http://c"],
        ),
        (["--base-url", f"http://a:11434*8,http://me:{SECRET}@b"], ["--base-url", "http://a:11434*8,http://b"]),
        (["--base-url", f"http://a:1/?key={SECRET}", "-n", "5"], ["--base-url", "http://a:1/", "-n", "5"]),
        ([f"--base-url=a?k={SECRET}*8,b?k={SECRET} * 2"], ["--base-url=a*8,b * 2"]),
        (["--base-url", f"judge=http://me:{SECRET}@c?k=it's,{A}"], ["--base-url", f"judge=http://c,{A}"]),
        (["--task-paths", "a?.yaml", "--base-url", A], ["--task-paths", "a?.yaml", "--base-url", A]),
    ],
)
def test_no_password_or_key_of_any_host_is_shown_in_a_command(given: Sequence[str], said: Sequence[str]) -> None:
    """The hosts stay, for who goes on with it, and so does whatever else has a question mark."""
    assert shlex.split(without_secrets(shlex.join(given))) == said


class Failing(FakeServer):
    """One whose host b answers nothing."""

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """It."""
        if self.host == B:
            raise ServerError(f"The server at {B} is broken.")
        return await super().chat(payload)


def test_a_run_notes_and_shows_what_each_host_did(terminal: Terminal) -> None:
    """Calls and tokens from the journal, so that they add up over two runs; explain and report tell of the hosts."""
    asked = ["--base-url", f"http://me:{SECRET}@a:11434*2,{B}*3"]
    shown = run(terminal, *asked)
    assert shown.code == 0
    paths, noted = terminal.paths(), terminal.run_json()
    hosts, usage = noted["server"]["hosts"], noted["result"]["usage"]
    assert [(host["host"], host["slots"], host["version"]) for host in hosts] == [(A, 2, "0.0.0-fake"), (B, 3, "0.0.0-fake")]
    assert list(usage["by_host"]) == [A, B]
    assert all(used["calls"] > 0 and used["faults"] == 0 for used in usage["by_host"].values())
    assert sum(used["calls"] for used in usage["by_host"].values()) == usage["calls"]
    first = usage["by_host"][A]
    line = f"  {A}: {first['calls']} calls, {first['prompt_tokens'] + first['output_tokens']} tokens"
    assert line in shown.out.splitlines()
    more = json.loads(terminal.run("--task-paths", terminal.task(), "-n", 4, *asked, "--json").out)
    assert more["tasks"][0]["usage"]["by_host"][A]["calls"] > first["calls"]
    row = terminal.rows()[0][0]["id"]
    said = terminal.type("explain", row, "--output-dir", paths.folder).out
    assert f"{B} (0.0.0-fake; teacher, judge, tagger)" in said
    assert f" from {A}" in said or f" from {B}" in said  # each reply
    assert terminal.type("report", paths.folder, "--out", "report.html").code == 0
    assert B in (terminal.folder / "report.html").read_text()
    server = NotedServer.model_validate({**noted["server"], "version": "0.12.3"})
    assert server.answered_by == "Ollama 0.12.3 on 2 hosts"  # what a card says: a host's name is nobody's business
    for file in (*paths.folder.iterdir(), terminal.folder / "report.html"):
        assert SECRET.encode() not in file.read_bytes()


def test_who_is_left_out_is_said(terminal: Terminal) -> None:
    """At once, and in the summary, with why."""
    terminal.make_server = Failing
    shown = run(terminal, "--base-url", f"{A}*1,{B}")
    assert shown.code == 0
    assert f"{B} is left out from now on: The server at {B} is broken." in shown.err
    (line,) = (line for line in shown.out.splitlines() if line.startswith(f"  {B}: 0 calls"))
    assert line.endswith(f"; it got nothing in the end: The server at {B} is broken.")


def test_a_run_of_one_host_says_nothing_of_hosts(terminal: Terminal) -> None:
    """Its run.json and its journal are what they were."""
    assert run(terminal, "--base-url", A).code == 0
    noted = terminal.run_json()
    assert "by_host" not in noted["result"]["usage"]
    assert "hosts" not in noted["server"]
    with JournalReader.open(terminal.paths().journal) as journal:
        assert journal.usage_by_host() == {}


def test_faults_of_a_run_that_went_on_are_added_up() -> None:
    """Those of before stand in run.json only; a host of then that is not asked any more keeps its line."""
    with closing(sqlite3.connect(":memory:")) as connection:
        create_tables(connection)
        connection.execute("INSERT INTO replies VALUES ('d', 's', 0, 1, 10, 2, '{\"host\": \"http://b\"}', x'')")
        journal = JournalReader(Path("journal.sqlite"), connection)
        before = {"by_host": {"http://c": {"calls": 1, "prompt_tokens": 0, "output_tokens": 0, "faults": 4}}}
        hosts = {"hosts": [{"host": "http://a"}, {"host": "http://b"}]}
        nothing = {"calls": 0, "prompt_tokens": 0, "output_tokens": 0}
        assert count_hosts(journal, hosts, before, {"http://c": 1, "http://a": 2}) == {
            "by_host": {
                "http://a": {**nothing, "faults": 2},
                "http://b": {"calls": 1, "prompt_tokens": 10, "output_tokens": 2, "faults": 0},
                "http://c": {**nothing, "faults": 5},
            }
        }


def check(terminal: Terminal, *options: object) -> Said:
    """Of a task."""
    return terminal.type("check", "--task-paths", terminal.task(), *options)


def test_check_measures_each_host_and_a_run_takes_its_slots(terminal: Terminal) -> None:
    """A line for each host, model and speed, and the sum; it is kept without a password, for hosts without *N."""
    asked = ["--base-url", f"http://me:{SECRET}@a:11434,{B},http://c:1*2"]
    shown = check(terminal, *asked)
    assert shown.code == 0
    for host in (A, B, "http://c:1"):
        assert f"Ollama 0.0.0-fake answers at {host} (teacher, judge, tagger)" in shown.out
        assert f"mistral-small3.2 is at {host} (digest dddddddddddd); its window has at most 131072 tokens" in shown.out
        assert f"{host}: mistral-small3.2 gives " in shown.out
    assert "3 hosts give " in shown.out
    kept = terminal.folder / "cache" / "hosts.json"
    assert f"Kept for `run` in {kept}: " in shown.out
    told = json.loads(check(terminal, *asked, "--json").out)
    assert [host["host"] for host in told["hosts"]] == [A, B, "http://c:1"]
    text = kept.read_text()
    assert SECRET not in text + shown.out + shown.err
    content = json.loads(text)
    assert [(host["host"], host["model"]) for host in content["hosts"]] == [
        ("http://a:11434", "mistral-small3.2"),
        ("http://b:11434", "mistral-small3.2"),
        ("http://c:1", "mistral-small3.2"),
    ]
    for host, slots in zip(content["hosts"], (3, 5, 7), strict=True):
        host["slots"] = slots
    kept.write_text(json.dumps(content))
    done = run(terminal, *asked)
    assert "Slots as `check` measured them: 3 at http://a:11434, 5 at http://b:11434; write *N behind an address" in done.err
    assert [host["slots"] for host in terminal.run_json()["server"]["hosts"]] == [3, 5, 2]
    assert "Slots as" not in run(terminal, "--base-url", A, "--restart").err
    kept.write_text("{")
    again = run(terminal, *asked, "--restart")
    assert again.code == 0
    assert f"warning: {kept} is not what `check` writes, and not used" in again.err


@pytest.mark.parametrize("home", [True, False])
def test_what_check_measures_need_not_be_kept(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, home: bool) -> None:
    """Where there is no folder for it, or it cannot be written: the check is as good, and it is said."""
    (terminal.folder / "cache").write_text("no folder")
    if not home:
        monkeypatch.setattr("skills_dspy.commands.api.server.kept_in", lambda _: None)
    shown = check(terminal, "--base-url", f"{A},{B}")
    assert shown.code == 0
    (line,) = (line for line in shown.out.splitlines() if line.startswith("Not kept for `run`"))
    why = "a file is in the way: choose another place" if home else "neither XDG_CACHE_HOME nor HOME says a folder."
    assert line.endswith(why)


def test_check_asks_all_hosts_about_the_seeds(terminal: Terminal) -> None:
    """Each has its part."""
    assert check(terminal, "--seeds", "--base-url", f"{A}*1,{B}").code in (0, 1)
    asked = [server for server in terminal.servers if server.asked]
    assert {server.host for server in asked} == {A, B}


def test_check_says_what_a_host_lacks_and_refuses_other_weights(terminal: Terminal) -> None:
    """As a run would; one host that does not answer is a warning, as long as there is another for its roles."""
    terminal.make_server = Lacking
    shown = check(terminal, "--base-url", f"{A},{B}")
    assert shown.code == 2
    assert f"OLLAMA_HOST={B} ollama pull mistral-small3.2 (or add --pull" in shown.out
    terminal.make_server = Other
    shown = check(terminal, "--base-url", f"{A},{B}")
    assert shown.code == 2
    assert f"FAIL  model       {A} and {B} have different weights under the name mistral-small3.2" in shown.out
    terminal.make_server = Away
    shown = check(terminal, "--base-url", f"{A},{B}")
    assert shown.code == 0
    assert f"warn  host        No Ollama server answers at {B}; a run goes on with the others, and tries it again" in shown.out
    assert "1 hosts give" not in shown.out
    assert check(terminal, "--base-url", f"{A}", "--base-url", f"judge={B}").code == 2


class Away(FakeServer):
    """One of which host b does not answer."""

    async def version(self) -> str:
        """It."""
        if self.host == B:
            raise Unreachable(f"No Ollama server answers at {B}.")
        return await super().version()
