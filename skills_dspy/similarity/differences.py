"""Whether two texts differ in what an embedding model does not see, by more than a slip: a blank, a full stop, a letter."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate, groupby, pairwise

from skills_dspy.similarity.scripts import has_unread, is_ideograph
from skills_dspy.similarity.text import marks, pictures

_LEAST_WORD, _LEAST_REST = 5, 3
"""Characters that a word has at least that holds a slip, and what is left of one that lost a letter."""
_LONG, _SLIPS = 60, 3
"""For how many characters more there may be one slip more, and how many at most."""
MOST_EDITS = _SLIPS * _SLIPS
_ORNAMENTS = 2
"""So many emoji are no content where the other text has none."""
_FEW_WORDS = 4
"""With fewer words than this, a capital at the beginning is content."""
_SENTENCE_ENDS = frozenset(".!?")
_BREAKS = frozenset(".!?:;,")
_PUNCTUATION = frozenset(".,;:!?…-–—•·|\"'“”‘’„«»()[]*_`~")
"""Signs that may stand for one another."""

_Change = tuple[str, str]
"""What stands in one text, and in its place in the other."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """A text as a tokenizer of that kind sees it, beside what it drops.

    Attributes:
        tokens: words, Chinese characters and signs, as they stand.
        folded: without case and accents.
        begins: whether a sentence begins there.
        rows: for each line that is not blank its first token's place, and how deep it is indented, by rank.
    """

    tokens: tuple[str, ...]
    folded: tuple[str, ...]
    begins: tuple[bool, ...]
    rows: tuple[tuple[int, int], ...]


@cache
def _token() -> re.Pattern[str]:
    return re.compile(rf"[\u3400-\u9fff]|(?:(?![\u3400-\u9fff])[\w{marks()}])+|[^\w\s]")


@lru_cache(maxsize=256)
def _cut(text: str) -> _Cut:
    text = unicodedata.normalize("NFC", text)
    found = list(_token().finditer(text))
    between = ((before.group(), text[before.end() : token.start()]) for before, token in pairwise(found))
    begins = (True, *(before in _SENTENCE_ENDS or "\n" in blank for before, blank in between))
    tokens = tuple(token.group() for token in found)
    return _Cut(tokens, tuple(map(_fold, tokens)), begins, tuple(_rows(text)))


def _fold(token: str) -> str:
    apart = unicodedata.normalize("NFD", token.lower())
    return "".join(char for char in apart if unicodedata.category(char) != "Mn")


def _rows(text: str) -> Iterator[tuple[int, int]]:
    lines = [line.expandtabs(4) for line in text.split("\n") if line.strip()]
    depths = [len(line) - len(line.lstrip()) for line in lines]
    depths[:1] = [min(depths)] if depths else []  # a blank before all is none of the layout
    ranks = {depth: rank for rank, depth in enumerate(sorted(set(depths)))}
    starts = accumulate((len(_token().findall(line)) for line in lines), initial=0)
    return zip(starts, (ranks[depth] for depth in depths), strict=False)


def _changes(one: Sequence[str], other: Sequence[str]) -> tuple[list[_Change], list[tuple[int, int]]]:
    """What differs of two lists of tokens, from place to place, and which places have the same token."""
    from rapidfuzz.distance import Indel

    found: list[_Change] = []
    same: list[tuple[int, int]] = []
    for equal, codes in groupby(Indel.opcodes(one, other), lambda code: code.tag == "equal"):
        for code in (own := list(codes)):
            if equal:
                same += zip(range(code.src_start, code.src_end), range(code.dest_start, code.dest_end), strict=True)
        if not equal:
            found.append(
                ("".join(one[own[0].src_start : own[-1].src_end]), "".join(other[own[0].dest_start : own[-1].dest_end]))
            )
    return found, same


def _bare(changes: Sequence[_Change]) -> list[_Change]:
    """What differs but for punctuation and what no reader sees."""

    def seen(text: str) -> str:
        return "".join(char for char in text if unicodedata.category(char)[0] not in "PCZ" and not "\ufe00" <= char <= "\ufe0f")

    bare = ((seen(one), seen(other)) for one, other in changes)
    return [(one, other) for one, other in bare if one != other]


def misspelt(one: str, other: str) -> bool:
    """Whether one text is the other but for slips, so for at most MOST_EDITS characters."""
    return not _differ(_changes(_cut(one).tokens, _cut(other).tokens)[0])


def told_apart(a: str, b: str, *, by_script: bool, agree: bool) -> bool:
    """Whether two texts differ in something that the model did not see, and that is no slip."""
    seen = pictures(a), pictures(b)
    if (by_script or agree) and all(seen) and seen[0] != seen[1]:
        return True
    one, other = _cut(a), _cut(b)
    changes, same = _changes(one.folded, other.folded)
    unseen = [change for change in changes if agree or (by_script and any(map(has_unread, change)))]
    return (
        (_differ(unseen) and not _ornaments(_bare(unseen), seen))
        or any(map(_other_sign, changes))
        or any(map(_other_code, changes))
        or any(one and other and one != other for one, other in zip(_signs(a), _signs(b), strict=True))
        or _accents_differ(one, other, same)
        or _case_differs(one, other, same)
        or (len(one.tokens) == len(other.tokens) == len(same) and _layout_differs(one, other))
    )


def _other_sign(change: _Change) -> bool:
    """Whether signs stand in the place of others that mean something else: an operator, not a dash or a quotation mark."""
    one, other = change
    return bool(one and other) and not any(map(str.isalnum, one + other)) and not _PUNCTUATION.issuperset(one + other)


def _other_code(change: _Change) -> bool:
    """Whether a word of letters and digits stands in the place of another, as in chess, formulas and versions."""
    bare = [text for pair in _bare([change]) for text in pair]
    return bool(bare) and all(map(_is_code, bare))


def _is_code(text: str) -> bool:
    return text.isalnum() and any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def _signs(text: str) -> tuple[list[str], list[str]]:
    """The words of signs alone within the lines, such as Morse, if there are two or more, and signs that no keyboard has."""
    lines = text.rstrip(" .!?").split("\n")
    words = [word for line in lines for word in line.split()[1:] if word.isascii() and not any(map(str.isalnum, word))]
    return words if len(words) > 1 else [], [char for char in text if char > "\u02ff" and unicodedata.category(char) == "Sm"]


def _differ(changes: Sequence[_Change]) -> bool:
    """Whether something else is written, and not only a word misspelt."""
    found = _bare(changes)
    return len(found) > _SLIPS or not all(map(_is_slip, found))


def _is_slip(change: _Change) -> bool:
    from rapidfuzz.distance import OSA

    one, other = change
    shorter, longer = sorted((len(one), len(other)))
    # A letter too few is no word more often than another letter is: cat, cut.
    if shorter < (_LEAST_WORD if shorter == longer else _LEAST_REST) or _figures(one) != _figures(other):
        return False
    allowed = min(_SLIPS, 1 + longer // _LONG)
    return OSA.distance(one, other, score_cutoff=allowed) <= allowed


def _figures(text: str) -> str:
    """What no slip changes: digits, signs, pictures and Chinese characters."""
    return "".join(char for char in text if unicodedata.category(char)[0] in "NS" or is_ideograph(char))


def _ornaments(changes: Sequence[_Change], seen: tuple[str, str]) -> bool:
    """Whether all that differs is an emoji or two, where the other text has none."""
    added = ["".join(side) for side in zip(*changes, strict=True)]
    return not all(added) and not all(seen) and 0 < len("".join(added)) <= _ORNAMENTS and all(
        unicodedata.category(char) == "So" for char in "".join(added)
    )  # fmt: skip


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
    return not all(begins and x[1:] == y[1:] != "" for x, y, begins in differing)


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
    """Whether lines are indented otherwise or begin elsewhere, but for one in prose; of the same words."""
    starts, others = ({start for start, _ in cut.rows} for cut in (one, other))
    if starts == others:
        return [rank for _, rank in one.rows] != [rank for _, rank in other.rows]
    moved = starts ^ others
    # The line after `Explain this:` may as well go on in the first, and prose may be wrapped; rows of figures may not.
    return len(moved) > 1 or not all(
        one.tokens[start - 1] in _BREAKS or (one.tokens[start - 1] + one.tokens[start]).isalpha() for start in moved
    )
