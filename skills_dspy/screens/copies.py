"""A copy: a new text that takes over a long run of words from a seed or from an accepted pair that its prompt showed.

Questions are compared with questions, answers with answers, contexts with contexts. What two or more seeds have in common, such
as one fixed request, belongs to the skill, and what a text takes from its own context and question is no copy: a corrected text
repeats the faulty one. An answer that is nothing but its question is one, and so is a seed's answer, or a part of it, to that
seed's question in other words.
"""

from skills_dspy.screens.task_texts import KnownText, NewText
from skills_dspy.similarity.pieces import Pieces, quoted, words_in
from skills_dspy.similarity.text import plain, tokens

_LEAST_WORDS = 5
"""So many words of an answer say that it is a seed's: fewer, as a label or a number, answer many questions."""
_SAME_QUESTION = 0.5
"""Which share of a question's words is a seed's where it asks for the same."""


def copied(new: NewText) -> str | None:
    """What the text takes over, in words: a run of `copied_words`, or the whole of a seed of eight words or more."""
    bound = new.task.bounds.copied_words
    # With one grounded seed nobody can tell its request, which another text may well get, from its own words.
    if bound is None or (_is_request(new) and new.task.requests == 1):
        return None
    if new.part == "answer" and plain(new.text) == plain(new.exercise.question or ""):
        return "it is its question over again"
    cut = Pieces.of(new.text)
    ignored = new.task.common[new.part].union(*(Pieces.of(text).pieces for text in new.given))
    shown = (KnownText.of(f"the {new.part} of {name}, which its prompt showed", text) for name, text in new.shown.items())
    for source in (*new.task.seeds[new.part], *shown):
        if source.pieces.isdisjoint(cut.pieces) or source.pieces <= ignored:
            continue
        run = cut.longest_run(source.pieces, ignored)
        if words_in(run) >= bound:
            return f"{words_in(run):.0f} words in a row are those of {source.name}: {quoted(run)}"
        if not _is_request(new) and cut.holds(source.cut):
            return f"it holds {source.name} word for word: {quoted(source.cut.tokens)}"
    return _answered_before(new, cut) if new.part == "answer" and new.kind == "freeform" else None


def _answered_before(new: NewText, cut: Pieces) -> str | None:
    """Whether a seed whose question shares so many words has this answer in its own; about a text it may well be so."""
    if cut.words < _LEAST_WORDS:
        return None
    asked, own = set(tokens(new.exercise.question or "")), f" {' '.join(cut.tokens)} "
    for question, answer in zip(new.task.seeds["question"], new.task.seeds["answer"], strict=True):
        alike = len(asked & set(question.cut.tokens)) >= _SAME_QUESTION * len(asked)
        if alike and own in f" {' '.join(answer.cut.tokens)} ":
            return f"it is of {answer.name}, whose question shares half of its words: {quoted(cut.tokens)}"
    return None


def _is_request(new: NewText) -> bool:
    """Whether it is a question about a context: the same one about another text is another exercise."""
    return new.part == "question" and new.kind == "grounded"
