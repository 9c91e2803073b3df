"""What other programs have put into the environment ends no command that needs no network."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from skills_dspy.cli.main import start
from skills_dspy.cli.shared.environment import hidden_at_import, put_right
from tests.helpers.terminal import Terminal

HOSTILE = {
    "ALL_PROXY": "socks5://me:hush@127.0.0.1:1080",
    "all_proxy": "socks://127.0.0.1:1080",
    "HTTP_PROXY": "http://me:hu#sh@proxy:port",
    "https_proxy": "garbage::",
    "no_proxy": "[::1",
    "SSL_CERT_FILE": "/nowhere/cert.pem",
    "SSL_CERT_DIR": "/nowhere",
    "SSLKEYLOGFILE": "/nowhere/keys",
    "OLLAMA_API_KEY": "schlüssel",
    "OLLAMA_HOST": "http://[::",
}


def test_the_ollama_package_is_imported_whatever_the_shell_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes a client when it is imported, which trips over most of them; afterwards all stands there again."""
    for module in [module for module in sys.modules if module.partition(".")[0] == "ollama"]:
        monkeypatch.delitem(sys.modules, module)
    for variable, value in HOSTILE.items():
        monkeypatch.setenv(variable, value)
    before = dict(os.environ)
    with hidden_at_import(os.environ):
        assert not HOSTILE.keys() & os.environ.keys()
        importlib.import_module("ollama")
    assert dict(os.environ) == before


def test_the_ollama_package_does_trip_over_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else the hiding may go."""
    monkeypatch.setenv("ALL_PROXY", HOSTILE["all_proxy"])
    for module in [module for module in sys.modules if module.partition(".")[0] == "ollama"]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ValueError, match="Unknown scheme for proxy URL"):
        importlib.import_module("ollama")


@pytest.mark.parametrize(
    ("names", "bad", "good"),
    [
        (
            ("DSPY_CACHE_LIMIT", "NUMPY_MADVISE_HUGEPAGE", "HF_HUB_ETAG_TIMEOUT"),
            ("3e10", "", "much", "-1"),
            (" 30 ", "3000000"),
        ),
        (("COLUMNS", "LINES"), ("0", "-1", "", "9" * 30, "²", "80x"), ("5",)),
        (("LOGLEVEL", "TORCH_LOGS", "TORCHINDUCTOR_CACHE_DIR"), ("info",), ()),
        (("PYTORCH_JIT", "SYMPY_CACHE_SIZE", "TQDM_ASCII"), ("info",), ()),
        (("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TORCH_HOME"), (), ("info",)),
        (("PYTORCH_MPS_DISABLE", "TQDM_DISABLE", "HF_HOME"), (), ("info",)),
    ],
)
def test_what_libraries_trip_over_is_taken_out(names: Sequence[str], bad: Sequence[str], good: Sequence[str]) -> None:
    """What is no number or no size of a terminal is as good as none: nothing would be printed in 0 columns.

    `LOGLEVEL=info` alone, set for another program, kept torch from being imported; what it is told of devices stays.
    """
    for name, value in product(names, (*bad, *good)):
        environment = {name: value, "HOME": "/root"}
        assert put_right(environment) == ""
        assert environment == ({"HOME": "/root"} if value in bad else {name: value, "HOME": "/root"}), (name, value)


@pytest.mark.parametrize("told", ["http://box:1", " http://box:1\n", '"http://box:1"', "'http://box:1'"])
def test_the_host_is_read_as_ollama_reads_it(told: str) -> None:
    """Blanks and quotes, as an .env file leaves them, are none of it; no library sees it."""
    environment = {"OLLAMA_HOST": told}
    assert put_right(environment) == "http://box:1"
    assert environment == {}


def test_commands_that_need_no_network_know_no_variable(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    """None ends one, nor a run whose server is named on the command line; none of what stands in them is printed."""
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    typed = [
        terminal.type("tasks", terminal.task()),
        terminal.type("prompts", "judge_pair_freeform"),
        terminal.run("--task-paths", terminal.task(), "-n", 1, "--base-url", "http://127.0.0.1:9"),
    ]
    assert [said.code for said in typed] == [0, 0, 0]
    assert not [told for told in (*HOSTILE, *HOSTILE.values()) for said in typed if told in said.out + said.err]


@pytest.mark.parametrize("told", [":::", "http://me:hush@[::", "tcp://me:hush@box:1", "me:hush@box:port"])
def test_a_host_that_is_none_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, terminal: Terminal, told: str) -> None:
    """Where a server is asked, and not what stands in it; an address on the command line goes before it."""
    monkeypatch.setenv("OLLAMA_HOST", told)
    said = terminal.run("--task-paths", terminal.task(), "-n", 1)
    assert said.code == 2
    assert (
        said.err == "error: OLLAMA_HOST in the environment is no address of a server; write it like http://127.0.0.1:11434.\n"
    )
    monkeypatch.setenv("OLLAMA_HOST", told)
    assert terminal.run("--task-paths", terminal.task(), "-n", 1, "--base-url", "http://127.0.0.1:9").code == 0


def test_no_file_of_ours_gets_the_number_of_a_stream_that_is_closed(tmp_path: Path) -> None:
    """What a native library prints on number 1 or 2 would stand in it."""
    lines = "import sys; from skills_dspy.__main__ import open_closed; open_closed(); print('lost', file=sys.stderr)"
    lines += f"; print(open({str(tmp_path / 'file')!r}, 'w').fileno() > 2)"
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" <&- 2>&-', sys.executable, lines], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout == b"True\n"


# ---- what sets options -------------------------------------------------------------------------------------------------


def test_every_option_has_a_variable(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name, a number, a flag and several paths; what is typed goes first."""
    first, second = terminal.task("test/foxes"), terminal.task("test/jays")
    monkeypatch.setenv("SKILLS_DSPY_RUN_WANTED", "2")
    monkeypatch.setenv("SKILLS_DSPY_RUN_AS_JSON", "yes")
    monkeypatch.setenv("SKILLS_DSPY_RUN_TASK_PATHS", os.pathsep.join(map(str, (first, second))))
    said = terminal.run()
    assert [(task["task_name"], task["wanted"]) for task in json.loads(said.out)["tasks"]] == [
        ("test/foxes", 2),
        ("test/jays", 2),
    ]
    said = terminal.run("-n", 3, "--task-paths", first)
    assert [(task["task_name"], task["wanted"]) for task in json.loads(said.out)["tasks"]] == [("test/foxes", 3)]
    monkeypatch.setenv("SKILLS_DSPY_RUN_WANTED", "many")
    assert "Invalid value" in terminal.run().err


