"""Questions made bad on purpose: as yes/no questions, asking for what no text can do, or about another context.

Answers stay as they are: they are not shown to those who rate questions.
"""

import random
import re
from collections.abc import Sequence

from evals.judges.corrupt.likeness import foreign_contexts, near
from skills_dspy.base.records import SeedExample

# What is put before a question (ends with a colon) or behind it.
_YES_NO = (
    "Answer with nothing but yes or no:",
    "Reply with a single word, either yes or no:",
    "Answer only with yes or no.",
    "The whole answer has to be either yes or no.",
)
_ACTION = (
    "Call my sister on the phone now and read the answer to this out to her:",
    "Print the answer to this on paper and pin it to the notice board in our hall:",
    "Do not write the answer here: send it by registered post to my landlord today.",
    "Say nothing here, but phone me this evening and tell me the answer then.",
    "Then drive to the town hall, hand in the answer in person and bring me the receipt.",
)
_IMAGE = (
    "Answer with a photograph that you have taken yourself, without a single word:",
    "Paint the answer to this in oil on canvas and show me the picture, without any text:",
    "Give the answer as a photograph only, with no text at all.",
    "Show me the answer as a colour photo; do not use words.",
)

_IS_YES_NO = re.compile(
    r"(?:^|[.!?:,;\n]\s*[\"“(]?)(?:and |but |so |then )?"
    r"(?:is|are|was|were|am|do|does|did|has|have|had|should|may|might|must|isn't|aren't|doesn't|don't|"
    r"(?:can|could|will|would)(?! you\b))\b[^.!?\n]*\?|"
    r"\b(?:yes or no|yes/no|true or false|true/false|correct or incorrect|right or wrong)\b",
    re.IGNORECASE,
)
_SAYS_YES_NO = re.compile(r"^\W*(?:yes|no|true|false|correct|incorrect)\b", re.IGNORECASE)
_WANTS_ACTION = re.compile(
    r"(?:^|[.!?:;]\s+|\n\s*|\bplease |\b(?:can|could|would|will) you )"
    r"(?:send|order|book|call|phone|print|post|mail|buy|e-?mail|schedule|remind|turn (?:on|off)|switch|open|start|set)\b",
    re.IGNORECASE,
)
_WANTS_IMAGE = re.compile(
    r"\b(?:images?|pictures?|photos?|photograph\w*|drawings?|draw|sketch\w*|diagrams?|paint\w*|illustrat\w*|svg|ascii)\b",
    re.IGNORECASE,
)


def made_yes_no(seed: SeedExample, others: Sequence[SeedExample], rng: random.Random) -> str | None:
    """The question, to be answered with yes or no alone; not where any seed of the task asks or answers so."""
    usual = any(_IS_YES_NO.search(one.question) or _SAYS_YES_NO.match(one.answer) for one in (seed, *others))
    return None if usual else _worded(seed, _YES_NO, rng)


def asking_for_action(seed: SeedExample, others: Sequence[SeedExample], rng: random.Random) -> str | None:
    """The question, with an act in the world that its answer needs; not where any seed of the task asks for one."""
    return None if any(_WANTS_ACTION.search(one.question) for one in (seed, *others)) else _worded(seed, _ACTION, rng)


def asking_for_image(seed: SeedExample, others: Sequence[SeedExample], rng: random.Random) -> str | None:
    """The question, to be answered with a photograph or a painting; not where any seed of the task speaks of such things."""
    return None if any(_WANTS_IMAGE.search(one.question) for one in (seed, *others)) else _worded(seed, _IMAGE, rng)


def context_of_another(seed: SeedExample, others: Sequence[SeedExample], rng: random.Random) -> str | None:
    """The context of another seed, which lacks what this question asks about.

    Not where the other seed asks as good as the same, nor where the question speaks of nothing that its own context has and
    the other one lacks ("Correct the errors."): it may then be as fit there as here.
    """
    asking_otherwise = [one for one in others if not near(one.question, seed.question)]
    contexts = foreign_contexts(seed.question, seed, asking_otherwise)
    return rng.choice(contexts) if contexts else None


def _worded(seed: SeedExample, choice: Sequence[str], rng: random.Random) -> str:
    """The seed's question with words before or behind it.

    A question that holds text to work on, after a colon or a line break, gets them before it: behind, they would be text too.
    """
    question = seed.question.strip()
    if ":" in question or "\n" in question:
        choice = [words for words in choice if words.endswith(":")]
    words = rng.choice(choice)
    if words.endswith(":"):
        return f"{words}\n{question}" if "\n" in question else f"{words} {question}"
    stop = "" if question.rstrip("\"'”’)").endswith((".", "?", "!", "…")) else "."
    return f"{question}{stop} {words}"
