"""A folder that `datasets.load_dataset` reads and the Hub shows: Parquet shards in data/, and a card."""

import re
from contextlib import ExitStack
from pathlib import Path

from skills_dspy.base.records import Record
from skills_dspy.commands.export.parquet import Shards

NAMES = re.compile(r"README\.md|data/(train|test)-\d{5}-of-\d{5}\.parquet")
"""The paths of all that is written into the folder."""


class HfWriter:
    """Writes shards, and in the end the card.

    Args:
        place: the folder.
        sides: `train` and `test`, or `train` alone.
        stack: closes the files.
    """

    def __init__(self, place: Path, sides: tuple[str, ...], stack: ExitStack) -> None:
        self._place = place
        (place / "data").mkdir()
        self._sides = {side: Shards(place / "data", side, stack) for side in sides}

    def write(self, record: Record, side: str) -> None:
        """Write one record."""
        self._sides[side].write(record)

    def finish(self) -> None:
        """Write the files' ends and give them their names."""
        for shards in self._sides.values():
            shards.finish()

    def write_card(self, text: str) -> None:
        """Write the dataset card."""
        (self._place / "README.md").write_text(text, "utf-8")
