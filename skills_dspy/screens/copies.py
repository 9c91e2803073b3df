"""A copy: a new text that takes over a long run of words from a seed or from an accepted pair that its prompt showed.

Questions are compared with questions, answers with answers, contexts with contexts. What two or more seeds have in common, such
as one fixed request, belongs to the skill, and what a text takes from its own context and question is no copy: a corrected text
repeats the faulty one. An answer that is nothing but its question is one where no seed has that; so is a seed's question in
other words, and a seed's answer, or a part of it, to such a question.
"""

from collections.abc import Sequence

from skills_dspy.screens.task_texts import KnownText, NewText
from skills_dspy.similarity.pieces import Pieces, quoted, words_in
from skills_dspy.similarity.text import plain, tokens

_LEAST_WORDS = 5
"""So many words of an answer say that it is a seed's, and so many of a question that it asks for the same: fewer, as a label or
a number, are those of many."""
_MANY_WORDS = 8
_SAME_QUESTION, _LIKE_QUESTION = 0.25, 0.15
"""More than this share of the words of a question, but for those of the skill, is a seed's where it may ask for the same; the
second is that of an answer of `_MANY_WORDS`, which hardly answer something else."""
_FEW_SEEDS = 2
"""So few questions do not tell what belongs to the skill."""
_SAME_WORDS, _SAME_SEED = 0.6, 0.4
"""Which share of them is a seed's where it asks nearly what that seed asks, and which share of the seed's it has."""


def copied(new: NewText) -> str | None:
    """What the text takes over, in words, or whose question or answer it is, in other words; None for nothing."""
    if new.task.bounds.copied_words is None:
        return None
    if new.part == "answer" and plain(new.text) == plain(new.exercise.question or "") and not new.task.repeated:
        return "it is its question over again"
    cut = Pieces.of(new.text)
    if (found := taken_over(new, cut)) is not None:
        return found
    if new.part == "answer":
        return _answered_before(new, cut)
    return _asked_before(new, cut) if new.part == "question" and new.kind == "freeform" else None


def taken_over(new: NewText, cut: Pieces) -> str | None:
    """The words that a cut text takes over: a run of `copied_words`, or the whole of a seed of eight words or more."""
    bound = new.task.bounds.copied_words
    # With one grounded seed nobody can tell its request, which another text may well get, from its own words.
    if bound is None or (_is_request(new) and new.task.requests == 1):
        return None
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
    return None


def _asked_before(new: NewText, cut: Pieces) -> str | None:
    """Whether it is a seed's question in other words. With a word that no seed has, it may ask for something else."""
    asked = frozenset(cut.tokens) - new.task.asked_by_two
    if len(new.task.asked) <= _FEW_SEEDS or not asked <= frozenset[str]().union(*new.task.asked):
        return None
    for words, question in zip(new.task.asked, new.task.seeds["question"], strict=True):
        own = tuple(word for word in dict.fromkeys(cut.tokens) if word in words)
        if len(own) >= max(_SAME_WORDS * len(asked), _SAME_SEED * len(words)) and words_in(own) >= _LEAST_WORDS:
            return f"it asks what {question.name} asks, in other words: {quoted(own)}"
    return None


def _answered_before(new: NewText, cut: Pieces) -> str | None:
    """Whether it is one seed's answer to its question in other words; about a text, one that is not in this text or request."""
    asked = frozenset(tokens(new.exercise.question or "")) - new.task.asked_by_two
    answers = new.task.seeds["answer"]
    if sum(_holds(answer.cut.tokens, cut.tokens) for answer in answers) > 1:
        return None
    for words, answer in zip(new.task.asked, answers, strict=True):
        share = len(asked & words) / max(1, len(asked))
        if new.kind == "freeform":
            least = _SAME_QUESTION if cut.words < _MANY_WORDS else _LIKE_QUESTION
            copy = cut.words >= _LEAST_WORDS and share > least and _holds(answer.cut.tokens, cut.tokens)
        else:
            copy = share >= _SAME_WORDS and len(cut.tokens) > 1 and cut.tokens == answer.cut.tokens and new.task.requests > 1
            copy = copy and not any(_holds(tokens(text), cut.tokens) for text in new.given)
        if copy:
            return f"it is of {answer.name}, whose question shares words with this one: {quoted(cut.tokens)}"
    return None


def _holds(text: Sequence[str], part: Sequence[str]) -> bool:
    return f" {' '.join(part)} " in f" {' '.join(text)} "


def _is_request(new: NewText) -> bool:
    """Whether it is a question about a context: the same one about another text is another exercise."""
    return new.part == "question" and new.kind == "grounded"
