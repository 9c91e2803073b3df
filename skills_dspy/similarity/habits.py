"""What texts of a set may share: how they open and close, how they are laid out, which words their questions have.

Openings and closings are those of prose: nothing is found in code, tables, lists, data or labels, or in a script without spaces
between words.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from skills_dspy.base.tokens import estimate_tokens
from skills_dspy.similarity.text import WORD, token_width, words

HabitKind = Literal["opening", "closing", "last paragraph", "question opening", "question closing", "subject"]
Layout = Literal["code", "table", "headings", "numbers", "bullets", "paragraphs", "one paragraph"]

LONGEST_HABIT = 24
"""How many tokens, estimated, the words of a habit have at most: a prompt may quote them."""
_LEAST_ANSWER, _LEAST_QUESTION, _LEAST_LINE = 20, 8, 6
"""Words that an answer, a question and a line of prose have at least; a shorter one may well be as others are."""
_LEAST_LETTERS = 4
_PLAIN = 0.8
"""Which share of what stands between blanks in prose is words and figures."""

_BLANK = re.compile(r"\n\s*\n")
_MARKED = re.compile(r"\s*(?:[-*•+|>#]\s|\d+[.)]\s|```|\|)")
_ENDED = re.compile(r"[.!?:…।؟۔][\"'”’»)*]*\s*\Z")
_SIGNS = re.compile(r"[{}<>=|\\$#@~^_\[\]`]|\w\(")
_REMEMBERED = 256
"""Texts whose habits are known: a candidate's are looked at when it comes, before it is answered and when it is decided."""
_COMMA = re.compile(r"\W*\w+[,:]")
_LAYOUTS: tuple[tuple[Layout, re.Pattern[str], int], ...] = (
    ("code", re.compile(r"^```", re.MULTILINE), 1),
    ("table", re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE), 2),
    ("headings", re.compile(r"^(?:#{1,6} \S.*|\*\*[^*\n]+\*\*:?)$", re.MULTILINE), 1),
    ("numbers", re.compile(r"^\s*\d+[.)]\s", re.MULTILINE), 2),
    ("bullets", re.compile(r"^\s*[-*•]\s", re.MULTILINE), 2),
)
_NO_SUBJECTS = frozenset(
    words(
        """about after again also another because been before being best better between both came come could describe does doing
        done down each either else even ever every explain find following from give given goes good have having here into just
        keep know less like list long made make many mean means might more most much must need never only other over please
        same should show some such suggest take tell than that their them then there these they thing think this those through
        under until upon used using very want well were what when where whether which while whom whose will with within without
        would write your"""
    )
)
"""Words of English that say nothing of a subject. In other languages those that the seeds share have to do."""


@dataclass(frozen=True, slots=True)
class Habit:
    """Something that a text does as others may: which words, folded, stand where."""

    kind: HabitKind
    words: str


@lru_cache(maxsize=_REMEMBERED)
def answer_habits(text: str, *, prose: bool = True) -> tuple[Habit, ...]:
    """How an answer opens (two words), closes (three), and begins its last paragraph (one before a comma, else two).

    Without `prose` it may be of any kind and length.
    """
    if prose and len(words(text)) < _LEAST_ANSWER:
        return ()
    blocks = _blocks(text)
    first, last = (_prose(block) if prose else words(block) for block in (blocks[0], blocks[-1]))
    few = 1 if _COMMA.match(blocks[-1]) else 2
    found = (
        _habit("opening", first[:2]),
        _habit("closing", last[-3:]),
        _habit("last paragraph", last[:few] if len(blocks) > 1 else []),
    )
    return tuple(habit for habit in found if habit is not None)


@lru_cache(maxsize=_REMEMBERED)
def question_habits(text: str, *, prose: bool = True) -> tuple[Habit, ...]:
    """How a question opens and closes, four words each: fewer (`how can I`) are no fault in questions; `prose` as above."""
    blocks = _blocks(text)
    first, last = (_prose(block) if prose else words(block) for block in (blocks[0], blocks[-1]))
    if prose:
        first, last = (own if len(own) >= _LEAST_QUESTION else [] for own in (first, last))
    found = (_habit("question opening", first[:4]), _habit("question closing", last[-4:]))
    return tuple(habit for habit in found if habit is not None)


@lru_cache(maxsize=_REMEMBERED)
def subject_words(text: str) -> frozenset[Habit]:
    """The words of a text that may tell its subject: of letters alone, four or more."""
    own = {word for word in words(text) if len(word) >= _LEAST_LETTERS and word not in _NO_SUBJECTS}
    bare = (word for word in own if not any(sign.isdigit() or sign == "'" for sign in word))
    return frozenset(habit for word in bare if (habit := _habit("subject", [word])) is not None)


def layout_of(text: str) -> Layout:
    """How a text is laid out; where several hold, the first of the table."""
    found = (name for name, mark, least in _LAYOUTS if len(mark.findall(text)) >= least)
    return next(found, "paragraphs" if len(_blocks(text)) > 1 else "one paragraph")


def _blocks(text: str) -> list[str]:
    return _BLANK.split(text.strip())


def _prose(block: str) -> list[str]:
    """The words of a block that is prose; none of one that is not."""
    pieces = block.split()
    plain = sum(_SIGNS.search(piece) is None and any(map(str.isalnum, piece)) for piece in pieces)
    line = block.strip().partition("\n")[0]
    if _MARKED.match(block) or len(line.split()) < _LEAST_LINE or plain < _PLAIN * len(pieces) or not _ENDED.search(block):
        return []
    return words(block)


def _habit(kind: HabitKind, own: list[str]) -> Habit | None:
    joined = " ".join(own)
    spaced = all(token_width(word) == WORD for word in own)
    return Habit(kind, joined) if own and spaced and estimate_tokens(joined) <= LONGEST_HABIT else None
