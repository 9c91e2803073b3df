"""What prompts show as examples: which of several pairs fit a question best, and the form in which each kind stands there."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, Protocol, TypeVar

from signatures.examples import Pair, Question, Shown, TextWithQuestions
from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.similarity.text import tokens

Shows = Literal["nothing", "passages", "questions", "standard", "fitting", "pairs"]
"""The examples in a prompt: none; contexts, each once; questions, with their contexts where they have any; the questions alone
of those seeds that set the standard; the pairs that fit a question best; the pairs that stand for a whole task."""

MOST_FITTING = 3
"""How many pairs a prompt shows at most as models of an answer."""
TAG_TOKENS = 16
"""Tokens of a pair of tags with their line breaks, and what a text may take more when it is joined to them."""
_ROOM, _TIMES = 1500, 1.5
"""How many tokens the fitting pairs may take together: so many, or so many times the longest pair. With it a prompt grows by
half at most, for answers have room for twice 512 tokens and stand in it as well."""


class Exercise(Protocol):
    """A question with its context and its answer, as far as they are there: a seed, an accepted pair, a candidate."""

    @property
    def context(self) -> str | None:
        """The text that it is about; None where it needs none."""

    @property
    def question(self) -> str | None:
        """What is asked."""

    @property
    def answer(self) -> str | None:
        """What is answered."""


_E = TypeVar("_E", bound=Exercise)


def shown_as(shows: Shows, examples: Sequence[Exercise]) -> Sequence[Shown | str]:
    """Examples as a prompt shows them: no text twice where one will do, and no blank lines around any."""
    if shows == "passages":
        return list(dict.fromkeys(bare(one.context) for one in examples))
    if shows == "standard":
        return [Question(question=question) for question in dict.fromkeys(bare(one.question) for one in examples)]
    if shows == "questions":
        return _questions(examples)
    return [_pair(one.context, one.question, one.answer) for one in examples]


def _pair(context: str | None, question: str | None, answer: str | None) -> Pair:
    return Pair(context=None if context is None else bare(context), question=bare(question), answer=bare(answer))


def _questions(examples: Sequence[Exercise]) -> list[Shown]:
    """Freeform questions one by one; others below their context, which stands there once."""
    about: dict[str | None, dict[str, None]] = {}
    for one in examples:
        context = None if one.context is None else bare(one.context)
        about.setdefault(context, {})[bare(one.question)] = None
    shown: list[Shown] = []
    for context, questions in about.items():
        if context is None:
            shown += [Question(question=question) for question in questions]
        else:
            shown.append(TextWithQuestions(context=context, questions=list(questions)))
    return shown


def bare(text: str | None) -> str:
    """A text without the blank lines around it; nothing for None."""
    lines = (text or "").rstrip().split("\n")
    while len(lines) > 1 and not lines[0].strip():
        del lines[0]
    return "\n".join(lines)


def fitting(ranked: Sequence[_E], examples: Sequence[_E], most: int = MOST_FITTING) -> tuple[_E, ...]:
    """Of `examples` the first of `ranked` that a prompt has room for, at least one, at most `most`; in their own order."""
    left = fitting_room(examples)
    chosen: list[int] = []
    for one in ranked:
        if len(chosen) < min(most, MOST_FITTING) and (size := _fitting_tokens(one.context, one.question, one.answer)) <= left:
            left -= size
            chosen.append(id(one))
    return tuple(one for one in examples if id(one) in chosen)


def fitting_by_words(examples: Sequence[_E], about: Exercise, most: int = MOST_FITTING) -> tuple[_E, ...]:
    """Those that fit best where there are no vectors: they share most of their words with question and context."""
    wanted = _words(about)

    def unlike(one: _E) -> float:
        own = _words(one)
        return -len(own & wanted) / (len(own | wanted) or 1)

    return fitting(sorted(examples, key=unlike), examples, most)


def fitting_room(examples: Sequence[Exercise]) -> int:
    """How many tokens the fitting ones of some examples may take together, as a prompt shows them; each alone takes less."""
    return max(_ROOM, int(_TIMES * max(_fitting_tokens(one.context, one.question, one.answer) for one in examples)))


@lru_cache(maxsize=2**10)  # each answer of a task chooses among the same seeds
def _fitting_tokens(context: str | None, question: str | None, answer: str | None) -> int:
    """The tokens of a pair as a prompt shows it."""
    return shown_tokens(_pair(context, question, answer))


def shown_tokens(example: Shown | str) -> int:
    """The tokens of an example, estimated, with its tags."""
    if isinstance(example, str):
        return estimate_tokens(example) + TAG_TOKENS
    values = [value for value in example.model_dump().values() if value is not None]
    texts = [text for value in values for text in ([*value, ""] if isinstance(value, list) else [value])]
    # Tags stand around each text, around a list, and around the example.
    return sum(estimate_tokens(text) + TAG_TOKENS for text in texts) + TAG_TOKENS


def _words(one: Exercise) -> frozenset[str]:
    return _words_in(f"{one.context or ''} {one.question or ''}")


@lru_cache(maxsize=2**10)
def _words_in(text: str) -> frozenset[str]:
    return frozenset(tokens(text))
