"""What a text is made of, for comparing it with others: its words, in two ways, and its letters without layout.

`tokens` finds one text inside another, whatever its typography: after Unicode's NFKC and casefold, apostrophes and invisible
characters are left out, all but letters, marks and digits separates words, and where a script puts no spaces between words
every character is a token of its own. What they are is written into the indexes of benchmark questions.

`words` counts as readers do: an apostrophe inside a word belongs to it, an emoji is a word, a Chinese or Japanese character is
one. Thai, Lao and Khmer are not taken apart: a phrase is one long word there. Figures of `eval` rest on it.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache

WORD = 4
"""The width of a token that is a word; a character of a script without spaces counts as the part of a word that it makes up."""
_UNSPACED = (
    (2, re.compile("[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")),
    (1, re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3031-\u3035\u3040-\u30ff\u31f0-\u31ff]")),
)
_APOSTROPHES = frozenset("'\u2019\u02bc\u2018\uff07\u02b9`")
_ACUTE = "\u00b4"  # typed for an apostrophe; NFKC would make it a space with an accent

_CJK = (
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
_PICTURE = (
    "[\u2600-\u27bf\u2b00-\u2bff\U0001f1e6-\U0001f1ff\U0001f300-\U0001f3fa\U0001f400-\U0001faff]"
    "[\ufe0f\u20e3\U0001f3fb-\U0001f3ff]*"
)
"""An emoji with what colours it. A skill that answers in emoji has no other words."""
_TYPED = str.maketrans({"−": "-", "×": "*", "÷": "/", "→": "->", "⇒": "=>", "←": "<-", "≤": "<=", "≥": ">=", "≠": "!="})
_SIGNS = r"""[^\w\s.,;:!?…"'“”‘’„«»()\[\]{}•·`]"""
_OPERATORS = re.compile(rf"(?:\d|\b[^\W\d_]|[)\]])\s*({_SIGNS}(?:\s*{_SIGNS})*)\s*(?=\d|[^\W\d_]\b|[(\[])")
_PICTURES = "\u2300"
"""From here on what Unicode calls a symbol is one; before it stand signs such as those for degrees and numbers."""


def tokens(text: str) -> list[str]:
    """The words of a text, and the characters of scripts that do not separate words."""
    return "".join(map(_piece, _folded(text))).split()


def token_width(token: str) -> int:
    """How wide a token is: WORD for a word, less for a character of a script without spaces."""
    if token.isascii():
        return WORD
    return next((width for width, pattern in _UNSPACED if pattern.match(token)), WORD)


def joined_tokens(found: Sequence[str]) -> str:
    """Tokens as a person reads them: words with spaces between them, characters without."""
    text = ""
    for token in found:
        text += f" {token}" if text and WORD in (token_width(token), token_width(text[-1])) else token
    return text


@lru_cache(maxsize=4096)
def pictures(text: str) -> str:
    """The emoji, Braille cells and other pictures of a text, in their order: neither kind of words has them all."""
    return "".join(char for char in text if not char.isascii() and char >= _PICTURES and unicodedata.category(char) == "So")


def typed(text: str) -> str:
    """A text with the signs of keyboards instead of those that typesetters have for them: `a - b -> c`."""
    return text.translate(_TYPED)


def operators(text: str) -> list[str]:
    """The signs between numbers, single letters and brackets, in their order; a dash of any length is a minus."""
    return ["".join(found.split()) for found in _OPERATORS.findall(typed(text).replace("–", "-").replace("—", "-"))]


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """What two short texts must have in common to be the same: all but case, width, white space and punctuation at the end.

    Signs within it stay, so that `2 + 2` and `2 - 2` differ.
    """
    bare = "".join(_folded(text).split())
    return bare.rstrip("".join(char for char in set(bare) if unicodedata.category(char)[0] == "P")) or bare


def words(text: str) -> list[str]:
    """The words of a text in their order, case folded, without punctuation; "don't" is one word, a hyphen parts words."""
    return _word().findall(_as_words(text))


def _as_words(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().replace("\u2019", "'")


def squeezed(text: str) -> str:
    """A text with single blanks and without case."""
    return " ".join(text.split()).casefold()


def likeness(a: str, b: str) -> float:
    """How much of two texts is the same, letter by letter in order, blanks and case aside: 0 to 1."""
    from rapidfuzz.fuzz import ratio

    return float(ratio(squeezed(a), squeezed(b))) / 100


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.replace(_ACUTE, "'")).casefold())


@cache
def marks() -> str:
    r"""The marks that many scripts write their vowels with; Python's \w leaves them out, and Hindi falls into pieces."""
    return "".join(char for char in map(chr, range(0x300, 0x10000)) if unicodedata.category(char)[0] == "M")


@cache
def _piece(character: str) -> str:
    """What a character contributes: itself, itself alone, nothing, or an end of a word."""
    if character in _APOSTROPHES:
        return ""
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    if category[0] not in "LMN":
        return " "
    return f" {character} " if any(pattern.match(character) for _, pattern in _UNSPACED) else character


@cache
def _word() -> re.Pattern[str]:
    """What a word looks like: a Chinese or Japanese character, an emoji, or letters and digits with their marks."""
    letter = rf"(?![{_CJK}])[^\W_]"
    letters = rf"{letter}(?:{letter}|[{marks()}])*"
    return re.compile(rf"[{_CJK}]|{_PICTURE}(?:\u200d{_PICTURE})*|{letters}(?:'{letters})*")