@pytest.mark.parametrize("words", [("-v", "run"), ("run", "-v")])
def test_verbose_logs_what_is_done(terminal: Terminal, words: tuple[str, ...]) -> None:
    """Before the command or after it, on stderr, so that `--json` stays JSON; without it there is nothing of the kind."""
    rest = ("--output-dir", terminal.output, "--task-paths", terminal.task(), "-n", 1, "--quiet", "--json")
    said = terminal.type(*words, *rest)
    assert json.loads(said.out)["tasks"]
    assert "skills_dspy.run.runner: test/foxes: begins in " in said.err
    assert "skills_dspy.run.runner: test/foxes: complete" in said.err
    assert "skills_dspy.model.replies" not in said.err
    assert terminal.type("run", *rest).err == ""


def test_verbose_tells_what_is_read_and_written(terminal: Terminal) -> None:
    """By commands that ask nobody, too."""
    assert terminal.run("--task-paths", terminal.task(), "-n", 1).code == 0
    said = terminal.type("-v", "export", terminal.output, "--format", "messages", "--out", "rows.jsonl").err
    assert f"reads the run in {terminal.output / 'test' / 'foxes'}" in said
    assert "has written rows.jsonl" in said


@pytest.mark.parametrize("words", [("-vv", "run"), ("-v", "run", "-v")])
def test_verbose_twice_logs_each_request(terminal: Terminal, words: tuple[str, ...]) -> None:
    """With the model and how long the reply was and took; once before the command and once after it is twice."""
    rest = ("--output-dir", terminal.output, "--task-paths", terminal.task(), "-n", 1, "--quiet")
    said = terminal.type(*words, *rest).err
    assert re.search(r"skills_dspy\.model\.replies: write_answer_freeform: \d+ tokens for \d+ of \S+ in \d+\.\d s", said)
    assert said.count("skills_dspy.run.runner: test/foxes: complete") == 1
    assert "complete" not in terminal.type("run", *rest).err


def test_a_variable_with_the_version_says_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an image may have one, beside SKILLS_DSPY_RUN_MODEL: the command is done all the same."""
    monkeypatch.setenv("SKILLS_DSPY_VERSION", "0.1.0")
    said = terminal.type("tasks", terminal.task())
    assert "test/foxes" in said.out
    assert "version" not in said.out


def test_the_shell_is_told_what_a_word_may_go_on_with(monkeypatch: pytest.MonkeyPatch, capsysbinary: Any) -> None:
    """For the installed command: the script for the shell, and then its questions."""
    monkeypatch.setenv("_SKILLS_DSPY_COMPLETE", "zsh_source")
    with pytest.raises(SystemExit, match="0"):
        start([])
    assert b"#compdef skills-dspy" in capsysbinary.readouterr().out
    monkeypatch.setenv("_SKILLS_DSPY_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "skills-dspy run --base")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit, match="0"):
        start([])
    assert capsysbinary.readouterr().out == b"plain,--base-url\n"
