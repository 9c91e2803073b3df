"""Which row a window shows next, and what becomes of its choices; any number of windows at once."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from skills_dspy.base.errors import RequestError
from skills_dspy.base.records import Rejection, SeedExample
from skills_dspy.base.visible import visible
from skills_dspy.commands.review.rated import RatedRow
from skills_dspy.store.reviews import BLAME, DID, Review, ReviewLog, standing, text_mark, verdict_on

_LONGEST = 200_000  # characters of an edited text
_SHOWN_SEEDS = 3
_TAKES = {"reject": ("about", "reason", "note"), "edit": ("instruction", "response")}
"""What a choice may have beside the row and the verdict."""


class Conflict(RequestError):
    """Another window said something of the row while it was open in this one; nothing was written."""

    def __init__(self, said: Review, known: int) -> None:
        super().__init__(
            f"Not saved: another window {DID[said.verdict]} this row while it was open here. Choose once more to put yours in "
            "its place, or skip it."
        )
        self.known = known


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """What stands above the rows: the task's name, its description and its seeds."""

    task: str
    description: str
    seeds: tuple[SeedExample, ...]


class ReviewDesk:
    """Gives out rows, one for each window, and puts on the disk what is said of them; may be used from any thread.

    Args:
        rows: in the order in which they are to be looked at.
        now: the time of day, as it is written down.
    """

    def __init__(self, subject: ReviewTask, rows: Sequence[RatedRow], log: ReviewLog, now: Callable[[], str]) -> None:
        self._subject = subject
        self._rows = {row.row.id: row for row in rows}
        self._log = log
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[str, str] = {}  # window to row
        # Choices that can be taken back, the last one last: the row, and how many lines were about it then.
        self._chosen: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._before: list[tuple[str, int]] = []
        lines = Counter[str]()
        for review in log.read():
            lines[review.id] += 1
            if review.id in self._rows and review.verdict != "undo":
                self._before.append((review.id, lines[review.id]))

    def next(self, window: str) -> dict[str, Any]:
        """What a window shows now: `row`, which is None when all were looked at, and `progress`."""
        with self._lock:
            return self._shown(window)

    def choose(self, window: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """Put a choice on the disk; returns what the window shows next, and as `last` what the judges said of a decided row.

        `said` has the row's `id` and `known`, as it was shown, the `verdict`, and what a Review has beside. Who skips a row
        that another window has decided leaves that as it is: nothing is written.

        Raises:
            Conflict: another window was quicker.
            RequestError: there is no such row, or the choice lacks something.
            StorageError: it is not on the disk.
        """
        with self._lock:
            rated, review = self._review(said)
            if review.verdict == "skip" and verdict_on(standing(self._log.read()), rated.row):
                self._open.pop(window, None)
                return self._shown(window)
            known = said.get("known")
            other = self._log.add(review, known if isinstance(known, int) else -1)
            if other is not None:
                raise Conflict(other, self._log.changes(review.id))
            self._chosen[window].append((review.id, self._log.changes(review.id)))
            self._open.pop(window, None)
            # Who skips a row is to see it again, and not to know then what the judges said.
            told = {} if review.verdict == "skip" else {"last": self._revealed(rated, review)}
            return {**self._shown(window), **told}

    def undo(self, window: str) -> dict[str, Any]:
        """Take back a window's last choice, or one from before all windows, and show that row again.

        Raises:
            RequestError: there is none, or another window has said something of that row since; the next undo passes over it.
            StorageError: it is not on the disk.
        """
        with self._lock:
            now = standing(self._log.read())
            while (places := self._chosen[window] or self._before) and places[-1][0] not in now:
                places.pop()  # taken back by somebody else
            if not places:
                raise RequestError("There is nothing to take back.")
            name, known = places[-1]
            review = Review(id=name, text=text_mark(self._rows[name].row), verdict="undo", at=self._now())
            other = self._log.add(review, known)
            places.pop()
            if other is not None:
                raise RequestError(
                    f"Not taken back: another window {DID[other.verdict]} that row since. Press u again for the one before."
                )
            self._open[window] = name
            return self._shown(window)

    def counts(self) -> Counter[str]:
        """How many of the rows have been decided in which way."""
        now = standing(self._log.read())
        found = (verdict_on(now, row.row) for row in self._rows.values())
        return Counter(review.verdict for review in found if review is not None)

    def _shown(self, window: str) -> dict[str, Any]:
        now = standing(self._log.read())
        decided = {name: verdict_on(now, rated.row) for name, rated in self._rows.items()}
        left = [name for name, review in decided.items() if review is None]
        skipped = {name for name in left if name in now}
        elsewhere = {name for other, name in self._open.items() if other != window}
        mine = self._open.pop(window, None)
        name = min(left, key=lambda name: (name != mine, name in elsewhere, name in skipped), default=None)
        if name is not None:
            self._open[window] = name
        ways = Counter[str](review.verdict for review in decided.values() if review is not None)
        progress = {"rows": len(self._rows), "done": ways.total(), "skipped": len(skipped), **ways}
        return {"row": None if name is None else self._row(self._rows[name]), "progress": progress}

    def _row(self, rated: RatedRow) -> dict[str, Any]:
        """A row without a word of what became of it."""
        row = rated.row
        texts = {"context": row.context, "question": row.instruction, "answer": row.response}
        return {
            "id": row.id,
            "known": self._log.changes(row.id),
            "task": self._subject.task,
            "description": self._subject.description,
            "seeds": [
                [visible(text) for text in (seed.context, seed.question, seed.answer) if text is not None]
                for seed in self._subject.seeds
                if (seed.context is None) == (row.context is None)
            ][:_SHOWN_SEEDS],
            "shown": {name: None if text is None else visible(text) for name, text in texts.items()},
            "raw": texts,
            "blame": {about: list(words) for about, words in BLAME.items() if about == "question" or row.response is not None},
        }

    def _review(self, said: Mapping[str, Any]) -> tuple[RatedRow, Review]:
        rated = self._rows.get(str(said.get("id")))
        if rated is None:
            raise RequestError("There is no such row in this run.")
        row, verdict = rated.row, said.get("verdict")
        given = {name: said[name] for name in _TAKES.get(str(verdict), ()) if said.get(name)}
        if verdict == "undo" or any(not isinstance(text, str) or len(text) > _LONGEST for text in given.values()):
            raise RequestError("That is no choice that can be made here.")
        given = {name: text.replace("\r\n", "\n") for name, text in given.items()}
        try:
            review = Review.model_validate(
                {"id": row.id, "text": text_mark(row), "verdict": verdict, "at": self._now(), **given}
            )
        except ValidationError as error:
            said_so = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
            raise RequestError(f"Not saved: {said_so}.") from error
        if review.about == "answer" and row.response is None:
            raise RequestError("Not saved: this row has no answer.")
        if review.verdict == "edit":
            if (row.response is None) != (review.response is None):
                raise RequestError("Not saved: an edited row has an answer where it had one.")
            if (review.instruction, review.response) == (row.instruction, row.response):
                raise RequestError("Not saved: nothing was changed; accept the row instead.")
        return rated, review

    def _revealed(self, rated: RatedRow, review: Review) -> dict[str, Any]:
        """What the judges had said, which may be known now."""
        row = rated.row
        fate = f"rejected it ({row.stage}: {row.reason})" if isinstance(row, Rejection) else "accepted it"
        judges = [
            {
                "judge": verdict.stage,
                "passed": verdict.passed,
                "label": "" if verdict.label is None else str(verdict.label),
                "expected": None if verdict.soft is None else round(verdict.soft.expected, 2),
                "explanation": visible(verdict.explanation),
            }
            for verdict in rated.verdicts
        ]
        return {
            "id": row.id,
            "verdict": review.verdict,
            "question": visible(row.instruction or ""),
            "fate": fate,
            "judges": judges,
        }
