"""How rows were rated: an accepted one says it itself; of a rejected one the replies in the journal tell."""

from dataclasses import dataclass

from skills_dspy.base.columns import TAG_NAMES
from skills_dspy.base.errors import Unreadable
from skills_dspy.base.records import Record, SoftRating
from skills_dspy.base.scales import PAIR, QUESTION, Label
from skills_dspy.model.adapter import SkillsAdapter
from skills_dspy.model.replies import NO_REPLY
from skills_dspy.model.soft import soft_of
from skills_dspy.model.steps import STEPS
from skills_dspy.store.journal import JournaledReply
from skills_dspy.store.said import said_in


@dataclass(frozen=True, slots=True)
class Rating:
    """What was said of a row on one scale; `soft` is None where the server gave no probabilities."""

    label: Label
    soft: SoftRating | None = None
    explanation: str = ""


def own_ratings(row: Record) -> dict[str, Rating]:
    """How an accepted row says that it was rated, by the names of the scales; a tag that was lost is not among them."""
    tags = row.tags
    said = {name: (getattr(tags, name), tags.soft.get(name), tags.explanations.get(name, "")) for name in TAG_NAMES}
    for scale, verdict in ((QUESTION, row.question_verdict), (PAIR, row.pair_verdict)):
        said[scale.name] = (verdict.rating, verdict.soft, verdict.explanation)
    return {name: Rating(*parts) for name, parts in said.items() if parts[0] is not None}


def replied_ratings(reply: JournaledReply, adapter: SkillsAdapter) -> dict[str, Rating]:
    """What a reply rates, by the names of the scales; nothing where it cannot be read, or rates nothing."""
    step = STEPS.get(reply.step)
    if step is None or not step.rates or NO_REPLY in reply.reply:
        return {}
    try:
        values = adapter.plan(step.source).read(said_in(reply.reply, reply.request).text)
    except Unreadable:
        return {}
    soft, why = soft_of(reply.reply, reply.request), str(values.get("explanation", ""))
    return {scale.name: Rating(values[scale.field], soft.get(scale.field), why) for scale in step.rates}
