"""What `check` has measured of hosts is found again, and what is old or broken is left out with a line."""

import json
from datetime import date
from pathlib import Path

import pytest

from skills_dspy.store.measured import MeasuredHost, find_measured, keep_measured, kept_in

TODAY = date(2026, 11, 27)
A, B = ("http://a:11434", "m"), ("http://b:11434", "m")


def measured(key: tuple[str, str], slots: int = 4, on: date = TODAY) -> MeasuredHost:
    """One host."""
    return MeasuredHost(host=key[0], model=key[1], slots=slots, tokens_per_second=100.0, measured=on)


def test_what_was_kept_is_found_beside_what_was_there(tmp_path: Path) -> None:
    """By host and model; the newest counts, and the file is small and whole."""
    path = tmp_path / "cache" / "hosts.json"
    keep_measured(path, [measured(A), measured(B, 8)])
    keep_measured(path, [measured(A, 6)])
    found, lines = find_measured(path, [A, B, (A[0], "other")], TODAY)
    assert ({key: one.slots for key, one in found.items()}, lines) == ({A: 6, B: 8}, [])
    assert [path.name for path in path.parent.iterdir()] == ["hosts.json"]


def test_what_is_old_is_not_used(tmp_path: Path) -> None:
    """After thirty days; one that nobody asks for is not spoken of."""
    keep_measured(tmp_path / "f", [measured(A, on=date(2026, 10, 27)), measured(B, on=date(2026, 10, 28))])
    found, lines = find_measured(tmp_path / "f", [A, B], TODAY)
    assert (list(found), lines) == (
        [B],
        ["what `check` measured of http://a:11434 on 2026-10-27 is old, and not used; measure it again"],
    )
    assert find_measured(tmp_path / "f", [B], TODAY)[1] == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[" * 5000, '{"format": 2, "hosts": []}', json.dumps({"format": 1, "hosts": [{"host": 1}]}), "\xff"],
)
def test_a_broken_file_is_told_and_written_anew(tmp_path: Path, text: str) -> None:
    """Nothing is used of it, and it stops nothing."""
    path = tmp_path / "hosts.json"
    path.write_bytes(text.encode("latin-1"))
    found, (line,) = find_measured(path, [A], TODAY)
    assert found == {}
    assert line == f"{path} is not what `check` writes, and not used; measure the hosts again"
    keep_measured(path, [measured(A)])
    assert find_measured(path, [A], TODAY) == ({A: measured(A)}, [])


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """It may be a folder."""
    assert len(find_measured(tmp_path, [A], TODAY)[1]) == 1
    assert find_measured(tmp_path / "none", [A], TODAY) == ({}, [])
    assert find_measured(None, [A], TODAY) == ({}, [])


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, Path("/c/skills-dspy/hosts.json")),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, Path("/h/.cache/skills-dspy/hosts.json")),
        ({"HOME": "/h"}, Path("/h/.cache/skills-dspy/hosts.json")),
        ({}, None),
    ],
)
def test_the_cache_folder_is_the_users(environment: dict[str, str], path: Path | None) -> None:
    """As the XDG specification says: a relative path is none."""
    assert kept_in(environment) == path
