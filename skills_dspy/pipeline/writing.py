"""The order in which decisions are written down: that of settling, though an accepted pair waits for its last tags."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from skills_dspy.base.errors import MissingReply
from skills_dspy.base.records import Neighbour
from skills_dspy.pipeline.candidate import Candidate, Dropped, Passed


class Ledger(Protocol):
    """Where decisions are written down, in settled order."""

    def name(self, candidate: Candidate) -> str:
        """The id of a candidate's row."""

    def accept(self, candidate: Candidate, passed: Passed, neighbour: Neighbour | None) -> str:
        """Write an accepted pair; returns its id."""

    def reject(self, candidate: Candidate, dropped: Dropped, neighbour: Neighbour | None) -> None:
        """Write a rejection."""


@dataclass(slots=True)
class SettledRow:
    """A decision that is to be written down; `outcome` is None as long as an accepted pair waits for its last tags.

    It is a MissingReply where a recording lacks one of these.
    """

    candidate: Candidate
    neighbour: Neighbour | None
    outcome: Passed | Dropped | MissingReply | None


class RowsInOrder:
    """Decisions on their way to a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rows: deque[SettledRow] = deque()

    @property
    def waiting(self) -> bool:
        """Whether a decision is not written down yet."""
        return bool(self._rows)

    def add(self, candidate: Candidate, neighbour: Neighbour | None, outcome: Dropped | None) -> SettledRow:
        """The next decision: a rejection, or an accepted pair whose outcome is yet to come."""
        row = SettledRow(candidate, neighbour, outcome)
        self._rows.append(row)
        self.write()
        return row

    def write(self) -> None:
        """Write what is complete; a row that cannot be written stays the first, and none follows it.

        Raises:
            MissingReply: the next row needs a reply that a recording lacks; all before it are written.
        """
        while self._rows and (outcome := self._rows[0].outcome) is not None:
            row = self._rows[0]
            if isinstance(outcome, MissingReply):
                raise outcome
            if isinstance(outcome, Dropped):
                self._ledger.reject(row.candidate, outcome, row.neighbour)
            else:
                self._ledger.accept(row.candidate, outcome, row.neighbour)
            self._rows.popleft()
