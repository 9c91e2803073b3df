"""The command line: options, exit codes, what is said where, signals, and what is shown while a run goes on."""

import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from evals.record.answering import CHECKOUT
from evals.teacher.config import TeacherConfig
from skills_dspy.base.errors import ServerError, StorageError
from skills_dspy.cli import run as cli_run
from skills_dspy.cli.explain import explain_command
from skills_dspy.cli.main import start
from skills_dspy.cli.shared.arguments import ExplainOptions, RunOptions
from skills_dspy.commands.api.request import embedder_of
from skills_dspy.model.soft import RATING_STEPS, rated_fields
from skills_dspy.model.steps import STEPS
from skills_dspy.store.journal import JournalReader
from skills_dspy.store.run_dir import RunPaths
from tests.helpers.fake_server import FakeServer
from tests.helpers.logprobs import spell
from tests.helpers.optimizing_lab import Teacher
from tests.helpers.terminal import Terminal

DEBATE = CHECKOUT / "task_specs" / "writing" / "freeform" / "debate.yaml"
DEBATE_NAME = "instructlab/skills/writing/freeform/debate"


# -- options ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """The options that `run` is called with, instead of a run."""
    called: list[RunOptions] = []

    def note(given: RunOptions) -> int:
        called.append(given)
        return 0

    monkeypatch.setattr(cli_run, "run_command", note)
    return called


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ("run", ""),
        ("run --task-paths a", "a"),
        ("run --task-paths a b c", "a b c"),
        ("run --task-paths=a", "a"),
        ("run --task-paths=a --task-paths=b", "a b"),
        ("run --task-paths a b --seed 3 --task-paths c", "a b c"),
        ("run -n 3 --task-paths a b --quiet", "a b"),
        ("run --task-paths a b -n 3", "a b"),
    ],
)
def test_task_paths_takes_all_the_words_up_to_the_next_option(options: list[RunOptions], words: str, paths: str) -> None:
    """And may be given more than once."""
    assert start(words.split()) == 0
    assert [str(path) for path in options[0].task_paths] == paths.split()


