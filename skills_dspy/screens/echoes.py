"""An echo: a new text that repeats its prompt: the markup, the instructions, the description of the task, or its plan."""

import re
from functools import cache, partial

from skills_dspy.model.steps import DESCRIBE, PLAN, STEPS
from skills_dspy.screens.task_texts import NewText
from skills_dspy.similarity.pieces import Pieces, quoted, words_in
from skills_dspy.similarity.text import plain, squeezed

_TALK = re.compile(
    r"\b(?:teach(?:es|ing)?|train(?:s|ing)?|guid(?:es?|ing)) an? (?:large )?lang[a-z]+ model\b"
    r"|\blang[a-z]+ model (?:to|that can|(?:is )?(?:able|capable)) \w+|\bthe task at hand\b"
    r"|\bthe task description (?:is|was|says|asks)\b"
    r"|\bas an? (?:(?:AI|artificial intelligence) (?:language )?(?:model|assistant)|language model)\b",
    re.IGNORECASE,
)
"""What descriptions of skills begin with, also where a word is misspelt, and what else models say of themselves."""


def echoed(new: NewText) -> str | None:
    """What the text repeats, in words; what a seed says as well, or what it was written for, is no echo."""
    task, bound = new.task, new.task.bounds.echoed_words
    if bound is None:
        return None
    whole = plain(new.text)
    if whole == plain(task.description) and not any(whole == plain(text) for text in task.texts):
        return "it is the task description"
    for pattern in (our_tags(), _TALK):
        for mark in (found[0].strip() for found in pattern.finditer(new.text)):
            if not any(mark.casefold() in text.casefold() for text in (*task.texts, *new.given)):
                return f'it holds "{mark}", which is of the prompt'
    if (pair := next(filter(partial(_names, new), new.told), None)) is not None:
        return f'it names its plan: "{pair}"'
    cut = Pieces.of(new.text)
    for source in task.prompts:
        if source.pieces.isdisjoint(cut.pieces):
            continue
        run = cut.longest_run(source.pieces, task.known)
        if words_in(run) >= bound:
            return f"{words_in(run):.0f} words in a row are those of {source.name}: {quoted(run)}"
    return None


def _names(new: NewText, pair: str) -> bool:
    """Whether the text holds an axis with the value that it was told, however set off; not where a seed has that axis."""
    name, _, value = squeezed(pair).partition(": ")
    text, axis = squeezed(new.text), rf"(?<!\w){re.escape(name)}\W{{0,4}}[:：]"
    if value not in text or not re.search(rf"{axis}\W{{0,4}}{re.escape(value)}(?!\w)", text):
        return False
    return not any(re.search(axis, squeezed(text)) for text in new.task.texts)


@cache
def tag_names() -> tuple[str, ...]:
    """What the tags of our prompts are called, and what a writer may put around its reply."""
    steps = [step for step in STEPS.values() if step not in (DESCRIBE, PLAN)]
    shown = {name for step in steps for name, field in step.source.input_fields.items() if field.annotation is not int}
    written = {name for step in steps if step.role == "generator" for name in step.source.output_fields}
    return tuple(sorted({one for name in shown | written for one in (name, name.removesuffix("s"))}))


@cache
def our_tags() -> re.Pattern[str]:
    """Those tags: the names of several words anywhere, the others, which any markup may have, where a line begins or ends."""
    long, short = ("|".join(name for name in tag_names() if ("_" in name) == several) for several in (True, False))
    return re.compile(rf"</?(?:{long})>|^[ \t]*</?(?:{short})>|</?(?:{short})>[ \t]*$", re.MULTILINE)
