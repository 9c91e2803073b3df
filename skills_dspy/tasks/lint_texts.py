"""What can be seen in a seed's texts without a model: slips, near-copies, a question beside its context."""

import re
import unicodedata
from collections.abc import Sequence

from skills_dspy.base.records import SeedExample
from skills_dspy.tasks.spec import squeezed

_ALIKE, _ANSWER_ALIKE = 90.0, 80.0
"""From how many percent on questions (and contexts), and answers, are near-copies: set by reading the real taxonomy's seeds."""

# \nu, \neq, \nabla: a formula of LaTeX, not a line break that was written as two characters.
_LATEX = r"(?!(?:abla|atural|earrow|e|eg|eq|ewcommand|ewline|exists|i|mid|onumber|ot|otin|parallel|u|ormalsize)(?![a-z]))"
_BACKSLASH_N = re.compile(r"\\n" + _LATEX)

_INVISIBLE = frozenset("\u00ad\u200b\u2028\u2029\ufeff\ufffd\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Soft hyphens, blanks without width, marks that turn the direction, and the sign for what could not be decoded."""

_WORD = re.compile(r"[a-z]{3,}|[0-9]+")
_LIGHT = frozenset(
    _WORD.findall("""about all also and any are because been but can could did does each for from had has have her him his how
    into its just like many may might more most much must not now only other our out please she should some such than that the
    their them then there they too very was were what when where which while who whom whose why will with would you your""")
)
"""Words that weigh nothing."""
_POINTING = frozenset(
    _WORD.findall("""above article below chart charts code context conversation data dialogue document email essay excerpt
    figure file following form given here image invoice item items letter list message note page paragraph paragraphs passage
    poem provided receipt report review sentence sentences snippet story table tables text texts this these transcript""")
)
"""Words that point to the context."""
_ORDERS = frozenset(
    _WORD.findall("""add analyze answer calculate change check classify compare complete compose continue convert correct count
    create describe draft edit expand explain extract fill find fix format generate get give highlight identify improve list
    make name outline paraphrase please pretend produce proofread provide put reformat remove reorganize rephrase replace
    respond return revise rewrite select shorten show simplify sort split suggest summarise summarize tell translate turn
    update use write""")
)
"""Words that an order begins with."""


def literal_line_breaks(text: str) -> int:
    """How often a backslash and an n stand in a text, where a line break was meant; LaTeX's words do not count."""
    return len(_BACKSLASH_N.findall(text))


def stray_characters(text: str) -> tuple[str, ...]:
    """The characters of a text that nobody types on purpose, each once, in order: controls, private ones, some invisible ones.

    Joiners and variation selectors, which emoji and several scripts need, are none.
    """
    return tuple(
        dict.fromkeys(c for c in text if c in _INVISIBLE or (c not in "\n\t" and unicodedata.category(c) in ("Cc", "Co")))
    )


def trailing_space(answer: str) -> str | None:
    """What blanks at ends of an answer would teach a model to write; None without any. One final line break is usual."""
    end = answer[len(answer.rstrip()) :]
    if end.strip("\n") == "" and len(end) > 1:
        return f"ends with {len(end)} line breaks"
    if end.strip("\n"):
        return "ends with blanks"
    lines = sum(line != line.rstrip() for line in answer.split("\n"))
    return f"has blanks at the end of {lines} line{'' if lines == 1 else 's'}" if lines else None


def near_copy(seed: SeedExample, earlier: Sequence[SeedExample]) -> int | None:
    """The place of the earlier seed that this one is most nearly a copy of; None when it is one of none.

    Question, context and answer each have to be alike (the normalized Indel similarity of rapidfuzz, without case and
    layout). A seed that repeats question and context altogether is another matter: `repeats` finds it.
    """
    best: tuple[float, int] | None = None
    for place, other in enumerate(earlier):
        if repeats(seed, other):
            return None
        alike = _likeness(seed, other)
        if alike is not None and (best is None or alike > best[0]):
            best = (alike, place)
    return None if best is None else best[1]


def repeats(seed: SeedExample, other: SeedExample) -> bool:
    """Whether two seeds ask the same about the same, but for case and layout."""
    return squeezed(seed.question) == squeezed(other.question) and _context(seed) == _context(other)


def _context(seed: SeedExample) -> str | None:
    return None if seed.context is None else squeezed(seed.context)


def _likeness(seed: SeedExample, other: SeedExample) -> float | None:
    """How alike two questions are, in percent; None when the seeds are no near-copies."""
    if seed.kind != other.kind:
        return None
    asked = _ratio(seed.question, other.question)
    if asked < _ALIKE or _ratio(seed.answer, other.answer) < _ANSWER_ALIKE:
        return None
    return asked if _ratio(seed.context or "", other.context or "") >= _ALIKE else None


def _ratio(one: str, other: str) -> float:
    from rapidfuzz.fuzz import ratio

    return float(ratio(squeezed(one), squeezed(other)))


def seems_unanswerable(seed: SeedExample) -> bool:
    """Whether question and answer of a grounded seed have nothing in common with its context, at a glance.

    A cheap look at words, made to keep quiet: not at orders ("Translate ..."), not at questions that point to the context
    ("this text"), not at such with fewer than two words that weigh, and only where neither a word of the question nor a
    third of the answer's is found there.
    """
    if seed.context is None:
        return False
    asked, answered, there = _words(seed.question), _heavy(seed.answer), _words(seed.context)
    heavy = _heavy(seed.question)
    if len(heavy) < 2 or len(answered) < 3 or (asked[:1] and asked[0] in _ORDERS) or _POINTING & set(asked):
        return False
    known = {word[:5] for word in there}
    found = sum(word[:5] in known for word in answered)
    return not any(word[:5] in known for word in heavy) and 3 * found < len(answered)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _heavy(text: str) -> list[str]:
    return [word for word in dict.fromkeys(_words(text)) if word not in _LIGHT]
