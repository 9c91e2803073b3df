"""reviews.jsonl: what people said of the rows of a run, one line a choice; only ever added to, by any number of windows."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError, model_validator

from skills_dspy.base.columns import whole
from skills_dspy.base.errors import RunDirError
from skills_dspy.base.records import Frozen, Record, Rejection
from skills_dspy.store.files import locked, storage_errors, sync, write_whole
from skills_dspy.store.run_dir import RunPaths
from skills_dspy.store.run_json import RunJson, origin_of

ReviewVerdict = Literal["accept", "reject", "edit", "skip", "undo"]
"""What a person did with a row; `undo` takes back all that was said of it before."""

DID: dict[ReviewVerdict, str] = {
    "accept": "accepted",
    "reject": "rejected",
    "edit": "edited",
    "skip": "skipped",
    "undo": "took back its choice of",
}
"""The same in words: what a person did, followed by the row."""

Blamed = Literal["question", "answer"]
"""What is wrong with a rejected row: its question, or its answer alone."""

BLAME: dict[Blamed, tuple[str, ...]] = {
    "question": (
        "too vague",
        "incomplete",  # something that is needed is missing
        "contradicts itself",
        "false premise",
        "not answerable from the context",
        "needs what is not there",  # an image, a sound, the web, a file, knowledge of the person who asks
        "needs an action",
        "unsafe",
        "off the task",
        "other form",  # not the form that the examples have
    ),
    "answer": (
        "wrong fact",
        "wrong figure",
        "unsupported by the context",
        "ignores the requested format",
        "truncated",
        "copy of the context",
        "padded",  # talk about itself, repetition, filler
        "evasive",
        "not all answered",
    ),
}
"""Reasons for a rejection to choose from; cases that a reader labels by hand have the same."""

_PATIENCE = 10.0  # seconds for another window to write its line


class Review(Frozen):
    """One choice.

    Attributes:
        id: of the row.
        text: the digest of what was read, see `text_mark`: a review of another text with the same id does not count.
        about, reason, note: of a rejection: what is wrong, a word of BLAME or nothing, and words of one's own.
        instruction, response: of an edit: the texts as they shall be; no answer where the row has none.
        at: when, in UTC as ISO 8601 has it.
    """

    id: str
    text: str
    verdict: ReviewVerdict
    about: Blamed | None = None
    reason: str = ""
    note: str = ""
    instruction: str | None = None
    response: str | None = None
    at: str = ""

    @model_validator(mode="after")
    def _complete(self) -> "Review":
        if self.verdict == "reject" and (self.about is None or not (self.reason or self.note.strip())):
            raise ValueError("a rejection says what is wrong, and why")
        if self.reason and self.reason not in BLAME[self.about or "question"]:
            raise ValueError(f"{self.reason!r} is no reason against the {self.about}")
        if self.verdict == "edit" and not (self.instruction or "").strip():
            raise ValueError("an edited row has a question")
        return self


def text_mark(row: Record | Rejection) -> str:
    """Sixteen hex digits that tell what was read: question, answer and context."""
    parts = "\x1f".join((row.instruction or "", row.response or "", row.context or ""))
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def standing(reviews: Iterable[Review]) -> dict[str, Review]:
    """What counts of each row in the end, by its id: the last choice, and nothing where that was taken back."""
    found: dict[str, Review] = {}
    for review in reviews:
        if review.verdict == "undo":
            found.pop(review.id, None)
        else:
            found[review.id] = review
    return found


def verdict_on(reviews: Mapping[str, Review], row: Record | Rejection) -> Review | None:
    """What was decided of a row; None where it was only skipped, or where another text of that id was read."""
    review = reviews.get(row.id)
    return None if review is None or review.verdict == "skip" or review.text != text_mark(row) else review


def review_place(paths: RunPaths, run: RunJson) -> RunPaths:
    """The run whose folder holds the reviews: of a dataset that was decided anew the run it is of, as long as that is there."""
    if run.decided is None:
        return paths
    origin = RunPaths(Path(origin_of(paths, run)))
    return origin if origin.holds_run() else paths


def read_reviews(paths: RunPaths) -> tuple[Review, ...]:
    """All choices in their order; none where nobody has looked yet. RunDirError, with the line, where one is broken."""
    return ReviewLog(paths).read()


class ReviewLog:
    """The file of one run's reviews, read as it grows and added to line by line."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self._end = 0  # bytes that are read
        self._reviews: list[Review] = []
        self._changes: Counter[str] = Counter()

    def read(self) -> tuple[Review, ...]:
        """All choices, those of other windows included."""
        path = self._paths.reviews
        with storage_errors("read", path):
            size = path.stat().st_size if path.exists() else 0
            if size < self._end:  # somebody has put another file in its place
                self._end = 0
                self._reviews.clear()
                self._changes.clear()
            if size > self._end:
                with path.open("rb") as file:
                    file.seek(self._end)
                    new = file.read()
                self._take(new[: new.rfind(b"\n") + 1])
        return tuple(self._reviews)

    def changes(self, row_id: str) -> int:
        """How many lines are about a row, as far as is read: who knows this number knows what was said of it."""
        return self._changes[row_id]

    def add(self, review: Review, known: int) -> Review | None:
        """Put a choice on the disk, unless there are other than the `known` lines about the row.

        Returns None when it is there to stay, and what was said last where another window said something meanwhile; then
        nothing is written.
        """
        path, lock = self._paths.reviews, self._paths.reviews_lock
        busy = f"another process keeps {lock} locked for more than {_PATIENCE:.0f} seconds; try again"
        with locked(lock, path, lambda: busy, _PATIENCE), storage_errors("write", path):
            self.read()
            if self._changes[review.id] != known:
                return next(each for each in reversed(self._reviews) if each.id == review.id)
            line = json.dumps(whole(review.model_dump(mode="json")), ensure_ascii=False).encode() + b"\n"
            new = not path.exists()
            with path.open("ab", buffering=0) as file:
                file.truncate(self._end)  # what a killed process left of a line: nobody was told that it is kept
                write_whole(file, line, self._end, lasting=True)
            if new:
                sync(path.parent)
            self.read()
        return None

    def _take(self, lines: bytes) -> None:
        for line in lines.splitlines(keepends=True):
            try:
                review = Review.model_validate_json(line)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = f"{self._paths.reviews}:{len(self._reviews) + 1}"
                raise RunDirError(
                    f"{where}: this is no review ({first['msg']}); take the line out, or restore the file"
                ) from error
            self._reviews.append(review)
            self._changes[review.id] += 1
            self._end += len(line)
