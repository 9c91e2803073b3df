"""Nothing of what models, servers and files say acts on the terminal, whichever command prints it."""

import io
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import click
import pytest
from rich.table import Table

from skills_dspy.base.errors import ServerError
from skills_dspy.base.visible import visible
from skills_dspy.cli.progress import Progress
from skills_dspy.cli.terminal.consoles import make_console, unmarked
from skills_dspy.cli.terminal.streams import echo, echo_json, guarded, show_bug
from tests.helpers.fake_server import FakeServer
from tests.helpers.small_runs import TEACHER
from tests.helpers.terminal import Said, Screen, Terminal

EVIL = "\x1b[31mred\x1b]0;a title\x07\x9b2J\u202eback\x08\x7f\x00\r\u2028"
SHOWN = "\\x1b[31mred\\x1b]0;a title\\x07\\u009b2J\\u202eback\\x08\\u007f\\x00\\x0d\\u2028"
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
STYLES = re.compile(r"\x1b\[[0-9;]*m")

# ---- streams and consoles --------------------------------------------------------------------------------------------


def test_escapes_show_what_was_there() -> None:
    """C0 in two digits, all else as JSON may hold it; line feeds and tabs are layout, and joiners belong to scripts."""
    assert visible(EVIL) == SHOWN
    assert visible("a\tb\nc é می\u200cخواهم 👩\u200d👧 \ud83d") == "a\tb\nc é می\u200cخواهم 👩\u200d👧 \\ud83d"


def test_whoever_prints_while_a_command_runs_is_guarded(capsys: pytest.CaptureFixture[str]) -> None:
    """A print that was forgotten, click, a library: neither stdout nor stderr lets them through."""
    with guarded():
        print(EVIL)
        click.echo(f"{EVIL}!", color=True)
        print(EVIL, file=sys.stderr)
        sys.stdout.writelines([EVIL])
    said = capsys.readouterr()
    assert said == (f"{SHOWN}\n{SHOWN}!\n{SHOWN}", f"{SHOWN}\n")


def test_a_bug_is_shown_without_acting(capsys: pytest.CaptureFixture[str]) -> None:
    """Python prints the message of what nobody caught when all is over."""
    show_bug(ValueError, ValueError(EVIL), None)
    assert capsys.readouterr().err == f"ValueError: {SHOWN}\n"


def test_what_is_echoed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """On either stream; click alone would leave out without a word what it takes for colours."""
    echo(EVIL)
    echo(EVIL, err=True)
    assert capsys.readouterr() == (f"{SHOWN}\n", f"{SHOWN}\n")


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    """And reads as what it was made of."""
    content = {"a": EVIL, EVIL: ["\udce9", "é"]}
    with guarded():
        echo_json(content)
    said = capsys.readouterr().out
    assert not ACTING.search(said)
    assert json.loads(said) == content


@pytest.mark.parametrize("stream", [Screen(), io.StringIO()], ids=["a terminal", "a file"])
def test_a_console_styles_its_own_and_shows_the_rest(stream: io.StringIO) -> None:
    """Strings with markup, texts, tables, rules; its styles act on a terminal."""
    out, table = make_console(stream=stream, width=200), Table(box=None)
    table.add_column(f"head {EVIL}")
    table.add_row(EVIL)
    table.add_row(unmarked(EVIL))
    for each in (f"[bold]{EVIL}[/bold]", unmarked(EVIL, "red"), table):
        out.print(each)
    out.rule(EVIL)
    out.print("[link=http://evil]here[/link]")
    said = stream.getvalue()
    assert (STYLES.search(said) is not None) == stream.isatty()
    bare = STYLES.sub("", said)
    assert bare.count(SHOWN) == 6
    assert not ACTING.search(bare)


def test_the_picture_of_progress_shows_what_it_tells() -> None:
    """In a terminal and elsewhere: what is said and what is complained of."""
    for stream in (Screen(), io.StringIO()):
        with Progress(stream=stream) as progress:
            progress.update(f"doing {EVIL}")
            progress.fault(EVIL, 1)
            progress.say(EVIL)
            progress.fault(EVIL, 1)
        said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", stream.getvalue())
        assert SHOWN in said
        assert not ACTING.search(said)


# ---- commands --------------------------------------------------------------------------------------------------------

