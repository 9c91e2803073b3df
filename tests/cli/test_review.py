"""`review` as it is typed: the address, how it ends, and what it says then."""

import os
import re
import signal
import threading
from pathlib import Path

import pytest

from skills_dspy.commands.review.opening import open_review
from skills_dspy.commands.review.server import ReviewServer
from skills_dspy.store.run_dir import taken
from tests.helpers.exporting import write_run
from tests.helpers.terminal import Terminal

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1"])


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_page_is_served_until_it_is_ended(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals
) -> None:
    """By Ctrl-C or a service manager: exit code 0, what was done is said, and where it is."""
    folder = write_run(tmp_path / "runs")
    serve = ReviewServer.serve_forever

    def a_while(server: ReviewServer) -> None:
        row = server.desk.next("w")["row"]
        server.desk.choose("w", {"id": row["id"], "known": 0, "verdict": "accept"})
        threading.Timer(0.05, os.kill, (os.getpid(), ending)).start()
        serve(server, 0.01)

    monkeypatch.setattr(ReviewServer, "serve_forever", a_while)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell has it for what it starts in the background
    try:
        code, out, err = terminal.type("review", folder, "--order", "random")
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 0
    assert re.match(
        r"0 of 3 rows looked at\. Look at them here, on this machine alone:\n  http://127\.0\.0\.1:\d+/[\w-]{32,}/\n\n"
        rf"1 of 3 rows looked at \(1 accepted\): {re.escape(str(folder))}/reviews\.jsonl\n$",
        out,
    )
    assert err.startswith(f"Every choice goes to {folder}/reviews.jsonl at once.")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_explain_tells_what_a_person_said(terminal: Terminal) -> None:
    """Beside all else; of an edit both texts, and nothing where it was taken back."""
    terminal.run("--task-paths", terminal.task(), "-n", 3)
    folder = terminal.output / "test" / "foxes"
    desk = open_review(folder, "newest", lambda: "now").desk
    row = desk.next("w")["row"]
    kept = {"id": row["id"], "known": 0, "verdict": "reject", "about": "question", "note": "No [bold]fox[/bold]."}
    desk.choose("w", kept)
    words = ("explain", row["id"], "--output-dir", folder)
    assert "a person chose reject, for the question: No [bold]fox[/bold].\n" in terminal.type(*words).out
    desk.undo("w")
    assert "a person chose" not in terminal.type(*words).out
    answer = None if row["raw"]["answer"] is None else "Edited."
    desk.choose("w", {"id": row["id"], "known": 2, "verdict": "edit", "instruction": "Edited?", "response": answer})
    said = terminal.type(*words).out
    assert "a person chose edit\n\ninstruction, edited\nEdited?\n" in said
    assert f"\ninstruction\n{row['raw']['question']}\n" in said


def test_a_run_that_goes_on_is_looked_at_with_a_warning(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has now."""
    write_run(tmp_path / "runs")

    def ended(_: ReviewServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ReviewServer, "serve_forever", ended)
    with taken(tmp_path / "runs", "test/foxes"):
        said = terminal.type("review", tmp_path / "runs" / "test" / "foxes")
    assert said.code == 0
    assert said.err.startswith("warning: a run is still writing in ")


def test_what_cannot_be_looked_at_is_one_sentence(terminal: Terminal, tmp_path: Path) -> None:
    """Exit code 2."""
    said = terminal.type("review", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"error: there is no run at or below {tmp_path}; give a run's directory\n"
    assert terminal.type("review", tmp_path, "--order", "oldest").code == 2
