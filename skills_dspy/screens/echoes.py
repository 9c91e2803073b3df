"""An echo: a new text that repeats its prompt: the markup, the instructions, the plan, the task, in its words or in others."""

import re
from functools import cache, lru_cache, partial

from skills_dspy.model.steps import DESCRIBE, PLAN, STEPS
from skills_dspy.screens.task_texts import NewText
from skills_dspy.similarity.pieces import Pieces, quoted, words_in
from skills_dspy.similarity.text import plain, squeezed, tokens

_TALK = re.compile(
    r"\b(?:teach(?:es|ing)?|train(?:s|ing)?|guid(?:es?|ing)) an? (?:large )?lang[a-z]+ model\b"
    r"|\blang[a-z]+ model (?:to|that can|(?:is )?(?:able|capable)) \w+|\bthe task at hand\b"
    r"|\bthe task description (?:is|was|says|asks)\b"
    r"|\bas an? (?:(?:AI|artificial intelligence) (?:language )?(?:model|assistant)|language model)\b",
    re.IGNORECASE,
)
"""What descriptions of skills begin with, also where a word is misspelt, and what else models say of themselves."""

_TALK_OF_TASK = re.compile(
    r"\A\W*(?:new context\W|here is (?:a|the) new context\b"
    r"|given (?:an?|the|some)\b[^.?!]*, (?:write|create|find|list|select|identify|extract|generate|determine|decide|suggest"
    r"|rewrite|correct|return|provide|produce|classify|explain|translate|convert|summari[sz]e|describe|answer|calculate|complete)\b)"
    r"|\bthe language model (?:has to|must|should|needs to|reads|learns|is asked)\b"
    r"|\b(?:this|the) (?:task|skill|context) (?:is about|teaches|helps)\b"
    r"|\bthe AI assistant (?:has to|must|should|answers|reads|identifies|replies|returns)\b",
    re.IGNORECASE,
)
"""How a model that was asked for material tells what would be done with it; a question may well begin with `Given a`."""
_BEGINNING, _LONG = 4, 6
"""Letters by which two words are taken for forms of one; and of a word that not every text has."""
_SEVERAL, _MORE, _SHARE = 3, 2, 1 / 3
"""A context says its task again that has several words of the description, so many more than any seed's, and of its own words
so large a share; where all seeds have marks in common, one that lacks most of them and has a single word more."""


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
    return _words_in_a_row(new, bound) or _talk_of_the_task(new)


def _words_in_a_row(new: NewText, bound: int) -> str | None:
    """The words of a prompt that the text has in one go, in words, where there are so many of them that no seed has."""
    cut = Pieces.of(new.text)
    for source in new.task.prompts:
        if source.pieces.isdisjoint(cut.pieces):
            continue
        run = cut.longest_run(source.pieces, new.task.known)
        if words_in(run) >= bound:
            return f"{words_in(run):.0f} words in a row are those of {source.name}: {quoted(run)}"
    return None


def _talk_of_the_task(new: NewText) -> str | None:
    """How a context that is no material talks of its task, in words; not what the context of a seed does as well."""
    if new.part != "context":
        return None
    found = _TALK_OF_TASK.search(new.text)
    if found is not None and not any(map(_TALK_OF_TASK.search, new.task.contexts)):
        return f"it talks of the task, and is no material for it: {quoted(tuple(tokens(found.group())))}"
    described, own = _beginnings(new.task.description), _beginnings(new.text)
    seeds = [_beginnings(context) for context in new.task.contexts]
    said, most = own & described, max((len(words & described) for words in seeds), default=0)
    # Long words that all seeds have, and no description, are marks of the material: `CREATE`, `INTEGER`, `PRIMARY`.
    long = [_beginnings(context, _LONG) for context in new.task.contexts]
    marks = frozenset.intersection(*long) - described if len(long) >= _SEVERAL else frozenset[str]()
    if len(marks) >= _SEVERAL:
        retold = 2 * len(marks & own) < len(marks) and len(said) > most
    else:
        retold = len(said) >= max(_SEVERAL, most + _MORE, _SHARE * len(own))
    if not retold:
        return None
    words = dict.fromkeys(token for token in tokens(new.text) if token[:_BEGINNING] in said)
    return f"it says what the task is, in words of its description: {', '.join(words)}"


@lru_cache(maxsize=256)
def _beginnings(text: str, shortest: int = _BEGINNING) -> frozenset[str]:
    """How the longer words of a text begin, so that `queries` and `query` are one; short words are in all texts."""
    return frozenset(token[:_BEGINNING] for token in tokens(text) if len(token) >= shortest)


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