TASK = """\
task_name: test/foxes
created_by: "some\\ebody"
task_description: ""
data_builder: instructlab/skills
num_questions_to_generate_per_prompt: 3
seed_examples:
""" + "".join(
    f'  - question: "What is a \\e[31m{name}?"\n    answer: "An animal.\\x9b"\n'
    for name in ("fox", "jay", "pike", "owl", "cat")
)


class Hostile(FakeServer):
    """Puts control characters into every text."""

    def __init__(self) -> None:
        super().__init__(TEACHER)

    async def version(self) -> str:
        """It says more than that."""
        return f"1.0 {EVIL}"

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = super()._body(payload)
        message = body["message"]
        try:
            content = json.loads(message["content"])
        except ValueError:
            message["content"] += EVIL
            return body
        for name, value in content.items():
            if name in ("questions", "explanation"):
                content[name] = [text + EVIL for text in value] if isinstance(value, list) else value + EVIL
        message["content"] = json.dumps(content)
        return body


@pytest.fixture
def typed(terminal: Terminal) -> Terminal:
    """A terminal with a run that control characters were let into."""
    terminal.make_server = Hostile
    config = terminal.write(
        "c.yaml", "screens: {residue: false, longest: null}\ndraws: {max_draws: 6}\nhabits: {watched: false}\n"
    )
    task = terminal.write("foxes.yaml", TASK)
    said = terminal.run("--task-paths", task, "-n", 500, "--config", config)
    assert said.code == 1
    harmless(said)
    assert "\\x1b]0;a title" in said.out
    return terminal


def harmless(said: Said) -> None:
    """Nothing that was printed acts."""
    assert not ACTING.search(said.out), said.out
    assert not ACTING.search(said.err), said.err


def test_no_command_lets_a_text_act(typed: Terminal) -> None:
    """Rows, rejections, prompts, derived descriptions, versions, seeds, other people's pairs, names of files."""
    accepted, rejected = typed.rows()
    run = typed.output / "test" / "foxes"
    pairs = typed.write("odd\x1b[2J.jsonl", json.dumps({"instruction": f"Why? {EVIL}", "response": f"So. {EVIL}"}) + "\n")
    task = typed.folder / "foxes.yaml"
    for row in (accepted[0], *{row["reason"]: row for row in rejected}.values()):
        said = typed.type("explain", row["id"], "--output-dir", typed.output)
        harmless(said)
        assert SHOWN in said.out
    loud: list[tuple[object, ...]] = [
        ("prompts", "--task-paths", task),
        ("export", run, "--format", "messages", "--out", typed.folder / "m\x1b[1m.jsonl", "--keep-residue"),
        ("eval", "data", pairs, "--no-vectors"),
        ("eval", "data", run, "--no-vectors"),
        ("check", "--task-paths", task),
        ("run", "--task-paths", typed.folder / "no\x1b[2J.yaml"),
        ("run", "--no-such-option\x1b[2J"),
        ("export", run, "--format", "odd\x1b[2J"),
    ]
    for words in loud:
        said = typed.type(*words)
        harmless(said)
        assert re.search(r"\\x1b|\\u009b", said.out + said.err), (words, said)
    quiet: list[tuple[tuple[object, ...], str]] = [  # they say nothing of such texts
        (("decide", run, "--min-sample-quality", 5, "--dry-run"), f"test/foxes: {len(accepted)} accepted before, "),
        (("tasks", task), "test/foxes  freeform      5"),
        (("tasks", task, "--format", "github"), "::notice file="),
    ]
    for words, told in quiet:
        said = typed.type(*words)
        harmless(said)
        assert (said.code, told in said.out) == (0, True), (words, said)
    programs: list[tuple[object, ...]] = [
        ("decide", run, "--dry-run", "--json"),
        ("eval", "data", run, "--no-vectors", "--json"),
        ("eval", "data", pairs, "--no-vectors", "--json"),
        ("tasks", task, "--json"),
    ]
    for words in programs:
        said = typed.type(*words)
        harmless(said)
        assert json.loads(said.out), words


def test_a_servers_error_does_not_act(terminal: Terminal) -> None:
    """What it answers is quoted in the sentence."""

    async def before(_: int) -> None:
        raise ServerError(f"The server answered 500: {EVIL}")

    terminal.make_server = lambda: FakeServer(before=before)
    said = terminal.run("--task-paths", terminal.task())
    harmless(said)
    assert (said.code, SHOWN in said.err) == (2, True)
