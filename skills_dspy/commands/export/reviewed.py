"""What becomes of a row that a person looked at: what they said goes before what the judges said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from skills_dspy.base.records import AnswerPair, HumanReview, Provenance, Record, Rejection
from skills_dspy.store.reviews import Review, verdict_on

Rows = Literal["accepted", "judged", "pairs"]
"""Which rows of a run are exported."""

FileRow = Record | Rejection | AnswerPair
"""One of them as it stands in a run's file; a rejection is there for its answer, which a judge saw."""

LET_BE = ("accept", "edit")
"""The verdicts of people that let a row be."""


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer that was found good (`label`) or bad; all else as in a record."""

    id: str
    task_name: str
    instruction: str
    response: str
    context: str | None
    provenance: Provenance
    label: bool


ExportRow = Record | JudgedAnswer | AnswerPair
"""A row as it is exported."""


def exported_answer(row: ExportRow) -> str:
    """Its answer; of two that are compared the chosen one."""
    return row.chosen.answer if isinstance(row, AnswerPair) else row.response


def review_of(row: FileRow, own: Mapping[str, Review], others: Mapping[str, Review]) -> Review | None:
    """What a person said of a row in its own run, else in another; of a pair it is about the first answer, the run's own."""
    shown: Record | Rejection
    if isinstance(row, AnswerPair):
        first = row.rejected if row.chosen.second else row.chosen
        texts = {"instruction": row.instruction, "response": first.answer, "context": row.context or None}
        shown = Rejection.model_construct(None, id=row.id, **texts)
    else:
        shown = row
    return verdict_on(own, shown) or verdict_on(others, shown)


def honoured(row: FileRow, review: Review | None, kind: Rows) -> ExportRow | None:
    """The row as it is exported; None where a person's verdict leaves it out.

    Of accepted rows it leaves out the rejected ones. A judged answer that a person rejected for itself is a bad one, whatever
    the judge said, and one that was accepted a good one; of a question that is at fault nothing is learned. A pair goes where
    the person prefers the other answer. Where they edited the chosen one, and not the question, the edit is chosen in its
    place; of another edit it is not known whether it is the better one, so its pair goes.
    """
    verdict = None if review is None else review.verdict
    at_fault = review is not None and verdict == "reject" and review.about == "question"
    if isinstance(row, AnswerPair):
        return None if at_fault else _preferred(row, review)
    if kind == "judged":
        if at_fault:
            return None
        edited = review if verdict == "edit" else None
        return JudgedAnswer(
            id=row.id,
            task_name=row.task_name,
            instruction=(row.instruction if edited is None else edited.instruction) or "",
            response=(row.response if edited is None else edited.response) or "",
            context=row.context,
            provenance=row.provenance,
            label=isinstance(row, Record) if verdict is None else verdict in LET_BE,
        )
    assert isinstance(row, Record)
    if review is None:
        return row
    return _noted(row, review) if verdict in LET_BE else None


def _preferred(pair: AnswerPair, review: Review | None) -> AnswerPair | None:
    """A pair as the person has it who looked at its first answer; None where they contradict it."""
    first_chosen = not pair.chosen.second
    if review is None or review.verdict == ("accept" if first_chosen else "reject"):
        return pair
    if review.verdict != "edit" or not first_chosen or review.instruction != pair.instruction or not review.response:
        return None
    return pair.model_copy(update={"chosen": pair.chosen.model_copy(update={"answer": review.response})})


def _noted(row: Record, review: Review) -> Record:
    """A row with what a person did in its provenance: of an edited one, which has the texts of the edit, both texts."""
    noted = HumanReview(verdict="accept")
    if review.verdict == "edit":
        noted = HumanReview(
            verdict="edit",
            question_before=row.instruction,
            question_after=review.instruction,
            answer_before=row.response,
            answer_after=review.response,
        )
        row = row.model_copy(update={"instruction": review.instruction, "response": review.response})
    return row.model_copy(update={"provenance": row.provenance.model_copy(update={"reviewed": noted})})
