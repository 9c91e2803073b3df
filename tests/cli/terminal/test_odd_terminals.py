"""No output is lost in a narrow terminal, in one that cannot draw, or where nobody listens any more."""

import io
import json
import os
import re
import subprocess
import sys

import pytest

from evals.record.answering import CHECKOUT
from skills_dspy.cli.progress import Progress
from skills_dspy.cli.terminal.consoles import make_console, make_table
from skills_dspy.cli.terminal.streams import echo, guarded, know_all_letters
from tests.helpers.terminal import Screen


class Gone(io.StringIO):
    """Where somebody listened."""

    def write(self, _: str) -> int:
        """Nobody is there."""
        raise BrokenPipeError

    flush = write  # type: ignore[assignment]


@pytest.mark.parametrize("columns", ["1", "7", "39", "80"])
def test_a_table_loses_nothing_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    """Neither a column nor the end of a word that is longer than its room."""
    monkeypatch.setenv("COLUMNS", columns)
    table = make_table("task", "accepted", "ended", numbers=("accepted",))
    table.add_row("a/long/name/of/a/task" * 3, "3 of 20", "stopped: 30 draws in a row" * 2)
    make_console(soft_wrap=True).print(table)
    said = capsys.readouterr().out
    (first, *_) = said.splitlines()
    assert first.split() == ["task", "accepted", "ended"]
    assert sorted(re.sub(r"\s", "", said)) == sorted(
        "taskacceptedended" + "a/long/name/of/a/task" * 3 + "3of20" + "stopped:30drawsinarow" * 2
    )


@pytest.mark.parametrize(("variable", "value"), [("TERM", "dumb"), ("TTY_INTERACTIVE", "0"), ("TTY_COMPATIBLE", "0")])
def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """A night would pass without a word there."""
    monkeypatch.setenv(variable, value)
    stream, hand = Screen(), [0.0]
    with Progress(stream=stream, clock=lambda: hand[0]) as progress:
        hand[0] = 100.0
        progress.update("half of it")
    assert stream.getvalue() == "half of it\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_json_stays_json_where_few_letters_are_known(encoding: str) -> None:
    """Python's own escapes of them are none of JSON's."""
    raw, content = io.BytesIO(), {"é": "🍵 Ω — \udce9"}
    stream = io.TextIOWrapper(raw, encoding=encoding)
    know_all_letters(stream)
    echo(json.dumps(content, ensure_ascii=False), stream=stream)
    stream.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == content


@pytest.mark.parametrize(
    ("full", "code", "said"),
    [
        (True, 2, "error: what is printed cannot be written: No space left on device; the run's files are whole\n"),
        (False, 1, ""),
    ],
)
def test_an_answer_that_cannot_be_written_ends_a_command_without_a_traceback(full: bool, code: int, said: str) -> None:
    """On a full disk with a sentence; without a word where nobody reads a pipe any more, as after `head`."""
    if full:
        stdout = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stdout = os.pipe()
        os.close(reader)
    words = [sys.executable, "-m", "skills_dspy", "--help"]
    done = subprocess.run(words, cwd=CHECKOUT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    os.close(stdout)
    assert (done.returncode, done.stderr) == (code, said)


def test_work_goes_on_when_nobody_hears_how_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may not end because `2>&1 | head` has seen enough; what is asked for on stdout is another matter."""
    monkeypatch.setattr(sys, "stderr", Gone())
    monkeypatch.setattr(sys, "stdout", Gone())
    with guarded():
        print("to nobody", file=sys.stderr)
        Progress().say("to nobody")
        make_console(err=True).print("to nobody")
        with pytest.raises(BrokenPipeError):
            print("an answer")
