"""How many tokens a text may take, without the model's tokenizer: an estimate that errs to the high side for English.

Ollama gives no tokenizer, and its window cuts without a word, so a bound is wanted, not a mean. Byte-pair vocabularies
of 32k to 131k entries take about four letters of English a token, one digit a token (Mistral), and up to two tokens for a
character that is not a letter of an alphabet; one that hardly knows a script takes a token for each byte of it.
`skills_dspy check` compares the estimate with the server's own count.
"""

import re
from functools import lru_cache

_PIECES = re.compile(r"[A-Za-z]+| +|[\t-\r][\t-\r ]*|.", re.DOTALL)
_LETTERS_PER_TOKEN = 3
LEAST_TIMES, MOST_TIMES = 1.0, 2.5
"""The estimate of an English text, so of a prompt with English seeds, is at least and at most so many times a server's count.

Measured on the shipped tasks, a taxonomy and the originals' seeds: 1.09 to 1.87 (SmolLM2), 1.13 to 2.40 (Qwen2.5). Outside of
this lie texts that are mostly figures (0.86), and languages: 0.34 (Amharic, SmolLM2) to 3.27 (Japanese, Qwen2.5). The table and
what guards a prompt whose estimate is low stand in docs/commands.md. The estimate decides how long a reply may be, and so the
requests that old journals answer: it stays as it is.
"""
_LAST_ALPHABETIC = "\u1fff"
"""Latin, Greek, Cyrillic, Arabic, Indic ... letters end here; what follows is mostly ideographs and symbols."""


@lru_cache(maxsize=2**9)  # seeds and prompts are measured for windows, for room and for the forecast
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
