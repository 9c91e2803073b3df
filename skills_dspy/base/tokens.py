"""How many tokens a text may take, without the model's tokenizer: an estimate that errs to the high side.

Ollama gives no tokenizer, and its window cuts without a word, so a bound is wanted, not a mean. Byte-pair vocabularies
of 32k to 131k entries take about four letters of English a token, one digit a token (Mistral), and up to two tokens for a
character that is not a letter of an alphabet. `skills_dspy check` compares the estimate with the server's own count.
"""

import re

_PIECES = re.compile(
    r"(?P<ascii>[A-Za-z]+)|(?P<blank>[ ]+)|(?P<space>[\t-\r][\t-\r ]*)|(?P<letter>[^\W\d_a-zA-Z])|(?P<other>.)", re.DOTALL
)
_LETTERS_PER_TOKEN = 3
_LAST_ALPHABETIC = 0x1FFF
"""Latin, Greek, Cyrillic, Arabic, Indic ... letters end here; what follows is mostly ideographs and symbols."""


def estimate_tokens(text: str) -> int:
    """An upper estimate of the tokens in `text`, at least 0."""
    total = 0
    for match in _PIECES.finditer(text):
        piece, kind = match.group(), match.lastgroup
        if kind == "ascii":
            total += -(-len(piece) // _LETTERS_PER_TOKEN)
        elif kind == "blank":
            total += (len(piece) + 2) // 4  # one blank belongs to the word that follows it
        elif kind == "space":
            total += 1 + len(piece) // 4  # line breaks and indentation: a few stand in one token, a hundred do not
        elif kind == "letter" or piece.isascii():
            total += 1 if ord(piece[0]) <= _LAST_ALPHABETIC else 2
        else:
            total += 2
    return total
