"""What vectors cannot tell of two texts, and how far apart the texts are then: by their characters.

An embedding model sees what its tokenizer keeps. That of all-MiniLM-L6-v2, and of nearly all models made for English, makes one
unknown token of each word in a script that it does not have, and drops case, accents and layout; other models read no more than
so many tokens of a text. What they do not see moves no vector. Two rules say so without a tokenizer, which a replay does
not have:

- **Unread scripts.** Two texts that are for the most part in scripts which such models lack are compared by their characters
  alone. So are the words of such a script, its digits and emoji, where two other texts differ in them.
- **Vectors that agree.** At a distance of (nearly) 0 the model saw the same, so all that differs in the texts was not seen.

What differs unseen may be a slip, such as a blank, a full stop, a letter of many; then the texts stay as near as they are.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from typing import Literal

from skills_dspy.similarity.text import plain

Sight = Literal["all", "some", "trusted"]
"""What the vectors of a run may be asked: a model that reads all scripts, one that may not (`some`), and as it was before this
was looked at, when every vector was `trusted`."""

AGREE = 1e-5
"""The squared distance up to which two vectors are of texts that look the same to the model; rounding leaves less."""
LOOKED_AT = 0.2
"""The squared distance from which on a vector is believed, in a script that is read."""
TOLD_APART = 0.1
"""The least squared distance of two texts that are told apart by what is not seen."""

_READ = (
    "LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC", "DEVANAGARI", "BENGALI", "TAMIL", "CJK", "HANGUL",
    "HIRAGANA", "KATAKANA", "IDEOGRAPHIC", "COMBINING", "MODIFIER", "VARIATION", "SUPERSCRIPT", "SUBSCRIPT", "ZERO",
)  # fmt: skip
"""How the Unicode names of what such a vocabulary has begin: half of a script's letters, or those that make up most words."""
_ALWAYS_READ = "\u02b0"
"""Signs before this one are Latin letters and what keyboards have."""
_MOSTLY = 0.5
_SHORT, _LONG, _SLIPS = 10, 60, 3
"""Characters from which on a text may hold one slip, for how many more one more, and how many at most: a word is none."""
_ORNAMENTS = 2
"""So many emoji that only one of two texts has are no content."""
_FEW_WORDS = 4
"""With fewer words than this, a capital at the beginning is content."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_SENTENCE_ENDS = frozenset(".!?:;\n\"'(“‘«…-*#>")


@dataclass(frozen=True, slots=True)
class ComparedText:
    """A question, or a question with its context, as it is compared.

    Attributes:
        parts: the question, and the context if there is one; two texts have as many.
        unread: whether the model reads next to nothing of it.
        by_script: whether scripts are looked at; else only vectors that agree.
    """

    parts: tuple[str, ...]
    unread: bool
    by_script: bool


def compared_text(sight: Sight, question: str, context: str | None = None) -> ComparedText | None:
    """A text to be compared beside its vector; None where the vector is all that counts."""
    if sight == "trusted":
        return None
    parts = (question,) if context is None else (question, context)
    return ComparedText(parts, sight == "some" and is_unread("".join(parts)), sight == "some")


def is_unread(text: str) -> bool:
    """Whether at least half of the letters, digits and pictures are in scripts that models made for English lack."""
    found = [_unread(char) for char in text if unicodedata.category(char)[0] in "LMN" or _unread(char)]
    return sum(found) >= _MOSTLY * len(found) > 0


def has_unread(text: str) -> bool:
    """Whether anything of it is in such a script."""
    return not text.isascii() and any(map(_unread, text))


def distance(of_vectors: float, one: ComparedText | None, other: ComparedText | None) -> float:
    """The squared distance of two texts, 0 to 4, from that of their vectors: as it is where the vectors tell what there is."""
    if one is None or other is None or one.parts == other.parts:
        return of_vectors
    if both_unread(one, other):
        return _by_characters(one.parts, other.parts)
    if of_vectors >= LOOKED_AT or not any(
        a != b and _told_apart(a, b, by_script=one.by_script, agree=of_vectors <= AGREE)
        for a, b in zip(one.parts, other.parts, strict=True)
    ):
        return of_vectors
    return max(TOLD_APART, of_vectors, _by_characters(one.parts, other.parts, slips=False))


def both_unread(one: ComparedText | None, other: ComparedText | None) -> bool:
    """Whether the vectors of two texts say nothing, however far apart they are."""
    return one is not None and other is not None and one.unread and other.unread


def _by_characters(one: Sequence[str], other: Sequence[str], *, slips: bool = True) -> float:
    """The mean over the parts of how much has to be written anew, from 0 (a slip at most) to 2 (half or more)."""
    shares = [_rewritten(plain(a), plain(b), slips=slips) for a, b in zip(one, other, strict=True)]
    return round(sum(min(2.0, 4.0 * share) for share in shares) / len(shares), 6)


def _rewritten(one: str, other: str, *, slips: bool = True) -> float:
    """The share of the characters that have to be written anew; 0 for so few that it may be a slip, of letters only."""
    if one == other:
        return 0.0
    from rapidfuzz.distance import OSA

    longest = max(len(one), len(other))
    return 0.0 if slips and _is_slip(one, other, longest) else OSA.distance(one, other) / longest


def _is_slip(one: str, other: str, longest: int) -> bool:
    """Whether so few letters differ that it may be a slip in a text of so many characters."""
    from rapidfuzz.distance import OSA

    allowed = min(_SLIPS, 1 + longest // _LONG) if longest >= _SHORT else 0
    return OSA.distance(one, other, score_cutoff=allowed) <= allowed and _figures(one) == _figures(other)


def _figures(text: str) -> str:
    """What no slip changes: digits, signs and pictures."""
    return "".join(char for char in text if unicodedata.category(char)[0] in "NS")


@cache
def _unread(char: str) -> bool:
    category = unicodedata.category(char)
    if char < _ALWAYS_READ or category[0] in "PZC" or category in ("Sm", "Sc", "Sk"):
        return False
    return category == "Nd" or not unicodedata.name(char, "").startswith(_READ)


# ---- what differs between two texts, and whether the model may have seen it --------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cut:
    """A text as a tokenizer of that kind sees it, beside what it drops.

    Attributes:
        tokens: words and signs, as they stand.
        folded: without case and accents.
        begins: whether a sentence begins there, or a quotation.
        rows: for each line that is not blank its first token's place, and how deep it is indented, by rank.
    """

    tokens: tuple[str, ...]
    folded: tuple[str, ...]
    begins: tuple[bool, ...]
    rows: tuple[tuple[int, int], ...]


@lru_cache(maxsize=1024)
def _cut(text: str) -> _Cut:
    text = unicodedata.normalize("NFC", text)
    found = list(_TOKEN.finditer(text))
    ends = ((before.group() in _SENTENCE_ENDS, text[before.end() : token.start()]) for before, token in pairwise(found))
    begins = (True, *(ended or "\n" in between for ended, between in ends))
    tokens = tuple(token.group() for token in found)
    return _Cut(tokens, tuple(map(_fold, tokens)), begins, tuple(_rows(text)))


def _fold(token: str) -> str:
    apart = unicodedata.normalize("NFD", token.lower())
    return "".join(char for char in apart if unicodedata.category(char) != "Mn")


def _rows(text: str) -> Iterator[tuple[int, int]]:
    lines = [line.expandtabs(4) for line in text.splitlines() if line.strip()]
    depths = [len(line) - len(line.lstrip()) for line in lines]
    ranks = {depth: rank for rank, depth in enumerate(sorted(set(depths)))}
    starts = accumulate((len(_TOKEN.findall(line)) for line in lines), initial=0)
    return zip(starts, (ranks[depth] for depth in depths), strict=False)


def _told_apart(a: str, b: str, *, by_script: bool, agree: bool) -> bool:
    """Whether two texts differ in something that the model did not see, and that is no slip."""
    from rapidfuzz.distance import Indel

    one, other = _cut(a), _cut(b)
    changed: tuple[list[str], list[str]] = [], []
    pairs: list[tuple[int, int]] = []
    for code in Indel.opcodes(one.folded, other.folded):
        first, second = range(code.src_start, code.src_end), range(code.dest_start, code.dest_end)
        if code.tag == "equal":
            pairs += zip(first, second, strict=True)
        else:
            changed[0].extend(one.tokens[place] for place in first)
            changed[1].extend(other.tokens[place] for place in second)
    same = not any(changed)
    return (
        _content_differs(*changed, (a, b), by_script=by_script, agree=agree)
        or _accents_differ(one, other, pairs)
        or _case_differs(one, other, pairs)
        or (same and _layout_differs(one, other))
    )


def _content_differs(
    first: Sequence[str], second: Sequence[str], whole: tuple[str, str], *, by_script: bool, agree: bool
) -> bool:
    """Whether the words that differ do so unseen: all of them, where the vectors agree, else those of unread scripts."""
    if not agree:
        if not by_script:
            return False
        first, second = ([token for token in tokens if has_unread(token)] for tokens in (first, second))
        whole = ("".join(filter(_unread, whole[0])), "".join(filter(_unread, whole[1])))
    one, other = ("".join(char for char in "".join(tokens) if not _is_mark(char)) for tokens in (first, second))
    if one == other:
        return False
    if (
        not (one and other)
        and len(one + other) <= _ORNAMENTS
        and all(unicodedata.category(char) == "So" for char in one + other)
    ):
        return False
    return not _is_slip(one, other, max(map(len, whole)))


def _is_mark(char: str) -> bool:
    """Punctuation, and what is not seen by readers either."""
    return unicodedata.category(char)[0] in "PCZ" or "\ufe00" <= char <= "\ufe0f"


def _accents_differ(one: _Cut, other: _Cut, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether a word has other accents, unless all of a text were left out, which somebody without that keyboard does."""
    words = [(one.tokens[a].lower(), other.tokens[b].lower()) for a, b in pairs]
    differing = [(x, y) for x, y in words if x != y]
    bare = [all(_fold(x) == x for x in side) for side in zip(*words, strict=True)]
    return bool(differing) and not (any(bare) and len(differing) > 1)


