"""A run that is killed again and again, at moments of every kind, ends with the bytes of one that nothing has disturbed."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evals.record.answering import CHECKOUT
from evals.teacher.config import TeacherConfig
from skills_dspy.base.columns import from_columns
from tests.helpers.kill_driver import CONCURRENCY, MOMENTS, SPEC
from tests.helpers.optimizing_lab import Teacher

KILLS, WANTED = 6, 8
TEACHER = TeacherConfig(slots=CONCURRENCY, latency=0.02, duplicate_rate=0.2, pass_rate=0.8)

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Killed:
    """What happened: the undisturbed run, those that were killed, the last one; and where they ran."""

    folder: Path
    whole: dict[str, Any]
    kills: list[dict[str, Any]]
    last: dict[str, Any]
    seen: int

    def bytes(self, which: str) -> tuple[bytes, bytes]:
        """The rows of the run in that folder."""
        folder = self.folder / which / SPEC.task_name
        return (folder / "data.jsonl").read_bytes(), (folder / "rejected.jsonl").read_bytes()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """All runs, made once for all tests here."""
    folder = tmp_path_factory.mktemp("killed")
    teacher = Teacher(TEACHER)
    words = ["--host", teacher.url, "--folder", str(folder), "--kills", str(KILLS), "--wanted", str(WANTED)]
    command = [sys.executable, "-m", "tests.helpers.kill_driver", *words]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    teacher.close()
    said = json.loads(done.stdout)
    return Killed(folder, said["whole"], said["kills"], said["last"], said["seen"])


def test_every_kill_has_hit_a_running_run(killed: Killed) -> None:
    """Each by SIGKILL, of every kind, and some of them in the middle of a row; the first and the last run are complete."""
    assert [(run["signal"], run["status"]) for run in killed.kills] == [(9, "running")] * KILLS
    assert set(Counter(run["moment"] for run in killed.kills)) == set(MOMENTS)
    assert any(run["torn"] for run in killed.kills)
    assert all(run["torn"] for run in killed.kills if run["moment"] == "torn")
    assert [(run["signal"], run["status"]) for run in (killed.whole, killed.last)] == [(0, "complete")] * 2


def test_the_rows_are_the_same_bytes(killed: Killed) -> None:
    """And there are rows of both kinds in them."""
    assert killed.bytes("killed") == killed.bytes("whole")
    assert all(killed.bytes("whole"))


def test_rows_and_replies_are_never_lost(killed: Killed) -> None:
    """What is on disk stays there: the journal and the rows only grow."""
    for run in (*killed.kills, killed.last):
        assert set(run["before"]) <= set(run["after"])
    rows = [run["rows"] for run in (*killed.kills, killed.last)]
    assert rows == sorted(rows)
    assert rows[-1] == killed.whole["rows"]


def test_nothing_that_is_in_the_journal_is_asked_again(killed: Killed) -> None:
    """Nor is anything asked twice by one run."""
    for run in (*killed.kills, killed.last):
        assert not set(run["asked"]) & set(run["before"])
        assert len(set(run["asked"])) == len(run["asked"])


def test_a_kill_costs_no_more_than_what_was_in_flight(killed: Killed) -> None:
    """What was asked and is not in the journal was given up by the run itself, or was on its way when it was killed."""
    for run in killed.kills:
        lost = set(run["asked"]) - set(run["after"]) - set(run["dropped"])
        # A reply that has come frees its slot and then waits for the disk: so there may be a second round on its way.
        assert len(lost) <= 2 * CONCURRENCY
    dropped = sum(len(run["dropped"]) for run in (*killed.kills, killed.last))
    assert killed.seen <= len(killed.last["after"]) + dropped + KILLS * CONCURRENCY
    assert not set(killed.last["asked"]) - set(killed.last["after"]) - set(killed.last["dropped"])


def test_killed_runs_need_no_more_replies_than_one_that_is_left_alone(killed: Killed) -> None:
    """But for what a run asks ahead: which of that had come when it was complete is chance."""
    rows = [from_columns(json.loads(line)) for part in killed.bytes("whole") for line in part.splitlines()]
    needed = {digest for row in rows for tries in row["provenance"]["calls"].values() for digest in tries}
    for journal in (set(killed.whole["after"]), set(killed.last["after"])):
        assert needed <= journal
        assert len(journal - needed) <= len(needed)
