"""What tests of the model share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skills_dspy.store.journal import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        yield journal