def _case_differs(one: _Cut, other: _Cut, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether a word is written in another case, other than where sentences begin; or a whole text is, in one or in titles."""
    words = [(one.tokens[a], other.tokens[b], one.begins[a] or other.begins[b]) for a, b in pairs]
    differing = [(x, y, begins) for x, y, begins in words if x != y and x.lower() == y.lower()]
    if not differing:
        return False
    if len(words) < _FEW_WORDS:
        return True
    if any(_in_one_style([side[place] for side in words]) for place in (0, 1)):
        return False
    return not all(begins and x[1:] == y[1:] for x, y, begins in differing)


def _in_one_style(words: Sequence[object]) -> bool:
    """All small, all capitals, or as titles are."""
    letters = [word for word in map(str, words) if word.lower() != word.upper()]
    long = [word for word in letters if len(word) > 3]
    return (
        all(word.islower() for word in letters)
        or all(word.isupper() for word in letters)
        or (len(long) > 1 and all(word[0].isupper() for word in long))
    )


def _layout_differs(one: _Cut, other: _Cut) -> bool:
    """Whether lines are indented otherwise, or two or more begin elsewhere; of the same words."""
    starts, others = ({start for start, _ in cut.rows} for cut in (one, other))
    if starts == others:
        return [rank for _, rank in one.rows] != [rank for _, rank in other.rows]
    return len(starts ^ others) > 1
