"""Whole runs over several hosts: what is written is the same whoever answers, whatever happens to the hosts."""

from dataclasses import replace
from typing import Any

import pytest

from evals.bench.several import OneHost, Ran, RankOrder, Strike, ran, settings
from evals.teacher.config import TeacherConfig

TEACHER = TeacherConfig(pass_rate=0.8, duplicate_rate=0.2, faults=(("unreadable", 0.1), ("truncated", 0.05)))
"""Some replies cannot be read, the same ones at every host."""
TWO = (OneHost(1, 1), OneHost(3, 3))
BROKE = "The connection to http://host-1:11434 broke (ReadError). Its work goes to the others, and it is tried again."


def played(*several: OneHost, teacher: TeacherConfig = TEACHER, **case: Any) -> Ran:
    """A run of a task, or of several, with three models."""
    return ran(several, **{"tasks": 1, **case}, wanted=2, config=settings(3), teacher=teacher)


@pytest.fixture(scope="module")
def alone() -> Ran:
    """Over one host."""
    return played(OneHost(1, 2))


@pytest.fixture(scope="module")
def together() -> Ran:
    """Over two."""
    return played(*TWO)


def test_what_is_written_does_not_depend_on_who_answered(alone: Ran, together: Ran) -> None:
    """Both of two unequal hosts answered, and the rows are those of one, to the byte; some are rejected."""
    assert all(together.calls)
    assert together.lines == alone.lines
    assert len(alone.lines[0]) > alone.kept[0].accepted >= 2


def test_faults_that_pass_change_nothing(alone: Ran) -> None:
    """The first requests to each host fail and are handed over."""
    assert played(*TWO, teacher=replace(TEACHER, fail_first=3)).lines == alone.lines


@pytest.mark.parametrize("back", [None, 0.6])
def test_a_host_that_is_killed_loses_nothing(alone: Ran, together: Ran, back: float | None) -> None:
    """The other does its work, and it gets some again when it is back."""
    times = [together.seconds * part for part in (0.5, *([] if back is None else [back]))]
    struck = played(*TWO, strike=Strike(1, *times))
    assert struck.lines == alone.lines
    assert struck.told[0] == (times[0], BROKE)
    assert len(struck.told) == (1 if back is None else 2)
    assert struck.seconds > together.seconds


def test_swaps_of_models_change_nothing_and_are_few(alone: Ran) -> None:
    """On a host that holds one of three models, and loads at most a third as often as in the order of ranks."""
    teacher = replace(TEACHER, holds=1, load_seconds=5.0)
    known, plain = (played(OneHost(1, 4), tasks=4, teacher=teacher, queue=queue) for queue in (None, RankOrder))
    assert known.lines == plain.lines
    assert known.lines[0] == alone.lines[0]
    assert known.loads <= plain.loads / 3


def test_a_replay_of_a_run_over_several_hosts_asks_nobody(together: Ran) -> None:
    """What stands in its journal decides again as it did."""
    replayed = played(*TWO, before=together.kept)
    assert replayed.calls == (0, 0)
    assert replayed.lines == together.lines
