"""Whether words have exchanged their places, as in `German to English` and `English to German`, which vectors hardly show."""

from collections.abc import Sequence

_LONGEST = 40
"""Words from the first to the last that moved, at most; of a longer part the order is one of sentences."""
_JOINING = frozenset(
    ["and", "or", "vs", "versus", "und", "oder", "et", "ou", "y", "o", "e", "и", "или", "和", "或", "与", "と"]
)
"""What names may stand on either side of, all the same."""
_LOOSE = frozenset(".,;:!?，。；：！？、…–—•·\"'“”‘’„«»*_`~")
"""Signs that no word stands on either side of."""


def exchanged(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two texts have the same words, and some are exchanged: numbers, or what stands on two sides of a word or sign.

    One phrase that moves (`In France, what is the capital?`), and names around `and` or `or`, mean the same.

    Args:
        one, other: the words and signs of the texts, without case.
    """
    a, b = ([token for token in tokens if token not in _LOOSE] for tokens in (one, other))
    if a == b or len(a) != len(b) or sorted(a) != sorted(b):
        return False
    moved = [place for place, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
    a, b = (tokens[moved[0] : moved[-1] + 1] for tokens in (a, b))
    if len(a) > _LONGEST:
        return False
    if all(map(_is_value, a)):
        return True
    joined = any(word in _JOINING and [*a[at + 1 :], word, *a[:at]] == b for at, word in enumerate(a))
    return not joined and not any(a[at:] + a[:at] == b for at in range(len(a)))


def _is_value(word: str) -> bool:
    """Whether it is a number, a letter that stands for something, or a sign between them."""
    return any(map(str.isdigit, word)) or (len(word) == 1 and word.isascii()) or word in _JOINING
