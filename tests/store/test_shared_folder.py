"""Whether two machines see one folder."""

import re
from pathlib import Path

import pytest
from filelock import FileLock

from skills_dspy.base.errors import NotShared
from skills_dspy.store.shared_folder import look_for, marked


def test_a_token_is_seen_while_it_is_held_and_gone_afterwards(tmp_path: Path) -> None:
    """The folder is made for it, and nothing is left in it; a second token has another name."""
    folder = tmp_path / "output"
    with marked(folder) as token, marked(folder) as other:
        assert token != other
        look_for(folder, token, "the worker")
    assert not list(folder.iterdir())


def test_a_folder_without_the_token_is_another_one(tmp_path: Path) -> None:
    """Of the same path on a machine that does not share it: nothing is written there to find out."""
    with marked(tmp_path / "here") as token, pytest.raises(NotShared, match="the worker on a does not see the folder"):
        look_for(tmp_path / "there", token, "the worker on a")
    assert not (tmp_path / "there").exists()


def test_a_folder_whose_locks_do_not_hold_elsewhere_is_refused(tmp_path: Path) -> None:
    """Two workers could write one run there; the token itself is left alone."""
    (tmp_path / "token").touch()
    said = f"the worker on a sees the folder {re.escape(str(tmp_path))}, but not the locks that another machine holds there"
    with pytest.raises(NotShared, match=said):
        look_for(tmp_path, "token", "the worker on a")
    assert (tmp_path / "token").exists()
    with FileLock(tmp_path / "token", timeout=0):  # and free
        pass
