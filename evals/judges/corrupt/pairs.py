"""Pairs made bad on purpose: another answer, wrong figures, a wrong claim, no form, another context. Questions stay."""

import random
import re
from collections.abc import Sequence

from evals.data.text import rouge_l
from evals.judges.corrupt.facts import changed_numbers, negated
from evals.judges.corrupt.forms import asks_for, form_of, formless
from evals.judges.corrupt.likeness import foreign_contexts, near, stems
from skills_dspy.base.records import SeedExample
from skills_dspy.similarity.languages import languages_of, load_classifier
from skills_dspy.similarity.text import likeness

_INVENTED = re.compile(
    r"\b(?:write|compose|poem|poetry|story|stories|haiku|sonnet|ode|limerick|ballad|lyrics|song|speech|essay|imagine|pretend|"
    r"joke|slogan|debat\w*|argue|role|roleplay|act as|act like|you are|you're|assume|brainstorm|suggest|ideas?|opinion|"
    r"persua\w+|fictional|invent|advice|recommend)\b",
    re.IGNORECASE,
)
"""What a question says whose answer is invented or a matter of opinion, so that its opposite is no wrong fact."""
_ABSENT = re.compile(
    r"^\W*(?:none|nothing|nobody|no one|unknown|not|n/a)\b|"
    r"\b(?:not|doesn't|don't|isn't|nowhere) (?:say|tell|state|mention|give|stated|given|mentioned|said|known)\b",
    re.IGNORECASE,
)
"""An answer that says that there is no answer; elsewhere it may be right too."""
_NEAR_COPY = 0.6
_ALIKE = 0.6
_SEEDS_FOR_A_FORM = 3


def answer_of_another(seed: SeedExample, others: Sequence[SeedExample], rng: random.Random) -> str | None:
    """The answer of another seed of the same kind: it is no answer to this question.

    Not the answer of a seed that asks as good as the same about as good as the same, nor one that is or holds as good as
    this seed's own answer, nor one whose question has all that this one asks about.
    """
    answers = [
        one.answer
        for one in others
        if one.kind == seed.kind
        and likeness(one.answer, seed.answer) < _ALIKE
        and not near(one.answer, seed.answer)
        and not _same_task(one, seed)
    ]
    return rng.choice(answers) if answers else None


def _same_task(one: SeedExample, seed: SeedExample) -> bool:
    if one.context is not None and seed.context is not None and not near(one.context, seed.context):
        return False
    return near(one.question, seed.question) or stems(seed.question) <= stems(one.question)


def numbers_changed(seed: SeedExample, rng: random.Random) -> str | None:
    """The answer with a wrong figure; not where the question, without a context, wants something invented or argued."""
    if seed.context is None and _INVENTED.search(seed.question):
        return None
    return changed_numbers(seed.answer, seed.question, seed.context, rng)


def claim_negated(seed: SeedExample, rng: random.Random) -> str | None:
    """The answer with one claim turned into its opposite: wrong, or against the context.

    Not where the question wants something invented or argued, nor in rows of data and lines of verse, nor in a pair that is
    not told to be English.
    """
    if _INVENTED.search(seed.question) or form_of(seed.answer) in ("json", "table", "csv", "commas", "lines"):
        return None
    answer = negated(seed.answer, rng)
    told = languages_of([f"{seed.question}\n{seed.answer}"] if answer else [], load_classifier())
    return answer if told.main == "en" else None


def format_ignored(seed: SeedExample, others: Sequence[SeedExample]) -> str | None:
    """The answer's words without the form that the question asks for, or that all answers of the task, three at least, have."""
    form = form_of(seed.answer)
    if form is None:
        return None
    shared = len(others) + 1 >= _SEEDS_FOR_A_FORM and all(form_of(one.answer) == form for one in others)
    return formless(seed.answer) if asks_for(form, seed.question) or (shared and form != "commas") else None


def context_of_another(seed: SeedExample, others: Sequence[SeedExample], rng: random.Random) -> str | None:
    """The context of another seed, which does not support this pair.

    Not where question and answer speak of nothing that their own context has and the other one lacks, nor where the answer
    is that the context does not say: that may be right there too.
    """
    if _ABSENT.search(seed.answer):
        return None
    contexts = foreign_contexts(f"{seed.question}\n{seed.answer}", seed, others)
    return rng.choice(contexts) if contexts else None


def context_copied(seed: SeedExample, others: Sequence[SeedExample]) -> str | None:
    """The context itself as the answer; not in a task any of whose answers is nearly its context, as in correcting texts."""
    nearly = any(one.context is not None and rouge_l(one.context, one.answer) >= _NEAR_COPY for one in (seed, *others))
    return None if nearly else seed.context
