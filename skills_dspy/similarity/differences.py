"""Whether two texts differ in what an embedding model does not see, by more than a slip: a blank, a full stop, a letter."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate, groupby, pairwise, zip_longest

from skills_dspy.similarity.order import exchanged
from skills_dspy.similarity.scripts import has_unread, is_ideograph
from skills_dspy.similarity.text import marks, operators, pictures, typed

_LEAST_WORD, _LEAST_REST = 5, 3
"""Characters that a word has at least that holds a slip, and what is left of one that lost a letter."""
_LONG, _SLIPS = 60, 3
"""For how many characters more there may be one slip more, and how many at most."""
MOST_EDITS = _SLIPS * _SLIPS
_ORNAMENTS = 2
"""So many emoji are no content where the other text has none."""
_FEW_WORDS = 4
"""With fewer words than this a text may ask about one of them: an accent is content there, and so are most capitals."""
_FULL = 40
"""Characters of a line, letters for the most part, from which on it ends because it is full."""
_SENTENCE_ENDS = frozenset(".!?")
_BREAKS = frozenset(".!?:;,")
_PUNCTUATION = frozenset(".,;:!?…-–—•·|\"'“”‘’„«»()[]*_`~")
"""Signs that may stand for one another."""
_SIGNS_END = re.compile(r"\s[.-]+\s+[.-]+\Z")
"""Words of dots and dashes alone at the end of a text, as in Morse."""
_DOTS = re.compile(r"(?<![\w.])\.{1,2}(?=/)")
_REPEATS = re.compile(r"(?<=[\])}.])[*+](?:\?(?!\Z))?")
"""How a path begins, and how a regular expression repeats a group; at the end of a text `?` is the sentence's."""

_Change = tuple[str, str]
"""What stands in one text, and in its place in the other."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """A text as a tokenizer of that kind sees it, beside what it drops.

    Attributes:
        tokens: words, Chinese characters and signs, as they stand.
        folded: without case and accents.
        begins: whether a sentence begins there.
        rows: for each line that is not blank its first token's place, and how deep it is indented.
        full: the places of tokens before which a line of prose was full.
    """

    tokens: tuple[str, ...]
    folded: tuple[str, ...]
    begins: tuple[bool, ...]
    rows: dict[int, int]
    full: frozenset[int]


@cache
def _token() -> re.Pattern[str]:
    return re.compile(rf"[\u3400-\u9fff]|(?:(?![\u3400-\u9fff])[\w{marks()}])+|[^\w\s]")


@lru_cache(maxsize=4096)
def _cut(text: str) -> _Cut:
    text = typed(unicodedata.normalize("NFC", text))
    found = list(_token().finditer(text))
    between = ((before.group(), text[before.end() : token.start()]) for before, token in pairwise(found))
    begins = (True, *(before in _SENTENCE_ENDS or "\n" in blank for before, blank in between))
    tokens = tuple(token.group() for token in found)
    return _Cut(tokens, tuple(map(_fold, tokens)), begins, *_rows(text))


def _fold(token: str) -> str:
    apart = unicodedata.normalize("NFD", token.lower())
    return "".join(char for char in apart if unicodedata.category(char) != "Mn")


def _rows(text: str) -> tuple[dict[int, int], frozenset[int]]:
    lines = [line.expandtabs(4) for line in text.split("\n") if line.strip()]
    depths = [len(line) - len(line.lstrip()) for line in lines]
    depths[:1] = [min(depths)] if depths else []  # a blank before all is none of the layout
    starts = list(accumulate((len(_token().findall(line)) for line in lines), initial=0))
    prose = (sum(map(str.isalpha, line)) > len(line) / 2 and len(line.strip()) >= _FULL for line in lines)
    full = frozenset(start for start, is_full in zip(starts[1:], prose, strict=True) if is_full)
    return dict(zip(starts, depths, strict=False)), full


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
        or exchanged(one.folded, other.folded)
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


@lru_cache(maxsize=4096)
def _signs(text: str) -> tuple[list[str], ...]:
    """Words of signs within the lines, such as Morse, if two or more; signs that no keyboard has; operators; dots of paths;
    and how regular expressions repeat.

    A mark at the end of all is of the sentence, unless it is a word among others of signs.
    """
    text = typed(text).rstrip()
    bare = text if _SIGNS_END.search(text) else text.rstrip(" .!?")
    words = [
        word for line in bare.split("\n") for word in line.split()[1:] if word.isascii() and not any(map(str.isalnum, word))
    ]
    rare = [char for char in text if char > "\u02ff" and unicodedata.category(char) == "Sm"]
    return words if len(words) > 1 else [], rare, operators(text), _DOTS.findall(text), _REPEATS.findall(text)


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
    """Whether a word has other accents, and not only some left out: all of a text, or any in one of several words."""
    words = [(one.tokens[a].lower(), other.tokens[b].lower()) for a, b in pairs if one.tokens[a][0].isalnum()]
    differing = [(x, y) for x, y in words if x != y]
    bare = [all(_fold(x) == x for x in side) for side in zip(*words, strict=True)]
    left_out = any(bare) and len(differing) > 1
    return bool(differing) and not (left_out or (len(words) >= _FEW_WORDS and all(_lacks_accents(x, y) for x, y in differing)))


def _lacks_accents(one: str, other: str) -> bool:
    """Whether the letters differ only where one of the two has an accent and the other none; vowel signs are no accents."""
    letters = (re.findall("[^\u0300-\u036f][\u0300-\u036f]*", unicodedata.normalize("NFD", word)) for word in (one, other))
    return all(a == b or a == b[:1] or b == a[:1] for a, b in zip_longest(*letters, fillvalue=""))


def _case_differs(one: _Cut, other: _Cut, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether a word is written in another case, other than where sentences begin; or a whole text is, in one or in titles."""
    words = [(one.tokens[a], other.tokens[b], one.begins[a] or other.begins[b]) for a, b in pairs if one.tokens[a][0].isalnum()]
    differing = [(x, y, begins) for x, y, begins in words if x != y and x.lower() == y.lower()]
    initials = all(x[1:] == y[1:] != "" for x, y, _ in differing)
    if not differing or (initials and len(words) > 1 and all(begins for *_, begins in differing)):
        return False
    in_style = any(_in_one_style([side[place] for side in words]) for place in (0, 1))
    return not in_style or len(words) < _FEW_WORDS - initials


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
    """Whether lines are indented otherwise or begin elsewhere, but for prose that is wrapped; of the same words."""
    starts = [start for start in one.rows if start in other.rows]
    if _ranks([one.rows[start] for start in starts]) != _ranks([other.rows[start] for start in starts]):
        return True
    moved = (one.rows.keys() ^ other.rows.keys()) - one.full - other.full
    # The line after `Explain this:` may as well go on in the first, and so may one of prose; rows of figures may not.
    return len(moved) > 1 or not all(
        one.tokens[start - 1] in _BREAKS or (one.tokens[start - 1] + one.tokens[start]).isalpha() for start in moved
    )


def _ranks(depths: Sequence[int]) -> list[int]:
    order = sorted(set(depths))
    return [order.index(depth) for depth in depths]
