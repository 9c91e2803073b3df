"""How many tokens a text may take, without the model's tokenizer: an estimate that errs to the high side.

Ollama gives no tokenizer, and its window cuts without a word, so a bound is wanted, not a mean. Byte-pair vocabularies
of 32k to 131k entries take about four letters of English a token, one digit a token (Mistral), and up to two tokens for a
character that is not a letter of an alphabet. `skills_dspy check` compares the estimate with the server's own count.
"""

import re
from functools import lru_cache

_PIECES = re.compile(r"[A-Za-z]+| +|[\t-\r][\t-\r ]*|.", re.DOTALL)
_LETTERS_PER_TOKEN = 3
_LAST_ALPHABETIC = "\u1fff"
"""Latin, Greek, Cyrillic, Arabic, Indic ... letters end here; what follows is mostly ideographs and symbols."""


def estimate_tokens(text: str) -> int:
    """An upper estimate of the tokens in `text`, at least 0."""
    return sum(map(_tokens_of, _PIECES.findall(text)))


@lru_cache(maxsize=2**14)  # most words of a prompt were in the one before
def _tokens_of(piece: str) -> int:
    if not piece.isascii():
        return 1 if piece.isalnum() and not piece.isdecimal() and piece <= _LAST_ALPHABETIC else 2
    if piece.isalpha():
        return -(-len(piece) // _LETTERS_PER_TOKEN)
    if piece.startswith(" "):
        return (len(piece) + 2) // 4  # one blank belongs to the word that follows it
    return 1 + len(piece) // 4  # line breaks and indentation: a few stand in one token, a hundred do not; else one character
