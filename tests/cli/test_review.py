"""`review` as it is typed: the address, how it ends, and what it says then."""

import os
import re
import signal
import threading
from pathlib import Path

import pytest

from skills_dspy.commands.review.server import ReviewServer
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
    code, out, err = terminal.type("review", folder, "--order", "random")
    assert code == 0
    assert re.match(
        r"0 of 3 rows looked at\. Look at them here, on this machine alone:\n  http://127\.0\.0\.1:\d+/[\w-]{32,}/\n\n"
        rf"1 of 3 rows looked at \(1 accepted\): {re.escape(str(folder))}/reviews\.jsonl\n$",
        out,
    )
    assert err.startswith(f"Every choice goes to {folder}/reviews.jsonl at once.")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_cannot_be_looked_at_is_one_sentence(terminal: Terminal, tmp_path: Path) -> None:
    """Exit code 2."""
    said = terminal.type("review", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"error: there is no run at or below {tmp_path}; give a run's directory\n"
    assert terminal.type("review", tmp_path, "--order", "oldest").code == 2