@pytest.mark.parametrize("words", ["run --task-paths", "run --task-paths -n 3", "run --task-paths --quiet", "run a b"])
def test_task_paths_without_a_path_and_paths_without_the_option_are_refused(
    options: list[RunOptions], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tasks in the current folder would be a silent substitution."""
    assert start(words.split()) == 2
    assert options == []
    assert "argument" in capsys.readouterr().err


def test_the_environment_names_the_host_and_the_option_goes_before_it(
    options: list[RunOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OLLAMA_HOST, as Ollama's own tools read it."""
    monkeypatch.setenv("OLLAMA_HOST", "http://elsewhere:1")
    start(["run"])
    start(["run", "--base-url", "http://here:2"])
    assert [given.server.base_url for given in options] == [("http://elsewhere:1",), ("http://here:2",)]


def test_help_imports_nothing_heavy() -> None:
    """`--help` of the whole and of each command; measured in modules, not seconds."""
    script = """
import sys
from skills_dspy.cli.main import start
for command in ([], ["run"], ["explain"], ["check"], ["prompts"], ["export"]):
    assert start([*command, "--help"]) == 0, command
heavy = {"dspy", "torch", "rich", "numpy", "pydantic", "ollama", "httpx", "asyncio", "yaml", "pyarrow"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: ") == 6


# -- exit codes and what is said where ----------------------------------------------------------------------------------


def test_a_complete_run_exits_with_0_and_a_summary(terminal: Terminal) -> None:
    """The funnel, the cost, the files, the next command; nothing on stderr."""
    said = terminal.run("--task-paths", terminal.task(), "-n", 3)
    assert (said.code, said.err) == (0, "")
    accepted, rejected = terminal.rows()
    assert len(accepted) == 3
    assert "test/foxes: 3 of 3 accepted, complete" in said.out
    assert f"Data: {terminal.output}/test/foxes/data.jsonl" in said.out
    usage = terminal.run_json()["result"]["usage"]
    assert f"Cost: {usage['calls']} calls, {usage['prompt_tokens'] + usage['output_tokens']} tokens" in said.out
    assert f"explain ROW_ID --output-dir {terminal.output}/test/foxes" in said.out
    table = {words[0]: words[1:] for line in said.out.splitlines() if (words := line.split())}
    assert table["accepted"] == ["3"]
    assert int(table["dedup"][0]) == len(accepted) + len(rejected)
    lost = [row for row in rejected if row["stage"] == "judge_question"]
    assert table["judge_question"][1] == str(len(lost))


def test_one_short_task_of_two_is_short(terminal: Terminal) -> None:
    """Exit code 0 means that every task has its pairs."""
    hard = terminal.task("test/foxes")
    easy = terminal.task("test/jays")
    hard.write_text(hard.read_text("utf-8").replace("prompt: 3", "prompt: 1"), "utf-8")
    config = terminal.write("short.yaml", "draws:\n  max_draws: 8\n")
    terminal.make_server = lambda: FakeServer(TeacherConfig(pass_rate=1.0))
    said = terminal.run("--task-paths", hard, easy, "-n", 9, "--config", config)
    assert said.code == 1
    assert "test/jays: 9 of 9 accepted, complete" in said.out
    assert "test/foxes: 8 of 9 accepted, stopped: 8 draws were made (draws.max_draws)" in said.out


def test_warnings_go_to_stderr(terminal: Terminal) -> None:
    """So that `--json` stays readable for a program: status, funnel, usage and paths of each task."""
    path = terminal.task()
    path.write_text(path.read_text("utf-8").split("  - question: What is a jay?")[0], "utf-8")
    said = terminal.run("--task-paths", path, "-n", 1, "--json", "--quiet")
    (task,) = json.loads(said.out)["tasks"]
    manifest = json.loads(Path(task["run"]).read_text("utf-8"))
    assert (task["task_name"], task["status"], task["wanted"]) == ("test/foxes", "complete", 1)
    assert (task["funnel"], task["usage"]) == (manifest["result"]["funnel"], manifest["result"]["usage"])
    assert len(Path(task["data"]).read_text("utf-8").splitlines()) == 1
    assert Path(task["rejected"]).exists()
    assert said.err.startswith("warning: ")


BAD: dict[str, tuple[str, str]] = {
    "no such task file": ("--task-paths nowhere.yaml", "nowhere.yaml"),
    "a folder without tasks": ("--task-paths empty", "empty"),
    "YAML that does not parse": ("--task-paths broken.yaml", "broken.yaml:3"),
    "no such configuration": ("--task-paths good.yaml --config nowhere.yaml", "nowhere.yaml"),
    "a blank model": ("--task-paths good.yaml --model=", "--model"),
    "no such embedding model": ("--task-paths good.yaml --embedder ./nowhere/model", "nowhere/model"),
    "a folder without an embedding model": ("--task-paths good.yaml --embedder ./empty", "empty"),
    "no such recording": ("--replay nowhere", "--replay nowhere"),
    "a folder without a recording": ("--replay empty", "--replay empty"),
    "a task that was not recorded": ("--replay demo --task-paths good.yaml", "test/foxes"),
    "an output folder that is a file": ("--task-paths good.yaml --output-dir broken.yaml", "broken.yaml"),
    "a model that is not there": ("--task-paths good.yaml --model missing", "missing"),
    "a window that is too small": ("--task-paths good.yaml --config small.yaml", "max_num_ctx"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_done_is_refused_in_one_line_before_anything_is_written(
    terminal: Terminal, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, a sentence on stderr that names what is wrong, no traceback, no output folder."""
    monkeypatch.setattr(cli_run, "embedder_of", REAL_EMBEDDER)
    (terminal.folder / "empty").mkdir()
    terminal.task().rename("good.yaml")
    terminal.write("broken.yaml", "task_name: x\nseed_examples: [\n")
    terminal.write("small.yaml", "max_num_ctx: 600\nvalidator: {num_predict: 400}\ngenerator: {num_predict: 400}\n")
    words, named = BAD[what]
    before = sorted(terminal.folder.rglob("*"))
    said = terminal.run(*words.split())
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert named in said.err
    assert sorted(terminal.folder.rglob("*")) == before
    assert [server.asked for server in terminal.servers] in ([], [[]])


REAL_EMBEDDER = embedder_of


@pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "127.0.0.1:9"])
def test_no_server_is_said_soon_with_both_ways_on(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Start one, or replay; nothing is written."""
    began = time.monotonic()
    code = start(["run", "--task-paths", str(DEBATE), "--output-dir", str(tmp_path / "output"), "--base-url", address])
    assert time.monotonic() - began < 5.0
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err.startswith(f"error: No Ollama server answers at {address}")
    assert "ollama serve" in said.err
    assert "--replay demo" in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "output").exists()


@pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
def test_a_server_that_does_not_answer_is_said_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It takes the connection and is silent: it gets its time (a minute, less here), and the setting is named."""
    config = tmp_path / "hasty.yaml"
    config.write_text("server: {connect_timeout: 0.1, timeout: 0.1}\n", "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = ["run", "--task-paths", str(DEBATE), "--output-dir", str(tmp_path / "output"), "--base-url", host]
        assert start([*words, "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert "takes the connection and gives no answer within 0.1 s" in said
    assert "server.timeout" in said
    assert not (tmp_path / "output").exists()


def test_a_server_that_breaks_down_gets_its_sentence_and_the_run_its_summary(terminal: Terminal) -> None:
    """Exit code 2; what was accepted so far is said too, on stdout."""

    async def break_down(number: int) -> None:
        if number > 60:
            raise ServerError("The server [/at] http://fake kept failing.")

    terminal.make_server = lambda: FakeServer(before=break_down)
    said = terminal.run("--task-paths", terminal.task(), "-n", 500)
    assert said.code == 2
    assert said.err == "error: The server [/at] http://fake kept failing.\n"
    assert "of 500 accepted, failed" in said.out


def test_a_journal_that_cannot_be_read_at_the_end_gets_its_sentence(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The summary does not fail on what it cannot know."""

    def broken(self: JournalReader) -> dict[str, Any]:
        raise StorageError(f"cannot use {self._path}: disk I/O error; check the disk")

    monkeypatch.setattr(JournalReader, "usage", broken)
    said = terminal.run("--task-paths", terminal.task(), "-n", 1)
    assert said.code == 2
    assert said.err.startswith("error: cannot use ")
    assert said.err.count("\n") == 1


def test_an_interruption_says_how_to_go_on(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130, and the same command without --restart on stderr."""
    words = ["--task-paths", str(terminal.task()), "--restart", "-n", "3"]
    monkeypatch.setattr("sys.argv", ["python -m skills_dspy", "run", *words])

    async def press_ctrl_c(number: int) -> None:
        if number == 7:
            os.kill(os.getpid(), signal.SIGINT)

    terminal.make_server = lambda: FakeServer(before=press_ctrl_c)
    said = terminal.run(*words)
    assert (said.code, said.out) == (130, "")
    (line,) = said.err.splitlines()
    assert line.startswith("Interrupted; everything is kept (0 of 3 for test/foxes). Go on with: ")
    python, *command = shlex.split(line.partition("Go on with: ")[2])
    assert Path(python).samefile(sys.executable)
    assert command == ["-m", "skills_dspy", "run", *words[:2], *words[3:]]


# -- replay -------------------------------------------------------------------------------------------------------------


def test_a_replay_takes_from_the_recording_what_is_not_given(terminal: Terminal) -> None:
    """Tasks, how many, seed and settings; the data is the same bytes, and no server is asked."""
    config = terminal.write("fused.yaml", "tagging: fused\n")
    terminal.run("--task-paths", terminal.task(), "-n", 3, "--seed", 5, "--config", config)
    said = terminal.type("run", "--replay", terminal.output, "--output-dir", terminal.folder / "again")
    assert said.code == 0
    assert "test/foxes: 3 of 3 accepted, complete" in said.out
    assert "(all from the recording)" in said.out
    assert len(terminal.servers) == 1
    again = terminal.folder / "again"
    assert terminal.paths(output=again).data.read_bytes() == terminal.paths().data.read_bytes()
    assert terminal.run_json(again)["inputs"]["seed"] == 5


def test_runs_recorded_with_different_settings_are_not_replayed_together(terminal: Terminal) -> None:
    """One of them has to be named."""
    terminal.run("--task-paths", terminal.task("test/foxes"), "-n", 1)
    config = terminal.write("fused.yaml", "tagging: fused\n")
    terminal.run("--task-paths", terminal.task("test/jays"), "-n", 1, "--config", config)
    said = terminal.type("run", "--replay", terminal.output, "--output-dir", terminal.folder / "again")
    assert said.code == 2
    assert "recorded with different configurations" in said.err
    one = terminal.output / "test/jays"
    assert terminal.type("run", "--replay", one, "--output-dir", terminal.folder / "again").code == 0


# -- what is shown while a run goes on ----------------------------------------------------------------------------------


def test_quiet_shows_nothing_while_it_runs(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even after a long time; the summary still comes."""
    monkeypatch.setattr("skills_dspy.cli.progress._LINE_EVERY", 0.0)
    loud = terminal.run("--task-paths", terminal.task(), "-n", 2)
    quiet = terminal.run("--task-paths", terminal.task(), "-n", 2, "--quiet", "--restart")
    assert "of 2 accepted" in loud.err
    assert quiet.err == ""
    assert "2 of 2 accepted" in quiet.out


# -- explain ------------------------------------------------------------------------------------------------------------

ODD = "A [/b] [bold]tail[/bold] :fire: of 100%\\"


class OddServer(FakeServer):
    """Its prose ends in what a terminal might take for commands."""

    def _body(self, payload: Any) -> dict[str, Any]:
        body = super()._body(payload)
        if "format" not in payload:
            body["message"]["content"] += ODD
        return body


def test_explain_tells_the_story_of_an_accepted_row(terminal: Terminal) -> None:
    """Texts to the letter, verdicts, tags, examples, neighbour, and every prompt and reply in order."""
    terminal.make_server = OddServer
    terminal.run("--task-paths", terminal.task("test/[b]foxes"), "-n", 2, "--note", "[x] a stand-in")
    row = terminal.rows("test/[b]foxes")[0][1]
    said = terminal.type("explain", row["id"][:8], "--output-dir", terminal.output)
    assert said.code == 0
    assert f"{row['id']}  accepted  ({terminal.output}/test/[b]foxes)" in said.out
    assert row["response"].endswith(ODD)
    for text in (row["instruction"], row["response"], *row["tags"]["explanations"].values()):
        assert text in said.out
    assert f"question judge {row['question_verdict']['rating']}" in said.out
    assert "server 0.0.0-fake; [x] a stand-in" in said.out
    for shown in row["provenance"]["shown"]:
        assert f"shown {shown}: What is a " in said.out
    assert f"nearest {row['provenance']['neighbour']['id']} at squared distance" in said.out
    stages = [stage for stage in row["provenance"]["calls"] if f"─ {stage} ─" in said.out]
    assert stages == list(row["provenance"]["calls"])
    with JournalReader.open(terminal.paths("test/[b]foxes").journal) as journal:
        for digests in row["provenance"]["calls"].values():
            for digest in digests:
                reply = journal.full(digest)
                assert reply is not None
                assert all(message["content"] in said.out for message in reply.request["messages"])
                assert reply.reply["message"]["content"] in said.out


class VagueServer(FakeServer):
    """It never says how difficult anything is."""

    def _body(self, payload: Any) -> dict[str, Any]:
        body = super()._body(payload)
        if "difficulty" in payload.get("format", {}).get("properties", {}):
            body["message"]["content"] = "{}"
        return body


def test_a_tag_that_cannot_be_read_twice_costs_no_row(terminal: Terminal) -> None:
    """The row keeps its place with an empty tag and the reason; `explain` shows both tries; resumed, it has the same bytes."""
    terminal.make_server = VagueServer
    words = "--task-paths", terminal.task(), "-n", 2
    assert terminal.run(*words).code == 0
    accepted, rejected = terminal.rows()
    assert len(accepted) == 2
    assert not {row["stage"] for row in rejected} & {"difficulty", "category"}
    tags, digests = accepted[0]["tags"], accepted[0]["provenance"]["calls"]["difficulty"]
    assert (tags["difficulty"], len(digests)) == (None, 2)
    assert tags["category"] is not None
    said = terminal.type("explain", accepted[0]["id"], "--output-dir", terminal.output).out
    assert f"difficulty none: unreadable: {tags['explanations']['difficulty'].removeprefix('unreadable: ')}" in said
    assert said.count("─ difficulty") == 2
    data = terminal.paths().data
    before = data.read_bytes()
    data.unlink()
    assert terminal.run(*words).code == 0
    assert data.read_bytes() == before


class SureServer(FakeServer):
    """It tells how probable each label was: three quarters for the one that it says, the rest for the first other."""

    def _body(self, payload: Any) -> dict[str, Any]:
        body = super()._body(payload)
        if payload.get("logprobs") and body["done_reason"] == "stop":
            said = json.loads(body["message"]["content"])
            scales = {name: labels for name, labels in rated_fields(payload).items() if name in said}
            others = {name: next(label for label in labels if label != said[name]) for name, labels in scales.items()}
            shares = {name: {said[name]: 0.75, other: 0.25} for name, other in others.items()}
            body["logprobs"] = spell(body["message"]["content"], shares)
        return body


def test_explain_says_how_probable_each_label_was(terminal: Terminal) -> None:
    """Beside every rating of the row and of its replies, if the server said so; without it, nothing is said."""
    terminal.make_server = lambda: SureServer(TeacherConfig(pass_rate=0.6))
    config = terminal.write("soft.yaml", "soft_ratings: true")
    terminal.run("--task-paths", terminal.task(), "-n", 5, "--config", config)
    row, rejected = terminal.rows()[0][1], next(r for r in terminal.rows()[1] if r["stage"] == "judge_question")
    score = row["tags"]["sample_quality"]
    soft = row["tags"]["soft"]["sample_quality"]
    assert soft["expected"] == 0.75 * score + 0.25
    said = terminal.type("explain", row["id"], "--output-dir", terminal.output).out
    assert "\n  0: 25 %, 1: 75 %; expected 0.75\n" in said
    assert "\nrating 0: 25 %, 1: 75 %; expected 0.75\n" in said
    shares = {1: 25, score: 75}
    words = ", ".join(f"{label}: {shares.get(label, 0)} %" for label in range(1, 6))
    assert f"\n  {words}; expected {soft['expected']:.2f}\n" in said
    assert f"\nscore {words}; expected {soft['expected']:.2f}\n" in said
    assert "\ndifficulty very easy: " in said
    said = terminal.type("explain", rejected["id"], "--output-dir", terminal.output).out
    assert "\nrating 0: 75 %, 1: 25 %; expected 0.25\n" in said
    terminal.make_server = FakeServer
    terminal.run("--task-paths", terminal.task(), "-n", 2, "--config", config, "--restart")
    row = terminal.rows()[0][1]
    assert (row["tags"]["soft"], row["pair_verdict"]["soft"]) == ({}, None)
    assert "expected" not in terminal.type("explain", row["id"], "--output-dir", terminal.output).out


def test_it_is_counted_from_how_many_replies_soft_ratings_were_read(terminal: Terminal) -> None:
    """In the summary and in JSON, the same in the run, in one that goes on with it and in its replay."""
    terminal.make_server = lambda: SureServer(TeacherConfig(faults=(("truncated", 0.3),)))
    words = ("--task-paths", terminal.task(), "--config", terminal.write("soft.yaml", "soft_ratings: true"), "-n")
    terminal.run(*words, 1)
    said = terminal.run(*words, 3).out
    stages = {STEPS[name].stage for name in RATING_STEPS}
    calls = [row["provenance"]["calls"] for rows in terminal.rows() for row in rows]
    digests = {digest for each in calls for stage in stages for digest in each.get(stage, ())}
    with JournalReader.open(terminal.paths().journal) as journal:
        ended = [reply.reply["done_reason"] for reply in map(journal.full, digests) if reply is not None]
    asked = ended.count("stop")
    assert 0 < asked < len(ended)
    assert f"\nSoft ratings: read from {asked} of {asked} rated replies.\n" in said
    assert f"\nSoft ratings: read from {asked} of {asked} rated replies.\n" in terminal.run(*words, 3).out
    again = terminal.type("run", "--replay", terminal.output, "-n", 3, "--json", "--output-dir", terminal.output / "again")
    (told,) = json.loads(again.out)["tasks"]
    assert told["soft_ratings"] == {"asked": asked, "read": asked}


def test_soft_ratings_that_did_not_come_are_said(terminal: Terminal) -> None:
    """The server ignores what was asked for: nothing was read, and the summary says so."""
    config = terminal.write("soft.yaml", "soft_ratings: true")
    said = terminal.run("--task-paths", terminal.task(), "-n", 1, "--config", config).out
    assert re.search(r"\nSoft ratings: read from 0 of [1-9]\d* rated replies; with the others came no log-prob", said)


def test_a_run_asks_for_no_probabilities_unless_it_began_with_them(terminal: Terminal) -> None:
    """By default nothing is asked for or said; a run that was begun with them goes on with them, as it was."""
    terminal.make_server = SureServer
    task = terminal.task()
    assert "Soft ratings" not in terminal.run("--task-paths", task, "-n", 1).out
    assert terminal.rows()[0][0]["tags"]["soft"] == {}
    assert terminal.run_json()["inputs"]["config"]["soft_ratings"] is False
    terminal.run("--task-paths", task, "-n", 1, "--config", terminal.write("soft.yaml", "soft_ratings: true"), "--restart")
    assert "\nSoft ratings: read from" in terminal.run("--task-paths", task, "-n", 2).out
    assert all(row["tags"]["soft"] for row in terminal.rows()[0])
    said = terminal.run("--task-paths", task, "-n", 2, "--config", terminal.write("hard.yaml", "soft_ratings: false"))
    assert "other inputs (config: soft_ratings)" in said.err.replace("\n", " ")


def test_explain_tells_the_story_of_rejected_rows(terminal: Terminal) -> None:
    """Of every stage and reason there is, failed writing and duplicates among them."""
    faults = (("unreadable", 0.3), ("truncated", 0.2))
    teacher = TeacherConfig(pass_rate=0.6, duplicate_rate=0.3, faults=faults)
    terminal.make_server = lambda: FakeServer(teacher)
    config = terminal.write("short.yaml", "draws:\n  max_draws: 25\n")
    terminal.run("--task-paths", terminal.task(), "-n", 500, "--config", config)
    kinds = {(row["stage"], row["reason"]): row for row in terminal.rows()[1]}
    assert {"write_questions", "dedup", "judge_question"} <= {stage for stage, _ in kinds}
    for (stage, reason), row in kinds.items():
        console = Console(file=io.StringIO(), highlight=False, soft_wrap=True, width=100)
        assert explain_command(ExplainOptions(row["id"], terminal.output), console) == 0
        told = cast("io.StringIO", console.file).getvalue()
        assert f"rejected by {stage}: {reason}: " in told
        assert ("the reply that decided" in told) == (stage != "dedup")
        assert "try 2 of 2" in told or reason not in ("unreadable", "truncated")


def test_prompts_prints_those_that_are_asked_for(terminal: Terminal) -> None:
    """Those that the task's candidates meet, or the one named, even if they never meet it, with the line of its class."""
    assert "─ write_context ─" not in terminal.type("prompts", "--task-paths", terminal.task()).out
    for name in STEPS:
        said = terminal.type("prompts", name, "--task-paths", terminal.task()).out
        (origin,) = (line for line in said.splitlines() if line.startswith("from  "))
        file, line = origin.rpartition("(")[2].rstrip(")").rsplit(":", 1)
        assert Path(file).read_text("utf-8").splitlines()[int(line) - 1].startswith("class ")


def test_prompts_shows_brackets_in_names_and_paths(terminal: Terminal) -> None:
    """They are no markup: neither those of a model nor those of a program's file."""
    config = terminal.write("brackets.yaml", "generator: {model: 'fox[1b]q4'}")
    said = terminal.type("prompts", "write_answer_freeform", "--task-paths", terminal.task(), "--config", config)
    assert "generator (fox[1b]q4), temperature" in said.out
    program = terminal.write("both[v1].json", (CHECKOUT / "tests/before/inputs/programs/both.json").read_text("utf-8"))
    assert f"compiled in  {program}, by " in terminal.type("prompts", "--program", program).out


# -- signals, in a process of its own -----------------------------------------------------------------------------------

WITHOUT_TORCH = """
import skills_dspy.cli.run as run
from evals.bench.hash_embedder import HashEmbedder
from skills_dspy.__main__ import main
from skills_dspy.model.embedding.embedder import AsyncEmbedder
run.embedder_of = lambda *_: AsyncEmbedder(HashEmbedder())
main()
"""
STARTS = {"no torch": ["-c", WITHOUT_TORCH], "torch": ["-m", "skills_dspy"]}


@pytest.fixture(scope="module")
def slow_teacher() -> Iterator[str]:
    """A teacher that takes a second for each reply."""
    teacher = Teacher(TeacherConfig(slots=8, latency=1))
    yield teacher.url
    teacher.close()


@pytest.mark.parametrize(("how", "which"), [("no torch", signal.SIGTERM), ("torch", signal.SIGINT)])
def test_a_signal_ends_a_run_at_once(slow_teacher: str, tmp_path: Path, how: str, which: signal.Signals) -> None:
    """In less than two seconds, with exit code 130 and the way on; even while torch is being imported."""
    words = ["run", "--task-paths", str(DEBATE), "--output-dir", str(tmp_path), "--base-url", slow_teacher, "-n", "50"]
    command = [sys.executable, *STARTS[how], *words]
    paths = RunPaths(tmp_path / DEBATE_NAME)
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: paths.run_json.exists() and json.loads(paths.run_json.read_bytes())["status"] == "running", process)
        process.send_signal(which)
        began = time.monotonic()
        out, err = process.communicate(timeout=20)
        took = time.monotonic() - began
    assert process.returncode == 130
    assert took < 2.0
    assert out == ""
    assert err.startswith(f"Interrupted; everything is kept (0 of 50 for {DEBATE_NAME}). Go on with: ")
    assert shlex.split(err.strip().partition("-m skills_dspy ")[2]) == words
    assert json.loads(paths.run_json.read_bytes())["status"] == "interrupted"


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something in another process, half a minute at most, or until that ends."""
    end = time.monotonic() + 30.0
    while not happened():
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
